"""Dropper: the thread that drops tables.

Beside the worker's, because a synchronous drop waits for the table's readers, and one slow reader
must delay no claim and no registry row.
"""

from __future__ import annotations

import contextlib
import heapq
import queue
import threading
import time
from enum import Enum, auto
from typing import TYPE_CHECKING

from aaiclick_ext.logs import logger_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aaiclick_ext.outcome import Outcome

logger = logger_of("lifecycle")

DROP_BATCH = 100
"""Tables named in one DROP statement.

Of 50, 100, 200, 300, 500 and 1,000 the one that takes the engine least for 1,000 small tables; for
tables on disk 50 to 300 are alike, and more in a statement take longer again (measured on chdb 4).
Two such statements at a time take it 0.7 of the time.
"""

FORGET_AT = 1000
"""Dropped tables of which the registry is told at the latest."""


class _Mark(Enum):
    FLUSH = auto()
    STOP = auto()


class Dropper:
    """Drops what is put into its queue, in batches; what fails is tried again at each flush.

    Parameters
    ----------
    drop
        Drops the named tables; may wait, may raise. Called on the drop thread, and where many are
        to go on a second one beside it.
    forget
        Called when there is nothing more to drop, to end what `drop` has left; may raise. One
        transaction for many batches: on a busy disk one takes longer than a batch.
    """

    def __init__(
        self, drop: Callable[[Sequence[str]], None], forget: Callable[[], None] = lambda: None
    ) -> None:
        self._drop_tables = drop
        self._forget = forget
        self._unforgotten = 0
        self._queue: queue.SimpleQueue[str | tuple[_Mark, Outcome[None] | None]] = (
            queue.SimpleQueue()
        )
        self._undropped: list[str] = []  # the thread's alone, as is what waits
        self._waiting: list[tuple[float, str]] = []
        self._second: threading.Thread | None = None
        self.thread = threading.Thread(target=self._work, name="aai-drops", daemon=True)
        self.thread.start()

    def is_own(self, thread: threading.Thread) -> bool:
        """Whether a thread is one that drops."""
        return thread in (self.thread, self._second)

    def put(self, table: str) -> None:
        """Have a table dropped soon."""
        self._queue.put(table)

    def put_later(self, table: str, delay_s: float) -> None:
        """Have a table dropped after a while; `stop` forgets it.

        To be called by `drop` alone.
        """
        heapq.heappush(self._waiting, (time.monotonic() + delay_s, table))

    def flush(self, done: Outcome[None] | None) -> None:
        """Set the outcome once everything put before is dropped, or has failed again."""
        self._queue.put((_Mark.FLUSH, done))

    def stop(self) -> None:
        """End the thread once everything put before is dropped."""
        self._queue.put((_Mark.STOP, None))

    @property
    def undropped(self) -> tuple[str, ...]:
        """Tables that could not be dropped so far."""
        return tuple(self._undropped)

    def _work(self) -> None:
        while True:
            entries = []
            with contextlib.suppress(queue.Empty):
                entries.append(self._queue.get(timeout=self._until_due_s()))
                while len(entries) < 2 * DROP_BATCH:
                    entries.append(self._queue.get_nowait())
            while self._until_due_s() == 0:
                entries.append(heapq.heappop(self._waiting)[1])
            names = [entry for entry in entries if isinstance(entry, str)]
            marks = [entry for entry in entries if not isinstance(entry, str)]
            if names or (marks and self._undropped):
                self._unforgotten += len(names) + len(self._undropped)
                self._drop_all(names + self._undropped)
            if marks or self._queue.empty() or self._unforgotten >= FORGET_AT:
                self._forget_dropped()
            for mark, done in marks:
                if done is not None:
                    done.set_result(None)
                if mark is _Mark.STOP:
                    return

    def _until_due_s(self) -> float | None:
        """Return the seconds until the next of those that wait; None: nothing waits."""
        return max(0.0, self._waiting[0][0] - time.monotonic()) if self._waiting else None

    def _forget_dropped(self) -> None:
        if not self._unforgotten:
            return
        try:
            self._forget()
            self._unforgotten = 0
        except Exception:
            logger.exception("the registry rows of dropped tables could not be deleted")

    def _drop_all(self, names: list[str]) -> None:
        """Drop tables, what is more than a batch in a thread of its own."""
        self._undropped = []
        rest = names[DROP_BATCH:]
        if rest:
            self._second = threading.Thread(
                target=self._drop_some, args=(rest,), name="aai-drops-2", daemon=True
            )
            try:
                self._second.start()
            except RuntimeError:  # Python ends, and starts no more threads
                self._second = None
                self._drop_some(rest)
        self._drop_some(names[:DROP_BATCH])
        if self._second is not None:
            self._second.join()
            self._second = None

    def _drop_some(self, names: list[str]) -> None:
        try:
            self._drop_tables(names)
        except Exception:  # noqa: BLE001  each is tried alone, and its error shown
            for name in names:  # one bad table must not keep the others
                self._drop_one(name)

    def _drop_one(self, name: str) -> None:
        try:
            self._drop_tables([name])
        except Exception as error:  # noqa: BLE001  shown, and tried again at the next flush
            self._undropped.append(name)
            logger.warning("table %s could not be dropped: %s", name, error)
