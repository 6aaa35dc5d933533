"""Appending to an Object, whole or not at all.

Everything is first put into a staging table of the same structure. Then one atomic statement moves
it over: ATTACH PARTITION for MergeTree, INSERT … SELECT for Memory (which publishes its blocks
together), and CREATE … AS with EXCHANGE where the table outgrows Memory.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ibis.expr.types as ir

from aaiclick_ext.engine import quote_identifier
from aaiclick_ext.errors import AaiclickError, SchemaError
from aaiclick_ext.objects.attempts import attempted
from aaiclick_ext.objects.casting import lossless_cast
from aaiclick_ext.objects.creation import (
    TableSpec,
    check_rows,
    count_rows,
    new_table,
    rebuild_on_disk,
    stored_columns,
    with_position,
)
from aaiclick_ext.objects.cross_joins import check_crosses
from aaiclick_ext.objects.dependent_views import Feed, Place, moved_together, staged_feeds
from aaiclick_ext.objects.freshness import when
from aaiclick_ext.objects.leaf import tables_here
from aaiclick_ext.objects.making_of import made_elsewhere
from aaiclick_ext.objects.object_columns import refuse_operation
from aaiclick_ext.objects.object_values import Keeping
from aaiclick_ext.objects.owners import contexts_of, owner_of
from aaiclick_ext.objects.provenance import numbered_roles
from aaiclick_ext.objects.session_limits import note_growth
from aaiclick_ext.objects.unbinding import without_leaves
from aaiclick_ext.objects.values import Columnar, conform, to_columnar
from aaiclick_ext.oplog.columns import unchanged_columns
from aaiclick_ext.schema import MERGE_TREE, POSITION, Shape, TableSchema
from aaiclick_ext.schema.python_objects import PythonObject, object_columns, objects_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from aaiclick_ext.objects.backend import Backend
    from aaiclick_ext.objects.object import Object
    from aaiclick_ext.objects.planning import Plan
    from aaiclick_ext.objects.services import Services


def insert(target: Object, sources: Sequence[Any]) -> None:
    """Append the rows of every source to the target's table, all or none."""
    backend = target._backend  # noqa: SLF001
    table = target.table_name
    known = {"result_table": table, "kwargs": {"target": table}}
    with attempted(backend, "insert", **known) as event:
        _insert(backend, table, sources, event)


def _insert(backend: Backend, table: str, sources: Sequence[Any], event: dict[str, Any]) -> None:
    services = backend.services
    services.sessions.tables.check([table])
    schema = services.schemas.get(table)
    if schema.shape is Shape.SCALAR:
        raise SchemaError("a scalar holds one value; make an array to insert into")
    if not sources:
        return
    objects = object_columns(schema.ibis)
    for name, dtype in objects.items():
        backend.python_objects.check_alive(name, dtype)
    plain = frozenset(n for n, dtype in objects.items() if isinstance(dtype, PythonObject))
    keeping = Keeping(columns=plain, is_of_target=True) if objects else None
    given = [s if isinstance(s, ir.Table) else to_columnar(s, keeping) for s in sources]
    names = [backend.provenance.name_of(s.op()) for s in given if isinstance(s, ir.Table)]
    params = {
        f"source_{number}": f"{source.source}, {source.data.num_rows} rows"
        for number, source in enumerate(given)
        if not isinstance(source, ir.Table)
    }
    event |= {
        "kwargs": {**numbered_roles(names), "target": table} if names else {"target": table},
        "params": params,
        "result_schema": schema.types,
        "columns": unchanged_columns(names),
    }
    services.notes.used([table])
    services.notes.appended(table)
    owner = owner_of(services, table)  # another context of this process may insert, too
    with owner.inserting.lock(table):  # positions and engine are read, then written
        added, statements, values = _append(backend, table, schema, given)
    views = [backend.relation_of(s) for s in given if isinstance(s, ir.Table)]
    views = [backend.without_memtables(view) for view in views]
    services.freshness.made(table, {name for view in views for name in tables_here(view)})
    parts = map(without_leaves, views)
    services.makings.grown(
        table,
        parts,
        has_values=len(views) < len(given),
        is_recorded=made_elsewhere(services.job_id, table),
    )
    services.freshness.changed(table, _when(services))
    sql = ";\n".join(statements) or None
    services.oplog.record("insert", **event, rows=added, sql_template=sql, values=values)


