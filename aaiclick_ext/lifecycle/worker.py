"""TableWorker: the one thread that counts claims, and the one beside it that drops tables.

A leaf of an expression claims its table when it is made and releases it in a finalizer. Both are
one `queue.SimpleQueue.put`, which is re-entrant, so they may happen in any thread, inside any lock
and in the middle of a query or a collection. Only the worker thread reads and changes counts.

A table whose count falls to zero is first marked as dying; the queue is then read once more. A
claim that was put before the mark is found there and cancels the drop. A claim that comes after the
mark waits for that one reading (microseconds, no I/O) and learns whether the table lives.

Drops run on a thread of their own: a synchronous drop waits for the table's readers, and one slow
reader must delay nothing else.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from aaiclick_ext.errors import DroppedTableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

logger = logging.getLogger("aaiclick_ext.lifecycle")

BATCH = 500
"""Messages taken from the queue at a time."""

DROP_BATCH = 100
"""Tables named in one DROP statement."""


class TableOp(Enum):
    """What a message asks of the worker."""

    INCREF = auto()
    DECREF = auto()
    OPLOG_TABLE = auto()
    FLUSH = auto()
    SHUTDOWN = auto()


@dataclass(frozen=True, slots=True)
class TableMessage:
    """One entry of the worker's queue."""

    op: TableOp
    table: str = ""
    row: Any = None
    done: threading.Event | None = None


_FLUSH_DROPS = object()
_STOP_DROPS = object()


