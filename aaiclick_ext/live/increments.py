"""Which views can be kept up to date from the rows that are added to their source alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis.expr.operations as ops

from aaiclick_ext.objects.leaf import DatabaseTable, SQLQueryResult, SQLStringView, is_owned

if TYPE_CHECKING:
    from collections.abc import Mapping

_ROW_WISE = (ops.Filter, ops.Project, ops.DropColumns, ops.FillNull, ops.DropNull)
_MORE_THAN_A_ROW = (
    ops.Analytic,
    ops.WindowFunction,
    ops.Reduction,
    ops.Subquery,
    ops.Impure,
    SQLQueryResult,
    SQLStringView,
)
_MERGED_BY = {
    ops.CountStar: "sum",
    ops.Count: "sum",
    ops.Sum: "sum",
    ops.Min: "min",
    ops.Max: "max",
}
"""By aggregate, what makes one value of those of two parts."""


@dataclass(frozen=True, slots=True)
class Increment:
    """How a view follows its source.

    Attributes
    ----------
    source
        The table whose added rows are enough.
    merges
        By column of an aggregate, the function that joins the values of two parts; empty where the
        added rows give rows of the result themselves.
    keys
        The columns that an aggregate is grouped by.
    """

    source: DatabaseTable
    merges: Mapping[str, str]
    keys: tuple[str, ...] = ()

    @property
    def is_aggregate(self) -> bool:
        """Whether the result changes as a whole, and rows are not added to it."""
        return bool(self.merges)


def increment_of(op: ops.Relation) -> Increment | str:
    """Return how a view follows its source, or why it has to be run again.

    Examples
    --------
    >>> import ibis
    >>> increment_of(ibis.table({"a": "int64"}, name="t").order_by("a").op())
    'Sort looks at more than one row'
    """
    if not isinstance(op, ops.Aggregate):
        source = _row_wise_source(op)
        return source if isinstance(source, str) else Increment(source, {})
    merges = {}
    for name, metric in op.metrics.items():
        if type(metric) not in _MERGED_BY:
            return f"{type(metric).__name__} of two parts is not known from those of each"
        if any(isinstance(arg, ops.Node) and _beyond(arg) for arg in metric.args):
            return f"column {name} looks at more than one row"
        merges[name] = _MERGED_BY[type(metric)]
    if any(_beyond(group) for group in op.groups.values()):
        return "its groups look at more than one row"
    source = _row_wise_source(op.parent)
    return source if isinstance(source, str) else Increment(source, merges, tuple(op.groups))


def _row_wise_source(op: ops.Relation) -> DatabaseTable | str:
    """Return the table of ours of which each row gives its rows of the result alone; or why not."""
    node = op
    while isinstance(node, _ROW_WISE):
        node = node.parent
    if not isinstance(node, ops.DatabaseTable):
        return f"{type(node).__name__} looks at more than one row"
    beyond = _beyond(op)
    if beyond:
        return f"{beyond} looks at more than one row"
    if not isinstance(node, DatabaseTable) or not is_owned(node):
        return f"{node.name} is not a table of ours"
    if len(op.find(ops.DatabaseTable)) > 1:
        return "it reads several tables"
    return node


def _beyond(node: ops.Node) -> str | None:
    found = node.find(_MORE_THAN_A_ROW)
    return type(found[0]).__name__ if found else None
