"""Fields of structs that an expression has made itself: what each is made of, apart from others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis.expr.operations as ops

if TYPE_CHECKING:
    from collections.abc import Callable


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
