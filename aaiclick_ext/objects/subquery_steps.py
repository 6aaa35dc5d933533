"""One step back into the relations that values look at: ``x.k.isin(y.k)``, a scalar of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ibis.expr.operations as ops

from aaiclick_ext.objects.row_keys import has_rows, is_among, moved
from aaiclick_ext.objects.selection import NOTHING, Branch, Selection, across

if TYPE_CHECKING:
    from collections.abc import Iterable


def subquery_branches(
    op: ops.Relation, values: Iterable[ops.Value], selection: Selection
) -> list[Branch]:
    """Return the relations that an operation's values look at, with the rows that contributed."""
    found = []
    for value in values:
        for subquery in value.find(ops.Subquery, filter=ops.Value):
            rows = _rows(op, value, subquery, selection)
            found.append(Branch(subquery.rel, rows, _role(subquery), is_operand=False))
    return found


def _role(subquery: ops.Subquery) -> str:
    if isinstance(subquery, ops.InSubquery):
        return "looked up by isin"
    return "computed as a scalar" if isinstance(subquery, ops.ScalarSubquery) else "asked for rows"


def _rows(op: Any, value: ops.Value, subquery: Any, selection: Selection) -> Selection:
    if isinstance(subquery, ops.ScalarSubquery):
        return across(op, selection, has_rows)
    is_lookup = isinstance(subquery, ops.InSubquery) and isinstance(op, ops.Filter)
    if is_lookup and value is subquery:
        column = ops.Field(subquery.rel, next(iter(subquery.rel.schema)))
        return across(
            op,
            selection,
            lambda chosen: is_among([column], chosen, [moved(subquery.needle, op.parent, chosen)]),
        )
    if is_lookup and isinstance(value, ops.Not) and value.arg is subquery:
        remark = "what ~isin looks up takes rows away and gives none"
        return Selection(NOTHING.predicate, (), (*selection.remarks, remark))
    reason = f"what is {_role(subquery)} inside another condition cannot be followed"
    return across(op, selection, has_rows).because(reason)
