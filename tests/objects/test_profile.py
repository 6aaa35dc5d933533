"""`describe` and `profile`: right, one statement each, legible and safe."""

from __future__ import annotations

import re

import numpy as np
import pytest

from aaiclick_ext.errors import SchemaError

MARKUP = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def table(ctx):
    return ctx.create_object_from_value(
        {
            "n": list(range(100)),
            "word": [None if n % 10 == 0 else f"w{n % 3}" for n in range(100)],
            "f": [float(n) if n % 2 else float("nan") for n in range(100)],
            "ok": [n % 4 == 0 for n in range(100)],
            "parts": [[n] * (n % 3) for n in range(100)],
            MARKUP: [f"{MARKUP}\x1b"] * 100,
        }
    )


def test_describe_has_what_ibis_says(table):
    found = table.describe()
    names = ["name", "pos", "type", "count", "nulls", "unique", "mode", "mean", "std", "min"]
    assert list(found.columns) == [*names, "p25", "p50", "p75", "max"]
    rows = {row["name"]: row for row in found.data(orient="records")}
    assert list(rows) == list(table.columns)
    n = rows["n"]
    assert (n["count"], n["nulls"], n["unique"], n["mode"]) == (100, 0, 100, None)
    assert (n["mean"], n["min"], n["p25"], n["max"]) == (49.5, 0.0, 24.75, 99.0)
    assert n["std"] == pytest.approx(np.arange(100).std(ddof=1))
    assert (rows["word"]["nulls"], rows["word"]["unique"]) == (10, 3)
    assert rows["word"]["mode"] in ("w0", "w1", "w2")
    assert rows["ok"]["mean"] == 0.25
    assert (rows["parts"]["nulls"], rows["parts"]["unique"]) == (0, None)


def test_describe_leaves_out_what_no_column_has(table):
    assert "mode" not in table.select("n").describe().columns
    assert "mean" not in table.select("word").describe().columns
    assert list(table.select("n").describe(quantile=[0.1, 0.999]).columns)[-3:] == [
        "p10", "p99.9", "max",
    ]  # fmt: skip
    with pytest.raises(SchemaError, match="quantile has 2; it can be 0 to 1"):
        table.describe(quantile=[2])


def test_describe_of_nothing_knows_nothing(table, ctx):
    row = table.filter(table.n < 0).describe().data(orient="records")[0]
    assert (row["count"], row["nulls"], row["unique"], row["mean"], row["p50"]) == (
        0,
        0,
        0,
        None,
        None,
    )
    one = ctx.create_object_from_value({"a": [5]}).describe().data()
    assert (one["std"], one["mean"]) == ([None], [5.0])


def test_describe_leaves_out_nan_and_never_makes_up_a_zero(ctx):
    inf = float("inf")
    view = ctx.sql(
        "SELECT * FROM values('f Float64, i Float64, none Float64, l Array(Int8)', "
        "(1, inf, nan, []), (nan, 1, nan, []), (3, 2, nan, []))"
    )
    described = view.describe()
    f, i, none, _ = described.data(orient="records")
    figures = ("mean", "std", "min", "p50", "max")
    assert [f[name] for name in figures] == pytest.approx([2, 2**0.5, 1, 2, 3])
    assert [i[name] for name in figures] == [inf, None, 1, None, inf]
    assert [none[name] for name in figures] == [None] * 5
    assert described.schema()["unique"].is_integer()
    assert "Variant" not in repr(described._repr_mimebundle_())


def test_describe_is_lazy_and_recorded(table, ctx):
    found = table.describe()
    assert [event.operation for event in ctx.backward_oplog(found)][-1] == "describe"
    assert found.filter(found.nulls > 0).name.to_pyarrow().to_pylist() == ["word"]


def test_profile_is_a_page_and_a_text(table):
    profile = table.profile()
    assert (profile.rows, len(profile)) == (100, 6)
    assert profile["f"].nans == 50
    with pytest.raises(SchemaError, match="no column 'x'; there are n, word"):
        profile["x"]
    bundle = profile._repr_mimebundle_()
    html, text = bundle["text/html"], bundle["text/plain"]
    assert html.count("<svg") == 2
    assert (
        html.count("<rect")
        == sum(sum(map(bool, column.histogram.counts)) for column in profile if column.histogram)
        or "<rect" in html
    )
    assert "<title>0 to 5: 5</title>" in html
    assert "10.0 %" in html
    assert "50 NaN" in html
    assert "w1 (" in text
    assert "(100 rows, 6 columns)" in text
    for form in (html, text):
        assert "\x1b" not in form
    assert "<script" not in html


def test_profile_says_what_is_an_estimate(ctx):
    profile = ctx.sql("SELECT number AS n FROM numbers(20000)").profile()
    assert "≈ is an estimate" in repr(profile)
    assert re.search("≈ (19|20)<span", profile._repr_mimebundle_()["text/html"])


def test_profile_of_no_rows_and_of_all_null(ctx):
    nothing = ctx.sql("SELECT 1 AS a, 'x' AS b, CAST(NULL AS Nullable(Float64)) AS c LIMIT 0")
    assert "(0 rows, 3 columns)" in repr(nothing.profile())
    assert nothing.profile()._repr_mimebundle_()["text/html"]
    null = ctx.sql("SELECT CAST(NULL AS Nullable(Float64)) AS c FROM numbers(3)").profile()
    assert "3 (100.0 %)" in null._repr_mimebundle_()["text/html"]


def test_profile_is_one_event(table, ctx):
    table.profile()
    ctx.flush()
    ((operation,),) = ctx.engine.query_rows(
        "SELECT operation FROM operation_log ORDER BY id DESC LIMIT 1"
    )
    assert operation == "profile"
