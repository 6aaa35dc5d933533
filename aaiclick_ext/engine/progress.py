"""How far the statements of users are, asked of ClickHouse beside them.

The driver tells nothing while a statement runs over HTTP, and what the embedded engine's callback
tells has no bytes and no memory. ``system.processes`` has all of it, on both, for a handle of its
own. A statement that ends in time costs a few microseconds: the thread that asks is woken at most
twice in the time after which progress is shown.
"""

from __future__ import annotations

import contextlib
import threading
import time
from contextvars import copy_context
from dataclasses import dataclass, field
from enum import Enum
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from aaiclick_ext.engine.stats import QueryStats
from aaiclick_ext.engine.translate import QUERY_WAS_CANCELLED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextvars import Context

    from aaiclick_ext.engine.handle import Handle

T = TypeVar("T")
SHOWN_AFTER_S = 0.5
_POLL_S = 0.25
_CLOSED_WITHIN_S = 5.0
_QUERY = (
    "SELECT read_rows, read_bytes, total_rows_approx, written_rows, peak_memory_usage "
    "FROM system.processes WHERE "
)


class State(Enum):
    """Whether a statement runs, and how it ended."""

    RUNNING = "running"
    WAITING = "waiting to be read"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"
    STOPPED = "ended early"


@dataclass(slots=True, eq=False)
class Progress:
    """How far one statement is. Figures that are not known are None.

    Attributes
    ----------
    operation
        What the user called, as the operation log names it.
    source
        The name in the log of what that was called on.
    elapsed_s
        Seconds since it began, at the last look.
    total_rows
        How many rows it will read, as ClickHouse expects.
    memory_bytes
        The most memory that it had at a time.
    is_exact
        Whether the figures are those of its end, and not of the last look before.
    """

    operation: str
    source: str | None
    started: float
    condition: str
    context: Context | None
    state: State = State.RUNNING
    elapsed_s: float = 0.0
    read_rows: int | None = None
    read_bytes: int | None = None
    total_rows: int | None = None
    written_rows: int | None = None
    memory_bytes: int | None = None
    is_exact: bool = False
    shown: State | None = field(default=None, repr=False)

    @property
    def has_ended(self) -> bool:
        """Whether it runs no more."""
        return self.state not in (State.RUNNING, State.WAITING)

    @property
    def fraction(self) -> float | None:
        """How much of what it reads is read, 0 to 1; None where that is not known."""
        if not self.total_rows or self.read_rows is None:
            return None
        return min(self.read_rows / self.total_rows, 1.0)

    @property
    def remaining_s(self) -> float | None:
        """Seconds until everything is read, at the rate so far; None where that is not known."""
        fraction = self.fraction
        if not fraction or fraction >= 1:
            return None
        return self.elapsed_s * (1 - fraction) / fraction

    @property
    def rows_per_s(self) -> float | None:
        """Rows read in a second, so far."""
        if not self.read_rows or not self.elapsed_s:
            return None
        return self.read_rows / self.elapsed_s

    def look(self) -> None:
        """Take the time."""
        self.elapsed_s = time.perf_counter() - self.started


class _Operation(threading.local):
    """What the user called, in this thread: the outermost operation, and what it was called on."""

    name: str | None = None
    source: str | None = None


