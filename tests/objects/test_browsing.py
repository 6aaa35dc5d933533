"""Pages of a browsed table: exactly the sorted rows, whatever is asked for in what order."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aaiclick_ext.context import DataContext
from aaiclick_ext.errors import SchemaError, ValueRangeError
from aaiclick_ext.objects.browsing import (
    Between,
    Contains,
    IsNull,
    Look,
    OneOf,
    Sort,
    base_of,
    browsed_columns,
    looked,
)
from aaiclick_ext.objects.browsing_pages import MAX_CELL, Pages
from aaiclick_ext.objects.browsing_rows import fix_rows, without_telling
from aaiclick_ext.settings import Settings


@pytest.fixture(scope="module")
def ctx(tmp_path_factory):
    folder = tmp_path_factory.mktemp("state")
    with DataContext(settings=Settings(state_dir=folder, memory_table_bytes=0)) as context:
        yield context


class Browsed:
    """A view with its rows fixed, as a browser has it."""

    def __init__(self, view):
        view = base_of(view)
        self.view, self.backend = view, view._backend
        self.rows = fix_rows(self.backend, view.op())
        types = self.backend.planner.plan(view.op()).types
        self.columns = browsed_columns(view.schema(), types)

    def pages(self, look=Look()):  # noqa: B008
        return Pages(self.backend, self.rows, self.columns, look)

    def texts(self, look=Look(), start=0, count=100, columns=None):  # noqa: B008
        names = [c.name for c in self.columns] if columns is None else columns
        page = self.pages(look).page(start, count, names)
        return [[cell.text for cell in row] for row in page.cells]


FLOATS = st.sampled_from([None, math.nan, -math.inf, math.inf, -0.0, 0.0, 1.5, -2.0])
ROWS = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from([None, -1, 0, 7]), FLOATS,
              st.sampled_from([None, "", "a", "B", "é"])),
    min_size=1, max_size=40,
)  # fmt: skip
SORTS = st.lists(
    st.tuples(st.sampled_from(["n", "f", "s"]), st.booleans()),
    max_size=3,
    unique_by=lambda sort: sort[0],
)
ASKS = st.lists(st.tuples(st.integers(0, 45), st.integers(1, 12)), min_size=1, max_size=8)


class _Down:
    """Turns an order round."""

    def __init__(self, value):
        self.value = value

    def __lt__(self, other):
        return other.value < self.value

    def __eq__(self, other):
        return other.value == self.value


def in_order(rows, sorts):
    """Return the numbers of rows in an order: ties by number, NaN after values, null last."""
    place = {"n": 1, "f": 2, "s": 3}

    def key(number):
        found = []
        for name, is_descending in sorts:
            value = rows[number][place[name]]
            if value is None:
                found.append((2,))
            elif isinstance(value, float) and math.isnan(value):
                found.append((1,))
            else:
                value = value.encode() if isinstance(value, str) else value
                found.append((0, _Down(value) if is_descending else value))
        return found

    return sorted(range(len(rows)), key=key)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=ROWS, sorts=SORTS, asks=ASKS, is_cloned=st.booleans(), is_counted=st.booleans())
def test_pages_are_the_sorted_rows(ctx, rows, sorts, asks, is_cloned, is_counted):
    parts = sorted({row[0] for row in rows})
    rows = [row for part in parts for row in rows if row[0] == part]
    table = ctx.create_object({"i": "Int64", "n": "Nullable(Int8)", "f": "Nullable(Float64)",
                               "s": "LowCardinality(Nullable(String))"})  # fmt: skip
    for part in parts:  # each insert is a part
        some = [(i, *row[1:]) for i, row in enumerate(rows) if row[0] == part]
        columns = zip(("i", "n", "f", "s"), zip(*some, strict=True), strict=True)
        kinds = [pa.int64(), pa.int8(), pa.float64(), pa.string()]
        table.insert(
            pa.table({name: pa.array(c, k) for (name, c), k in zip(columns, kinds, strict=True)})
        )
    browsed = Browsed(table if is_cloned else table.order_by("i"))
    assert browsed.rows.is_frozen is not is_cloned
    expected = in_order(rows, sorts)
    pages = browsed.pages(Look(sorts=tuple(Sort(name, down) for name, down in sorts)))
    if is_counted:
        assert pages.total()[0] == len(rows)
    for start, count in asks:
        page = pages.page(start, count, ["i"])
        assert [int(cell.text) for (cell,) in page.cells] == expected[start : start + count]


def test_filtered_pages_go_both_ways(ctx):
    numbers = ctx.sql("SELECT number AS n, number % 7 AS m FROM numbers(5000)").copy()
    browsed = Browsed(numbers.filter(numbers.n % 2 == 0).mutate(twice=numbers.n * 2))
    assert not browsed.rows.is_frozen
    look = Look(filters=(Between("m", "1", "3"),), sorts=(Sort("m", True),))
    pages = browsed.pages(look)
    expected = [n for m in (3, 2, 1) for n in range(0, 5000, 2) if n % 7 == m]
    assert pages.total()[0] == len(expected)

    def numbers_at(start, count):
        page = pages.page(start, count, ["n", "twice"])
        assert all(int(twice.text) == 2 * int(n.text) for n, twice in page.cells)
        return [int(n.text) for n, _ in page.cells], page.cost

    for start in (0, 40, 80, 1040, 1020, 1000, 500, 480, 0):
        found, cost = numbers_at(start, 20)
        assert found == expected[start : start + 20]
        assert cost.read_rows
    assert numbers_at(len(expected) - 5, 20)[0] == expected[-5:]
    assert numbers_at(len(expected), 20)[0] == []


def test_a_jump_says_what_it_took(ctx):
    numbers = ctx.sql("SELECT number AS n FROM numbers(30000)").copy()
    pages = Browsed(numbers).pages(Look(sorts=(Sort("n", True),)))
    pages.total()
    assert pages.page(15_000, 3, ["n"]).cost.how == "offset"
    near = pages.page(15_003, 3, ["n"])
    assert near.cost.how == "keyset"
    assert [cell.text for (cell,) in near.cells] == ["14996", "14995", "14994"]
    natural = Browsed(numbers).pages().page(29_999, 3, ["n"])
    assert natural.cost.how == "number"
    assert [cell.text for (cell,) in natural.cells] == ["29999"]


EXACT = """SELECT toInt64(-9223372036854775808) AS i64, toUInt64(18446744073709551615) AS u64,
 toInt256('-123456789012345678901234567890123456789012345') AS i256,
 toDecimal128('1.50', 4) AS d, 0.1 AS f,
 toDateTime64('2020-01-01 00:00:00.123456789', 9, 'UTC') AS t,
 CAST('b', 'Enum8(\\'a\\' = 1, \\'b\\' = 2)') AS e,
 toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0') AS u, [1, NULL] AS a, map('k', 'v') AS m,
 CAST('{"a": {"b": 1}}', 'JSON') AS j, unhex('ff00') AS bytes, NULL AS nothing, true AS yes,
 'a\\tb\\n<b>\u202e' AS text, toIPv6('::1') AS ip, sumState(number) AS state
 FROM numbers(2)"""


def test_values_arrive_exact_as_text(ctx):
    browsed = Browsed(ctx.sql(EXACT))
    assert browsed.texts() == [
        [
            "-9223372036854775808", "18446744073709551615",
            "-123456789012345678901234567890123456789012345", "1.5000", "0.1",
            "2020-01-01 00:00:00.123456789", "b", "61f0c404-5cb3-11e7-907b-a6006ad3dba0",
            "[1,NULL]", "{'k':'v'}", '{"a":{"b":1}}', "0xFF00", None, "true", "a\tb\n<b>\u202e",
            "::1", "(aggregate state)",
        ]
    ]  # fmt: skip


def test_a_long_text_is_cut_and_says_so(ctx):
    pages = Browsed(ctx.create_object_from_value({"s": ["é" * 300, "é" * MAX_CELL]})).pages()
    long, short = (row[0] for row in pages.page(0, 2, ["s"]).cells)
    assert (len(long.text), long.is_cut) == (MAX_CELL, True)
    assert (len(short.text), short.is_cut) == (MAX_CELL, False)
    assert pages.page(0, 1, ["s"], most=1000).cells[0][0].text == "é" * 300


@pytest.fixture(scope="module")
def people(ctx):
    return ctx.create_object_from_value(
        {
            "name": ["Ann", "50%_off", "back\\slash", None, "'; DROP TABLE t; --"],
            "n": [1, 2, 3, None, 5],
            "d": [Decimal("1.10"), Decimal("2.20"), None, Decimal("-3.30"), Decimal("0.00")],
            "f": [math.nan, 1.0, None, -1.0, math.inf],
            "at": [dt.datetime(2026, 1, day) for day in range(1, 6)],
            "yes": [True, False, None, True, False],
        }
    )


@pytest.mark.parametrize(
    ("look", "expected"),
    [
        (Look((Contains("name", "%_"),)), [2]),
        (Look((Contains("name", "\\"),)), [3]),
        (Look((Contains("name", "ann"),)), [1]),
        (Look(search="drop table"), [5]),
        (Look((OneOf("name", ("Ann", None)),)), [1, None]),
        (Look((OneOf("name", ("'; DROP TABLE t; --",)),)), [5]),
        (Look((OneOf("f", ("nan", None)),)), [1, 3]),
        (Look((OneOf("d", ("1.10", "0.00")),)), [1, 5]),
        (Look((OneOf("at", ("2026-01-02 00:00:00",)),)), [2]),
        (Look((OneOf("yes", ("true",)),)), [1, None]),
        (Look((Between("n", "2", "3.5"),)), [2, 3]),
        (Look((Between("n", None, "1e30"),)), [1, 2, 3, 5]),
        (Look((Between("n", "1", "3", is_below=True),)), [1, 2]),
        (Look((Between("d", "-3.30", "1.1"),)), [1, None, 5]),
        (Look((Between("at", "2026-01-04", None),)), [None, 5]),
        (Look((Between("f", "-inf", "inf"),)), [2, None, 5]),
        (Look((Between("name", "A", "B"),)), [1]),
        (Look((IsNull("n"),)), [None]),
        (Look((IsNull("n", False), IsNull("name", False))), [1, 2, 3, 5]),
    ],
)
def test_filters(ctx, people, look, expected):
    browsed = Browsed(people)
    found = [None if n is None else int(n) for (n,) in browsed.texts(look, columns=["n"])]
    assert found == expected
    view = looked(people, look, browsed.columns, chosen=["n"])
    assert sorted(view.data()["n"], key=str) == sorted(expected, key=str)


@pytest.mark.parametrize(
    ("look", "error", "word"),
    [
        (Look((Between("n", "x", None),)), ValueRangeError, "write it like"),
        (Look((Between("n", None, None),)), ValueRangeError, "bound"),
        (Look((OneOf("n", ()),)), ValueRangeError, "at least one"),
        (Look((OneOf("yes", ("maybe",)),)), ValueRangeError, "true or false"),
        (Look((Contains("n", "1"),)), SchemaError, "only text"),
        (Look((IsNull("nobody"),)), SchemaError, "there are name"),
        (Look(sorts=(Sort("nobody"),)), SchemaError, "there are name"),
    ],
)
def test_what_cannot_be_looked_at_says_why(people, look, error, word):
    with pytest.raises(error, match=word):
        Browsed(people).pages(look)


def test_rows_stay_as_they_were_and_cost_nothing_when_they_go(ctx):
    x = ctx.create_object_from_value({"a": [1, 2]})
    browsed = Browsed(x)
    x.insert({"a": [3]})
    assert browsed.texts() == [["1"], ["2"]]
    assert sorted(browsed.view.data()["a"]) == [1, 2, 3]
    del x
    assert browsed.texts() == [["1"], ["2"]]
    before = len(ctx.live_tables())
    del browsed
    ctx.flush()
    assert len(ctx.live_tables()) == before - 2


def test_hostile_names_no_columns_and_no_rows(ctx):
    name = "`'\"; DROP <b>\\ aai_row0"
    made = ctx.create_object_from_value({name: [2, 1], "aai_row0": [1, 2], "_part": [3, 4]})
    for view in (made, made.order_by("_part"), made.filter(made[name] > 0)):
        browsed = Browsed(view)
        look = Look((Between(name, "1", "2"),), sorts=(Sort(name), Sort("_part")))
        assert browsed.texts(look) == [["1", "2", "4"], ["2", "1", "3"]]
        assert list(without_telling(browsed.rows).schema) == [name, "aai_row0", "_part"]
    empty = Browsed(ctx.create_object({"a": "Int64"}))
    assert empty.texts() == []
    assert empty.texts(Look(sorts=(Sort("a"),))) == []
    assert empty.pages().total()[0] == 0


def test_columns_may_be_named_as_what_we_add(ctx):
    names = ["aai_number", "aai_key0", "aai_text1", "aai_row0", "_part", "_part_offset"]
    rows = [[str(value) for value in row] for row in ([3, 1, 7, 5, 0, 2], [2, 9, 4, 6, 8, 1])]
    data = {name: list(map(int, pair)) for name, *pair in zip(names, *rows, strict=True)}
    browsed = Browsed(ctx.create_object_from_value(data))
    for place, name in enumerate(names):
        pages = browsed.pages(Look(sorts=(Sort(name),)))
        expected = sorted(rows, key=lambda row: int(row[place]))
        for start in (1, 0):  # the second from the first
            (row,) = pages.page(start, 1, names).cells
            assert [cell.text for cell in row] == expected[start]
