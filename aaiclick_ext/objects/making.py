"""Making Objects: from Python values, from views, and several into one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ibis.expr.operations as ops
import ibis.expr.types as ir

from aaiclick_ext.engine import quote_identifier
from aaiclick_ext.errors import SchemaError, UnsupportedTypeError
from aaiclick_ext.lifecycle.names import Scope
from aaiclick_ext.objects.attempts import attempted
from aaiclick_ext.objects.creation import (
    TableSpec,
    create_table,
    create_table_as,
    new_table,
)
from aaiclick_ext.objects.cross_joins import check_crosses
from aaiclick_ext.objects.leaf import DatabaseTable, reads_below, tables_here
from aaiclick_ext.objects.object import Object, make_object
from aaiclick_ext.objects.object_columns import refuse_operation
from aaiclick_ext.objects.object_values import Keeping
from aaiclick_ext.objects.ordering import POS, positional, shape_of
from aaiclick_ext.objects.unbinding import without_leaves
from aaiclick_ext.objects.values import Columnar, to_columnar, types_from_schema
from aaiclick_ext.oplog.columns import unchanged_columns
from aaiclick_ext.schema import MEMORY, Shape
from aaiclick_ext.schema.ibis_types import binary_comment
from aaiclick_ext.schema.python_objects import object_comments, objects_in

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import ibis.expr.datatypes as dt

    from aaiclick_ext.engine.type_paths import Path
    from aaiclick_ext.objects.backend import Backend
    from aaiclick_ext.objects.planning import Plan
    from aaiclick_ext.objects.view import View


def object_from_value(
    backend: Backend,
    value: Any,
    *,
    scope: Scope = Scope.TEMP,
    name: str | None = None,
    objects: bool | Collection[str] = False,
) -> Object:
    """Make an Object of a Python value. Runs two statements, for a View one.

    Parameters
    ----------
    objects
        As for `create_object_from_value`.
    """
    if isinstance(value, ir.Expr):
        raise UnsupportedTypeError(
            "an expression is not a value: x.copy() makes a table of a View, aai.view(expr) "
            "adopts an Ibis table"
        )
    params = {"type": type(value).__name__}
    with attempted(backend, "create_from_value", params=params):
        columnar = to_columnar(value, Keeping.of(objects))
        spec = TableSpec(columnar.types, columnar.comments, columnar.shape, scope, name)
        params |= {
            "type": columnar.source,
            "rows": str(columnar.data.num_rows),
            "bytes": str(columnar.data.nbytes),
        }
        return make_from_columnar(backend, columnar, spec, "create_from_value", params)


def make_from_columnar(
    backend: Backend,
    columnar: Columnar,
    spec: TableSpec,
    operation: str,
    params: Mapping[str, str],
) -> Object:
    """Make the table and the Object, and record the operation."""
    with new_table(backend, spec) as table:
        kept = backend.python_objects.keep(table, columnar)
        spec = replace(spec, comments=kept.comments)
        made = make_object(create_table(backend, spec, kept.data, table=table))
        backend.services.oplog.record(
            operation,
            result_table=table,
            params={**params, **spec.noted()},
            rows=columnar.data.num_rows,
            result_schema=spec.types,
            values={} if columnar.objects else {"value": kept.data},
        )
        if not columnar.objects and kept.data.nbytes <= backend.services.settings.kept_value_bytes:
            backend.services.notes.kept(table)
    return made


def object_from_schema(
    backend: Backend, schema: Any, *, scope: Scope = Scope.TEMP, name: str | None = None
) -> Object:
    """Make an empty Object. Runs one statement."""
    with attempted(backend, "create_object"):
        return _empty_object(backend, schema, scope, name)


def _empty_object(backend: Backend, schema: Any, scope: Scope, name: str | None) -> Object:
    types, comments = types_from_schema(schema)
    spec = TableSpec(types, comments, Shape.TABLE, scope, name)
    with new_table(backend, spec) as table:
        made = make_object(create_table(backend, spec, table=table))
        backend.services.oplog.record(
            "create_object",
            result_table=table,
            params=spec.noted(),
            rows=0,
            result_schema=spec.types,
        )
    return made


def leaf_from_memtable(backend: Backend, data: Any) -> DatabaseTable:
    """Make the table that stands for an `ibis.memtable`."""
    op = object_from_value(backend, data).op()
    assert isinstance(op, DatabaseTable)
    return op


def copy_view(view: View) -> Object:
    """Freeze a view as a table. Runs one statement."""
    backend = view._backend  # noqa: SLF001
    kwargs = {"source": backend.provenance.name_of(view.op())}
    with attempted(backend, "copy", kwargs=kwargs) as event:
        op = backend.without_memtables(backend.relation_of(view))
        plan = backend.planner.plan(op)
        check_crosses(backend.services, plan.crosses)
        event["sql_template"] = plan.sql
        spec = spec_of_plan(plan, shape_of(op))
        size_bytes = _bound_on_bytes(backend, op)
        return make_from_select(
            backend, plan.sql, spec, "copy", kwargs, made_of=[op], size_bytes=size_bytes
        )


def spec_of_plan(plan: Plan, shape: Shape) -> TableSpec:
    """Return what a table of a plan's result is: ClickHouse's types, with Ibis's corrections."""
    return _spec(plan.types, shape, plan.binary, plan.booleans, plan.objects)


