"""OplogCollector: events in memory, written in batches; none is lost when a write fails."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import queue
import threading
from collections import OrderedDict, deque
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from aaiclick_ext.errors import AaiclickError, OplogError
from aaiclick_ext.logs import logger_of
from aaiclick_ext.masking import mask_literals
from aaiclick_ext.oplog.cell import CellRecord
from aaiclick_ext.oplog.event import OperationEvent, Status
from aaiclick_ext.oplog.kept_values import encoded, take
from aaiclick_ext.oplog.log_table import ensure_log, insert_events, written_ids
from aaiclick_ext.oplog.masked_call import mask_call
from aaiclick_ext.oplog.spill import SpillDirectory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from aaiclick_ext.engine import Engine, QueryStats
    from aaiclick_ext.ids import Snowflake
    from aaiclick_ext.oplog.columns import ColumnEdge
    from aaiclick_ext.oplog.event import ContentHash
    from aaiclick_ext.oplog.task import Task
    from aaiclick_ext.settings import Settings

    Columns = Sequence[ColumnEdge] | Callable[[], Sequence[ColumnEdge] | None] | None

logger = logger_of("oplog")

_BATCH = 1000
_REMEMBERED_CELLS = 64
_MOST_WAITING_BYTES = 256 << 20
"""Of values that wait to be written; a cell's are written when it ends, and more are not kept."""
_SHORTEST_INTERVAL_S = 0.01


class _OfThread(threading.local):
    """The cell execution that only this thread runs, if any."""

    cell: CellRecord | None = None


@dataclasses.dataclass(slots=True)
class _Entry:
    """An event that is not written yet, with the cell that it belongs to."""

    event: OperationEvent
    cell: CellRecord
    columns: Callable[[], Sequence[ColumnEdge] | None] | None = None
    values: Mapping[str, pa.Buffer] = dataclasses.field(default_factory=dict)
    was_tried: bool = False


