"""Making live results: from a view and what is asked of it to what follows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aaiclick_ext.errors import SchemaError
from aaiclick_ext.live.heads import Head, TableHead, chart_head, number_head
from aaiclick_ext.live.result import LiveResult
from aaiclick_ext.objects.adoption import adopt_expression
from aaiclick_ext.objects.results import refuse_objects

if TYPE_CHECKING:
    from collections.abc import Sequence

    import ibis.expr.types as ir

    from aaiclick_ext.objects.backend import Backend

KINDS = ("table", "number", "chart")
MARKS = (None, "line", "bar")


def live_result(
    backend: Backend,
    view: ir.Expr,
    kind: str,
    *,
    x: str | None,
    y: str | Sequence[str] | None,
    mark: str | None,
    throttle_s: float,
    rows: int | None,
) -> LiveResult:
    """Return a result that follows its tables. See `DataContext.live`."""
    if kind not in KINDS or mark not in MARKS:
        what, found, allowed = ("kind", kind, KINDS) if kind not in KINDS else ("mark", mark, MARKS)
        raise SchemaError(f"{what} is {found!r}; it can be {', '.join(map(repr, allowed))}")
    for name, given in (("x", x), ("y", y), ("mark", mark)):
        if given is not None and kind != "chart":
            raise SchemaError(f"{name} is for a chart: kind is {kind!r}; give kind='chart'")
    if rows is not None and (kind != "table" or rows < 1):
        raise SchemaError(f"rows is {rows!r}; it is how many rows a live table shows, from 1")
    if throttle_s < 0:
        raise SchemaError(f"throttle_s is {throttle_s!r}; it is seconds, from 0")
    backend.services.check_open()
    relation = backend.relation_of(view)
    op = backend.without_memtables(
        backend.relation_of(adopt_expression(backend, relation.to_expr()))
    )
    head: Head
    if kind == "chart":
        head = chart_head(op, x, y if y is None or isinstance(y, str) else tuple(y))
    elif kind == "number":
        head = number_head(op)
    else:
        settings = backend.services.settings
        head = TableHead(rows or settings.display_rows, settings.display_columns)
    refuse_objects(backend.planner.plan(op), "live")
    return LiveResult(backend, op, head, throttle_s=throttle_s, bars=mark == "bar")
