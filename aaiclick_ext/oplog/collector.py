"""OplogCollector: what is done becomes events, each with its cell; `LogWriter` writes them."""

from __future__ import annotations

import dataclasses
import datetime as dt
import threading
from collections import OrderedDict
from contextlib import contextmanager
from typing import TYPE_CHECKING

from aaiclick_ext.oplog.cell import CellRecord
from aaiclick_ext.oplog.event import OperationEvent, Status
from aaiclick_ext.oplog.kept_values import take
from aaiclick_ext.oplog.masked_call import mask_call
from aaiclick_ext.oplog.pending import PendingEvent
from aaiclick_ext.oplog.system_names import (
    edges_without_system,
    is_left_out,
    is_system_name,
    without_system,
)
from aaiclick_ext.oplog.writer import LogWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from aaiclick_ext.engine import Engine, QueryStats
    from aaiclick_ext.ids import Snowflake
    from aaiclick_ext.oplog.columns import ColumnEdge
    from aaiclick_ext.oplog.event import ContentHash
    from aaiclick_ext.oplog.task import Task
    from aaiclick_ext.outcome import Outcome
    from aaiclick_ext.settings import Settings

    Columns = Sequence[ColumnEdge] | Callable[[], Sequence[ColumnEdge] | None] | None

_REMEMBERED_CELLS = 64
_MOST_WAITING_BYTES = 256 << 20
"""Of values that wait to be written; a cell's are written when it ends, and more are not kept."""


class _OfThread(threading.local):
    """The cell execution that only this thread runs, if any."""

    cell: CellRecord | None = None


class OplogCollector:
    """Collects the events of one kernel session and has them written to the log.

    `record` does no I/O and takes no lock, so that a finalizer may call it inside any other
    method. Writing is the work of the thread ``aai-oplog``: when `flush_soon` asks for it after a
    cell, now and then outside cells, and at `close`; `flush` writes in the caller's thread.

    Parameters
    ----------
    engine, settings, snowflake
        The database, the settings and the source of event ids of the context.
    job_id, run_id, node_id, user_name
        The kernel session, its run, its node and who runs it, stored with each event.
    names_now
        Says, by result table, which variables hold it at this moment. Called in any thread, it
        runs no query and waits for nothing.
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
        names_now: Callable[[], Mapping[str, Sequence[str]]] = dict,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._snowflake = snowflake
        self._job_id = job_id
        self._run_id = run_id
        self._node_id = node_id
        self._user_name = user_name
        self._writer = LogWriter(
            engine, settings, run_id=run_id, is_idle=lambda: self._cell is self._outside
        )
        self._secrets: set[str] = set()
        self._outside = self._new_cell(None)
        self._cell = self._outside
        self._of_thread = _OfThread()
        self._names_now = names_now
        self._names: Mapping[str, Sequence[str]] = {}
        self._cells: OrderedDict[int | None, CellRecord] = OrderedDict()

    @property
    def pending(self) -> int:
        """How many events are not written yet."""
        return self._writer.pending

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
        variable_names: Sequence[str] = (),
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
        variable_names
            The variables that hold the result, where something else than a cell binds it.
        """
        kwargs = kwargs or {}
        if is_left_out(result_table, kwargs.values()):
            return self._snowflake.next()
        if any(map(is_system_name, kwargs.values())):
            kwargs, columns = without_system(kwargs), _without_system(columns)
        cell = self._of_thread.cell or self._cell
        masked = mask_call(cell, params or {}, sql_template, error)
        task = cell.task
        event = OperationEvent(
            id=self._snowflake.next(),
            result_table=result_table,
            operation=operation,
            kwargs=dict(kwargs),
            params=masked.params,
            sql_template=masked.sql_template,
            task_id=None if task is None else task.task_id,
            job_id=self._job_id,
            run_id=self._run_id,
            node_id=self._node_id,
            created_at=dt.datetime.now(dt.UTC),
            cell_id=None if task is None else task.cell_id,
            execution_count=None if task is None else task.execution_count,
            variable_names=tuple(variable_names),
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
        entry = PendingEvent(event, cell, columns if callable(columns) else None)
        if values and self._writer.waiting_bytes < _MOST_WAITING_BYTES:
            entry.values = take(values, self._settings.kept_value_bytes)
        self._writer.put(entry)
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
        if names:
            self._name([entry for entry in self._writer.waiting() if entry.cell is cell], names)

    def names_of(self, result_table: str) -> tuple[str, ...]:
        """Return the variables that held a result when a cell last told of them; runs nothing."""
        return tuple(self._names.get(result_table, ()))

    def flush(self) -> int:
        """Write all events and return how many, as `LogWriter.flush` does.

        Events of cells that have not ended get the names that variables have now.
        """
        unnamed = [entry for entry in self._writer.waiting() if not entry.event.variable_names]
        if any(entry.cell.task for entry in unnamed):
            self._name(unnamed, self._names_now())
        return self._writer.flush()

    def flush_soon(self) -> Outcome[int]:
        """Have all events written; return what `flush` gives or raises, once it is known."""
        return self._writer.flush_soon()

    def flush_within(self, timeout_s: float) -> None:
        """Have all events written, and wait for it no longer than so; what fails is kept."""
        self._writer.flush_within(timeout_s)

    def start(self) -> None:
        """Start the thread that writes, as `LogWriter.start` does."""
        self._writer.start()

    def close(self) -> None:
        """Write or spill what is left, and end the thread, as `LogWriter.close` does."""
        self._writer.close()

    def _name(self, entries: Iterable[PendingEvent], names: Mapping[str, Sequence[str]]) -> None:
        """Fill the names of variables into events of cells."""
        for entry in entries:
            given = names.get(entry.event.result_table)
            if given and entry.cell.task is not None:
                entry.event = dataclasses.replace(entry.event, variable_names=tuple(given))

    def _new_cell(self, task: Task | None) -> CellRecord:
        return CellRecord(task, self._settings.record_cell_source, self._secrets)


def _without_system(columns: Columns) -> Columns:
    """Return the column lineage of an operation but for what comes from system tables."""
    if columns is None:
        return None
    if not callable(columns):
        return edges_without_system(columns)
    return lambda: None if (edges := columns()) is None else edges_without_system(edges)
