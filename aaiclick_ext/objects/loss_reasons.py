"""Reasons of a loss: why a step did not keep rows of a source, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis.expr.operations as ops
import ibis.expr.types as ir

from aaiclick_ext.objects.join_steps import joined_with_keys
from aaiclick_ext.objects.row_keys import is_among, moved
from aaiclick_ext.objects.selection import Selection, instability, sort_below
from aaiclick_ext.objects.step_names import described

if TYPE_CHECKING:
    from aaiclick_ext.objects.backend import Backend

_SHOWN = 5


def reason_of_loss(
    backend: Backend,
    op: ops.Relation,
    branch: int,
    source: ops.Relation,
    chosen: Selection,
    nulls: int,
) -> str:
    """Return why an operation lost rows; empty where its name says it. Runs a query for joins.

    Parameters
    ----------
    branch
        The input of the operation by which the rows come.
    chosen
        The rows of the source.
    nulls
        For how many of them the operation's condition is null.
    """
    if isinstance(op, ops.JoinChain) and branch < len(op.tables):
        return _of_join(backend, op, branch, source, chosen)
    if isinstance(op, ops.Limit):
        sort = sort_below(op)
        if sort is None:
            return "there is no order; which rows are taken may differ from run to run"
        return f"the order is by {', '.join(described(key) for key in sort.keys)}"
    if isinstance(op, ops.Difference):
        if branch == 0:
            return "an equal row is on the right side"
        return "rows of the right side only take rows away"
    if isinstance(op, ops.Intersection):
        return "no equal row is on the other side"
    if isinstance(op, ops.Sample):
        return "sampling takes other rows whenever it is run"
    if isinstance(op, (ops.TableUnnest, ops.Project)):
        return "a list without elements gives no row"
    if nulls:
        return f"the condition is null for {nulls}, and null is not true"
    return ""


def _of_join(
    backend: Backend, op: ops.JoinChain, branch: int, source: ops.Relation, chosen: Selection
) -> str:
    links = op.rest if branch == 0 else op.rest[branch - 1 :]
    if branch and links[0].how == "anti":
        return "rows on the right of an anti join only take rows away"
    keys = _keys(op, branch)
    if any(link.how == "anti" for link in links) and all(
        link.how in ("anti", "left", "outer") for link in links
    ):
        return "they have a partner in the anti join"
    if not keys or instability(op) is not None:
        return "no partner"
    names = ", ".join(key.name for key in keys)
    values = _without_partner(backend, op, branch, keys, source, chosen)
    more = ", …" if len(values) > _SHOWN else ""
    shown = ", ".join(values[:_SHOWN]) + more
    return f"no partner for {names} = {shown}" if values else f"no partner for their {names}"


def _keys(op: ops.JoinChain, branch: int) -> list[ops.Field]:
    """Return the columns of a joined table that its join compares, over that table."""
    reference = op.tables[branch]
    fields = [
        ops.Field(reference.parent, field.name)
        for link in op.rest
        for predicate in link.predicates
        for field in predicate.find(ops.Field, filter=ops.Value)
        if field.rel == reference
    ]
    return list(dict.fromkeys(fields))


def _without_partner(
    backend: Backend,
    op: ops.JoinChain,
    branch: int,
    keys: list[ops.Field],
    source: ops.Relation,
    chosen: Selection,
) -> list[str]:
    """Return key values of the chosen rows that the join has no partner for."""
    columns = [key.name for key in keys]
    joined, names = joined_with_keys(op, branch, Selection(), columns)
    table = op.tables[branch].parent
    mine = table.replace({source: chosen.over(source)})
    mine_keys = [ops.Field(mine, column) for column in columns]
    rows = is_among(mine_keys, joined, (ops.Field(joined, name) for name in names))
    values = {key.name: moved(key, table, mine) for key in keys}
    without = ops.Filter(mine, [ops.Not(rows)])
    lost = ops.Project(without, {name: moved(v, mine, without) for name, v in values.items()})
    few = ops.Limit(ops.Distinct(lost), n=_SHOWN + 1)
    data, plan = backend.fetch(ir.Table(few), None, with_objects=True)
    found = backend.python_columns(data, plan).values()
    return sorted(_shown(row) for row in zip(*found, strict=True))


def _shown(row: tuple[object, ...]) -> str:
    cells = ["null" if value is None else repr(value) for value in row]
    return cells[0] if len(cells) == 1 else f"({', '.join(cells)})"