class OplogCollector:
    """Collects the events of one kernel session and writes them to the log.

    `record` does no I/O and takes no lock, so that a finalizer may call it inside any other
    method. Writing is the work of the thread ``aai-oplog``: when `flush_soon` asks for it after a
    cell, now and then outside cells, and at `close`; `flush` writes in the caller's thread. Events
    that cannot be written stay, in order, and are tried again; what is left at `close` goes to a
    file that the next collector of the same database writes.

    Parameters
    ----------
    engine, settings, snowflake
        The database, the settings and the source of event ids of the context.
    job_id, run_id, node_id, user_name
        The kernel session, its run, its node and who runs it, stored with each event.
    """

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        snowflake: Snowflake,
        *,
        job_id: int,
        run_id: int,
        node_id: int,
        user_name: str | None = None,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._snowflake = snowflake
        self._job_id = job_id
        self._run_id = run_id
        self._node_id = node_id
        self._user_name = user_name
        self._entries: deque[_Entry] = deque()  # its appends are atomic
        self._writing: Sequence[_Entry] = ()
        self._waiting_bytes = 0
        self._secrets: set[str] = set()
        self._outside = self._new_cell(None)
        self._cell = self._outside
        self._of_thread = _OfThread()
        self._names: Mapping[str, Sequence[str]] = {}
        self._cells: OrderedDict[int | None, CellRecord] = OrderedDict()
        self._writer: int | None = None
        self._writer_left = threading.Condition()
        self._is_ready = False
        self._closing = threading.Event()
        self._asked: queue.SimpleQueue[Future[int] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def pending(self) -> int:
        """How many events are not written yet."""
        return len(self._entries) + len(self._writing)

    @property
    def current_task(self) -> Task | None:
        """The cell execution that events now belong to."""
        return (self._of_thread.cell or self._cell).task

    def record(
        self,
        operation: str,
        *,
        result_table: str,
        kwargs: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        sql_template: str | None = None,
        rows: int | None = None,
        elapsed_s: float | None = None,
        status: Status = "ok",
        error: str | None = None,
        result_schema: Mapping[str, str] | None = None,
        stats: QueryStats | None = None,
        columns: Columns = (),
        content: ContentHash | None = None,
        values: Mapping[str, pa.Table] | None = None,
    ) -> int:
        """Keep an event in memory and return its id. Secrets are masked first.

        Parameters
        ----------
        operation, result_table
            What was done, and the table, view or sink that came out.
        kwargs
            The input tables by role.
        params
            Literals, filters, keys and columns, as text.
        sql_template
            The SQL; None where it cannot be masked.
        rows, elapsed_s
            None where they are not known.
        stats
            Of the statement that did it, where one did; with its time, unless `elapsed_s` is given.
        columns
            What each column of the result depends on; None where it is not known. What takes
            milliseconds to find out can be a function, which is called when the event is written.
        content
            What a table held that is at its end.
        values
            The values that went in, by role. Those of up to ``settings.kept_value_bytes`` are kept
            in the log, unless a credential is among them.
        """
        cell = self._of_thread.cell or self._cell
        masked = mask_call(cell, params or {}, sql_template, error)
        task = cell.task
        event = OperationEvent(
            id=self._snowflake.next(),
            result_table=result_table,
            operation=operation,
            kwargs=dict(kwargs or {}),
            params=masked.params,
            sql_template=masked.sql_template,
            task_id=None if task is None else task.task_id,
            job_id=self._job_id,
            run_id=self._run_id,
            node_id=self._node_id,
            created_at=dt.datetime.now(dt.UTC),
            cell_id=None if task is None else task.cell_id,
            execution_count=None if task is None else task.execution_count,
            rows=rows,
            elapsed_s=stats.elapsed_s if elapsed_s is None and stats else elapsed_s,
            status=status,
            error=masked.error,
            result_schema=dict(result_schema or {}),
            read_rows=None if stats is None else stats.read_rows,
            read_bytes=None if stats is None else stats.read_bytes,
            written_bytes=None if stats is None else stats.written_bytes,
            user_name=self._user_name,
            notebook_path=None if task is None else task.notebook_path,
            columns=() if callable(columns) or columns is None else tuple(columns),
            content_hash=None if content is None else content.content,
            order_hash=None if content is None else content.order,
        )
        entry = _Entry(event, cell, columns if callable(columns) else None)
        if values and self._waiting_bytes < _MOST_WAITING_BYTES:
            entry.values = take(values, self._settings.kept_value_bytes)
            self._waiting_bytes += sum(value.size for value in entry.values.values())
        self._entries.append(entry)
        return event.id

    def masked_sql(self, sql: str) -> str | None:
        """Return SQL as the log would keep it now: masked, or None where that cannot be done."""
        return mask_call(self._of_thread.cell or self._cell, {}, sql, None).sql_template

    def begin_task(self, task: Task, *, this_thread_only: bool = False) -> None:
        """Let events belong to a cell execution from now on; one resumed keeps what it knew.

        Parameters
        ----------
        this_thread_only
            Whether other threads go on with what they run: so it is with cells of a subshell.
        """
        cell = self._cells.get(task.task_id)
        if cell is None:
            cell = self._cells[task.task_id] = self._new_cell(task)
            while len(self._cells) > _REMEMBERED_CELLS:
                self._cells.popitem(last=False)
        if this_thread_only:
            self._of_thread.cell = cell
        else:
            self._cell = cell

    @contextmanager
    def outside_cells(self) -> Iterator[None]:
        """Let events of this thread belong to no cell: they are not what a cell asked for."""
        before, self._of_thread.cell = self._of_thread.cell, self._outside
        try:
            yield
        finally:
            self._of_thread.cell = before

    def end_task(self, names: Mapping[str, Sequence[str]]) -> None:
        """Fill variable names into the task's events, and let events belong to no task.

        Parameters
        ----------
        names
            By result table, the variables that hold it now.
        """
        if names:
            self._names = names
        cell = self._of_thread.cell
        if cell is None:
            cell, self._cell = self._cell, self._outside
        self._of_thread.cell = None
        if not names or cell.task is None:
            return
        for entry in self._snapshot():
            given = names.get(entry.event.result_table)
            if given and entry.cell is cell:
                entry.event = dataclasses.replace(entry.event, variable_names=tuple(given))

    def names_of(self, result_table: str) -> tuple[str, ...]:
        """Return the variables that held a result when a cell last told of them; runs nothing."""
        return tuple(self._names.get(result_table, ()))

    def flush(self) -> int:
        """Write all events and return how many; none where this thread is writing already.

        Waits for a write of another thread, so that what was recorded before is in the log on
        return.

        Raises
        ------
        OplogError
            If they could not be written; they are kept for the next time.
        """
        written = 0
        with self._only_writer() as is_writer:
            while is_writer and self._entries:
                written += self._write_batch()
        return written

    def flush_soon(self) -> Future[int]:
        """Let the thread ``aai-oplog`` do what `flush` does; return what it will give or raise."""
        asked: Future[int] = Future()
        self._asked.put(asked)
        return asked

    def flush_within(self, timeout_s: float) -> None:
        """Have all events written, and wait for it no longer than so; what fails is kept."""
        with suppress(Exception):
            self.flush_soon().result(timeout_s)

    def start(self) -> None:
        """Start the thread that writes outside cells; it first writes what was spilled."""
        self._thread = threading.Thread(target=self._run, name="aai-oplog", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what is left, or spill it to a file, and end the thread. Idempotent; never raises.

        Waits no longer than ``settings.close_timeout_s`` for a write.
        """
        if self._closing.is_set():
            return
        self._closing.set()
        self._asked.put(None)
        thread = self._thread or threading.Thread(target=self._run, name="aai-oplog", daemon=True)
        if self._thread is None:
            thread.start()
        thread.join(self._settings.close_timeout_s)
        if self.pending:
            self._spill()

    def _new_cell(self, task: Task | None) -> CellRecord:
        return CellRecord(task, self._settings.record_cell_source, self._secrets)

    def _run(self) -> None:
        """Write when asked, now and then outside cells, and once at the end."""
        try:
            with self._only_writer():
                self._prepare()
        except Exception as error:  # noqa: BLE001  flush raises it where somebody sees it
            logger.debug("the operation log is not ready yet: %s", error)
        interval_s = max(self._settings.oplog_interval_s, _SHORTEST_INTERVAL_S)
        while not self._closing.is_set():
            asked = None
            with suppress(queue.Empty):
                asked = self._asked.get(timeout=interval_s)
            if asked is not None:
                self._answer(asked)
            elif self._entries and self._cell is self._outside:
                self._flush_quietly()
        if self._entries:
            self._flush_quietly()
        with suppress(queue.Empty):
            while True:
                if (asked := self._asked.get_nowait()) is not None:
                    self._answer(asked)

    def _answer(self, asked: Future[int]) -> None:
        try:
            asked.set_result(self.flush())
        except Exception as error:  # noqa: BLE001  whoever asked is told
            asked.set_exception(error)

    def _snapshot(self) -> list[_Entry]:
        while True:
            try:
                return list(self._entries)
            except RuntimeError:  # another thread, or a finalizer, recorded meanwhile
                continue

    def _flush_quietly(self) -> None:
        try:
            self.flush()
        except Exception as error:  # noqa: BLE001  they are kept, and spilled at close
            logger.debug("%s", error)

    @contextmanager
    def _only_writer(self) -> Iterator[bool]:
        """Be the only thread that writes; False where this thread is already.

        No lock is held meanwhile: the condition's is held for the change of hands alone.
        """
        me = threading.get_ident()
        if self._writer == me:
            yield False
            return
        try:
            with self._writer_left:
                self._writer_left.wait_for(lambda: self._writer is None)
                self._writer = me
            yield True
        finally:
            with self._writer_left:
                if self._writer == me:
                    self._writer = None
                    self._writer_left.notify()

    def _prepare(self) -> None:
        """Create or check the log, and write what an earlier session had to spill."""
        if not self._is_ready:
            ensure_log(self._engine)
            self._is_ready = True
            self._spilled().replay(self._insert_missing)

    def _write_batch(self) -> int:
        batch: list[_Entry] = []
        self._writing = batch
        try:
            while self._entries and len(batch) < _BATCH:
                batch.append(self._entries.popleft())
            self._prepare()
            events = [_completed(entry) for entry in batch]
            if any(entry.was_tried for entry in batch):
                self._insert_missing(events)
            else:
                insert_events(self._engine, events)
        except BaseException as error:
            self._put_back(batch)
            self._is_ready = False  # the log may have been dropped
            if isinstance(error, OplogError) or not isinstance(error, Exception):
                raise
            raise OplogError(
                f"{len(batch)} events of the operation log could not be written: {error}. "
                "They are kept and will be tried again."
            ) from error
        self._writing = ()
        if not self._entries:
            self._waiting_bytes = 0
        return len(batch)

    def _put_back(self, batch: Sequence[_Entry]) -> None:
        """Return a batch to the front; whether it was written is not known."""
        for entry in batch:
            entry.was_tried = True
        self._entries.extendleft(reversed(batch))
        self._writing = ()

    def _insert_missing(self, events: Sequence[OperationEvent]) -> None:
        """Insert the events that the log does not hold: an earlier attempt may have succeeded."""
        for start in range(0, len(events), _BATCH):
            part = events[start : start + _BATCH]
            there = written_ids(self._engine, (event.id for event in part))
            missing = [event for event in part if event.id not in there]
            if missing:
                insert_events(self._engine, missing)

    def _spilled(self) -> SpillDirectory:
        return SpillDirectory(self._settings.state_path, self._engine.identity)

    def _spill(self) -> None:
        """Keep on disk what could not be written, a write that hangs included."""
        if self._engine.creds.is_scratch:
            logger.warning("%d events went with the scratch database", self.pending)
            return
        events = [_completed(entry) for entry in (*self._writing, *self._snapshot())]
        try:
            path = self._spilled().write(events, f"{self._run_id}-{os.getpid()}")
        except AaiclickError as error:
            logger.error("%s", error)  # noqa: TRY400  closing goes on
            return
        self._entries.clear()
        logger.warning("%d events of the operation log are kept in %s", len(events), path)


def _found(columns: Callable[[], Sequence[ColumnEdge] | None]) -> tuple[ColumnEdge, ...]:
    try:
        return tuple(columns() or ())
    except Exception:  # an event has to be written, with what is known
        logger.debug("the columns of an event could not be found out", exc_info=True)
        return ()


def _completed(entry: _Entry) -> OperationEvent:
    """Return the event with its cell's source, masked by all that is known to be secret now."""
    if entry.columns is not None:
        entry.event = dataclasses.replace(entry.event, columns=_found(entry.columns))
        entry.columns = None
    event, secrets = entry.event, entry.cell.secrets
    changes: dict[str, Any] = {}
    source, digest = entry.cell.stored()
    if entry.values:
        kept_values = encoded(entry.values, secrets)
        entry.event = event = dataclasses.replace(event, kept_values=kept_values)
        entry.values = {}
    if digest is not None:
        changes |= {"cell_source": source, "cell_source_hash": digest}
    if secrets:
        changes |= {
            "params": {name: mask_literals(text, secrets) for name, text in event.params.items()},
            "sql_template": event.sql_template and mask_literals(event.sql_template, secrets),
            "error": event.error and mask_literals(event.error, secrets),
        }
    return dataclasses.replace(event, **changes) if changes else event
