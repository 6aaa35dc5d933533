"""Plots of views of any size: aggregated in ClickHouse, so that what is fetched is bounded."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from aaiclick_ext.errors import SchemaError
from aaiclick_ext.objects.charts import Plot
from aaiclick_ext.objects.column_summaries import run_summaries, summarised_column
from aaiclick_ext.objects.display_events import record_display
from aaiclick_ext.objects.plot_axes import binned_axis, category_axis, is_measured, title_of
from aaiclick_ext.objects.plot_work import PlotWork

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aaiclick_ext.objects.charts import Drawing
    from aaiclick_ext.objects.planning import Plan
    from aaiclick_ext.objects.plot_axes import Axis
    from aaiclick_ext.objects.plot_work import Request
    from aaiclick_ext.objects.view import View

OPERATION = "plot"
KINDS = ("line", "bar", "histogram", "scatter", "box", "heatmap")
AGGREGATES = {
    "mean": "avg({0})", "sum": "sum({0})", "min": "min({0})", "max": "max({0})",
    "median": "quantile(0.5)({0})",
}  # fmt: skip

MAX_POINTS = 2_000
"""Rows that a line or a scatter plot draws one by one; more are binned."""

MAX_SERIES = 10
"""Series of their own colour; what is beyond is drawn as one."""

_LINE_BINS, _SERIES_BINS, _BAR_BINS, _BOX_BINS, _GRID_BINS = 400, 100, 40, 20, 40


def plot(view: View, request: Request) -> Plot:
    """Run a plot's two statements, of which the second is recorded, and return what to draw."""
    backend = view._backend  # noqa: SLF001
    backend.services.check_open()
    op = backend.relation_of(view)
    runnable = backend.without_memtables(op)
    names = request.columns
    record = partial(record_display, backend, [view.op(), op], names, operation=OPERATION)
    started = time.perf_counter()
    plan: Plan | None = None
    try:
        plan = backend.planner.plan(runnable)
        columns = [summarised_column(name, plan, op) for name in names]
        bins = request.bins or _BAR_BINS
        summaries, stats = run_summaries(backend, plan, columns, bins=bins, top=request.top)
        work = PlotWork(backend, plan, request, columns, summaries, stats)
        drawing = _DRAW[request.kind](work)
    except BaseException as error:  # Ctrl-C, too
        record(plan, started, error=error)
        raise
    record(plan, started, rows=len(drawing.records), stats=work.stats)
    return Plot(drawing)


def _named(aggregate: str, name: str) -> str:
    return f"{aggregate} of {title_of(name)}"


def _line(work: PlotWork) -> Drawing:
    request = work.request
    points = work.points(request.x)
    color = None
    if request.color is not None:
        color = work.axis(request.color, category_axis, min(request.top, MAX_SERIES))
    how = AGGREGATES[request.aggregate]
    if work.rows <= MAX_POINTS:
        axes = [points, *([color] if color else [])]
        ys = {f"y{n}": work.tick(name) for n, name in enumerate(request.y)}
        found = work.run(axes, ys, group=False)
        told, label = [], ", ".join(map(title_of, request.y))
    else:
        bins = request.bins or (_SERIES_BINS if color else _LINE_BINS)
        few = work.summary(request.x).distinct
        exact = few is not None and work.summary(request.x).is_distinct_exact and few <= bins
        points = points if exact else work.axis(request.x, binned_axis, bins)
        axes = [points, *([color] if color else [])]
        ys = {f"y{n}": how.format(work.tick(name)) for n, name in enumerate(request.y)}
        if len(request.y) == 1 and color is None:
            tick = work.tick(request.y[0])
            ys |= {"low": f"min({tick})", "high": f"max({tick})"}
        found = work.run(axes, ys)
        what = f"each value of {points.title}" if exact else f"each of {points.bins} bins"
        band = ", shaded from least to greatest" if "low" in ys else ""
        told = [f"{request.aggregate} in {what}{band}"]
        label = ", ".join(_named(request.aggregate, name) for name in request.y)
    xs = points.values([row["k0"] for row in found])
    series = color.values([row["k1"] for row in found]) if color else None
    records = []
    for n, name in enumerate(request.y):
        for place, row in enumerate(found):
            if row[f"y{n}"] is None:
                continue
            record = {"x": xs[place], "y": row[f"y{n}"], "n": n}
            record["c"] = series[place] if series else title_of(name)
            if "low" in row:
                record |= {"low": row["low"], "high": row["high"]}
            records.append(record)
    title = color.title if color else ("" if len(request.y) > 1 else None)
    return work.drawing(records, points, label, [*told, *work.notes(axes)], color_title=title)


