"""Collection of cyclic garbage when the kernel has nothing to do.

Completion by jedi, and some errors, leave cycles that hold a table until Python collects them,
which may be a long time after the user deleted the variable. A full collection takes 80 ms with
Ibis and the engine imported: nothing while a user reads, too much in a cell.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING

from aaiclick_ext.lifecycle.collection import collect_garbage

if TYPE_CHECKING:
    from collections.abc import Callable

IDLE_S = 2.0
"""How long after a cell the kernel counts as idle."""

WORK_PER_PAUSE = 0.02
"""Share of time that collections may take: with many Python objects one takes seconds."""


class IdleCollection:
    """Collects once, `IDLE_S` after the last cell, on the main thread.

    On the main thread because finalizers of other libraries (Qt, Tk, sqlite3) may only run there.
    In a terminal no event loop runs between cells; there, Python's own collections must do.

    Parameters
    ----------
    then
        Called after each collection, on the main thread; must not wait.
    """

    def __init__(self, then: Callable[[], object]) -> None:
        self._then = then
        self._timer: asyncio.TimerHandle | None = None
        self._not_before = 0.0

    def schedule(self) -> None:
        """Collect when the kernel has been idle for a while from now on."""
        self.cancel()
        if threading.current_thread() is not threading.main_thread():
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        delay_s = max(IDLE_S, self._not_before - time.monotonic())
        self._timer = loop.call_later(delay_s, self._collect)

    def cancel(self) -> None:
        """Forget a collection that was to come."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _collect(self) -> None:
        self._timer = None
        started = time.monotonic()
        if not collect_garbage(patience_s=0):  # another thread does: wait for it, but not here
            self.schedule()
            return
        ended = time.monotonic()
        self._not_before = ended + (ended - started) / WORK_PER_PAUSE
        self._then()
