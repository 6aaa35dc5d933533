"""Plots: bounded, right, honest about what is binned or left out, and drawn without a network."""

from __future__ import annotations

import datetime as dt
import re

import numpy as np
import pytest

from aaiclick_ext.errors import SchemaError, SettingsError
from aaiclick_ext.objects.plotting import MAX_POINTS

ROWS = 50_000
HOSTILE = 'we.ird ["na\'me"] <script>:\n{}`\\'


@pytest.fixture(scope="module")
def big(ctx):
    made = ctx.sql(
        "SELECT number AS n, toString(number % 40) AS key, number % 5 AS few, "
        "if(number % 10 = 0, nan, if(number % 10 = 1, NULL, number / 2)) AS f, "
        "toDateTime('2020-01-01 00:00:00', 'Europe/Berlin') + number * 60 AS at, "
        "toUInt64(18446744073709551615) - number AS huge, CAST(number AS Decimal(38, 4)) AS price, "
        "if(number % 2 = 0, NULL, if(number % 3 = 0, 'NULL', if(number % 5 = 0, '', '{a}'))) AS w "
        f"FROM numbers({ROWS})"
    )
    return made.copy()


@pytest.fixture(scope="module")
def small(big):
    return big.filter(big.n < 100)


def drawn(plot):
    """Return the SVG of a plot, drawn here."""
    bundle = plot._repr_mimebundle_()
    assert set(bundle) == {"application/vnd.vegalite.v5+json", "image/svg+xml", "text/plain"}
    assert bundle["image/svg+xml"].startswith("<svg")
    return bundle["image/svg+xml"]


def test_a_line_of_few_rows_has_every_row(small):
    plot = small.plot("line", x="n", y="f")
    assert [(r["x"], r["y"]) for r in plot.records] == [
        (n, n / 2) for n in range(100) if n % 10 not in (0, 1)
    ]
    assert plot.notes == ("100 rows",)
    drawn(plot)


def test_a_line_of_many_rows_is_binned_and_says_so(big):
    plot = big.plot("line", x="n", y="n")
    records = plot.records
    assert len(records) <= 400
    assert "mean in each of 400 bins, shaded from least to greatest" in repr(plot)
    assert (records[0]["low"], records[-1]["high"]) == (0, ROWS - 1)
    assert records[0]["y"] == pytest.approx(np.arange(records[1]["x"]).mean())
    exact = big.plot("line", x="few", y=["n", "price"], aggregate="sum")
    sums = {(r["c"], r["x"]): r["y"] for r in exact.records}
    assert sums["price", 3.0] == sum(range(3, ROWS, 5))
    assert "sum in each value of few" in repr(exact)


def test_series_are_the_most_frequent_and_the_rest(big):
    plot = big.plot("line", x="at", y="n", color="key")
    series = {record["c"] for record in plot.records}
    assert len(series) == 11
    assert "other (30)" in series
    assert "the 10 most frequent of 40 key, the others as one" in plot.notes
    assert len(plot.records) <= 11 * 100
    assert "other (30)" in drawn(plot)


def test_times_are_drawn_by_the_clock_of_their_zone(big):
    plot = big.plot("line", x="at", y="n")
    assert plot.records[0]["x"] == "2020-01-01T00:00:00.000Z"
    assert plot.to_dict()["layer"][0]["encoding"]["x"]["scale"] == {"type": "utc"}


def test_bars_count_or_aggregate(big, small):
    plot = big.plot("bar", x="key", top=5)
    counts = {record["x"]: record["y"] for record in plot.records}
    assert len(counts) == 6
    assert counts["other (35)"] == ROWS * 35 / 40
    sums = small.plot("bar", x="few", y="n", aggregate="max").records
    assert [(r["x"], r["y"]) for r in sums] == [
        ("0", 95),
        ("1", 96),
        ("2", 97),
        ("3", 98),
        ("4", 99),
    ]
    binned = big.plot("bar", x="n", y="n", bins=10)
    assert "10 bins of n" in binned.notes
    assert [record["x"] for record in binned.records] == [n * 5_000 for n in range(10)]
    for each in (plot, binned, big.plot("bar", x="n", color="key")):
        drawn(each)


