"""Our Ibis backend: the ``source`` of our leaves, through which every execution passes.

Columns, scalars, plain Ibis tables and other libraries reach ClickHouse by ``leaf.source``. Ibis
compiles; the `Engine` runs, as Arrow, with the types ClickHouse reports. Ibis itself is not
patched.
"""

from __future__ import annotations

import time
import weakref
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import ibis.expr.operations as ops
import ibis.expr.schema as sch
import ibis.expr.types as ir
import pyarrow as pa
from ibis.backends.sql import SQLBackend
from ibis.expr.types.joins import Join

from aaiclick_ext.engine.types import restore
from aaiclick_ext.errors import ContextError
from aaiclick_ext.lifecycle.process import process
from aaiclick_ext.objects.compiler import Compiler
from aaiclick_ext.objects.cross_joins import check_crosses
from aaiclick_ext.objects.file_methods import FileMethods
from aaiclick_ext.objects.frame_columns import polars_ready
from aaiclick_ext.objects.leaf import DatabaseTable, leaf_of
from aaiclick_ext.objects.object_store import ObjectStore
from aaiclick_ext.objects.owners import owner_of
from aaiclick_ext.objects.pandas_frames import to_pandas_frame
from aaiclick_ext.objects.planning import Plan, Planner
from aaiclick_ext.objects.provenance import Provenance, recorded_as_one
from aaiclick_ext.objects.python_values import to_python
from aaiclick_ext.objects.refused_methods import RefusedMethods
from aaiclick_ext.objects.results import refuse_objects, restored_batches, row_limit, unpack
from aaiclick_ext.objects.sql_methods import SQLMethods
from aaiclick_ext.objects.sql_text import check_select
from aaiclick_ext.objects.step_names import reduction_of
from aaiclick_ext.objects.text_schema import schema_of_text
from aaiclick_ext.oplog.columns import unchanged_columns

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable, Generator, Mapping

    import pandas as pd
    import polars as pl

    from aaiclick_ext.engine import QueryStats
    from aaiclick_ext.objects.services import Services