class ProgressWatch:
    """Tells a listener of statements that run longer than half a second, and of their end.

    Parameters
    ----------
    open_handle
        Opens a handle that nobody waits for; called when there is something to ask.

    Attributes
    ----------
    listener
        Returns who is told, or None where nobody wants to know. It is called in the context
        (`contextvars`) of who runs the statement, in any thread, one call at a time, and again
        and again with the same `Progress` until that has ended.
    """

    def __init__(self, open_handle: Callable[[], Handle]) -> None:
        self.listener: Callable[[], Callable[[Progress], object] | None] = lambda: None
        self._open_handle = open_handle
        self._handle: Handle | None = None
        self._running: dict[Progress, None] = {}  # its changes are atomic
        self._operation = _Operation()
        self._lock = threading.Lock()
        self._wake: SimpleQueue[Progress | None] = SimpleQueue()  # put by finalizers, too
        self._is_asleep = False
        self._closed = False
        self._thread: threading.Thread | None = None
        self._start_lock = threading.Lock()

    @contextlib.contextmanager
    def operation(self, name: str, source: str | None = None) -> Iterator[None]:
        """Say what this thread runs in the block; inside another operation it is part of that."""
        named = self._operation
        if named.name is not None:
            yield
            return
        named.name, named.source = name, source
        try:
            yield
        finally:
            named.name = named.source = None

    def run(self, handle: Handle, statement: Callable[[], T]) -> T:
        """Run a statement under the watch."""
        progress = self.begin(handle)
        if progress is None:
            return statement()
        try:
            result = statement()
        except BaseException as error:
            self.end(progress, state_of(error))
            raise
        self.end(progress, State.DONE, _stats_of(result))
        return result

    def begin(self, handle: Handle) -> Progress | None:
        """Say that a statement begins; None where nobody wants to know."""
        if self._closed or self.listener() is None or _is_own_thread():
            return None
        named = self._operation
        progress = Progress(
            operation=named.name or "query",
            source=named.source,
            started=time.perf_counter(),
            condition=handle.running,
            context=copy_context(),
        )
        self._running[progress] = None
        self._wake_up()
        return progress

    def pause(self, progress: Progress | None) -> None:
        """Say that a statement waits for its reader; it is not asked about meanwhile."""
        if progress is not None and progress.state is State.RUNNING:
            progress.state = State.WAITING

    def resume(self, progress: Progress | None) -> None:
        """Say that a statement that waited goes on."""
        if progress is not None and progress.state is State.WAITING:
            progress.state = State.RUNNING
            self._wake_up()

    def end(self, progress: Progress | None, state: State, stats: QueryStats | None = None) -> None:
        """Say that a statement has ended. Where it was shown, its end is when this returns."""
        if progress is None or self._running.pop(progress, self) is self:
            return
        if progress.shown is None:
            progress.state = state
            return
        with self._lock:
            if stats is not None and stats.read_rows is not None:
                progress.read_rows, progress.read_bytes = stats.read_rows, stats.read_bytes
                progress.written_rows = stats.written_rows
                progress.is_exact = True
            progress.state = state
            progress.look()
            self._tell(progress)
            progress.context = None

    def end_soon(self, progress: Progress | None) -> None:
        """Say that a statement was ended early; does nothing here, as finalizers must not."""
        if progress is not None:
            self._wake.put(progress)

    def close(self) -> None:
        """End the thread; what is still shown as running is shown as cancelled."""
        with self._start_lock:
            self._closed = True
        for progress in list(self._running):
            self.end(progress, State.CANCELLED)
        if self._thread is not None:
            self._wake.put(None)
            self._thread.join(_CLOSED_WITHIN_S)

    def _wake_up(self) -> None:
        if self._is_asleep:
            self._is_asleep = False
            self._wake.put(None)
        elif self._thread is None:
            with self._start_lock:
                if self._thread is None and not self._closed:
                    self._thread = threading.Thread(
                        target=self._run, name="aai-progress", daemon=True
                    )
                    self._thread.start()

    def _run(self) -> None:
        while not self._closed:
            self._wait()
            if not self._closed:
                for progress in list(self._running):
                    self._look_at(progress)
        if self._handle is not None:
            with contextlib.suppress(Exception):
                self._handle.close()

    def _wait(self) -> None:
        """Wait until there may be something to look at."""
        pause_s: float | None = self._next_look_s()
        if pause_s is None:
            self._is_asleep = True
            if (pause_s := self._next_look_s()) is not None:  # it began just now
                self._is_asleep = False
        with contextlib.suppress(Empty):
            ended = self._wake.get(timeout=pause_s)
            if ended is not None:
                self.end(ended, State.STOPPED)

    def _next_look_s(self) -> float | None:
        """Return when to look next, in seconds from now; None where nothing runs."""
        active = [progress for progress in list(self._running) if _is_to_see(progress)]
        if not active:
            return None
        now = time.perf_counter()
        due = min(progress.started + SHOWN_AFTER_S - now for progress in active)
        return max(due, _POLL_S)

    def _look_at(self, progress: Progress) -> None:
        is_young = time.perf_counter() - progress.started < SHOWN_AFTER_S
        if is_young or not _is_to_see(progress):
            return
        found = self._ask(progress.condition) if progress.state is State.RUNNING else None
        with self._lock:
            if progress not in self._running:
                return
            if found is not None:
                _take(progress, found)
            progress.look()
            progress.shown = progress.state
            self._tell(progress)

    def _ask(self, condition: str) -> tuple[Any, ...] | None:
        try:
            if self._handle is None:
                self._handle = self._open_handle()
            self._handle.begin()
            rows = self._handle.query_rows(_QUERY + condition)
        except Exception:  # noqa: BLE001 -- the server may be gone; the statement says so
            if self._handle is not None:
                self._handle.recover()
            return None
        return rows[0] if rows else None

    def _tell(self, progress: Progress) -> None:
        show = self.listener()
        if show is not None and progress.context is not None:
            with contextlib.suppress(Exception):  # a picture that fails must not stop the query
                progress.context.run(show, progress)


def _is_to_see(progress: Progress) -> bool:
    """Say whether there may be news: one that waits for its reader is shown so once."""
    if progress.state is State.WAITING:
        return progress.shown is State.RUNNING
    return True


def _take(progress: Progress, found: tuple[Any, ...]) -> None:
    read_rows, read_bytes, total_rows, written_rows, memory_bytes = map(int, found)
    progress.read_rows, progress.read_bytes = read_rows, read_bytes
    # What ClickHouse expects grows while it finds out; less than was read is no expectation.
    progress.total_rows = total_rows if total_rows >= read_rows else None
    progress.written_rows = written_rows
    progress.memory_bytes = max(memory_bytes, progress.memory_bytes or 0)


def state_of(error: BaseException) -> State:
    """Return how a statement ended that an error ended."""
    cancelled = getattr(error, "code", None) == QUERY_WAS_CANCELLED
    return State.CANCELLED if cancelled or not isinstance(error, Exception) else State.FAILED


def _stats_of(result: object) -> QueryStats | None:
    if isinstance(result, tuple) and len(result) == 2:
        result = result[1]
    return result if isinstance(result, QueryStats) else None


def _is_own_thread() -> bool:
    return threading.current_thread().name.startswith("aai-")
