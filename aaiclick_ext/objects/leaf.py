"""Leaves of expressions: where ownership sits.

Every expression reaches its tables through leaves. A leaf claims its table when it is made, however
it was made (by us, by pickle, by ``replace`` or by Ibis itself), and releases the claim in a
finalizer. What can still reach the leaf keeps the table; nothing else does.

Both classes keep the *names* of Ibis's own: its compilers and formatters dispatch on the name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ibis.expr.operations as ops

from aaiclick_ext.lifecycle.names import TableName
from aaiclick_ext.objects.owners import owner_of
from aaiclick_ext.objects.services import Services
from aaiclick_ext.oplog.system_names import SYSTEM_DATABASE
from aaiclick_ext.schema.reads import Reads

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class DatabaseTable(ops.DatabaseTable):  # type: ignore[misc]
    """A table in ClickHouse; claims it if it is one of ours."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        services = services_of_source(self.source)
        if services is not None and is_owned(self):
            services.check_open()
            owner = owner_of(services, self.name)
            owner.sessions.tables.check([self.name])
            owner.worker.claim_for(self, self.name)


@dataclass(frozen=True, slots=True)
class Leaves:
    """The leaves that a SQL text names, ours and those of tables that others made.

    Not a tuple, so that Ibis takes it as one opaque argument and neither compiles nor rewrites
    what is in it.
    """

    tables: tuple[DatabaseTable, ...] = ()


class SQLQueryResult(ops.SQLQueryResult):  # type: ignore[misc]
    """The result of a SELECT given as text, with a leaf for each table that it names."""

    leaves: Any = Leaves()


class SQLStringView(ops.SQLStringView):  # type: ignore[misc]
    """A SELECT over a relation, with a leaf for each other table that its text names."""

    leaves: Any = Leaves()


def is_owned(leaf: ops.DatabaseTable) -> bool:
    """Say whether a leaf's table is one that we make and drop."""
    return leaf.namespace.database is None and TableName.parse(leaf.name) is not None


def services_of_source(source: Any) -> Services | None:
    """Return the services behind an Ibis backend, or None where it is not ours."""
    services = getattr(source, "services", None)
    return services if isinstance(services, Services) else None


def leaf_of(op: ops.Node) -> DatabaseTable | SQLQueryResult | None:
    """Return one of our leaves below an operation, or None."""
    node: Any = op
    while node is not None and not isinstance(node, (DatabaseTable, SQLQueryResult)):
        node = (
            getattr(node, "parent", None)
            or getattr(node, "first", None)
            or getattr(node, "left", None)
        )
    found: DatabaseTable | SQLQueryResult | None = node
    if found is None:
        found = next(iter(op.find((DatabaseTable, SQLQueryResult))), None)
    return found


def services_of(op: ops.Node) -> Services | None:
    """Return the services of the context that an operation belongs to, or None."""
    leaf = leaf_of(op)
    return None if leaf is None else services_of_source(leaf.source)


def relations_below(op: ops.Node) -> Iterator[ops.Relation]:
    """Yield the nearest relations below a node, through values and join references, once each."""
    seen: set[int] = set()
    todo = list(reversed(inputs_of(op)))
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, ops.Relation) and not isinstance(node, ops.Reference):
            yield node
        else:
            todo.extend(reversed(inputs_of(node)))


def owned_tables(op: ops.Node) -> list[str]:
    """Return the tables of ours below an operation, those that SQL text names included."""
    return list(dict.fromkeys(leaf.name for leaf in tables_below(op) if is_owned(leaf)))


def tables_here(op: ops.Node) -> list[str]:
    """Return the tables and views of the current database below an operation, ours and others'."""
    leaves = (leaf for leaf in tables_below(op) if leaf.namespace.database is None)
    return list(dict.fromkeys(leaf.name for leaf in leaves))


def system_tables(op: ops.Node) -> list[str]:
    """Return the system tables below an operation, those that SQL text names included."""
    leaves = (leaf for leaf in tables_below(op) if leaf.namespace.database == SYSTEM_DATABASE)
    return list(dict.fromkeys(leaf.name for leaf in leaves))


def tables_below(op: ops.Node) -> Iterator[DatabaseTable]:
    """Yield every leaf below an operation, those that SQL text names included."""
    seen: set[int] = set()
    todo = [op]
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, DatabaseTable):
            yield node
        todo.extend(inputs_of(node))


def reads_below(roots: Iterable[ops.Relation]) -> Reads:
    """Return the tables that operations read; SQL text may read more than its leaves."""
    tables: dict[tuple[str, str | None], None] = {}
    is_all = True
    for root in roots:
        tables |= {(leaf.name, leaf.namespace.database): None for leaf in tables_below(root)}
        is_all = is_all and not root.find((SQLQueryResult, SQLStringView))
    return Reads(tuple(tables), is_all=is_all)


def inputs_of(op: ops.Node) -> tuple[ops.Node, ...]:
    """Return the nodes that an operation is made of, the leaves of SQL text included."""
    if isinstance(op, SQLQueryResult):
        return tuple(op.leaves.tables)
    if isinstance(op, SQLStringView):
        return (op.parent, *op.leaves.tables)
    return tuple(op.__children__)
