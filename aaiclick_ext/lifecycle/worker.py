"""TableWorker: the one thread that counts claims on tables; `Dropper` beside it drops them.

A claim belongs to an object and ends with it: a leaf of an expression, a `Hold`. Both the claim and
the release in the object's finalizer are one `queue.SimpleQueue.put`, which is re-entrant, so they
may happen in any thread, inside any lock and in the middle of a query or a collection. The worker
thread takes them to the `RefRegistry`, where a table is a ref and each claim one of its holders.

The release is there before the claim is put, and both carry the claim's own number: wherever Ctrl-C
comes in between, a release without a claim is ignored, and no claim is left without one. It is no
Python code: Ctrl-C inside a finalizer in Python ends it, and Python forgets both.

A table whose count falls to zero is first marked as dying; the queue is then read once more. A
claim that was put before the mark is found there and cancels the drop. A claim that comes after the
mark waits for that one reading (microseconds, no I/O) and learns whether the table lives. A table
that something else held, and that falls with it, goes the same way.
"""

from __future__ import annotations

import contextlib
import itertools
import queue
import threading
import time
import weakref
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING, Any

from aaiclick_ext.errors import DroppedTableError, RefCountError, StaleRefError
from aaiclick_ext.lifecycle.dropper import Dropper
from aaiclick_ext.lifecycle.object_ref import ObjectRef, RefKind
from aaiclick_ext.lifecycle.refs import RefRegistry
from aaiclick_ext.logs import logger_of
from aaiclick_ext.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

logger = logger_of("lifecycle")

BATCH = 500
"""Messages taken from the queue at a time."""


class TableOp(Enum):
    """What a message asks of the worker."""

    INCREF = auto()
    DECREF = auto()
    OPLOG_TABLE = auto()
    END_CELL = auto()
    DROP = auto()
    FLUSH = auto()
    SHUTDOWN = auto()


@dataclass(frozen=True, slots=True)
class Claim:
    """Who holds a table: one leaf or one `Hold`, by number, with a name where it has one."""

    number: int
    who: str = ""

    def __str__(self) -> str:
        return self.who or f"claim {self.number}"


@dataclass(frozen=True, slots=True)
class TableMessage:
    """One entry of the worker's queue."""

    op: TableOp
    table: str = ""
    claim: Claim | None = None
    row: Any = None
    done: Outcome[None] | None = None
    ref: ObjectRef | None = None
    cell: Hashable = None


class Hold:
    """A claim of its own: lasts until `release`, or as long as this object."""

    __slots__ = ("__weakref__", "_end")

    def __init__(self) -> None:
        self._end: Callable[[], object] = lambda: None

    def release(self) -> None:
        """Give the claim back; again is fine."""
        self._end()


