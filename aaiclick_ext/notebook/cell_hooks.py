"""What happens around a cell: it becomes a task of the operation log.

IPython's events, as they really come: a silent cell and a widget's message fire only
``pre_execute`` and ``post_execute``; any other cell fires ``pre_run_cell`` after the first and
``post_run_cell`` after the second; a blank cell, and the cell that loads the extension, fire the
last ones without the first ones; cells can run cells; subshells run cells in other threads.
"""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aaiclick_ext.lifecycle.process import process
from aaiclick_ext.logs import logger_of
from aaiclick_ext.notebook.interrupt import interrupt_held_back
from aaiclick_ext.notebook.scripts import forget_scripts
from aaiclick_ext.oplog.task import Task
from aaiclick_ext.settings import jupyter_session_name

if TYPE_CHECKING:
    from aaiclick_ext.context import DataContext
    from aaiclick_ext.notebook.idle import IdleCollection
    from aaiclick_ext.notebook.last_error import LastError
    from aaiclick_ext.notebook.output_history import OutputHistory

logger = logger_of("notebook")

WRITE_PATIENCE_S = 2.0
"""How long the end of a cell waits for its events to be written; they are, also after that."""


@dataclass
class _Running:
    task: Task
    is_cell: bool


class CellHooks:
    """Makes each cell a task, names its results after variables and writes its events, once.

    Parameters
    ----------
    ip
        The IPython shell.
    """

    def __init__(
        self,
        ip: Any,
        context: DataContext,
        outputs: OutputHistory,
        last_error: LastError,
        idle: IdleCollection,
    ) -> None:
        self._ip = ip
        self._context = context
        self._outputs = outputs
        self._last_error = last_error
        self._idle = idle
        self._stacks: defaultdict[int, list[_Running]] = defaultdict(list)

    def register(self) -> None:
        """Start listening, and make the cell that is running now a task."""
        for event in _EVENTS:
            self._ip.events.register(event, getattr(self, event))
        process.scopes.begin_cell()
        cell = _running_cell(self._ip)
        if cell is not None:
            self._begin(cell, is_cell=True)

    def unregister(self) -> None:
        """Stop listening."""
        for event in _EVENTS:
            if (callback := getattr(self, event)) in self._ip.events.callbacks[event]:
                self._ip.events.unregister(event, callback)

    def pre_execute(self) -> None:
        """Begin a task that is no cell, as far as is known yet."""
        if self._context.closed:
            return
        self._context.imported.wait()  # before the cell imports something of the same
        with interrupt_held_back():
            self._idle.cancel()
            self._begin(Task(), is_cell=False)

    def pre_run_cell(self, info: Any) -> None:
        """Begin a cell's task in the place of the one that has just begun."""
        running = self._running
        if self._context.closed or not running:
            return
        with interrupt_held_back():
            process.scopes.begin_cell()
            running.pop()
            self._last_error.before_cell(info.raw_cell)
            task = Task(
                cell_id=info.cell_id,
                # The count of what is displayed now is the cell's, whether IPython counts a cell
                # before it runs or, as older versions do, after.
                execution_count=self._ip.displayhook.prompt_count if info.store_history else None,
                source=info.raw_cell,
                notebook_path=notebook_path(self._ip),
            )
            self._begin(task, is_cell=True)

    def post_execute(self) -> None:
        """End a task that was not a cell."""
        running = self._running
        if running and not running[-1].is_cell:
            self._end()

    def post_run_cell(self, result: Any) -> None:
        """End a cell's task and let go of what is only kept by output history."""
        if result is not None and result.info is not None and not result.info.raw_cell.strip():
            return
        with interrupt_held_back():
            self._outputs.note(result)
            forget_scripts(self._ip)
        self._end()

    @property
    def _running(self) -> list[_Running]:
        """What runs in this thread, the innermost last."""
        return self._stacks[threading.get_ident()]

    def _begin(self, task: Task, *, is_cell: bool) -> None:
        self._running.append(_Running(task, is_cell))
        self._resume()

    def _resume(self) -> None:
        self._context.begin_task(self._running[-1].task, this_thread_only=not _is_main_thread())

    def _end(self) -> None:
        context, running = self._context, self._running
        with interrupt_held_back():
            if running:
                context.end_task(running.pop().task)
            if context.is_open:
                recorded = context.oplog.pending
                context.oplog.end_task(context.variable_names() if recorded else {})
            if running:
                self._resume()
                return
            self._idle.schedule()
            if not context.is_open or not context.oplog.pending or self._is_main_busy:
                return
            written = context.oplog.flush_soon()
        with contextlib.suppress(KeyboardInterrupt):  # the cell has ended
            if written.wait(WRITE_PATIENCE_S) and (error := written.exception()):
                logger.warning("events of this cell are not in the operation log yet: %s", error)

    @property
    def _is_main_busy(self) -> bool:
        """Whether the main thread still runs a cell, whose results have no names yet."""
        return bool(self._stacks[threading.main_thread().ident or 0])


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


_EVENTS = ("pre_execute", "pre_run_cell", "post_execute", "post_run_cell")


def _running_cell(ip: Any) -> Task | None:
    """Return the cell that is running as a task, or None where none is."""
    # What is displayed goes to IPython only while a cell runs.
    if not ip.display_trap.is_active:
        return None
    inputs = ip.history_manager.input_hist_raw
    count = ip.displayhook.prompt_count
    is_in_history = len(inputs) - 1 == count
    return Task(
        cell_id=_cell_id_of_request(ip),
        execution_count=count if is_in_history else None,
        source=inputs[-1] if is_in_history else None,
        notebook_path=notebook_path(ip),
    )


def notebook_path(ip: Any) -> str | None:
    """Return the path of the notebook, where the front end tells its kernel.

    Jupyter Server does in the environment, VS Code in a variable of the user's.
    """
    path = jupyter_session_name() or ip.user_ns.get("__vsc_ipynb_file__")
    return path if isinstance(path, str) else None


def _cell_id_of_request(ip: Any) -> str | None:
    """Return the id of the cell that a front end asked to run."""
    request = ip.kernel.get_parent() if hasattr(ip, "kernel") else None
    cell_id = (request or {}).get("metadata", {}).get("cellId")
    return None if cell_id is None else str(cell_id)
