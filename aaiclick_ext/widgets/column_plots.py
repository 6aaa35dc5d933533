"""Summaries of columns as a front end draws them: exact counts, edges as text."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from aaiclick_ext.untrusted import visible

if TYPE_CHECKING:
    from aaiclick_ext.objects.column_summaries import ColumnSummary


def told_summary(summary: ColumnSummary, column: int) -> dict[str, Any]:
    """Return a summary as JSON can hold it, with the number of its column."""
    told: dict[str, Any] = {
        "column": column,
        "kind": summary.kind,
        "rows": summary.rows,
        "nulls": summary.nulls,
        "distinct": summary.distinct,
        "exact": summary.is_distinct_exact,
        "min": _text(summary.min),
        "max": _text(summary.max),
        "odd": (summary.nans or 0) + (summary.infinities or 0),
        "lengths": None,
        "bins": [],
        "top": [],
    }
    if summary.histogram is not None:
        edges = [_text(edge) for edge in summary.histogram.edges]
        told["bins"] = [
            [low, high, count]
            for low, high, count in zip(edges, edges[1:], summary.histogram.counts, strict=False)
        ]
    if summary.kind == "lengths" and summary.longest is not None:
        told["lengths"] = [summary.shortest, summary.longest]
    for top in summary.top or ():
        text = _text(top.value) or ""
        told["top"].append([visible(text), top.count, text, bool(top.is_cut)])
    return told


def _text(value: Any) -> str | None:
    """Return a value as it can be compared with again; times up to microseconds."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.datetime):
        return value.isoformat(" ", timespec="auto" if not value.microsecond else "microseconds")
    return str(value)
