"""Axes of a plot: how the values of a column become bins, categories or points, as SQL."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from aaiclick_ext.engine import quote_literal
from aaiclick_ext.objects.column_summaries import ColumnSummary, column_values
from aaiclick_ext.objects.shown import NULL, told_apart, whole_text
from aaiclick_ext.objects.summary_sql import MAX_VALUE, Kind, Summarised, bin_step
from aaiclick_ext.untrusted import shortened, visible

OTHER = "other"
"""The key of all categories that are not drawn by themselves; those of others start with ``=``."""

_MAX_LABEL = 40
_BACKSLASH = "\N{REVERSE SOLIDUS OPERATOR}"
_FETCHED_BITS = 64


def title_of(name: str) -> str:
    r"""Return the name of a column as the title of an axis.

    Vega-Lite writes titles into the expressions of its descriptions and escapes quotes there, and
    nothing else: a backslash would be read as the start of something, and is another sign here.
    """
    return visible(shortened(name, _MAX_LABEL)).replace("\\", _BACKSLASH)


@dataclass(frozen=True, slots=True)
class Axis:
    """A column as an axis.

    Attributes
    ----------
    type
        Vega-Lite's: ``quantitative``, ``temporal`` or ``nominal``.
    sql
        Of the number of the bin, the tick, or the text of the category; ``{c}`` is the column and
        ``{t}`` its ticks.
    bins
        How many, where there are bins.
    keys
        Categories in order, the first the most frequent; empty where they are in their own order.
    """

    name: str
    summary: ColumnSummary
    column: Summarised
    type: str
    sql: str
    bins: int | None = None
    step: float = 0
    keys: tuple[str, ...] = ()
    has_other: bool = False

    @property
    def title(self) -> str:
        """The column's name, safe to draw."""
        return title_of(self.name)

    @property
    def is_category(self) -> bool:
        """Whether its values are told apart, not measured."""
        return self.type == "nominal"

    def values(self, keys: list[Any]) -> list[Any]:
        """Return what to draw of keys: numbers, times as ISO text, or labels."""
        if self.is_category:
            return [self._label(key) for key in keys]
        return self._measured(keys) if self.bins is None else self._edges(keys)

    def ends(self, keys: list[Any]) -> list[Any]:
        """Return where bins end."""
        return self._edges([key + 1 for key in keys])

    def _edges(self, numbers: list[int]) -> list[Any]:
        low, high = self.summary.histogram.ticks if self.summary.histogram else (0, 0)
        if self.column.is_float:
            parts = [number / (self.bins or 1) for number in numbers]
            return [low * (1 - part) + high * part for part in parts]
        return self._measured([int(low + number * self.step) for number in numbers])

    def _measured(self, ticks: list[Any]) -> list[Any]:
        if self.column.is_float:
            return ticks
        return [drawn(value) for value in column_values(self.column, [int(t) for t in ticks])]

    def _label(self, key: str | None) -> str:
        if key is None:
            return NULL
        if key == OTHER:
            distinct = self.summary.distinct or 0
            about = "" if self.summary.is_distinct_exact else "about "
            return f"other ({about}{max(0, distinct - len(self.keys)):,})"
        return told_apart(visible(shortened(key[1:], _MAX_LABEL)))


def drawn(value: Any) -> Any:
    """Return a value as Vega draws it: a float, or a time of the wall clock as ISO text in UTC."""
    if isinstance(value, dt.datetime):
        return f"{value.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
    if isinstance(value, dt.date):
        return f"{value.isoformat()}T00:00:00.000Z"
    return float(value)


def is_measured(column: Summarised) -> bool:
    """Say whether the values of a column have a place on a scale."""
    return column.tick is not None


def category_axis(name: str, summary: ColumnSummary, column: Summarised, most: int) -> Axis:
    """Return the axis of a column whose values are told apart, of so many categories at most."""
    text = f"leftUTF8(toValidUTF8(toString({{c}})), {MAX_VALUE})"
    key = f"concat('=', {text})"
    keys = tuple(_text(value.value) for value in summary.top or ())[:most]
    has_other = bool(summary.top) and (summary.distinct or 0) > len(keys)
    if has_other:
        listed = ", ".join(map(quote_literal, keys)).replace("{", "{{").replace("}", "}}")
        key = f"if({text} IN ({listed}) OR isNull({{c}}), {key}, '{OTHER}')"
    return Axis(name, summary, column, "nominal", key, keys=keys, has_other=has_other)


def binned_axis(name: str, summary: ColumnSummary, column: Summarised, bins: int) -> Axis:
    """Return the axis of a column in bins of the same width."""
    low, high = summary.histogram.ticks if summary.histogram else (0, 0)
    if column.is_float:
        span = high / 2 - low / 2
        number = bins if span > 0 else 1
        place = f"floor({number} * ({{t}} / 2 - {low / 2!r}) / {span or 1!r})"
        sql = f"toInt64(least({place}, {number - 1}))"
        return Axis(name, summary, column, "quantitative", sql, bins=number)
    step = bin_step(low, high, bins)
    is_signed = low < 0 or not column.type.name.startswith("UInt")
    kind = f"Int{column.bits}" if is_signed else f"UInt{column.bits}"
    start = f"CAST('{low}' AS {kind})"
    number = (high - low) // step + 1
    from_low = f"toUInt{column.bits}({{t}} - {start})"
    sql = f"toInt64(least(intDiv({from_low}, CAST('{step}' AS UInt{column.bits})), {number - 1}))"
    return Axis(name, summary, column, _measure(column), sql, bins=number, step=step)


def valued_axis(name: str, summary: ColumnSummary, column: Summarised) -> Axis:
    """Return the axis of a column whose values are drawn as they are."""
    # Wider integers come as bytes, and a picture has not their digits.
    sql = "{t}" if column.bits <= _FETCHED_BITS else "toFloat64({t})"
    return Axis(name, summary, column, _measure(column), sql)


def _measure(column: Summarised) -> str:
    return "temporal" if column.kind is Kind.TIME else "quantitative"


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else whole_text(value)