class TableWorker:
    """Counts claims on tables and has the tables dropped that nothing claims any more.

    Parameters
    ----------
    drop
        Drops the named tables and forgets their registry rows; may wait, may raise. Called on the
        drop thread only.
    record
        Writes the registry rows of new tables; may raise. Called on the worker thread only, before
        any of those tables is dropped.
    """

    def __init__(
        self,
        drop: Callable[[Sequence[str]], None],
        record: Callable[[Sequence[Any]], None],
    ) -> None:
        self._drop_tables = drop
        self._record_rows = record
        self._queue: queue.SimpleQueue[TableMessage] = queue.SimpleQueue()
        self._drops: queue.SimpleQueue[str | tuple[object, threading.Event | None]] = (
            queue.SimpleQueue()
        )
        self._counts: dict[str, int] = {}  # the worker thread's alone
        self._live: set[str] = set()
        self._dying: set[str] = set()
        self._settled = threading.Condition()
        self._undropped: list[str] = []  # the drop thread's alone
        self._closed = False
        self._worker = threading.Thread(target=self._work, name="aai-worker", daemon=True)
        self._dropper = threading.Thread(target=self._drop, name="aai-drops", daemon=True)
        self._worker.start()
        self._dropper.start()

    # What any thread may call.

    def register(self, table: str, row: Any = None) -> None:
        """Make a table known, with one claim that belongs to the caller.

        Parameters
        ----------
        row
            The table's registry row, if it is to have one.
        """
        self._live.add(table)
        self._queue.put(TableMessage(TableOp.INCREF, table))
        if row is not None:
            self._queue.put(TableMessage(TableOp.OPLOG_TABLE, table, row=row))

    def claim(self, table: str) -> None:
        """Add a claim.

        Raises
        ------
        DroppedTableError
            If the table has been dropped or was never registered. A claim that arrives before the
            drop cancels it.
        """
        self._queue.put(TableMessage(TableOp.INCREF, table))
        if table in self._dying and threading.current_thread() is not self._worker:
            with self._settled:
                self._settled.wait_for(lambda: table not in self._dying, timeout=5)
        if table not in self._live or table in self._dying:
            self._queue.put(TableMessage(TableOp.DECREF, table))
            raise DroppedTableError(
                f"table {table} has been dropped: nothing in this kernel claimed it any more"
            )

    def release(self, table: str) -> None:
        """Take a claim back. Safe in a finalizer: it only enqueues."""
        self._queue.put(TableMessage(TableOp.DECREF, table))

    def is_live(self, table: str) -> bool:
        """Say whether a table is registered and not dropped."""
        return table in self._live and table not in self._dying

    def live_tables(self) -> frozenset[str]:
        """Return the registered tables that are not dropped."""
        return frozenset(self._live.copy())

    def forget(self, table: str) -> bool:
        """Stop counting a table that the caller drops or renames itself; say if it was known.

        Releases of its claims that come later are ignored.
        """
        known = table in self._live
        self._live.discard(table)
        return known

    def flush(self, timeout_s: float = 30.0) -> bool:
        """Wait until everything queued before this call is done, drops included.

        Returns
        -------
        bool
            False if `timeout_s` passed first.
        """
        if self._closed:
            return True
        done = threading.Event()
        self._queue.put(TableMessage(TableOp.FLUSH, done=done))
        return done.wait(timeout_s)

    def close(self, timeout_s: float = 10.0) -> bool:
        """Drain the queue, drop what nothing claims, and end both threads.

        Returns
        -------
        bool
            False if a thread was still busy after `timeout_s`.
        """
        if not self._closed:
            self._closed = True
            self._queue.put(TableMessage(TableOp.SHUTDOWN))
        deadline = time.monotonic() + timeout_s
        for thread in (self._worker, self._dropper):
            thread.join(max(0.0, deadline - time.monotonic()))
        return not (self._worker.is_alive() or self._dropper.is_alive())

    @property
    def undropped(self) -> tuple[str, ...]:
        """Tables that could not be dropped so far; each flush tries again."""
        return tuple(self._undropped)

    # The worker thread.

    def _work(self) -> None:
        while True:
            batch = [self._queue.get()]
            batch += self._take(BATCH - 1)
            self._settle(batch)
            stop = False
            for message in batch:
                if message.op is TableOp.FLUSH:
                    self._drops.put((_FLUSH_DROPS, message.done))
                stop |= message.op is TableOp.SHUTDOWN
            if stop:
                self._drops.put((_STOP_DROPS, None))
                return

    def _take(self, most: int) -> list[TableMessage]:
        taken: list[TableMessage] = []
        with contextlib.suppress(queue.Empty):
            while len(taken) < most:
                taken.append(self._queue.get_nowait())
        return taken

    def _settle(self, batch: list[TableMessage]) -> None:
        """Apply the counts of a batch and hand over the tables that reached zero.

        `batch` grows by what the further readings of the queue find.
        """
        zero = self._count(batch)
        self._record(batch)
        while zero:
            self._dying |= zero
            late = self._take(self._queue.qsize() + BATCH)  # the size after the mark
            batch += late
            zero_late = self._count(late)
            dead = {table for table in zero if self._counts.get(table) == 0}
            for table in dead:
                del self._counts[table]
                self._live.discard(table)
            self._dying -= zero
            with self._settled:
                self._settled.notify_all()
            self._record(late)
            for table in dead:
                self._drops.put(table)
            zero = zero_late - dead

    def _count(self, batch: Iterable[TableMessage]) -> set[str]:
        """Change the counts; return the tables now at zero."""
        counts, touched = self._counts, set()
        for message in batch:
            if message.op is TableOp.INCREF:
                counts[message.table] = counts.get(message.table, 0) + 1
            elif message.op is TableOp.DECREF:
                if message.table not in counts:
                    continue  # never registered, or forgotten: a guard, not an error
                counts[message.table] -= 1
                touched.add(message.table)
        zero = {table for table in touched if counts[table] <= 0}
        unknown = {table for table in zero if table not in self._live}
        for table in unknown:
            del counts[table]
        return zero - unknown

    def _record(self, messages: Sequence[TableMessage]) -> None:
        rows = [message.row for message in messages if message.op is TableOp.OPLOG_TABLE]
        if not rows:
            return
        try:
            self._record_rows(rows)
        except Exception:
            logger.exception("the registry rows of %d tables could not be written", len(rows))

    # The drop thread.

    def _drop(self) -> None:
        while True:
            entries = [self._drops.get()]
            with contextlib.suppress(queue.Empty):
                while len(entries) < DROP_BATCH:
                    entries.append(self._drops.get_nowait())
            names = [entry for entry in entries if isinstance(entry, str)]
            marks = [entry for entry in entries if not isinstance(entry, str)]
            if names or (marks and self._undropped):
                self._drop_all(names + self._undropped)
            for kind, done in marks:
                if done is not None:
                    done.set()
                if kind is _STOP_DROPS:
                    return

    def _drop_all(self, names: list[str]) -> None:
        try:
            self._drop_tables(names)
            self._undropped = []
        except Exception:  # noqa: BLE001  each is tried alone, and its error shown
            self._undropped = []
            for name in names:  # one bad table must not keep the others
                self._drop_one(name)

    def _drop_one(self, name: str) -> None:
        try:
            self._drop_tables([name])
        except Exception as error:  # noqa: BLE001  shown, and tried again at the next flush
            self._undropped.append(name)
            logger.warning("table %s could not be dropped: %s", name, error)