def _spec(
    types: Mapping[str, str],
    shape: Shape,
    binary: frozenset[Path],
    booleans: frozenset[Path],
    objects: Mapping[str, dt.DataType],
) -> TableSpec:
    comments = {
        name: binary_comment(paths)
        for name in types
        if (paths := [path for path in binary if path[0] == name])
    }
    for name, dtype in objects.items():
        lines = [comments[name]] if name in comments else []
        comments[name] = "\n".join([*lines, *object_comments(name, dtype, types[name])])
    storable = {name: _storable(name, type_, booleans) for name, type_ in types.items()}
    return TableSpec(storable, comments, shape)


def _storable(name: str, type_: str, booleans: frozenset[Path]) -> str:
    """Return the type that a table's column can have: a comparison's UInt8 as Bool, no Nothing."""
    if type_ == "Nullable(Nothing)":
        return "Nullable(String)"
    return type_.replace("UInt8", "Bool") if (name,) in booleans else type_


def make_from_select(
    backend: Backend,
    sql: str,
    spec: TableSpec,
    operation: str,
    kwargs: Mapping[str, str],
    params: Mapping[str, str] | None = None,
    *,
    made_of: Sequence[ops.Relation],
    size_bytes: int | None = None,
) -> Object:
    """Make a table of a SELECT's result and record the operation. Runs one statement.

    Parameters
    ----------
    made_of
        The relations that give the SELECT's rows.
    """
    with new_table(backend, spec) as table:
        leaf, stats = create_table_as(backend, spec, sql, table=table, size_bytes=size_bytes)
        backend.python_objects.hold_found(table, leaf.schema)
        reads = {name for relation in made_of for name in tables_here(relation)}
        backend.services.freshness.made(table, reads)
        backend.services.makings.made(table, map(without_leaves, made_of))
        backend.services.oplog.record(
            operation,
            result_table=table,
            kwargs=kwargs,
            params={**(params or {}), **spec.noted()},
            sql_template=sql,
            rows=backend.services.schemas.get(table).rows,
            stats=stats,
            columns=unchanged_columns(kwargs.values()),
            result_schema=spec.types,
        )
        return make_object(leaf)


def _bound_on_bytes(backend: Backend, op: ops.Relation) -> int | None:
    """Return 0 where the result is surely small: small tables, nothing that multiplies rows."""
    if op.find((ops.JoinChain, ops.SQLQueryResult, ops.SQLStringView, ops.TableUnnest, ops.Unnest)):
        return None
    for leaf in op.find(ops.DatabaseTable):
        known = backend.services.schemas.known(leaf.name)
        if known is None or known.engine != MEMORY:
            return None
    return 0