class Backend(FileMethods, RefusedMethods, SQLMethods, SQLBackend):  # type: ignore[misc]
    """Runs Ibis expressions over our tables."""

    name = "clickhouse"
    compiler = Compiler()
    supports_temporary_tables = False
    supports_python_udfs = False

    def __init__(self, services: Services) -> None:
        super().__init__()
        self._con_args = (services.job_id, services.run_id)
        self._con_kwargs: dict[str, Any] = {}
        self.services = services
        self.planner = Planner(self)
        self.provenance = Provenance(services)
        self.python_objects = ObjectStore(services)
        self.ingest: Callable[[pa.Table], ops.DatabaseTable] | None = None
        self.ingested: dict[int, tuple[weakref.ref[Any], ops.DatabaseTable]] = {}
        self.readers: weakref.WeakKeyDictionary[pa.RecordBatchReader, weakref.ref[Any]] = (
            weakref.WeakKeyDictionary()
        )
        process.backends[services.job_id, services.run_id] = self

    def __reduce__(self) -> tuple[Any, ...]:
        return find_backend, (self.services.job_id, self.services.run_id)

    # Running.

    def fetch(
        self,
        expr: ir.Expr,
        operation: str | None,
        *,
        params: Mapping[Any, Any] | None = None,
        limit: int | None = None,
        with_objects: bool = False,
        record: Callable[..., None] | None = None,
    ) -> tuple[pa.Table, Plan]:
        """Run an expression; return its rows and the plan that fetched them.

        Parameters
        ----------
        operation
            How the event is called; None records nothing.
        with_objects
            Whether the caller puts Python objects in place of their numbers; where not, columns of
            such are refused.
        record
            Records it in another way than `record_fetch`, of which it takes what is found out.
        """
        self.services.check_open()
        op = self.relation_of(expr)
        if record is None:
            record = partial(self.record_fetch, operation, op)
        limited = op if limit is None else ops.Limit(op, n=limit, offset=0)
        runnable = self.without_memtables(limited)
        started = time.perf_counter()
        plan: Plan | None = None
        stats: QueryStats | None = None
        try:
            plan = self.planner.plan(runnable, params)
            if not with_objects:
                refuse_objects(plan, operation)
            check_crosses(self.services, plan.crosses)
            with self._progress_of(operation, op):
                raw, stats = self.services.engine.fetch(plan.fetch_sql)
            stats = replace(stats, written_bytes=raw.nbytes)
            data = restore(raw, plan.types, binary=plan.binary, booleans=plan.booleans)
        except BaseException as error:  # Ctrl-C, too
            record(plan, started, error=error)
            raise
        record(plan, started, rows=data.num_rows, stats=stats)
        return data, plan

    def _progress_of(
        self, operation: str | None, op: ops.Relation
    ) -> contextlib.AbstractContextManager[None]:
        """Name what runs in the block by what the user called, for those who watch it."""
        name = reduction_of(op) or operation or "query"
        return self.services.engine.progress.operation(name, self.provenance.called_on(op))

    def python_columns(self, data: pa.Table, plan: Plan) -> dict[str, list[Any]]:
        """Return fetched columns as Python values, objects in place of their numbers."""
        return self.python_objects.resolved(to_python(data, plan.types), plan.objects)

    def record_fetch(
        self,
        operation: str | None,
        op: ops.Relation,
        plan: Plan | None,
        started: float,
        *,
        params: Mapping[str, str] | None = None,
        rows: int | None = None,
        stats: QueryStats | None = None,
        error: BaseException | None = None,
    ) -> None:
        """Record that data left the database; nothing where `operation` is None."""
        if operation is None:
            return
        source = self.provenance.name_of(op)
        if plan is not None and error is None:
            self.services.notes.seen(plan.others)
        self.services.oplog.record(
            operation,
            result_table=self.provenance.sink_name(),
            kwargs={"source": source},
            params=params or {},
            sql_template=None if plan is None else plan.sql,
            rows=rows,
            elapsed_s=time.perf_counter() - started,
            stats=stats,
            columns=unchanged_columns([source]),
            status="ok" if error is None else "error",
            error=None if error is None else str(error) or type(error).__name__,
        )

    def relation_of(self, expr: ir.Expr) -> ops.Relation:
        """Return the relation that an expression's execution runs."""
        if isinstance(expr, Join):  # still being built
            expr = expr._finish()  # noqa: SLF001
        with recorded_as_one():
            table = expr if isinstance(expr, ir.Table) else expr.as_table()
        return table.op()

    def without_memtables(self, op: ops.Relation) -> ops.Relation:
        """Return the operation with every `ibis.memtable` replaced by a table of ours."""
        found = op.find(ops.InMemoryTable)
        if not found:
            return op
        return op.replace({memtable: self._ingested_leaf(memtable) for memtable in found})

    def _ingested_leaf(self, memtable: ops.InMemoryTable) -> ops.DatabaseTable:
        known = self.ingested.get(id(memtable))
        if known is not None and known[0]() is memtable:
            return known[1]
        assert self.ingest is not None
        leaf = self.ingest(memtable.data.to_pyarrow(memtable.schema))
        self.provenance.record_ingested(memtable, leaf.name)
        key, table = id(memtable), self.ingested
        table[key] = (weakref.ref(memtable, lambda _: table.pop(key, None)), leaf)
        return leaf

    # What Ibis and other libraries call.

    def to_pyarrow(
        self,
        expr: ir.Expr,
        /,
        *,
        params: Mapping[Any, Any] | None = None,
        limit: int | str | None = None,
        **_: Any,
    ) -> pa.Table | pa.ChunkedArray | pa.Scalar:
        """Run an expression; a table gives an Arrow table, a column an array, a scalar a scalar."""
        data, _plan = self.fetch(expr, "to_pyarrow", params=params, limit=row_limit(limit))
        return unpack(expr, data)

    def to_pyarrow_batches(
        self,
        expr: ir.Expr,
        /,
        *,
        params: Mapping[Any, Any] | None = None,
        limit: int | str | None = None,
        chunk_size: int = 1_000_000,
        **_: Any,
    ) -> pa.RecordBatchReader:
        """Run an expression as a stream of record batches that never holds the whole result.

        The expression, and with it every table it reads, is held until the reader is exhausted
        or gone: pyarrow's ``close`` lets go of nothing.
        """
        started, op = time.perf_counter(), self.relation_of(expr)
        record = partial(self.record_fetch, "to_pyarrow_batches", op, started=started)
        schema, batches, plan = self.stream(
            expr,
            params=params,
            limit=row_limit(limit),
            chunk_size=chunk_size,
            failed=record,
            operation="to_pyarrow_batches",
        )
        record(plan)
        reader = pa.RecordBatchReader.from_batches(schema, batches)
        self.readers[reader] = weakref.ref(batches)
        return reader

    def stream(
        self,
        expr: ir.Expr,
        *,
        params: Mapping[Any, Any] | None = None,
        limit: int | None = None,
        chunk_size: int = 1_000_000,
        failed: Callable[..., None] | None = None,
        operation: str = "export",
    ) -> tuple[pa.Schema, Generator[pa.RecordBatch, None, None], Plan]:
        """Run an expression as `to_pyarrow_batches` does; the caller records it.

        Closing the generator ends the query. Where it fails, `failed` is called with the plan and
        the `error`.
        """
        self.services.check_open()
        op = self.relation_of(expr)
        runnable = self.without_memtables(op if limit is None else ops.Limit(op, n=limit, offset=0))
        plan: Plan | None = None
        try:
            plan = self.planner.plan(runnable, params)
            refuse_objects(plan, operation)
            check_crosses(self.services, plan.crosses)
            with self._progress_of(operation, op):
                reader = self.services.engine.stream_arrow(plan.fetch_sql)
        except BaseException as error:
            if failed is not None:
                failed(plan, error=error)
            raise
        holds = (expr, runnable)
        return (*restored_batches(reader, plan, chunk_size, holds=holds, failed=failed), plan)

    def execute(
        self,
        expr: ir.Expr,
        /,
        *,
        params: Mapping[Any, Any] | None = None,
        limit: int | str | None = None,
        **_: Any,
    ) -> pd.DataFrame | pd.Series[Any] | Any:
        """Run an expression; a table gives a DataFrame, a column a Series, a scalar a value."""
        data, plan = self.fetch(
            expr, "execute", params=params, limit=row_limit(limit), with_objects=True
        )
        objects = self.python_columns(data.select(list(plan.objects)), plan)
        if isinstance(expr, ir.Scalar):
            return unpack(expr, data, objects)
        frame = to_pandas_frame(data, plan.types, objects)
        return frame.iloc[:, 0] if isinstance(expr, ir.Column) else frame

    def to_pandas(self, expr: ir.Expr, /, **keywords: Any) -> Any:
        """Run an expression into pandas."""
        return self.execute(expr, **keywords)

    def to_polars(
        self,
        expr: ir.Expr,
        /,
        *,
        params: Mapping[Any, Any] | None = None,
        limit: int | str | None = None,
        **_: Any,
    ) -> pl.DataFrame | pl.Series | Any:
        """Run an expression into polars."""
        import polars as pl

        data, plan = self.fetch(
            expr, "to_polars", params=params, limit=row_limit(limit), with_objects=True
        )
        objects = self.python_columns(data.select(list(plan.objects)), plan)
        if isinstance(expr, ir.Scalar):
            return unpack(expr, data, objects)
        frame = pl.DataFrame(polars_ready(data)).with_columns(
            pl.Series(name, values, dtype=pl.Object) for name, values in objects.items()
        )
        return frame.to_series(0) if isinstance(expr, ir.Column) else frame

    # What Ibis asks of a SQL backend.

    def _get_schema_using_query(self, query: str) -> sch.Schema:
        return schema_of_text(self.services, query, check_select(query))

    def get_schema(
        self, name: str, *, catalog: str | None = None, database: str | None = None
    ) -> sch.Schema:
        """Return the Ibis schema of a table."""
        return self.services.schemas.get(name, database or catalog).ibis

    def table(self, name: str, /, *, database: tuple[str, str] | str | None = None) -> ir.Table:
        """Return a table by name; one of ours is claimed, any other is never dropped."""
        location = self._to_sqlglot_table(database)
        return self.leaf(name, location.db or location.catalog or None).to_expr()

    def leaf(self, name: str, database: str | None = None) -> DatabaseTable:
        """Return a new leaf of a table, which claims it if it is ours, however it is named."""
        if (
            database is not None
            and owner_of(self.services, name).worker.is_live(name)
            and database == self.current_database
        ):
            database = None
        if database is None:
            self.services.sessions.tables.check([name])
        return DatabaseTable(
            name=name,
            schema=self.services.schemas.get(name, database).ibis,
            source=self,
            namespace=ops.Namespace(database=database),
        )

    def list_tables(
        self, *, like: str | None = None, database: tuple[str, str] | str | None = None
    ) -> list[str]:
        """Return the names of the tables in a database."""
        location = self._to_sqlglot_table(database)
        rows = self.services.engine.query_rows(
            "SELECT name FROM system.tables WHERE database = "
            "if({database:String} = '', currentDatabase(), {database:String}) ORDER BY name",
            {"database": location.db or location.catalog or ""},
        )
        return list(self._filter_with_like([name for (name,) in rows], like))

    @property
    def version(self) -> str:
        """ClickHouse's version."""
        return self.services.engine.version

    def do_connect(self, *_: Any, **__: Any) -> None:
        """Refuse: a context makes this backend."""
        raise ContextError("this backend belongs to a DataContext; open one instead of connecting")

    def disconnect(self) -> None:
        """Do nothing: the context closes its engine."""

    @property
    def current_database(self) -> str:
        """ClickHouse's current database."""
        return str(self.services.engine.query_rows("SELECT currentDatabase()")[0][0])

    def list_databases(
        self,
        *,
        like: str | None = None,
        catalog: str | None = None,  # noqa: ARG002  Ibis passes it
    ) -> list[str]:
        """Return the names of the databases."""
        rows = self.services.engine.query_rows("SELECT name FROM system.databases ORDER BY name")
        return list(self._filter_with_like([name for (name,) in rows], like))

    def _register_in_memory_table(self, op: ops.InMemoryTable) -> None:
        """Do nothing: memtables become tables of ours before compilation."""


Backend.__abstractmethods__ = frozenset()


def find_backend(job_id: int, run_id: int) -> Backend:
    """Return the backend that a pickled expression belongs to.

    Raises
    ------
    ContextError
        If its context is not open in this process.
    """
    backend: Backend | None = process.backends.get((job_id, run_id))
    if backend is None or backend.services.closed:
        raise ContextError(
            "this pickle refers to tables of a DataContext that is not open in this process; "
            "pickle data instead, e.g. x.to_pyarrow()"
        )
    return backend


def backend_of(op: ops.Node) -> Backend | None:
    """Return our backend below an operation, or None."""
    leaf = leaf_of(op)
    return leaf.source if leaf is not None and isinstance(leaf.source, Backend) else None