def _when(services: Services) -> str:
    task = services.oplog.current_task
    return when(None if task is None else task.execution_count)


def _append(
    backend: Backend, table: str, schema: TableSchema, sources: Sequence[ir.Table | Columnar]
) -> tuple[int, list[str], dict[str, pa.Table]]:
    """Stage the rows of every source and move them over.

    Returns
    -------
    added, statements, values
        How many rows; the SQL that does the same with those of the views among the sources; the
        rows of the others, but for those with Python objects.
    """
    services = backend.services
    spec = TableSpec(schema.types, schema.comments, schema.shape)
    with new_table(backend, spec, beside=table) as staging:
        _run(backend, f"CREATE TABLE {_q(staging)} AS {_q(table)} COMMENT ''")
        services.schemas.put(staging, replace(schema, rows=0))
        start, engine, place, views = _state(backend, table)
        statements, values = [], {}
        for number, source in enumerate(sources):
            before = count_rows(backend, staging)
            if isinstance(source, ir.Table):
                rest = _rows_of_view(backend, source, schema, start + before)
                _run(backend, f"INSERT INTO {_q(staging)} {rest}")
                statements.append(f"INSERT INTO {_q(table)} {rest}")
            else:
                data = _stage_value(backend, source, staging, schema, start + before)
                if not source.objects:
                    values[f"source_{number}"] = data
                check_rows(backend, staging, before + source.data.num_rows, target=table)
        added = count_rows(backend, staging)
        services.schemas.set_rows(table, None)  # Ctrl-C may come after the move was done
        with (
            staged_feeds(backend, place, staging, views) as feeds,
            _held_objects(backend, table, staging, schema),
            services.engine.limited(None),
            _watched(services, table, staging, added),
        ):
            engine = _move(backend, table, staging, schema, engine, feeds)
    for feed in feeds:
        services.schemas.set_rows(feed.target[1], None)
    note_growth(services, table)
    services.schemas.set_rows(table, start + added, engine)
    return added, statements, values


@contextlib.contextmanager
def _watched(services: Services, table: str, staging: str, rows: int) -> Iterator[None]:
    """Tell who watches the table, in any context of this process, that rows are moved into it."""
    with contextlib.ExitStack() as stack:
        for each in contexts_of(services):
            stack.enter_context(each.inserts.moving(table, staging, rows))
        yield


@contextlib.contextmanager
def _held_objects(
    backend: Backend, table: str, staging: str, schema: TableSchema
) -> Iterator[None]:
    """Let the target hold the Python objects of the staged rows before they are in it."""
    store = backend.python_objects
    store.hold_found(table, schema.ibis, staging)
    try:
        yield
    except BaseException:
        with contextlib.suppress(AaiclickError):  # then they go with the table
            store.hold_only_found(table, schema.ibis)
        raise


def _stage_value(
    backend: Backend, columnar: Columnar, staging: str, schema: TableSchema, start: int
) -> pa.Table:
    """Insert a value's rows, where they fit the target's types without loss; return them so."""
    for name, dtype in object_columns(schema.ibis).items():
        if name in columnar.data.column_names and name not in columnar.objects:
            refuse_operation(
                name, "insert", f"They are inside {dtype}; insert a view that has such"
            )
    kept = backend.python_objects.keep(staging, columnar)
    given = replace(columnar, data=kept.data, comments=kept.comments)
    data = conform(given, schema.types, schema.comments)
    backend.services.engine.insert_arrow(staging, with_position(data, schema.shape, start))
    return data