class TableWorker:
    """Counts claims on tables and has the tables dropped that nothing claims any more.

    Parameters
    ----------
    drop
        Drops the named tables; may wait, may raise. Called on the drop thread, and where many are
        to go on a second one beside it.
    record
        Writes the registry rows of new tables; may raise. Called on the worker thread only, before
        any of those tables is dropped.
    refs
        Where it counts; tables must be among the kinds that wait there. By default one of its own.
    forget
        Forgets the registry rows of what was dropped; may raise. Called on the drop thread, once
        nothing more is to be dropped.
    """

    def __init__(
        self,
        drop: Callable[[Sequence[str]], None],
        record: Callable[[Sequence[Any]], None],
        refs: RefRegistry | None = None,
        *,
        forget: Callable[[], None] = lambda: None,
    ) -> None:
        self.refs = RefRegistry(waiting=[RefKind.TABLE]) if refs is None else refs
        self._record_rows = record
        self._queue: queue.SimpleQueue[TableMessage] = queue.SimpleQueue()
        self._claimed: dict[Claim, ObjectRef] = {}  # the worker thread's alone
        self._ends: dict[int, weakref.ref[Any]] = {}  # references whose callbacks release
        self._numbers = itertools.count(1)
        self._live: dict[str, ObjectRef] = {}
        self._dying: set[str] = set()
        self._settling = threading.Lock()  # taken as such: see `Outcome` for what Ctrl-C may do
        self._settled = threading.Condition(self._settling)
        self._closed = False
        self._worker = threading.Thread(target=self._work, name="aai-worker", daemon=True)
        self._dropper = Dropper(drop, forget)
        self._worker.start()

    # What any thread may call.

    def hold(self, table: str, row: Any = None, *, who: str = "") -> Hold:
        """Make a table known, and return the first claim on it.

        Parameters
        ----------
        row
            The table's registry row, if it is to have one.
        who
            Names the claim where holders are shown.
        """
        hold = Hold()
        claim = Claim(next(self._numbers), who)
        hold._end = self._release_at_end(hold, claim)  # noqa: SLF001
        while not self._claim(self._known(table, claim), table, claim):
            if threading.current_thread() is self._worker:  # a finalizer that the collector ran
                raise DroppedTableError(f"table {table} is being dropped; open it again")
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
        claim = Claim(next(self._numbers))
        self._release_at_end(owner, claim)
        ref = self._live.get(table)
        if ref is None or not self._claim(ref, table, claim):
            self._release(claim)
            raise DroppedTableError(
                f"table {table} has been dropped: nothing in this kernel claimed it any more"
            )

    def _known(self, table: str, claim: Claim) -> ObjectRef:
        ref = self._live.get(table)
        if ref is None:
            # The claim is its cell: the release that follows an interrupted claim ends it.
            ref = self.refs.register(RefKind.TABLE, table, cell=claim)
            self._live[table] = ref
        return ref

    def _claim(self, ref: ObjectRef, table: str, claim: Claim) -> bool:
        """Put a claim; say whether it came in time."""
        self._queue.put(TableMessage(TableOp.INCREF, table, claim, ref=ref))
        if table in self._dying and threading.current_thread() is not self._worker:
            with self._settling:
                self._settled.wait_for(lambda: table not in self._dying, timeout=5)
        return self._live.get(table) is ref and table not in self._dying

    def _release_at_end(self, owner: object, claim: Claim) -> Callable[[], object]:
        """Have a claim given back when its owner is gone; return what gives it back before."""
        release = partial(self._queue.put, TableMessage(TableOp.DECREF, claim=claim))
        # The reference, which is the callback's argument, becomes the `block` of `put`: ignored.
        self._ends[claim.number] = weakref.ref(owner, release)
        return release

    def _release(self, claim: Claim) -> None:
        self._queue.put(TableMessage(TableOp.DECREF, claim=claim))

    def ref_of(self, table: str) -> ObjectRef:
        """Return the ref that a table is counted under.

        Raises
        ------
        DroppedTableError
            If the table has been dropped or was never made known.
        """
        ref = self._live.get(table)
        if ref is None:
            raise DroppedTableError(f"table {table} is not counted in this kernel, or is dropped")
        return ref

    def claims_of(self, table: str) -> tuple[Hashable, ...]:
        """Return who claims a table now: `Claim`s, and refs that hold it. Empty once dropped."""
        ref = self._live.get(table)
        try:
            return () if ref is None else self.refs.holders(ref)
        except StaleRefError:
            return ()

    def is_live(self, table: str) -> bool:
        """Say whether a table is registered and not dropped."""
        return table in self._live and table not in self._dying

    def live_tables(self) -> frozenset[str]:
        """Return the registered tables that are not dropped."""
        return frozenset(self._live.copy())

    def drop_early(self, tables: Iterable[str]) -> None:
        """Drop tables soon, though they are claimed; their claims go on until they are released.

        What reaches such a table has to be refused by others.
        """
        for table in tables:  # behind its registry row, which would be written after the drop
            self._queue.put(TableMessage(TableOp.DROP, table))

    def record(self, rows: Iterable[Any]) -> None:
        """Write registry rows soon, after all that were given before."""
        for row in rows:
            self._queue.put(TableMessage(TableOp.OPLOG_TABLE, row.table_name, row=row))

    def forget(self, table: str) -> bool:
        """Stop counting a table that the caller drops or renames itself; say if it was known.

        Releases of its claims that come later are ignored.
        """
        return self._live.pop(table, None) is not None

    def end_cell(self, cell: Hashable) -> None:
        """Free what a cell registered and nobody claimed, once what was put before is done.

        Where there is nothing of the kind the worker is not woken.
        """
        if self.refs.has_work(cell):
            self._queue.put(TableMessage(TableOp.END_CELL, cell=cell))

    def flush(self, timeout_s: float = 30.0) -> bool:
        """Wait until everything queued before this call is done, drops included.

        What was registered outside cells and nobody claimed is freed.

        Returns
        -------
        bool
            False if `timeout_s` passed first, and at once in the worker's own threads, where
            finalizers of others may run.
        """
        if self._closed:
            return True
        if self._is_own(threading.current_thread()):
            return False
        done: Outcome[None] = Outcome()
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
        threads = self._worker, self._dropper.thread
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def drop_later(self, table: str, delay_s: float) -> None:
        """Try again later to drop a table; closing forgets it. For `drop` alone."""
        self._dropper.put_later(table, delay_s)

    @property
    def undropped(self) -> tuple[str, ...]:
        """Tables that could not be dropped so far; each flush tries again."""
        return self._dropper.undropped

    def _is_own(self, thread: threading.Thread) -> bool:
        return thread is self._worker or self._dropper.is_own(thread)

    # The worker thread.

    def _work(self) -> None:
        while True:
            batch = [self._queue.get()]
            batch += self._take(BATCH - 1)
            self._settle(batch)
            stop = False
            for message in batch:
                if message.op is TableOp.FLUSH:
                    self._dropper.flush(message.done)
                elif message.op is TableOp.DROP:
                    self._hold_nothing(message.table)
                    self._dropper.put(message.table)
                stop |= message.op is TableOp.SHUTDOWN
            if stop:
                self._dropper.stop()
                return

    def _hold_nothing(self, table: str) -> None:
        """Let go of what a table holds that is dropped though it is claimed."""
        ref = self._live.get(table)
        if ref is not None:
            with contextlib.suppress(StaleRefError):
                self.refs.exchange(ref, ())
            self.refs.sweep()

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
        self._apply(batch)
        self._record(batch)
        self.refs.fall()
        while zero := self.refs.falling(RefKind.TABLE):
            names = {ref: self.refs.payload(ref) for ref in zero}
            self._dying.update(names.values())
            late = self._take(self._queue.qsize() + BATCH)  # the size after the mark
            batch += late
            self._apply(late)
            fallen = self.refs.fall(ready=zero)
            dead = [name for ref in fallen if (name := self._ended(ref, names)) is not None]
            self._dying.difference_update(names.values())
            with self._settling:
                self._settled.notify_all()
            self._record(late)
            for table in dead:
                self._dropper.put(table)
        self.refs.call_back()

    def _ended(self, ref: ObjectRef, names: dict[ObjectRef, str]) -> str | None:
        """Return the name of a table that is to be dropped now, None where others drop it."""
        name = names.get(ref)
        if name is None or self._live.get(name) is not ref:
            return None
        del self._live[name]
        return name

    def _apply(self, batch: Iterable[TableMessage]) -> None:
        """Take claims, releases and ends of cells to the registry."""
        for message in batch:
            claim = message.claim
            if message.op is TableOp.INCREF and message.ref is not None and claim is not None:
                with contextlib.suppress(StaleRefError):  # too late, as the claimant has learnt
                    self.refs.claim(message.ref, claim)
                    self._claimed[claim] = message.ref
            elif message.op is TableOp.DECREF and claim is not None:
                self._give_back(claim)
            elif message.op in (TableOp.END_CELL, TableOp.FLUSH):
                self.refs.expire(message.cell)
            elif message.op is TableOp.SHUTDOWN:
                self.refs.expire_all()

    def _give_back(self, claim: Claim) -> None:
        self._ends.pop(claim.number, None)
        ref = self._claimed.pop(claim, None)
        if ref is None:  # Ctrl-C came before the claim, or it was given back before
            self.refs.expire(claim)
            return
        with contextlib.suppress(RefCountError, StaleRefError):
            self.refs.release(ref, claim)

    def _record(self, messages: Sequence[TableMessage]) -> None:
        rows = [message.row for message in messages if message.op is TableOp.OPLOG_TABLE]
        if not rows:
            return
        try:
            self._record_rows(rows)
        except Exception:
            logger.exception("the registry rows of %d tables could not be written", len(rows))