def test_null_the_text_null_and_nothing_are_three(big):
    counts = {record["x"]: record["y"] for record in big.plot("bar", x="w").records}
    assert counts["NULL"] == ROWS / 2
    assert set(counts) == {"NULL", '"NULL"', '""', "{a}"}
    assert sum(counts.values()) == ROWS
    both = big.plot("bar", x="w", top=1)  # its text goes into the statement
    assert {record["x"] for record in both.records} == {"NULL", "{a}", "other (2)"}


def test_a_histogram_counts_every_value_and_says_what_has_none(big):
    plot = big.plot("histogram", x="f", bins=25)
    assert len(plot.records) == 25
    assert sum(record["y"] for record in plot.records) == ROWS * 8 // 10
    assert plot.notes[2:] == ("5,000 null f not drawn", "5,000 NaN f not drawn")
    huge = big.plot("histogram", x="huge")
    assert sum(record["y"] for record in huge.records) == ROWS
    words = big.plot("histogram", x="key")
    assert sum(record["y"] for record in words.records) == ROWS


def test_a_scatter_plot_of_many_rows_is_a_grid(big, small):
    points = small.plot("scatter", x="n", y="price", color="few").records
    assert len(points) == 100
    assert points[7] == {"x": 7.0, "y": 7.0, "c": "2"}
    plot = big.plot("scatter", x="n", y="price", bins=10)
    assert len(plot.records) == 10  # the diagonal
    assert {record["v"] for record in plot.records} == {ROWS / 10}
    assert "binned, 10 by 10: colour is how many rows" in plot.notes
    with pytest.raises(SchemaError, match="leave color out"):
        big.plot("scatter", x="n", y="f", color="key")
    drawn(plot)


def test_boxes_have_their_quartiles(big, small):
    (box,) = small.plot("box", y="n").records
    assert box == {"x": "", "low": 0, "q1": 24.75, "y": 49.5, "q3": 74.25, "high": 99}
    boxes = small.plot("box", x="few", y="n")
    assert [record["x"] for record in boxes.records] == ["0", "1", "2", "3", "4"]
    over_time = big.plot("box", x="at", y="n")
    assert len(over_time.records) == 20
    assert over_time.records[0]["x"] == "2020-01-01"
    for each in (boxes, over_time):
        drawn(each)


def test_a_heatmap_counts_or_aggregates(big):
    plot = big.plot("heatmap", x="at", y="few", bins=10)
    assert len(plot.records) == 50
    assert sum(record["v"] for record in plot.records) == ROWS
    means = big.plot("heatmap", x="few", y="w", color="n", aggregate="min")
    values = {(record["x"], record["y"]): record["v"] for record in means.records}
    assert values["1", "NULL"] == 6
    for each in (plot, means):
        drawn(each)


EVERY_KIND = [
    ("line", {"x": "n", "y": "f"}),
    ("bar", {"x": "key", "y": "f"}),
    ("histogram", {"x": "at"}),
    ("scatter", {"x": "n", "y": "f"}),
    ("box", {"x": "key", "y": "f"}),
    ("heatmap", {"x": "n", "y": "key"}),
]


def test_lines_are_the_default(big):
    with pytest.raises(SchemaError, match="a line plot needs x and y"):
        big.plot()
    assert str(big.plot(x="n")) == str(big.plot("line", x="n"))


@pytest.mark.parametrize(("kind", "given"), EVERY_KIND, ids=[kind for kind, _ in EVERY_KIND])
def test_no_rows_are_a_chart_that_says_so(big, kind, given):
    plot = big.filter(big.n < 0).plot(kind, **given)
    assert plot.records == []
    assert "no values to draw" in drawn(plot)


def test_hostile_names_and_titles_are_text(ctx):
    view = ctx.create_object_from_value(
        {HOSTILE: ["<b>", "\x1b[0m", "a.b", "x[0]"], "n": [1, 2, 3, 4]}
    )
    for plot in (
        view.plot("bar", x=HOSTILE, title=f"{HOSTILE}\u202e"),
        view.plot("heatmap", x=HOSTILE, y=HOSTILE),
        view.rename({HOSTILE: "n", "n": HOSTILE}).plot("line", x=HOSTILE, y=HOSTILE, color="n"),
    ):
        svg = drawn(plot)
        assert "<script" not in svg
        assert "<b>" not in svg
        assert not re.search("[\x1b\u202e]", f"{svg}{plot!r}")
        fields = re.findall(r"'field': '([^']*)'", str(plot.to_dict()))
        assert set(fields) <= {"x", "y", "v", "c", "x2", "y2", "low", "high"}


