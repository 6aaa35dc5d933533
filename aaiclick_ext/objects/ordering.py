"""Row order: the hidden position of an array, carried through filters, projections and arithmetic.

ClickHouse tables have no order, so an array's table carries a row number that ``SELECT *`` and the
Ibis schema leave out. `positional` rebuilds an expression with that number as a visible column
``_pos``; everything that needs the order (fetching, arithmetic by position) starts from there.
"""

from __future__ import annotations

from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops

from aaiclick_ext.objects.leaf import DatabaseTable, services_of_source
from aaiclick_ext.schema import POSITION, Shape

POS = "_pos"
"""The position while an expression carries it; never a column the user sees."""


def positional(op: ops.Relation) -> ops.Relation | None:
    """Return the relation with its position as the column ``_pos``, or None where it has none.

    Positions increase with the row order; after a filter they have gaps. Joins, groups, unions and
    explicit sorts have none.
    """
    if isinstance(op, ops.DropColumns) and op.columns_to_drop == frozenset([POS]):
        return op.parent
    if isinstance(op, ops.DatabaseTable):
        return _numbered_leaf(op) if leaf_shape(op) is Shape.ARRAY else None
    if not isinstance(op, _ROW_WISE) or POS in op.schema:
        return None
    parent = positional(op.parent)
    return None if parent is None else _rebuild(op, parent)


_ROW_WISE = (ops.Project, ops.Filter, ops.Limit, ops.DropNull, ops.FillNull, ops.DropColumns)


def _rebuild(op: Any, parent: ops.Relation) -> ops.Relation | None:
    """Return a row-wise operation on top of a parent that carries ``_pos``."""
    if isinstance(op, ops.Project):
        if any(value.find(ops.Unnest, filter=ops.Value) for value in op.values.values()):
            return None
        values = {POS: ops.Field(parent, POS)}
        values |= {name: _moved(value, op.parent, parent) for name, value in op.values.items()}
        return ops.Project(parent, values)
    if isinstance(op, ops.Filter):
        return ops.Filter(parent, [_moved(value, op.parent, parent) for value in op.predicates])
    if isinstance(op, ops.Limit):
        in_order = ops.Sort(parent, [ops.SortKey(ops.Field(parent, POS), ascending=True)])
        return ops.Limit(in_order, n=op.n, offset=op.offset)
    if isinstance(op, ops.DropNull):
        subset = op.subset and [v.replace({op.parent: parent}) for v in op.subset]
        if subset is None:  # all columns: the position is never null, but name the user's
            subset = [ops.Field(parent, name) for name in op.schema]
        return ops.DropNull(parent, how=op.how, subset=subset)
    if isinstance(op, ops.FillNull):
        return op.copy(parent=parent)
    return ops.DropColumns(parent, columns_to_drop=op.columns_to_drop)


def _moved(value: ops.Value, old: ops.Relation, parent: ops.Relation) -> ops.Value:
    """Return a value over a parent that carries ``_pos``, its windows in that order."""
    moved = value.replace({old: parent})
    key = ops.SortKey(ops.Field(parent, POS), ascending=True)
    windows = moved.find(ops.WindowFunction, filter=ops.Value)
    return moved.replace({w: w.copy(order_by=(key,)) for w in windows if not w.order_by})


def _numbered_leaf(op: DatabaseTable) -> ops.Relation:
    """Return an array's table with its hidden row number as ``_pos``."""
    schema = ibis.schema({**op.schema, POSITION: dt.UInt64(nullable=False)})
    full = op.copy(schema=schema)
    # Renamed, or Ibis would write SELECT *, which leaves the hidden column out.
    values = {POS: ops.Field(full, POSITION)}
    values |= {name: ops.Field(full, name) for name in op.schema}
    return ops.Project(full, values)


def hide_position(op: ops.Relation) -> ops.Relation:
    """Return a relation that carries ``_pos`` without showing it."""
    return ops.DropColumns(op, columns_to_drop=frozenset([POS]))


def ordered(op: ops.Relation) -> ops.Relation:
    """Return the relation with its rows in position order, where it has one.

    So are the relations below whose rows follow from their order: a sum of ``a[:3]`` has no order,
    but its three elements are the first.
    """
    with_position = positional(op)
    if with_position is not None:
        key = ops.SortKey(ops.Field(with_position, POS), ascending=True)
        op = hide_position(ops.Sort(with_position, [key]))
    by_order = {
        node: hide_position(relation)
        for node in op.find((ops.Limit, ops.Project))
        if isinstance(node, ops.Limit) or _has_window(node)
        if (relation := positional(node)) is not None
    }
    return op.replace(by_order) if by_order else op


def _has_window(op: ops.Project) -> bool:
    return any(v.find(ops.WindowFunction, filter=ops.Value) for v in op.values.values())


def is_dense(op: ops.Relation) -> bool:
    """Say whether a positional relation numbers its rows 0, 1, 2… without gaps."""
    while isinstance(op, ops.Project):
        if isinstance(op.parent, DatabaseTable):
            return True
        op = op.parent
    return isinstance(op, ops.JoinChain)


def leaf_shape(leaf: ops.DatabaseTable) -> Shape:
    """Return the shape of a leaf's table; runs no query for tables of this kernel."""
    services = services_of_source(leaf.source)
    if services is None or leaf.namespace.database is not None:
        return Shape.TABLE
    known = services.schemas.known(leaf.name)
    return Shape.TABLE if known is None else known.shape


def shape_of(op: ops.Relation) -> Shape:
    """Return the shape of an expression's result without running it."""
    if isinstance(op, ops.DatabaseTable):
        return leaf_shape(op)
    if len(op.schema) != 1:
        return Shape.TABLE
    if isinstance(op, ops.Aggregate):
        reduces_array = not op.groups and positional(op.parent) is not None
        return Shape.SCALAR if reduces_array else Shape.TABLE
    if isinstance(op, ops.Project) and shape_of(op.parent) is Shape.SCALAR:
        return Shape.SCALAR
    return Shape.TABLE if positional(op) is None else Shape.ARRAY
