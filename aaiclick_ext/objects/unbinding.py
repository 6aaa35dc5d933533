"""Expressions without leaves, which own nothing, and with them again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ibis.expr.operations as ops

from aaiclick_ext.errors import DroppedTableError, UnknownTableError
from aaiclick_ext.lifecycle.names import TableName
from aaiclick_ext.objects.leaf import DatabaseTable, Leaves, SQLQueryResult, SQLStringView

if TYPE_CHECKING:
    from aaiclick_ext.objects.backend import Backend


def without_leaves(op: ops.Relation) -> ops.Relation:
    """Return an expression with unbound tables in place of the leaves that own."""

    def unbound(node: Any, changed: Any) -> Any:
        if isinstance(node, DatabaseTable):
            return ops.UnboundTable(name=node.name, schema=node.schema, namespace=node.namespace)
        node = node if changed is None else node.__recreate__(changed)
        if isinstance(node, (SQLQueryResult, SQLStringView)):
            named = tuple(unbound(leaf, None) for leaf in node.leaves.tables)
            return node.copy(leaves=Leaves(named))
        return node

    found: ops.Relation = op.replace(unbound)
    return found


def with_leaves(backend: Backend, op: ops.Relation) -> ops.Relation:
    """Return an expression with its leaves again.

    Raises
    ------
    DroppedTableError
        If a table that it reads is gone; names them.
    """
    gone: dict[str, None] = {}

    def leaf(node: Any) -> Any:
        database = node.namespace.database
        is_ours = database is None and TableName.parse(node.name) is not None
        if is_ours and not backend.services.worker.is_live(node.name):
            gone[node.name] = None
            return node
        try:
            found = backend.leaf(node.name, database)
        except (UnknownTableError, DroppedTableError):
            gone[node.name] = None
            return node
        return found if found.schema == node.schema else found.copy(schema=node.schema)

    def bound(node: Any, changed: Any) -> Any:
        if isinstance(node, ops.UnboundTable):
            return leaf(node)
        node = node if changed is None else node.__recreate__(changed)
        if isinstance(node, (SQLQueryResult, SQLStringView)):
            return node.copy(leaves=Leaves(tuple(map(leaf, node.leaves.tables))))
        return node

    found: ops.Relation = op.replace(bound)
    if gone:
        raise DroppedTableError(", ".join(gone))
    return found
