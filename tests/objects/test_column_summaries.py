"""Summaries of columns: right for every type, one statement, one event, nothing left."""

from __future__ import annotations

import datetime as dt
import math
import uuid
from decimal import Decimal

import numpy as np
import pytest

from aaiclick_ext.engine import quote_identifier
from aaiclick_ext.errors import SchemaError
from aaiclick_ext.objects.column_summaries import column_summaries

HOSTILE = "we`ird \"n.ame\n<b>'{}:[0]"

SQL = f"""
SELECT number AS n, toUInt64(18446744073709551615 - number) AS u64,
  toInt128('-170141183460469231731687303715884105728') + number AS i128,
  if(number % 2 = 0, CAST(number AS Float64), nan) AS half,
  multiIf(number = 0, inf, number = 1, -inf, CAST(number AS Float64)) AS infinite,
  if(number = 0, -1.7e308, 1.7e308) AS extreme,
  CAST(number AS Decimal(18, 2)) / 4 AS price,
  toDate('2020-01-01') + number AS day,
  toDateTime('2020-01-01 00:00:00', 'Europe/Berlin') + number AS berlin,
  toDateTime64('2020-01-01 00:00:00.123456', 6) + number AS precise,
  if(number % 10 = 0, NULL, toString(number % 3)) AS word,
  CAST(number % 2 AS Enum8('a' = 0, 'b' = 1)) AS letter,
  toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0') AS id, repeat('ä', 3000) AS long,
  range(number % 5) AS list, map('a', number) AS map, tuple(number, 'x') AS pair,
  CAST('{{"a": 1}}' AS JSON) AS json, CAST(NULL AS Nullable(Int32)) AS nothing, NULL AS untyped,
  toLowCardinality('same') AS same, 7 AS constant, number AS {quote_identifier(HOSTILE)},
  if(number < 50, NULL, number) AS late,
  number AS c0, number + 1 AS aai_c0, number + 2 AS aai_bounds
FROM numbers(100)
"""


@pytest.fixture(scope="module")
def view(ctx):
    made = ctx.sql(SQL)
    return made.mutate(is_fourth=made.n % 4 == 0)


@pytest.fixture(scope="module")
def summaries(view):
    return {summary.name: summary for summary in column_summaries(view)}


def test_every_column_is_counted(summaries, view):
    assert list(summaries) == list(view.columns)
    assert {summary.rows for summary in summaries.values()} == {100}
    nulls = {name: summary.nulls for name, summary in summaries.items() if summary.nulls}
    assert nulls == {"late": 50, "word": 10, "nothing": 100, "untyped": 100}


def test_numbers_have_their_moments_and_bins(summaries):
    numbers = np.arange(100)
    for name in ("n", HOSTILE):
        found = summaries[name]
        assert (found.kind, found.min, found.max, found.distinct) == ("number", 0, 99, 100)
        assert found.mean == numbers.mean()
        assert found.std == pytest.approx(numbers.std(ddof=1))
        assert found.quartiles == tuple(np.quantile(numbers, (0.25, 0.5, 0.75)))
        assert found.are_quartiles_exact
        assert found.histogram.edges == tuple(range(0, 101, 5))
        assert found.histogram.counts == (5,) * 20
    assert [summaries[name].max for name in ("c0", "aai_c0", "aai_bounds")] == [99, 100, 101]
    late = summaries["late"]
    assert (late.min, late.distinct, sum(late.histogram.counts)) == (50, 50, 50)
    price = summaries["price"]
    assert (price.min, price.max) == (Decimal("0.00"), Decimal("24.75"))
    assert price.mean == pytest.approx(12.375)
    assert sum(price.histogram.counts) == 100
    assert all(isinstance(edge, Decimal) for edge in price.histogram.edges)


def test_wide_integers_are_exact(summaries):
    assert summaries["u64"].min == 2**64 - 100
    assert summaries["u64"].max == 2**64 - 1
    assert summaries["i128"].min == -(2**127)
    assert summaries["i128"].max == -(2**127) + 99
    for name in ("u64", "i128"):
        assert summaries[name].histogram.counts == (5,) * 20


def test_nan_and_infinities_are_apart(summaries):
    half, infinite = summaries["half"], summaries["infinite"]
    assert (half.nans, half.infinities, half.max) == (50, 0, 98.0)
    assert sum(half.histogram.counts) == 50
    assert (infinite.nans, infinite.infinities) == (0, 2)
    assert (infinite.min, infinite.max) == (2.0, 99.0)
    assert sum(infinite.histogram.counts) == 98
    extreme = summaries["extreme"]  # whose range no float can hold
    assert extreme.histogram.counts == (1, *[0] * 18, 99)
    assert all(map(math.isfinite, extreme.histogram.edges))