def _bins(axis: Axis) -> str:
    return f"{axis.bins} bin{'' if axis.bins == 1 else 's'} of {axis.title}"


def _bar(work: PlotWork) -> Drawing:
    request = work.request
    x = work.either(request.x, request.bins or _BAR_BINS)
    color = None
    if request.color is not None:
        color = work.axis(request.color, category_axis, min(request.top, MAX_SERIES))
    axes = [x, *([color] if color else [])]
    figures = {"n": "count()"}
    label = "rows"
    if request.y:
        figures["y"] = AGGREGATES[request.aggregate].format(work.tick(request.y[0]))
        label = _named(request.aggregate, request.y[0])
    found = work.run(axes, figures)
    xs = x.values([row["k0"] for row in found])
    ends = None if x.bins is None else x.ends([row["k0"] for row in found])
    series = color.values([row["k1"] for row in found]) if color else None
    records = []
    for place, row in enumerate(found):
        y = row["n"] if not request.y else row["y"]
        if y is None:
            continue
        record = {"x": xs[place], "y": float(y)}
        if ends:
            record["x2"] = ends[place]
        if series:
            record["c"] = series[place]
        records.append(record)
    told = [] if x.bins is None else [_bins(x)]
    return work.drawing(
        records, x, label, [*told, *work.notes(axes)],
        color_title=color.title if color else None, order=_order(x, found),
    )  # fmt: skip


def _histogram(work: PlotWork) -> Drawing:
    request = work.request
    summary = work.summary(request.x)
    if not is_measured(work.columns[0]):
        return _bar(work)
    x = work.axis(request.x, binned_axis, request.bins or _BAR_BINS)
    histogram = summary.histogram
    counts = [] if histogram is None else [(n, c) for n, c in enumerate(histogram.counts) if c]
    xs, ends = x.values([n for n, _ in counts]), x.ends([n for n, _ in counts])
    records = [
        {"x": start, "x2": end, "y": float(count)}
        for start, end, (_, count) in zip(xs, ends, counts, strict=True)
    ]
    return work.drawing(records, x, "rows", [_bins(x), *work.notes([x])])


def _scatter(work: PlotWork) -> Drawing:
    request = work.request
    x, y = work.points(request.x), work.points(request.y[0])
    color = None
    if request.color is not None:
        color = work.axis(request.color, category_axis, min(request.top, MAX_SERIES))
    if work.rows <= MAX_POINTS:
        axes = [x, y, *([color] if color else [])]
        found = work.run(axes, {}, group=False)
        told = []
    else:
        if color is not None:
            raise SchemaError(
                f"a scatter plot of {work.rows:,} rows is binned, and its colour says how many "
                f"rows there are; leave color out, or take a sample: x.sample(...)"
            )
        bins = request.bins or _GRID_BINS
        x = work.axis(request.x, binned_axis, bins)
        y = work.axis(request.y[0], binned_axis, bins)
        axes = [x, y]
        found = work.run(axes, {"n": "count()"})
        told = [f"binned, {x.bins} by {y.bins}: colour is how many rows"]
    xs, ys = x.values([row["k0"] for row in found]), y.values([row["k1"] for row in found])
    series = color.values([row["k2"] for row in found]) if color else None
    records = [{"x": xs[place], "y": ys[place]} for place in range(len(found))]
    for place, record in enumerate(records):
        if series:
            record["c"] = series[place]
        if "n" in found[place]:
            record["v"] = float(found[place]["n"])
            record["x2"] = x.ends([found[place]["k0"]])[0]
            record["y2"] = y.ends([found[place]["k1"]])[0]
    title = color.title if color else None
    return work.drawing(
        records, x, y.title, [*told, *work.notes(axes)], y_axis=y, color_title=title,
        value_title="rows",
    )  # fmt: skip


