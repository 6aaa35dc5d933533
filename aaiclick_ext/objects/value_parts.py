"""What values are made of: parts, each with its use; fields of structs, apart from others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ibis.expr.operations as ops

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aaiclick_ext.oplog.columns import Use

_USE_OF_ARGUMENT: dict[str, Use] = {"where": "filter", "order_by": "order", "group_by": "group"}
"""Arguments of reductions and windows that do not give the value itself."""


def parts_of(node: Any) -> Iterator[tuple[ops.Node, Use]]:
    """Yield the nodes that a value is made of, each with what it is for the value."""
    if isinstance(node, (ops.Reduction, ops.WindowFunction)):
        for name, argument in zip(node.__argnames__, node.__args__, strict=True):
            use = _USE_OF_ARGUMENT.get(name, "value")
            if name == "key" and isinstance(node, (ops.ArgMin, ops.ArgMax)):
                use = "order"
            for part in argument if isinstance(argument, tuple) else (argument,):
                if isinstance(part, ops.Node):
                    yield part, use
        return
    for part in node.__children__:
        yield part, "value"


def values_of_field(
    field: ops.StructField, is_source: Callable[[ops.Relation], bool]
) -> list[ops.Value] | None:
    """Return the values that a field of a struct is one of; None where any part may give it.

    Follows the struct to where it is written down, by itself or as an element of a list that is
    written down and turned into rows, as `Table.pivot_longer` does.

    Parameters
    ----------
    is_source
        Says of a relation that its columns are not looked into.
    """
    found: list[ops.Value] = []
    todo: list[ops.Value] = [field.arg]
    while todo:
        node = todo.pop()
        if isinstance(node, ops.StructColumn):
            found.append(node.values[node.names.index(field.field)])
        elif isinstance(node, (ops.Unnest, ops.Alias)):
            todo.append(node.arg)
        elif isinstance(node, ops.Array):
            todo.extend(node.exprs)
        elif isinstance(node, ops.Field) and (below := _projection(node.rel, is_source)):
            todo.append(below.values[node.name])
        else:
            return None
    return found


def _projection(
    relation: ops.Relation, is_source: Callable[[ops.Relation], bool]
) -> ops.Project | None:
    """Return the projection that gives a relation its columns."""
    while not is_source(relation):
        if isinstance(relation, ops.Project):
            return relation
        if not isinstance(relation, (ops.Filter, ops.Sort, ops.Limit)):
            return None
        relation = relation.parent
    return None