def test_times_keep_their_zone_and_their_digits(summaries):
    day, berlin, precise = (summaries[name] for name in ("day", "berlin", "precise"))
    assert (day.kind, day.min, day.max) == ("time", dt.date(2020, 1, 1), dt.date(2020, 4, 9))
    assert day.histogram.edges[1] == dt.date(2020, 1, 6)
    assert berlin.min.utcoffset() == dt.timedelta(hours=1)
    assert berlin.min.replace(tzinfo=None) == dt.datetime(2020, 1, 1)
    assert precise.min == dt.datetime(2020, 1, 1, 0, 0, 0, 123456)
    assert precise.mean == dt.datetime(2020, 1, 1, 0, 0, 49, 623456)
    for found in (day, berlin, precise):
        assert sum(found.histogram.counts) == 100
        assert found.std is None


def test_text_has_its_frequent_values(summaries):
    word = summaries["word"]
    assert {value.value: value.count for value in word.top} == {"0": 30, "1": 30, "2": 30}
    assert (word.distinct, word.shortest, word.longest) == (3, 1, 1)
    assert [(v.value, v.count) for v in summaries["is_fourth"].top] == [(False, 75), (True, 25)]
    assert {v.value: v.count for v in summaries["letter"].top} == {"a": 50, "b": 50}
    assert summaries["id"].top[0].value == uuid.UUID("61f0c404-5cb3-11e7-907b-a6006ad3dba0")
    (long,) = summaries["long"].top
    assert (len(long.value), long.is_cut, long.count) == (1_000, True, 100)
    assert summaries["long"].longest == 3_000


def test_what_has_neither_order_nor_values_has_lengths_or_nothing(summaries):
    found = summaries["list"]
    assert (found.kind, found.shortest, found.longest, found.mean_length) == ("lengths", 0, 4, 2.0)
    for name in ("pair", "json", "untyped"):
        assert (summaries[name].kind, summaries[name].histogram) == ("other", None)
    nothing = summaries["nothing"]
    assert (nothing.kind, nothing.distinct, nothing.min, nothing.mean) == ("number", 0, None, None)
    assert summaries["constant"].histogram.counts == (100,)
    assert summaries["same"].distinct == 1


def test_a_view_without_rows_has_summaries(view):
    for found in column_summaries(view.filter(view.n > 1_000)):
        assert (found.rows, found.nulls) == (0, 0)
        assert (found.min, found.mean, found.quartiles, found.histogram) == (None,) * 4


def test_estimates_say_so(ctx):
    view = ctx.sql("SELECT number AS n, toString(number) AS s FROM numbers(20000)")
    n, s = column_summaries(view)
    assert abs(n.distinct - 20_000) < 400
    for count in (3_000, 5_000, 7_000, 10_000):  # 5,008 were said to be in 5,000 rows
        (ids,) = column_summaries(ctx.sql(f"SELECT number AS id FROM numbers({count})"))
        assert count * 0.98 < ids.distinct <= count
    assert not any([n.is_distinct_exact, n.are_quartiles_exact, s.is_distinct_exact])
    assert not s.is_top_exact
    assert sum(n.histogram.counts) == 20_000


def test_only_columns_asked_for_in_that_order(view):
    assert [found.name for found in column_summaries(view, ["word", "n"])] == ["word", "n"]
    assert column_summaries(view, []) == []
    with pytest.raises(SchemaError, match="no column 'x'; there are n, u64"):
        column_summaries(view, ["n", "x"])


def test_hundreds_of_columns(ctx):
    columns = ", ".join(f"number * {n} AS c{n}" for n in range(1, 221))
    found = column_summaries(ctx.sql(f"SELECT {columns} FROM numbers(3)"))
    assert [summary.max for summary in found] == [2 * n for n in range(1, 221)]


def test_one_event_a_call_and_no_table_left(ctx, tables):
    made = ctx.create_object_from_value({"a": [1, 2, 3]})
    ctx.flush()
    before = tables()
    column_summaries(made.filter(made.a > 1), ["a"])
    ctx.flush()
    events = ctx.engine.query_rows(
        "SELECT operation, status, rows FROM operation_log ORDER BY id DESC LIMIT 1"
    )
    assert events == [("column_summaries", "ok", 1)]
    assert tables() == before