def _box(work: PlotWork) -> Drawing:
    request = work.request
    (name,) = request.y
    axes = [] if request.x is None else [work.either(request.x, request.bins or _BOX_BINS)]
    tick = work.tick(name)
    figures = {
        "low": f"min({tick})", "high": f"max({tick})", "n": f"count({tick})",
        "quartiles": f"quantiles(0.25, 0.5, 0.75)({tick})",
    }  # fmt: skip
    found = [row for row in work.run(axes, figures) if row["n"]]
    keys = [row["k0"] for row in found] if axes else []
    xs = axes[0].values(keys) if axes else [""] * len(found)
    if axes and axes[0].bins is not None:
        xs = _starts(xs)
    records = [
        {"x": x, "low": row["low"], "high": row["high"]}
        | dict(zip(("q1", "y", "q3"), row["quartiles"], strict=True))
        for x, row in zip(xs, found, strict=True)
    ]
    told = ["quartiles; whiskers from least to greatest"]
    if axes and axes[0].bins is not None:
        told.append(f"{_bins(axes[0])}, each named by its start")
        order: list[str] | None = list(xs)
    else:
        order = _order(axes[0], found) if axes else None
    y = work.points(name)
    notes = work.notes([*axes, y])
    return work.drawing(
        records, axes[0] if axes else None, title_of(name), [*told, *notes], order=order
    )


def _starts(starts: Sequence[Any]) -> list[str]:
    """Return where bins start as labels: of times the minute, where that tells them apart."""
    labels = [f"{start:.6g}" if isinstance(start, float) else _minute(start) for start in starts]
    return labels if len(set(labels)) == len(labels) else [str(start) for start in starts]


def _minute(text: str) -> str:
    return text[:16].removesuffix("T00:00").replace("T", " ")


def _heatmap(work: PlotWork) -> Drawing:
    request = work.request
    bins = request.bins or _GRID_BINS
    x, y = work.either(request.x, bins), work.either(request.y[0], bins)
    figures, title = {"n": "count()"}, "rows"
    if request.color is not None:
        figures["v"] = AGGREGATES[request.aggregate].format(work.tick(request.color))
        title = _named(request.aggregate, request.color)
    found = work.run([x, y], figures)
    xs, ys = x.values([row["k0"] for row in found]), y.values([row["k1"] for row in found])
    records = []
    for place, row in enumerate(found):
        value = row.get("v", row["n"])
        if value is None:
            continue
        record = {"x": xs[place], "y": ys[place], "v": float(value)}
        if x.bins is not None:
            (record["x2"],) = x.ends([row["k0"]])
        if y.bins is not None:
            (record["y2"],) = y.ends([row["k1"]])
        records.append(record)
    told = [_bins(axis) for axis in (x, y) if axis.bins is not None]
    return work.drawing(
        records, x, y.title, [*told, *work.notes([x, y])], y_axis=y, value_title=title,
        order=_order(x, found), y_order=_order(y, found, "k1"),
    )  # fmt: skip


def _order(axis: Axis, found: Sequence[dict[str, Any]], key: str = "k0") -> list[str] | None:
    """Return the labels of categories in order: the most frequent first, or their own."""
    if not axis.is_category:
        return None
    keys = list(dict.fromkeys(row[key] for row in found))
    if axis.keys:
        places = {f"={text}": place for place, text in enumerate(axis.keys)}
        keys.sort(key=lambda key: (places.get(key, len(places)), key is None))
    elif is_measured(axis.column):
        keys.sort(key=lambda key: (key is None, _numeric(key)))
    return axis.values(keys)


def _numeric(key: str | None) -> tuple[float, str]:
    try:
        return float((key or "=0")[1:]), ""
    except ValueError:
        return 0.0, key or ""


_DRAW: dict[str, Callable[[PlotWork], Drawing]] = {
    "line": _line,
    "bar": _bar,
    "histogram": _histogram,
    "scatter": _scatter,
    "box": _box,
    "heatmap": _heatmap,
}
