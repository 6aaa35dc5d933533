"""The making of tables: claimed before they exist, gone if anything fails on the way."""

from __future__ import annotations

import contextlib
import datetime as dt
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

from aaiclick_ext.engine import quote_identifier, quote_literal
from aaiclick_ext.errors import EngineError
from aaiclick_ext.lifecycle.comment_marks import (
    change_comment,
    outlives_registry,
    with_preservation,
)
from aaiclick_ext.lifecycle.names import Scope
from aaiclick_ext.lifecycle.preservation import PreservationMode
from aaiclick_ext.objects.session_limits import admitted, limited_size
from aaiclick_ext.registry import TableRow
from aaiclick_ext.schema import MEMORY, MERGE_TREE, POSITION, SCALAR_COMMENT, Shape, TableSchema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pyarrow as pa

    from aaiclick_ext.engine import Engine, QueryStats
    from aaiclick_ext.objects.backend import Backend
    from aaiclick_ext.objects.leaf import DatabaseTable
    from aaiclick_ext.oplog import OperationEvent

_COMMENT = "comment."


@dataclass(frozen=True, slots=True)
class TableSpec:
    """What a new table is to be.

    Attributes
    ----------
    types, comments
        Column to ClickHouse type, and to comment where it has one.
    """

    types: Mapping[str, str]
    comments: Mapping[str, str] = field(default_factory=dict)
    shape: Shape = Shape.TABLE
    scope: Scope = Scope.TEMP
    name: str | None = None

    def noted(self) -> dict[str, str]:
        """Return what the log is told beside the types, so that the like can be made again."""
        shape = {} if self.shape is Shape.TABLE else {"shape": self.shape.value}
        return shape | {f"{_COMMENT}{name}": text for name, text in self.comments.items()}

    @classmethod
    def from_event(cls, event: OperationEvent) -> Self:
        """Return what an event says that a table was when it was made."""
        comments = {
            name.removeprefix(_COMMENT): text
            for name, text in event.params.items()
            if name.startswith(_COMMENT)
        }
        shape = Shape(event.params.get("shape", Shape.TABLE.value))
        return cls(event.result_schema, comments, shape)

    def column_list(self) -> str:
        """Return the columns as a CREATE statement lists them."""
        return f"({', '.join(self._columns())})"

    def _columns(self) -> list[str]:
        return [
            f"{quote_identifier(name)} {type_}"
            + (f" COMMENT {quote_literal(self.comments[name])}" if name in self.comments else "")
            for name, type_ in self.types.items()
        ]

    def ddl(self, table: str, engine: str) -> str:
        """Return the CREATE TABLE statement."""
        columns = self._columns()
        if self.shape is Shape.ARRAY:
            columns.append(f"{POSITION} UInt64 MATERIALIZED rowNumberInAllBlocks()")
        clause = engine
        if engine == MERGE_TREE:
            clause += f" ORDER BY {self._sorting_key(engine) or 'tuple()'}"
        comment = f" COMMENT {quote_literal(SCALAR_COMMENT)}" if self.shape is Shape.SCALAR else ""
        return (
            f"CREATE TABLE {quote_identifier(table)} ({', '.join(columns)}) "
            f"ENGINE = {clause}{comment}"
        )

    def schema(self, engine: str, rows: int | None) -> TableSchema:
        """Return the schema of the table that `ddl` makes, once it has these rows."""
        key = self._sorting_key(engine)
        return TableSchema(
            types=self.types,
            comments=self.comments,
            shape=self.shape,
            engine=engine,
            rows=rows,
            sorting_key=key,
            primary_key=key,
        )

    def _sorting_key(self, engine: str) -> str:
        return POSITION if engine == MERGE_TREE and self.shape is Shape.ARRAY else ""


def engine_for(backend: Backend, spec: TableSpec, size_bytes: int | None) -> str:
    """Return the table engine that follows from scope and size; an unknown size is large.

    What is preserved is on disk: memory ends with the process.
    """
    services = backend.services
    small = size_bytes is not None and (size_bytes <= services.settings.memory_table_bytes)
    is_preserved = services.sessions.innermost.preservation is PreservationMode.FULL
    is_short_lived = services.engine.creds.is_scratch or not is_preserved
    return MEMORY if small and spec.scope is Scope.TEMP and is_short_lived else MERGE_TREE


@contextlib.contextmanager
def new_table(backend: Backend, spec: TableSpec, *, beside: str | None = None) -> Iterator[str]:
    """Give a claimed name for a new table; drop the table if the block fails.

    On success the claim is the caller's for temp tables (a leaf has its own by then) and is given
    back here; session and global tables keep it until they are deleted. A temp table belongs to the
    session that is entered here.

    Parameters
    ----------
    beside
        A table that the rows are for in the end; the new one belongs to its session.

    Raises
    ------
    SessionLimitError
        If the session has no room, for the table or for what is written to it in the block.
    """
    services = backend.services
    services.check_open()
    table = str(services.new_table_name(spec.scope, spec.name))
    task = services.oplog.current_task
    row = TableRow(
        table,
        services.engine.identity,
        services.job_id,
        None if task is None else task.task_id,
        services.run_id,
        dt.datetime.now(dt.UTC),
    )
    with admitted(services, row, spec.scope, beside) as row:
        hold = services.worker.hold(table, row)
        services.notes.made(table, None if task is None else task.execution_count)
        if beside is not None:
            services.notes.made_in_passing(table)
        try:
            with limited_size(services, table, is_part=beside is not None):
                yield table
        except BaseException:
            services.schemas.forget([table])
            services.notes.made_in_passing(table)
            hold.release()
            raise
        if row.preservation is not None and spec.scope is not Scope.GLOBAL and beside is None:
            _mark_preserved(services.engine, table)
    if spec.scope is Scope.TEMP:
        hold.release()
    else:
        services.holds[table] = hold


