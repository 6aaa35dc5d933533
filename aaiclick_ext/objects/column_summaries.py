"""Summaries of columns, computed in ClickHouse: nulls, distinct values, quartiles, bins, counts."""

from __future__ import annotations

import datetime as dt
import json
import time
import uuid
from dataclasses import dataclass, field
from decimal import Context, Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from aaiclick_ext.engine.arrow_leaves import timestamp_type
from aaiclick_ext.errors import SchemaError
from aaiclick_ext.objects.display_events import record_display
from aaiclick_ext.objects.python_values import to_python
from aaiclick_ext.objects.summary_sql import (
    BINS,
    FIGURES,
    TOP,
    TRACKED,
    Kind,
    Summarised,
    bin_step,
    summarised,
    summary_sql,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import ibis.expr.operations as ops

    from aaiclick_ext.engine import QueryStats
    from aaiclick_ext.objects.backend import Backend
    from aaiclick_ext.objects.planning import Plan
    from aaiclick_ext.objects.view import View

OPERATION = "column_summaries"

MAX_EXACT_DISTINCT = 4_096
"""Up to as many distinct values ClickHouse's ``uniqCombined64`` counts them."""

MAX_EXACT_QUANTILE = 8_192
"""Of more values ClickHouse's ``quantiles`` takes a sample."""


@dataclass(frozen=True, slots=True)
class TopValue:
    """A frequent value.

    Attributes
    ----------
    value
        Text, except that a Bool is a bool and a UUID a `uuid.UUID`.
    count
        How many rows have it.
    is_cut
        Whether `value` is only the start of a long text.
    """

    value: Any
    count: int
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many values there are between edges.

    Attributes
    ----------
    edges
        One more than `counts`, as values of the column (of decimals and integers exact). A bin has
        the values from its edge up to the next one, without that; the last bin of floats has its
        own end, too.
    counts
        Exact. NaN, infinities and nulls are in none.
    ticks
        The least and the greatest value, as `Summarised.tick` counts them.
    """

    edges: tuple[Any, ...]
    counts: tuple[int, ...]
    ticks: tuple[Any, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSummary:
    """What a column holds. What is not known, or makes no sense for its type, is None.

    Attributes
    ----------
    type
        ClickHouse's.
    kind
        ``number`` and ``time`` have a histogram, ``text`` (also Bool, enums, UUID, IP addresses)
        has top values, ``lengths`` (lists, maps, bytes) only lengths, ``other`` none of these.
    nulls
        How many rows have none.
    distinct, is_distinct_exact
        How many different values, without null; an estimate, mostly within 1 %, above 4,096.
    min, max
        Of numbers and times; exact. Of floats, of those that are finite, as are mean, standard
        deviation, quartiles and bins.
    mean, std
        Floats; the mean of times is a time.
    quartiles, are_quartiles_exact
        25, 50 and 75 %; floats, or times. From a sample where there are more than 8,192 values.
    nans, infinities
        Of floats: how many.
    shortest, longest, mean_length
        Characters of text, bytes of bytes, elements of lists and maps.
    top, is_top_exact
        The most frequent values, the first the most; estimates above 1,000 distinct ones.
    """

    name: str
    type: str
    kind: str
    rows: int
    nulls: int
    distinct: int | None = None
    is_distinct_exact: bool = True
    min: Any = None
    max: Any = None
    mean: Any = None
    std: float | None = None
    quartiles: tuple[Any, Any, Any] | None = None
    are_quartiles_exact: bool = True
    nans: int | None = None
    infinities: int | None = None
    shortest: int | None = None
    longest: int | None = None
    mean_length: float | None = None
    top: tuple[TopValue, ...] | None = None
    is_top_exact: bool = True
    histogram: Histogram | None = None


def column_summaries(
    view: View, columns: Sequence[str] | None = None, *, operation: str | None = OPERATION
) -> list[ColumnSummary]:
    """Summarise columns of a view. Runs one statement, which fetches one row.

    It reads the view once, and once more first for the bounds of the bins where there are numbers
    or times among the columns; for each further hundred columns, as often again.

    Parameters
    ----------
    columns
        Names; by default all.
    operation
        How the log calls it; None records nothing.

    Raises
    ------
    SchemaError
        If there is no such column.
    """
    backend = view._backend  # noqa: SLF001
    backend.services.check_open()
    op = backend.relation_of(view)
    names = list(op.schema) if columns is None else list(columns)
    missing = [name for name in names if name not in op.schema]
    if missing:
        raise SchemaError(
            f"no column {', '.join(map(repr, missing))}; there are {', '.join(op.schema)}"
        )
    if not names:
        return []
    runnable = backend.without_memtables(op)
    record = partial(record_display, backend, [view.op(), op], names, operation=operation)
    started = time.perf_counter()
    plan: Plan | None = None
    try:
        plan = backend.planner.plan(runnable)
        found = [summarised_column(name, plan, op) for name in names]
        summaries, stats = run_summaries(backend, plan, found)
    except BaseException as error:  # Ctrl-C, too
        record(plan, started, error=error)
        raise
    record(plan, started, rows=len(names), stats=stats)
    return summaries


def run_summaries(
    backend: Backend, plan: Plan, found: Sequence[Summarised], *, bins: int = BINS, top: int = TOP
) -> tuple[list[ColumnSummary], QueryStats]:
    """Run the statement of `column_summaries`; the caller records it.

    Parameters
    ----------
    bins, top
        How many there are at most, of either up to 100.
    """
    data, stats = backend.services.engine.fetch(summary_sql(plan.sql, found, bins=bins, top=top))
    figures = [
        column
        for row in sorted(data.to_pylist(), key=lambda row: row["number"])
        for column in row["figures"]
    ]
    summaries = [
        _summary(column, plan.types[column.name], dict(zip(FIGURES, values, strict=True)), bins)
        for column, values in zip(found, figures, strict=True)
    ]
    return summaries, stats


def summarised_column(name: str, plan: Plan, op: ops.Relation) -> Summarised:
    """Return how a column of a planned relation is summarised."""
    return summarised(
        name,
        plan.types[name],
        is_binary=op.schema[name].is_binary(),
        is_boolean=op.schema[name].is_boolean(),
        is_object=name in plan.objects,
    )


def _summary(
    column: Summarised, type_text: str, figures: Mapping[str, str | None], bins: int
) -> ColumnSummary:
    def whole(name: str) -> int | None:
        text = figures[name]
        return None if text is None else int(text)

    rows, nulls = whole("rows") or 0, whole("nulls") or 0
    distinct = (whole("distinct") or 0) if column.is_countable else None
    exact = distinct is None or distinct <= MAX_EXACT_DISTINCT
    is_top_exact = distinct is None or distinct <= TRACKED
    if distinct is not None:
        distinct = min(distinct, rows - nulls)  # an estimate may be more than there are
    mean_length = figures["mean_length"]
    return ColumnSummary(
        name=column.name,
        type=type_text,
        kind=column.kind.value,
        rows=rows,
        nulls=nulls,
        distinct=distinct,
        is_distinct_exact=exact,
        shortest=whole("shortest"),
        longest=whole("longest"),
        mean_length=None if mean_length is None else float(mean_length),
        top=_top(column, figures["top"]),
        is_top_exact=is_top_exact,
        nans=whole("nans"),
        infinities=whole("infinities"),
        **_measures(column, figures, rows - nulls, bins),
    )


_CONVERT: dict[str, Callable[[str], Any]] = {"Bool": "true".__eq__, "UUID": uuid.UUID}


def _top(column: Summarised, text: str | None) -> tuple[TopValue, ...] | None:
    if text is None:
        return None
    convert = _CONVERT.get(column.type.name, str)
    return tuple(
        TopValue(convert(value), int(count), bool(cut)) for value, count, cut in json.loads(text)
    )


def _measures(
    column: Summarised, figures: Mapping[str, str | None], values: int, bins: int
) -> dict[str, Any]:
    """Return what there is of a column of numbers or times that has a finite value."""
    low, high = figures["low"], figures["high"]
    if low is None or high is None or figures["bins"] is None:
        return {}
    mean = _float(figures["mean"])
    quartiles = [float(part) for part in (figures["quartiles"] or "[]").strip("[]").split(",")]
    counted = {int(bin_["item"]): int(bin_["count"]) for bin_ in json.loads(figures["bins"])}
    found: dict[str, Any] = {"are_quartiles_exact": values <= MAX_EXACT_QUANTILE}
    if column.is_float:
        least, most = float(low), float(high)
        number = bins if most / 2 - least / 2 > 0 else 1
        edges = [least * (1 - n / number) + most * (n / number) for n in range(number)] + [most]
        ends = [least, most]
        ticks: tuple[Any, Any] = least, most
    else:
        ticks = int(low), int(high)
        step = bin_step(*ticks, bins)
        number = (ticks[1] - ticks[0]) // step + 1
        edges = column_values(column, [ticks[0] + n * step for n in range(number + 1)])
        ends = column_values(column, list(ticks))
    found["histogram"] = Histogram(
        tuple(edges), tuple(counted.get(n, 0) for n in range(number)), ticks
    )
    found["min"], found["max"] = ends
    if column.kind is Kind.TIME:  # from the first, where a float has all digits
        first = int(low)
        found["mean"], *between = column_values(
            column, [first + round(n or 0) for n in (mean, *quartiles)]
        )
        found["quartiles"] = tuple(between)
    else:
        unit = 10**column.scale
        std = _float(figures["std"])
        found["mean"] = None if mean is None else mean / unit
        found["std"] = None if std is None else std / unit
        found["quartiles"] = tuple(part / unit for part in quartiles)
    return found


def _float(text: str | None) -> float | None:
    """Return a figure; that of too few values is NaN, which is not known."""
    if text is None or text == "nan":
        return None
    return float(text)


def column_values(column: Summarised, ticks: list[int]) -> list[Any]:
    """Return ticks as values of the column."""
    name = column.type.name
    if name == "Decimal":
        return [Decimal(tick).scaleb(-column.scale, _WIDE) for tick in ticks]
    if column.kind is not Kind.TIME:
        return list(ticks)
    if name in ("Date", "Date32"):
        return [_EPOCH + dt.timedelta(days=tick) for tick in ticks]
    kind = timestamp_type(column.type)
    places = {"s": 0, "ms": 3, "us": 6, "ns": 9}[kind.unit]
    factor, most = 10 ** (places - column.scale), (1 << 63) - 1
    array = pa.array([min(tick * factor, most) for tick in ticks], pa.int64())
    return to_python(pa.table({"t": array.cast(kind)}), {})["t"]


_EPOCH = dt.date(1970, 1, 1)
_WIDE = Context(prec=80)