def concat(backend: Backend, sources: Sequence[Any]) -> Object:
    """Make one Object of the rows of several. Runs one statement.

    Arrays stay in order, one after another. Tables need the same columns, in any order; types
    must have a common type without loss.
    """
    with attempted(backend, "concat") as event:
        return _concat(backend, sources, event)


def _concat(backend: Backend, sources: Sequence[Any], event: dict[str, Any]) -> Object:
    if not sources:
        raise SchemaError("concat needs at least one source")
    views = [s if isinstance(s, ir.Table) else object_from_value(backend, s) for s in sources]
    inputs = [backend.provenance.name_of(view.op()) for view in views]
    kwargs = event["kwargs"] = {f"source_{number}": name for number, name in enumerate(inputs)}
    operations = [backend.without_memtables(backend.relation_of(view)) for view in views]
    shapes = {shape_of(op) for op in operations}
    array = shapes <= {Shape.ARRAY, Shape.SCALAR} and all(len(op.schema) == 1 for op in operations)
    names = list(operations[0].schema)
    for number, op in enumerate(operations[1:], 1):
        if not array and set(op.schema) != set(names):
            raise SchemaError(_unequal_columns(names, list(op.schema), number))
    numbered = [_numbered(op, number) for number, op in enumerate(operations)] if array else None
    parts = [backend.planner.plan(op) for op in (numbered or operations)]
    for part in parts:
        check_crosses(backend.services, part.crosses)
    selected = ", ".join(quote_identifier(name) for name in names)
    if array:
        union = " UNION ALL ".join(f"SELECT * FROM ({part.sql})" for part in parts)
        sql = f"SELECT value FROM ({union}) ORDER BY source, {POS}"
    else:
        sql = " UNION ALL ".join(f"SELECT {selected} FROM ({part.sql})" for part in parts)
    event["sql_template"] = sql
    types = backend.services.schemas.of_query(sql, reads_below(operations)).types
    binary = frozenset().union(*(part.binary for part in parts))
    booleans = frozenset.intersection(*(part.booleans for part in parts))
    objects = _common_objects(names, [part.objects for part in parts])
    spec = _spec(types, Shape.ARRAY if array else Shape.TABLE, binary, booleans, objects)
    return make_from_select(backend, sql, spec, "concat", kwargs, made_of=operations)


def _common_objects(
    names: Sequence[str], parts: Sequence[Mapping[str, dt.DataType]]
) -> dict[str, dt.DataType]:
    """Return the columns of Python objects of several sources, which have to agree on them."""
    found: dict[str, dt.DataType] = {}
    for name in names:
        places = [objects_in((), part[name]) if name in part else {} for part in parts]
        if any(place != places[0] for place in places):
            refuse_operation(name, "concat with a source whose column holds other values")
        if places[0]:
            found[name] = parts[0][name]
    return found


def _numbered(op: ops.Relation, number: int) -> ops.Relation:
    """Return the values of an array or scalar with its place among the sources."""
    import ibis

    relation = positional(op)
    table = ir.Table(op if relation is None else relation)
    name = next(n for n in table.columns if n != POS)
    position = ibis.literal(0).cast("!uint64") if relation is None else table[POS]
    return table.select(value=table[name], source=ibis.literal(number), **{POS: position}).op()


def _unequal_columns(first: list[str], other: list[str], number: int) -> str:
    missing, extra = set(first) - set(other), set(other) - set(first)
    parts = [f"lacks {', '.join(sorted(missing))}"] if missing else []
    parts += [f"has {', '.join(sorted(extra))} besides"] if extra else []
    return (
        f"concat needs the same columns in every source; source {number} {' and '.join(parts)}. "
        "Bring them into line with select, mutate or rename"
    )
