"""Which session the code that runs now belongs to.

Three things run code: cells, asyncio tasks and threads. A cell's code, and any code outside tasks,
has what was entered in its thread, and keeps it from cell to cell: a value set in a ContextVar by a
cell that contains ``await`` is gone in the next cell, so that this is an attribute of the thread. A
task that is not a cell has what was entered in it and, by a ContextVar, what was entered where it
was made; nothing that others enter later. A new thread has nothing, unless it was given a context
(`asyncio.to_thread`).

A session that has ended counts no more, wherever it was entered: what is made then belongs to the
one around it.
"""

from __future__ import annotations

import sys
import threading
import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aaiclick_ext.lifecycle.session import Session


class _OfThread(threading.local):
    """What was entered in a thread outside tasks that are not cells, the innermost last."""

    entered: tuple[Session, ...] = ()


class SessionScopes:
    """What was entered in the threads and tasks of this process."""

    def __init__(self) -> None:
        self._inherited: ContextVar[tuple[Session, ...]] = ContextVar("aai_sessions", default=())
        self._of_thread = _OfThread()
        # Tasks in which IPython runs cells; nothing else is known of such a task.
        self._cells: weakref.WeakSet[Any] = weakref.WeakSet()

    def begin_cell(self) -> None:
        """Say that what runs now is a cell; tasks that it makes have what its thread has."""
        task = _current_task()
        if task is not None:
            self._cells.add(task)
        self._inherited.set(self._of_thread.entered)

    def entered(self) -> tuple[Session, ...]:
        """Return the sessions that were entered here and have not ended, the innermost last."""
        of_thread, inherited = self._of_thread.entered, self._inherited.get()
        chain = inherited if self._is_task() else of_thread or inherited
        return tuple(session for session in chain if not session.is_ended)

    def here(self) -> weakref.ref[Any]:
        """Return the task or thread that enters what is entered now, for `is_running`."""
        return weakref.ref(_current_task() if self._is_task() else threading.current_thread())

    def enter(self, session: Session) -> None:
        """Enter a session."""
        self._set((*self.entered(), session))

    def leave(self) -> None:
        """Forget what has ended, here."""
        self._set(self.entered())

    def _set(self, chain: tuple[Session, ...]) -> None:
        self._inherited.set(chain)
        if not self._is_task():
            self._of_thread.entered = chain

    def _is_task(self) -> bool:
        """Say whether what runs now is a task that is not a cell."""
        task = _current_task()
        return task is not None and task not in self._cells


def is_running(by: weakref.ref[Any]) -> bool:
    """Say whether the thread or task that entered a session has not ended."""
    found = by()
    if isinstance(found, threading.Thread):
        return found.is_alive()
    return found is not None and not found.done()


def _current_task() -> Any:
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return None
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop runs in this thread
        return None