def test_a_column_may_have_the_name_of_a_method(ctx):
    view = ctx.create_object_from_value({"plot": [1, 2], "profile": [3, 4], "describe": [5, 6]})
    assert view["plot"].sum().execute() == 3
    assert len(view.plot("bar", x="plot", y="profile").records) == 2
    assert [summary.max for summary in view.profile()] == [2, 4, 6]
    assert view.describe().data()["max"] == [2, 4, 6]


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        ("pie", {"x": "n"}, "kind is 'pie'; it can be 'line', 'bar'"),
        ("line", {"y": "n"}, "a line plot needs x and y"),
        ("bar", {"x": "n", "y": ["n", "f"]}, "a bar plot needs x, and y or none.*y is 2 columns"),
        ("bar", {"x": 3}, "a plot takes names of columns, as in x='carrier', not int"),
        ("bar", {"x": "who"}, "no column 'who'; there are n, key"),
        ("line", {"x": "key", "y": "n"}, "x is 'key', a column of .*string; a line plot needs"),
        ("box", {"y": "key"}, "y is 'key', a column of .*string; a box plot needs numbers"),
        ("histogram", {"x": "n", "color": "key"}, "a histogram plot cannot be coloured"),
        ("histogram", {"x": "n", "bins": 1000}, "bins is 1000; it can be 1 to 100"),
        ("bar", {"x": "n", "aggregate": "avg"}, "aggregate is 'avg'; it can be 'mean'"),
        ("bar", {"x": "key", "top": 0}, "top is 0; it can be 1 to 30"),
    ],
)
def test_what_cannot_be_drawn_is_said(big, kind, given, message):
    with pytest.raises(SchemaError, match=message):
        big.plot(kind, **given)


def test_one_event_a_plot_with_its_columns(big, ctx):
    big.plot("bar", x="key", y="n")
    ctx.flush()
    ((operation, source),) = ctx.engine.query_rows(
        "SELECT operation, kwargs FROM operation_log ORDER BY id DESC LIMIT 1"
    )
    assert operation == "plot"
    assert big.table_name in str(source)
    (event,) = [e for e in ctx.forward_oplog(big, displays=True) if e.operation == "plot"][-1:]
    assert {edge.column for edge in event.columns} == {"key", "n", ""}


def test_a_chart_is_saved_and_holds_no_table(ctx, gone, tmp_path):
    made = ctx.create_object_from_value({"a": [1, 2, 3]})
    plot, objects = made.plot("histogram", x="a"), [made]
    del made
    gone(objects)
    for suffix, start in ((".svg", b"<svg"), (".png", b"\x89PNG"), (".json", b"{")):
        plot.save(tmp_path / f"chart{suffix}")
        assert (tmp_path / f"chart{suffix}").read_bytes().startswith(start)
    with pytest.raises(SettingsError, match=r"chart\.pdf ends in '\.pdf'"):
        plot.save(tmp_path / "chart.pdf")


def test_dates_and_whole_numbers_are_bounded_whatever_their_range(ctx):
    view = ctx.sql(
        "SELECT toDate32('1900-01-01') + number AS day, toInt64(number - 5000) AS n, "
        "toDateTime64('1969-12-31 23:00:00', 3, 'UTC') + number AS t FROM numbers(10000)"
    )
    assert view.plot("histogram", x="day").records[0]["x"] == "1900-01-01T00:00:00.000Z"
    assert view.plot("scatter", x="t", y="n").records[0]["x"].startswith("1969-12-31T23:00")
    assert len(view.plot("line", x="day", y="n").records) <= 400 < MAX_POINTS
    assert dt.date(1900, 1, 1) == view.profile()["day"].min


@pytest.mark.parametrize("name", [r"C:\users", "a\x1b", r"z\" + toString(40 + 2) + \""])
def test_names_are_no_part_of_the_expressions_that_vega_makes(ctx, name):
    plot = ctx.create_object_from_value({name: [1.5, 2.5]}).plot("histogram", x=name)
    picture = plot._repr_mimebundle_()["image/svg+xml"]
    assert "users" in picture or "x1b" in picture or "toString" in picture
    assert "\x1b" not in picture
