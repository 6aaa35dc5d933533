"""The statement that summarises columns: aggregates of each, and counts in bins between bounds.

It is written by hand because nothing else is: neither Ibis nor sqlglot has these aggregates. Only
names, quoted, come from outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from aaiclick_ext.engine import quote_identifier
from aaiclick_ext.engine.types import ChType, parse

if TYPE_CHECKING:
    from collections.abc import Sequence

BINS = 20
"""Bins of a histogram at most."""

TOP = 10
"""Most frequent values given."""

TRACKED = 1_000
"""Values that are counted to find those; up to as many distinct ones the counts are exact."""

MAX_VALUE = 1_000
"""Characters given of a frequent value."""

COLUMNS_AT_ONCE = 100
"""Columns that one reading summarises: what a statement costs to analyse grows with its square."""


class Kind(Enum):
    """How a column is summarised."""

    NUMBER = "number"
    TIME = "time"
    TEXT = "text"
    LENGTHS = "lengths"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Summarised:
    """A column to summarise.

    Attributes
    ----------
    type
        ClickHouse's, without Nullable and LowCardinality around it.
    tick
        SQL of the whole numbers, or the floats, that its values are counted in, where there are;
        ``{0}`` stands for the column.
    bits
        Of the integer that holds the difference of two ticks; 0 where they are floats.
    is_countable
        Whether distinct values are counted.
    source
        SQL of the values, where those of the column are not meant as they are.
    """

    name: str
    type: ChType
    kind: Kind
    tick: str | None = None
    bits: int = 0
    is_countable: bool = True
    source: str = "{0}"

    @property
    def is_float(self) -> bool:
        """Whether its values may be NaN or infinite."""
        return self.tick is not None and not self.bits

    @property
    def scale(self) -> int:
        """Digits after the point, of decimals and times."""
        places = {"Decimal": 1, "DateTime64": 0}.get(self.type.name)
        if places is None:
            return 0
        return int(self.type.params[places])


def summarised(
    name: str, type_text: str, *, is_binary: bool, is_boolean: bool, is_object: bool
) -> Summarised:
    """Return how a column of a ClickHouse type is summarised."""
    type_ = parse(type_text).inner
    if is_boolean and type_.name == "UInt8":
        return Summarised(name, ChType("Bool"), Kind.TEXT, source="toBool({0})")
    base = type_.name
    if is_object:
        return Summarised(name, type_, Kind.OTHER, is_countable=False)
    if is_binary or base in ("Array", "Map"):
        return Summarised(name, type_, Kind.LENGTHS, is_countable=is_binary)
    if base in ("String", "FixedString", "Enum8", "Enum16", "UUID", "Bool", "IPv4", "IPv6"):
        return Summarised(name, type_, Kind.TEXT)
    if base.startswith(("Int", "UInt")) and (digits := base.lstrip("UInt")).isdigit():
        return Summarised(name, type_, Kind.NUMBER, "{0}", max(64, int(digits)))
    if base in ("Float32", "Float64", "BFloat16"):
        tick = "if(isFinite({0}), toFloat64({0}), NULL)"
        return Summarised(name, type_, Kind.NUMBER, tick)
    if base == "Decimal":
        bits = next(b for b, digits in _DECIMALS if int(type_.params[0]) <= digits)
        return Summarised(
            name, type_, Kind.NUMBER, f"reinterpret({{0}}, 'Int{bits}')", max(64, bits)
        )
    if base in _TIMES:
        return Summarised(name, type_, Kind.TIME, _TIMES[base], 64)
    is_countable = base in ("Time", "Time64") or base.startswith("Interval")
    return Summarised(name, type_, Kind.OTHER, is_countable=is_countable)


_DECIMALS = ((32, 9), (64, 18), (128, 38), (256, 76))
_TIMES = {
    "Date": "toInt32({0})",
    "Date32": "toInt32({0})",
    "DateTime": "toUInt32({0})",
    "DateTime64": "reinterpret({0}, 'Int64')",
}

FIGURES = (
    "rows", "nulls", "distinct", "low", "high", "mean", "quartiles", "std", "nans", "infinities",
    "shortest", "longest", "mean_length", "top", "bins",
)  # fmt: skip
"""What is asked of each column, in order."""


def summary_sql(
    sql: str, columns: Sequence[Summarised], *, bins: int = BINS, top: int = TOP
) -> str:
    """Return the statement: one row per `COLUMNS_AT_ONCE` columns, in order.

    Each has a number and, for each of its columns, the `FIGURES` as text or null.
    """
    groups = [
        columns[start : start + COLUMNS_AT_ONCE]
        for start in range(0, len(columns), COLUMNS_AT_ONCE)
    ]
    ours = our_prefix(columns)
    parts = [
        _group_sql(sql, number, group, ours, (bins, top)) for number, group in enumerate(groups)
    ]
    # What a statement may be by default is less than that of some hundred columns.
    limits = "SETTINGS max_query_size = 0, max_ast_elements = 10000000"
    return "\nUNION ALL\n".join(parts) + f"\n{limits}, max_expanded_ast_elements = 10000000"


def _group_sql(
    sql: str, number: int, columns: Sequence[Summarised], ours: str, most: tuple[int, int]
) -> str:
    bounds: list[str] = []
    figures = []
    for at, column in enumerate(columns):
        c, t = f"{ours}c{at}", f"{ours}t{at}"
        low = high = "NULL"
        if column.tick is not None:
            low, high = f"{ours}bounds.{len(bounds) + 1}", f"{ours}bounds.{len(bounds) + 2}"
            bounds += [f"min({t})", f"max({t})"]
        figures.append(_figures(column, c, t, (low, high), most))
    source = source_sql(sql, columns, ours)
    start = (
        f"WITH (SELECT tuple({', '.join(bounds)}) FROM {source}) AS {ours}bounds\n"
        if bounds
        else ""
    )
    listed = ",\n".join(figures)
    return f"{start}SELECT {number} AS number, [{listed}] AS figures FROM {source}"


def our_prefix(columns: Sequence[Summarised]) -> str:
    """Return what no name of a column starts with: an alias must not be a name of the source."""
    ours = "aai_"
    while any(column.name.startswith(ours) for column in columns):
        ours += "_"
    return ours


def source_sql(sql: str, columns: Sequence[Summarised], ours: str) -> str:
    """Return the subquery of columns as ``c0``, ``c1``… and their ticks as ``t0``…, prefixed."""
    selected = []
    for at, column in enumerate(columns):
        c = f"{ours}c{at}"
        selected.append(f"{column.source.format(quote_identifier(column.name))} AS {c}")
        if column.tick is not None:
            selected.append(f"{column.tick.format(c)} AS {ours}t{at}")
    return f"(SELECT {', '.join(selected) or '1'} FROM (\n{sql}\n))"


def _figures(
    column: Summarised, c: str, t: str, bounds: tuple[str, str], most: tuple[int, int]
) -> str:
    (low, high), (bins, top) = bounds, most
    known = {"rows": "count()", "nulls": f"countIf(isNull({c}))"}
    if column.is_countable:
        known["distinct"] = f"uniqCombined64({c})"
    if column.tick is not None:
        from_low = f"toUInt{column.bits}({t} - {low})"
        steps = f"toFloat64({from_low})" if column.kind is Kind.TIME else f"toFloat64({t})"
        known |= {
            "low": low,
            "high": high,
            "mean": f"avg({steps})",
            "quartiles": f"quantiles(0.25, 0.5, 0.75)({steps})",
        }
        if column.kind is Kind.NUMBER:
            known["std"] = f"stddevSampStable({steps})"
        if column.is_float:
            known |= {"nans": f"countIf(isNaN({c}))", "infinities": f"countIf(isInfinite({c}))"}
            span = f"({high} / 2 - {low} / 2)"  # halves: the whole may be infinite
            place = f"floor({bins} * ({t} / 2 - {low} / 2) / {span})"
            bin_ = f"if({span} > 0, least({place}, {bins - 1}), 0)"
        else:
            span = f"toUInt{column.bits}({high} - {low})"
            # A source that is not the same twice may have values out of the bounds.
            bin_ = f"least(intDiv({from_low}, {span_step(span, bins)}), {bins - 1})"
        # `least` and `greatest` pass over nulls.
        counted = f"topKIf({bins}, 3, 'counts')(toUInt8({bin_}), isNotNull({t}))"
        known["bins"] = f"toJSONString({counted})"
    if column.kind in (Kind.TEXT, Kind.LENGTHS):
        length = None
        if column.kind is Kind.LENGTHS:
            length = f"length({c})"
        elif column.type.name == "String":
            length = f"lengthUTF8({c})"
        if length is not None:
            known |= {
                "shortest": f"min({length})",
                "longest": f"max({length})",
                "mean_length": f"avg({length})",
            }
    if column.kind is Kind.TEXT:
        text = "toValidUTF8(toString(x.1))"
        cut = f"(leftUTF8({text}, {MAX_VALUE}), x.2, lengthUTF8({text}) > {MAX_VALUE})"
        counted = f"topK({top}, {TRACKED // top}, 'counts')({c})"
        known["top"] = f"toJSONString(arrayMap(x -> {cut}, {counted}))"
    listed = ", ".join(f"toString({known[name]})" if name in known else "NULL" for name in FIGURES)
    return f"[{listed}]"


def span_step(span: str, bins: int) -> str:
    """Return the SQL of how many ticks are in a bin; see `bin_step`, which it has to agree with."""
    return f"(intDiv({span}, {bins}) + 1)"


def bin_step(low: int, high: int, bins: int = BINS) -> int:
    """Return how many ticks are in a bin: as many in each, so that none is higher by that."""
    return (high - low) // bins + 1
