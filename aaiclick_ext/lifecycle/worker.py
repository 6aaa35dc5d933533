"""TableWorker: the one thread that counts claims, and the one beside it that drops tables.

A claim belongs to an object and ends with it: a leaf of an expression, a `Hold`. Both the claim and
the release in the object's finalizer are one `queue.SimpleQueue.put`, which is re-entrant, so they
may happen in any thread, inside any lock and in the middle of a query or a collection. Only the
worker thread reads and changes what is claimed.

The finalizer is there before the claim is put, and both carry the claim's own number: wherever
Ctrl-C comes in between, a release without a claim is ignored, and no claim is left without one.

A table whose count falls to zero is first marked as dying; the queue is then read once more. A
claim that was put before the mark is found there and cancels the drop. A claim that comes after the
mark waits for that one reading (microseconds, no I/O) and learns whether the table lives.

Drops run on a thread of their own: a synchronous drop waits for the table's readers, and one slow
reader must delay nothing else.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import queue
import threading
import time
import weakref
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
    claim: int = 0
    row: Any = None
    done: threading.Event | None = None


class Hold:
    """A claim of its own: lasts until `release`, or as long as this object."""

    __slots__ = ("__weakref__", "_end")

    def __init__(self) -> None:
        self._end: Callable[[], object] = lambda: None

    def release(self) -> None:
        """Give the claim back; again is fine."""
        self._end()


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
        self._claims: dict[str, set[int]] = {}  # the worker thread's alone
        self._numbers = itertools.count(1)
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

    def hold(self, table: str, row: Any = None) -> Hold:
        """Make a table known, and return the first claim on it.

        Parameters
        ----------
        row
            The table's registry row, if it is to have one.
        """
        hold = Hold()
        claim = next(self._numbers)
        self._live.add(table)
        hold._end = self._release_at_end(hold, table, claim)  # noqa: SLF001
        self._queue.put(TableMessage(TableOp.INCREF, table, claim))
        if row is not None:
            self._queue.put(TableMessage(TableOp.OPLOG_TABLE, table, row=row))
        return hold

    def claim_for(self, owner: object, table: str) -> None:
        """Claim a table for as long as the owner lives.

        Raises
        ------
        DroppedTableError
            If the table has been dropped or was never made known. A claim that arrives before the
            drop cancels it.
        """
        claim = next(self._numbers)
        self._release_at_end(owner, table, claim)
        self._queue.put(TableMessage(TableOp.INCREF, table, claim))
        if table in self._dying and threading.current_thread() is not self._worker:
            with self._settled:
                self._settled.wait_for(lambda: table not in self._dying, timeout=5)
        if table not in self._live or table in self._dying:
            self._release(table, claim)
            raise DroppedTableError(
                f"table {table} has been dropped: nothing in this kernel claimed it any more"
            )

    def _release_at_end(self, owner: object, table: str, claim: int) -> Callable[[], object]:
        finalizer = weakref.finalize(owner, self._release, table, claim)
        finalizer.atexit = False
        return finalizer

    def _release(self, table: str, claim: int) -> None:
        """Give a claim back. Safe in a finalizer: it only enqueues."""
        self._queue.put(TableMessage(TableOp.DECREF, table, claim))

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
        """Apply the claims of a batch and hand over the tables that have none left.

        `batch` grows by what the further readings of the queue find.
        """
        zero = self._count(batch)
        self._record(batch)
        while zero:
            self._dying |= zero
            late = self._take(self._queue.qsize() + BATCH)  # the size after the mark
            batch += late
            zero_late = self._count(late)
            dead = {table for table in zero if not self._claims.get(table, {0})}
            for table in dead:
                del self._claims[table]
                self._live.discard(table)
            self._dying -= zero
            with self._settled:
                self._settled.notify_all()
            self._record(late)
            for table in dead:
                self._drops.put(table)
            zero = zero_late - dead

    def _count(self, batch: Iterable[TableMessage]) -> set[str]:
        """Add and remove claims; return the tables that have none now."""
        touched = set()
        for message in batch:
            if message.op is TableOp.INCREF:
                self._claims.setdefault(message.table, set()).add(message.claim)
            elif message.op is TableOp.DECREF:
                claims = self._claims.get(message.table)
                if claims is None or message.claim not in claims:
                    continue  # never claimed, given back before, or forgotten: not an error
                claims.remove(message.claim)
                touched.add(message.table)
        unclaimed = {table for table in touched if not self._claims[table]}
        unknown = {table for table in unclaimed if table not in self._live}
        for table in unknown:
            del self._claims[table]
        return unclaimed - unknown

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
