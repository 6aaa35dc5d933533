"""Materialized views: for which expressions they are exact, and the table that holds their rows."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import ibis.expr.operations as ops

from aaiclick_ext.errors import ViewError
from aaiclick_ext.lifecycle.names import Scope, TableName
from aaiclick_ext.objects.creation import create_table_as, new_table
from aaiclick_ext.objects.leaf import is_owned
from aaiclick_ext.objects.owners import owner_of
from aaiclick_ext.objects.pinning import write_to_disk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aaiclick_ext.objects.backend import Backend
    from aaiclick_ext.objects.view_statements import ViewStatement

_RELATIONS = (
    ops.DatabaseTable, ops.Project, ops.Filter, ops.DropColumns, ops.FillNull, ops.DropNull,
    ops.JoinReference,
)  # fmt: skip
_VALUES = {
    ops.Reduction: "aggregates",
    ops.Analytic: "has window functions",
    ops.WindowFunction: "has window functions",
    ops.Subquery: "has a subquery",
    ops.Impure: "calls what gives another result each time",
    ops.RowID: "numbers rows",
}


def check_materialized(
    backend: Backend, name: str, statement: ViewStatement, *, copy: bool
) -> None:
    """Raise ViewError where the rows of a view could not be kept exact by each insert alone."""
    reason = "it takes parameters" if statement.relation is None else _inexact(statement.relation)
    if reason is None:
        reason = _of_source(backend, statement)
    if reason is None and copy:
        reason = "a copy gets no more rows, so that an ordinary view of it is as good"
    if reason is not None:
        raise ViewError(
            f"view {name} cannot be materialized: {reason}. That can filter and compute columns "
            "of one table of ours, row by row; make it an ordinary view (materialized=False), or "
            "keep the rows of now with copy()"
        )


def _inexact(op: ops.Relation) -> str | None:
    for node in op.find(ops.Node):
        if isinstance(node, ops.Relation) and not isinstance(node, _RELATIONS):
            return f"it has a step that is not row by row ({type(node).__name__})"
        for kind, reason in _VALUES.items():
            if isinstance(node, kind):
                return f"it {reason} ({type(node).__name__})"
    return None


def _of_source(backend: Backend, statement: ViewStatement) -> str | None:
    names = {backend.provenance.name_of(leaf) for leaf in statement.leaves}
    if len(names) != 1 or not is_owned(statement.leaves[0]):
        listed = ", ".join(sorted(names)) or "nothing"
        return f"it reads {listed}"
    services, (table,) = backend.services, names
    parts = TableName.parse(table)
    held = services.sharing.holding().get(table)
    is_shared = held is not None and (held.tokens or set(held.sessions) - {services.job_id})
    is_everyones = parts is not None and parts.scope is Scope.GLOBAL
    if not services.engine.creds.is_embedded and (is_shared or is_everyones):
        return f"other kernels can insert into {table} while the view is filled"
    return None


@contextlib.contextmanager
def filled_target(backend: Backend, statement: ViewStatement) -> Iterator[str]:
    """Give the table of a materialized view with its first rows; drop it if the block fails.

    Nothing is inserted into the source meanwhile.
    """
    (source,) = {leaf.name for leaf in statement.leaves}
    assert statement.spec is not None
    write_to_disk(backend, [source])
    with (
        owner_of(backend.services, source).inserting.lock(source),
        new_table(backend, statement.spec) as target,
    ):
        create_table_as(backend, statement.spec, statement.sql, table=target)
        yield target