def _mark_preserved(engine: Engine, table: str) -> None:
    """Let a table itself say that it is preserved, where another registry may come to it."""
    if outlives_registry(engine):
        change_comment(engine, table, with_preservation)


@contextlib.contextmanager
def _filling(backend: Backend, spec: TableSpec, table: str) -> Iterator[str]:
    """Give the name to fill: a global table appears under its own name only once it is whole.

    The newest table of a global name is the one that counts, for other kernels and after a crash.
    """
    if spec.scope is not Scope.GLOBAL:
        yield table
        return
    part = replace(spec, scope=Scope.TEMP, name=None)
    with new_table(backend, part, beside=table) as building:
        yield building
        backend.services.engine.command(
            f"RENAME TABLE {quote_identifier(building)} TO {quote_identifier(table)}"
        )


def create_table(
    backend: Backend,
    spec: TableSpec,
    data: pa.Table | None = None,
    *,
    table: str,
) -> DatabaseTable:
    """Create a table and fill it from Arrow; return a leaf of it. Runs up to three statements.

    Raises
    ------
    EngineError
        If not every row arrived.
    """
    engine = engine_for(backend, spec, 0 if data is None else data.nbytes)
    backend.services.engine.check_estimate(0 if data is None else data.nbytes)
    with _filling(backend, spec, table) as filled:
        backend.services.engine.command(spec.ddl(filled, engine))
        if data is not None and data.num_rows:
            backend.services.engine.insert_arrow(filled, with_position(data, spec.shape))
            check_rows(backend, filled, data.num_rows, target=table)
    rows = 0 if data is None else data.num_rows
    backend.services.schemas.put(table, spec.schema(engine, rows))
    return backend.leaf(table)


def with_position(data: pa.Table, shape: Shape, start: int = 0) -> pa.Table:
    """Return an array's data with its row numbers."""
    if shape is not Shape.ARRAY:
        return data
    import numpy as np
    import pyarrow as pa

    positions = np.arange(start, start + data.num_rows, dtype=np.uint64)
    field_ = pa.field(POSITION, pa.uint64(), nullable=False)
    return data.append_column(field_, pa.array(positions))


def create_table_as(
    backend: Backend, spec: TableSpec, sql: str, *, table: str, size_bytes: int | None = None
) -> tuple[DatabaseTable, QueryStats]:
    """Create a table from a SELECT in one statement, which leaves nothing if it is killed.

    Returns
    -------
    leaf, stats
    """
    engine = engine_for(backend, spec, size_bytes)
    ordered_insert = " SETTINGS max_threads = 1" if spec.shape is Shape.ARRAY else ""
    with _filling(backend, spec, table) as filled:
        statement = f"{spec.ddl(filled, engine)} AS {sql}{ordered_insert}"
        stats = backend.services.engine.command(statement)
    backend.services.schemas.put(table, spec.schema(engine, count_rows(backend, table)))
    return backend.leaf(table), stats


def stored_columns(schema: TableSchema) -> str:
    """Return all columns of a table as a list in SQL, an array's positions among them."""
    hidden = [POSITION] if schema.shape is Shape.ARRAY else []
    return ", ".join([*map(quote_identifier, schema.types), *hidden])


def rebuild_on_disk(
    backend: Backend, table: str, schema: TableSchema, *, more: str | None = None
) -> None:
    """Rebuild a table in memory as MergeTree, and swap the two.

    Three statements. The caller has the table's lock.

    Parameters
    ----------
    more
        A table of the same columns whose rows come after its own.
    """
    spec, columns = TableSpec(schema.types, schema.comments, schema.shape), stored_columns(schema)
    engine, old = backend.services.engine, quote_identifier(table)
    with new_table(backend, spec, beside=table) as built, engine.limited(None):
        new = quote_identifier(built)
        rows = f"SELECT {columns} FROM {old}"
        if more is not None:
            rows += f" UNION ALL SELECT {columns} FROM {quote_identifier(more)}"
        engine.command(spec.ddl(built, MERGE_TREE))
        engine.command(f"INSERT INTO {new} ({columns}) {rows} SETTINGS max_threads = 1")
        engine.command(f"EXCHANGE TABLES {old} AND {new}")
        backend.services.schemas.put(table, spec.schema(MERGE_TREE, None))


def check_rows(backend: Backend, table: str, expected: int, *, target: str | None = None) -> None:
    """Raise EngineError where a table does not hold as many rows as were put into it.

    chdb reports rows as written that the table then refused: by a constraint, for too many
    partitions, or because a view failed.

    Parameters
    ----------
    target
        The table that the rows were meant for, where they were put into another first.
    """
    found = count_rows(backend, table)
    if found != expected:
        backend.services.engine.limits.check_disk()
        raise EngineError(
            f"{target or table}: {expected} rows were expected after an insert, {found} found. "
            "ClickHouse took the others and dropped them without a word; check the table's "
            "constraints and partitions, and the space on the disk.",
            sql=f"INSERT INTO {quote_identifier(table)}",
        )


def count_rows(backend: Backend, table: str) -> int:
    """Return the number of rows of a table, from its metadata."""
    rows = backend.services.engine.query_rows(f"SELECT count() FROM {quote_identifier(table)}")
    return int(rows[0][0])