def _rows_of_view(backend: Backend, view: ir.Table, schema: TableSchema, start: int) -> str:
    """Return the end of an INSERT of a view's rows.

    They are cast by ``accurateCast``, which refuses what does not fit.
    """
    op = backend.without_memtables(backend.relation_of(view))
    plan = backend.planner.plan(op)
    check_crosses(backend.services, plan.crosses)
    given = plan.types
    if schema.shape is Shape.ARRAY and len(given) == 1:
        pairs = [(next(iter(given)), next(iter(schema.types)))]
    else:
        pairs = [(name, name) for name in given]
    unknown = [name for name, target in pairs if target not in schema.types]
    if unknown:
        raise SchemaError(
            f"insert: the target has no column {', '.join(unknown)}; "
            f"it has {', '.join(schema.types)}"
        )
    for source, target in pairs:
        _check_objects(plan, source, target, schema)
    selected = [
        f"{_cast(plan, source, schema.types[target])} AS {_q(target)}" for source, target in pairs
    ]
    columns = [_q(target) for _, target in pairs]
    settings = ""
    if schema.shape is Shape.ARRAY:
        columns.append(POSITION)
        selected.append(f"toUInt64({start}) + rowNumberInAllBlocks() AS {POSITION}")
        settings = " SETTINGS max_threads = 1"
    return f"({', '.join(columns)}) SELECT {', '.join(selected)} FROM ({plan.sql}){settings}"


def _check_objects(plan: Plan, source: str, target: str, schema: TableSchema) -> None:
    """Refuse to put Python objects among other values, or the other way."""
    given = objects_in((), plan.objects[source]) if source in plan.objects else {}
    wanted = objects_in((), schema.ibis[target])
    if given != wanted:
        refuse_operation(
            source if given else target,
            "insert",
            "Both columns, the given and the target's, have to be such, of this kernel",
        )


def _cast(plan: Plan, source: str, wanted: str) -> str:
    is_boolean = (source,) in plan.booleans
    given = plan.types[source]
    return lossless_cast(_q(source), given, wanted, name=source, is_boolean=is_boolean)


def _state(backend: Backend, table: str) -> tuple[int, str, Place, list[Place]]:
    """Return the rows and the engine of a table as they are now, its place, and who it feeds."""
    rows = backend.services.engine.query_rows(
        "SELECT total_rows, engine, database, arrayZip(dependencies_database, dependencies_table) "
        "FROM system.tables WHERE database = currentDatabase() AND name = {table:String}",
        {"table": table},
    )
    count, engine, database, views = rows[0]
    return int(count), str(engine), (database, table), [(view[0], view[1]) for view in views]


def _move(
    backend: Backend,
    table: str,
    staging: str,
    schema: TableSchema,
    engine: str,
    feeds: Sequence[Feed],
) -> str:
    """Move the staged rows over in one atomic step; return the target's engine afterwards."""
    if engine == MERGE_TREE:
        attach = f"ALTER TABLE {_q(table)} ATTACH PARTITION tuple() FROM {_q(staging)}"
        moved_together(backend, feeds, lambda: _run(backend, attach))
        return engine
    columns = stored_columns(schema)
    is_small = _bytes_of(backend, (table, staging)) <= backend.services.settings.memory_table_bytes
    if is_small and not feeds:
        _run(
            backend,
            f"INSERT INTO {_q(table)} ({columns}) SELECT {columns} FROM {_q(staging)}",
        )
        return engine
    moved_together(backend, feeds, lambda: rebuild_on_disk(backend, table, schema, more=staging))
    return MERGE_TREE


def _bytes_of(backend: Backend, tables: Sequence[str]) -> int:
    rows = backend.services.engine.query_rows(
        "SELECT sum(total_bytes) FROM system.tables "
        "WHERE database = currentDatabase() AND name IN {tables:Array(String)}",
        {"tables": list(tables)},
    )
    return int(rows[0][0] or 0)


def _run(backend: Backend, sql: str) -> None:
    backend.services.engine.command(sql)


def _q(name: str) -> str:
    return quote_identifier(name)
