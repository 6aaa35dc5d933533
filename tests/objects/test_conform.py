"""What is put into a table that exists: without loss, or not at all."""

from __future__ import annotations

import datetime as dt
import math
import uuid
from decimal import Decimal
from itertools import count

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aaiclick_ext.engine.types import restore, wrap_fetch
from aaiclick_ext.errors import AaiclickError, SchemaError, ValueRangeError
from aaiclick_ext.objects.python_values import to_python
from aaiclick_ext.objects.values import conform, to_columnar
from aaiclick_ext.schema.ibis_types import comment_paths

NUMBERS = count()
BINARY = "aaiclick:binary"


def inserted(engine, values, type_: str, comment: str | None = None) -> list:
    """Return what a new column of a type holds after the values were put in."""
    comments = None if comment is None else {"value": comment}
    data = conform(to_columnar(values), {"value": type_}, comments)
    table = f"conform_{next(NUMBERS)}"
    engine.command(f"CREATE TABLE {table} (value {type_}) ENGINE = Memory")
    try:
        engine.insert_arrow(table, data)
        sql = f"SELECT * FROM {table}"
        types = engine.columns_of(sql)
        binary = comment_paths("value", comment or "")
        raw = engine.query_arrow(wrap_fetch(sql, types))
        return to_python(restore(raw, types, binary=binary), types)["value"]
    finally:
        engine.command(f"DROP TABLE {table} SYNC")


U = uuid.UUID(int=5)
UTC = dt.UTC
NOON = dt.datetime(2020, 1, 1, 12)
FITS = [
    ([1, 255], "UInt8"),
    ([1, None], "Nullable(Int8)"),
    ([1, -(2**53)], "Float64"),
    ([2.0, -3.0], "Int8"),
    ([1.5, float("inf")], "Float32"),
    (["a", ""], "LowCardinality(String)"),
    (["é"], "FixedString(2)"),
    (["a", None], "Nullable(Enum8('a' = 1, 'b' = 2))"),
    ([U], "UUID"),
    (["1.2.3.4", None], "Nullable(IPv4)"),
    (["::1", "::ffff:1.2.3.4"], "IPv6"),
    ([dt.date(1970, 1, 1), dt.date(2149, 6, 6)], "Date"),
    ([dt.date(1960, 1, 1)], "Date32"),
    ([dt.datetime(1970, 1, 1), dt.datetime(2106, 2, 7, 6, 28, 15)], "DateTime"),
    ([NOON.replace(tzinfo=UTC)], "DateTime('UTC')"),
    ([NOON.replace(tzinfo=UTC)], "DateTime64(6, 'Asia/Kolkata')"),
    ([NOON.replace(microsecond=500)], "DateTime64(4)"),
    ([NOON.replace(microsecond=5)], "DateTime64(9)"),
    ([dt.time(1, 2, 3)], "Time"),
    ([dt.time(1, 2, 3, 400_000)], "Time64(1)"),
    ([dt.time(1, 2, 3, 4)], "Time64(9)"),
    ([dt.timedelta(1)], "IntervalSecond"),
    ([Decimal("1.50")], "Decimal(9, 1)"),
    ([5, -6], "Decimal(3, 2)"),
    ([2**64 - 1], "Decimal(76, 0)"),
    ([Decimal(5)], "Int8"),
    ([5, -6], "Int128"),
    ([Decimal(2) ** 120, None], "Nullable(UInt128)"),
    ([1.5, -2.0], "BFloat16"),
    ([[1, 2], []], "Array(UInt8)"),
    ([[], []], "Array(Int64)"),
    ([[], [[]]], "Array(Array(Map(String, Tuple(a Int8))))"),
    ([[None, "a"]], "Array(Nullable(Enum8('a' = 1)))"),
    ([[NOON]], "Array(DateTime)"),
    ([[{"a": 1, "b": "x"}]], "Array(Tuple(a UInt8, b String))"),
    ([[{"b": "x", "a": 1}]], "Array(Tuple(a UInt8, b String))"),
    ([[{"k": 1}, {"k": 2}]], "Array(Map(String, UInt8))"),
    ([[{"k": 1, "j": 3}, {"j": 2, "k": 5}]], "Array(Map(String, Int64))"),
    ([1, None], "Dynamic"),
    (["x", None], "Variant(Int64, String)"),
    ([1], "SimpleAggregateFunction(sum, Int64)"),
    ([None], "Nullable(Decimal(9, 2))"),
    ([], "Int64"),
    ([], "Array(Int64)"),
]


@pytest.mark.parametrize(("values", "type_"), FITS, ids=str)
def test_fits(engine, values, type_):
    assert inserted(engine, values, type_) == values


@pytest.mark.parametrize(
    ("values", "type_", "found"),
    [
        ([str(U)], "UUID", [U]),
        ([str(2**255 - 1), "-1"], "Int256", [2**255 - 1, -1]),
        ([[{"a": 1}]], "Array(Tuple(a UInt8, b Nullable(String)))", [[{"a": 1, "b": None}]]),
        (['{"a": {"b": [1, 2]}}'], "JSON", [{"a": {"b": [1, 2]}}]),
        ([[{"a": 1, "b": None}]], "Array(JSON)", [[{"a": 1}]]),
        ([[{"1": 1.0, "2": 2.0}]], "Ring", [[(1.0, 2.0)]]),
    ],
    ids=str,
)
def test_fits_as_something_equal(engine, values, type_, found):
    assert inserted(engine, values, type_) == found


KIND, RANGE = SchemaError, ValueRangeError
REFUSED = [
    ([1, 300], "UInt8", RANGE, "row 1"),
    ([-1], "UInt64", RANGE, "row 0"),
    ([1, None], "Int64", RANGE, "row 1: null"),
    ([2**53 + 1], "Float64", RANGE, "row 0"),
    ([1.0, 1.5], "Int64", RANGE, "row 1"),
    ([float("nan")], "Int64", RANGE, "row 0"),
    ([0.5, 0.1], "Float32", RANGE, "row 1.*rounded"),
    ([1.501], "BFloat16", RANGE, "rounded in BFloat16"),
    ([True], "UInt8", KIND, "bool"),
    ([1], "Bool", KIND, "int64"),
    ([1], "String", KIND, r"str\(\)"),
    (["1"], "Int64", KIND, "string"),
    (["a"], "FixedString(2)", RANGE, "ljust"),
    (["abc"], "FixedString(2)", RANGE, "not 2 bytes"),
    (["a", "z"], "Enum8('a' = 1)", RANGE, "row 1: not a name"),
    (["zz"], "UUID", RANGE, "row 0"),
    (["::1"], "IPv4", RANGE, "row 0"),
    ([dt.date(1960, 1, 1)], "Date", RANGE, "1970-01-01"),
    ([dt.date(1960, 1, 1)], "DateTime", KIND, "datetime"),
    ([NOON], "Date", KIND, "date"),
    ([NOON, NOON.replace(microsecond=5)], "DateTime", RANGE, "row 1"),
    ([dt.datetime(1969, 12, 31)], "DateTime", RANGE, "1970"),
    ([NOON.replace(microsecond=550)], "DateTime64(4)", RANGE, "finer"),
    ([dt.datetime(2400, 1, 1)], "DateTime64(9)", RANGE, "row 0"),
    ([NOON], "DateTime('UTC')", KIND, "tz_localize"),
    ([NOON.replace(tzinfo=UTC)], "DateTime", KIND, "astimezone"),
    ([dt.time(1, 2, 3, 4)], "Time", RANGE, "row 0"),
    ([dt.time(1, 2, 3, 4)], "Time64(5)", RANGE, "finer"),
    ([dt.timedelta(0, 1, 5)], "IntervalSecond", RANGE, "row 0"),
    ([dt.timedelta(1)], "IntervalDay", KIND, "SQL"),
    ([Decimal("1.555")], "Decimal(9, 2)", RANGE, "row 0"),
    ([Decimal("12345678.5")], "Decimal(9, 2)", RANGE, "row 0"),
    ([10**9], "Decimal(9, 2)", RANGE, "row 0"),
    ([1.5], "Decimal(9, 2)", KIND, "Decimal"),
    ([Decimal("5.5")], "Int64", RANGE, "row 0"),
    ([5, -1], "UInt128", RANGE, "row 1"),
    ([str(2**255)], "Int256", RANGE, "row 0"),
    (["1_0"], "Int256", RANGE, "row 0"),
    ([[], [1, -300]], "Array(UInt8)", RANGE, r"'value\[\]', row 1"),
    ([[None]], "Array(UInt8)", RANGE, "null"),
    ([[{"a": 1}]], "Array(Tuple(a UInt8, b String))", RANGE, r"'value\[\]\.b'.*null"),
    ([[{"z": 1}]], "Array(Tuple(a UInt8))", KIND, "no field z; it has a"),
    ([[{"k": 1}, {"j": 2}]], "Array(Map(String, Int64))", RANGE, "map_"),
    ([[{"k": 1, "j": "x"}]], "Array(Map(String, Int64))", RANGE, "several types"),
    (["[1]"], "JSON", RANGE, "not an object"),
    (["{"], "JSON", RANGE, "row 0"),
    ([1], "JSON", KIND, "text of JSON"),
    ([1], "Variant(Int8, String)", KIND, "not one of its types"),
    ([1], "AggregateFunction(sum, Int64)", KIND, "SQL"),
    (["a"], "Array(String)", KIND, "SQL"),
    ([1], "Array(Int64)", KIND, "SQL"),
]


@pytest.mark.parametrize(("values", "type_", "error", "match"), REFUSED, ids=str)
def test_refused(values, type_, error, match):
    with pytest.raises(error, match=match):
        conform(to_columnar(values), {"value": type_})


class TestColumns:
    def test_unknown(self):
        with pytest.raises(SchemaError, match="no column 'z'; it has a, b"):
            conform(to_columnar({"a": [1], "z": [1]}), {"a": "Int8", "b": "Int8"})

    def test_missing_are_left_out(self):
        data = conform(to_columnar({"b": [1]}), {"a": "Int8", "b": "Int8"})
        assert data.schema == pa.schema([("b", pa.int8())])

    def test_in_chunks(self):
        column = pa.chunked_array([[1], [], [2, 300]])
        with pytest.raises(ValueRangeError, match="row 2"):
            conform(to_columnar(column), {"value": "UInt8"})

    def test_null_struct_hides_what_is_under_it(self, engine):
        values = pa.array([{"a": 1}, None])
        assert inserted(engine, values, "Nullable(Tuple(a Int8))") == [{"a": 1}, None]
        with pytest.raises(ValueRangeError, match=r"value\.a.*row 1: null"):
            conform(
                to_columnar(pa.array([{"a": 1}, {"a": None}, None])),
                {"value": "Nullable(Tuple(a Int8))"},
            )


class TestTextAndBytes:
    def test_each_to_its_own(self, engine):
        assert inserted(engine, [b"\xff"], "String", BINARY) == [b"\xff"]
        assert inserted(engine, ["é"], "String", "another comment") == ["é"]

    def test_bytes_among_text(self):
        with pytest.raises(SchemaError, match="decode"):
            conform(to_columnar([b"a"]), {"value": "String"}, {})

    def test_text_among_bytes(self):
        with pytest.raises(SchemaError, match="encode"):
            conform(to_columnar(["a"]), {"value": "String"}, {"value": BINARY})

    def test_inside(self):
        comments = {"value": f'{BINARY} [["[]", "b"]]'}
        target = {"value": "Array(Tuple(b String, t String))"}
        conform(to_columnar([[{"b": b"x", "t": "y"}]]), target, comments)
        with pytest.raises(SchemaError, match=r"value\[\]\.t.*decode"):
            conform(to_columnar([[{"b": b"x", "t": b"y"}]]), target, comments)


TARGETS = [
    "Int8", "UInt8", "Int32", "UInt64", "Int64", "Int128", "UInt256", "Float32", "Float64",
    "BFloat16", "Decimal(9, 2)", "Decimal(38, 10)", "Decimal(76, 0)", "String", "FixedString(1)",
    "Bool", "Date", "Date32", "DateTime", "DateTime64(2)", "DateTime64(9)", "DateTime('UTC')",
    "DateTime64(6, 'Asia/Kolkata')", "Time", "Time64(4)", "IntervalMillisecond", "UUID",
    "Enum8('a' = 1, 'b' = 2)", "LowCardinality(String)", "IPv4", "Dynamic",
]  # fmt: skip
VALUES = [
    st.integers(-300, 300),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(width=16),
    st.floats(),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9),
    st.sampled_from(["a", "b", "é", "", "1.2.3.4", "5"]),
    st.booleans(),
    st.dates(),
    st.datetimes(),
    st.datetimes(dt.datetime(1960, 1, 1), dt.datetime(2110, 1, 1), timezones=st.just(UTC)),
    st.datetimes(dt.datetime(1960, 1, 1), dt.datetime(2110, 1, 1)).map(
        lambda t: t.replace(microsecond=0)
    ),
    st.times(),
    st.times().map(lambda t: t.replace(microsecond=t.microsecond // 100 * 100)),
    st.timedeltas(dt.timedelta(-1000), dt.timedelta(1000)),
    st.uuids(),
    st.binary(max_size=1),
]


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_whatever_is_taken_comes_back_equal(engine, data):
    values = data.draw(st.sampled_from(VALUES))
    rows = data.draw(st.lists(st.one_of(values, st.none()), min_size=1, max_size=3))
    type_ = data.draw(st.sampled_from(TARGETS))
    if type_ != "Dynamic" and data.draw(st.booleans()):
        if type_.startswith("LowCardinality("):
            type_ = "LowCardinality(Nullable(String))"
        else:
            type_ = f"Nullable({type_})"
    nested = data.draw(st.booleans())
    if nested:
        rows, type_ = [rows], f"Array({type_})"
    if "Dynamic" in type_ and not all(isinstance(v, (int, str)) for v in flat(rows)):
        return  # other values of a Dynamic come back as their JSON
    comment = BINARY if any(isinstance(v, bytes) for v in flat(rows)) else ""
    try:
        found = inserted(engine, rows, type_, comment)
    except AaiclickError as error:
        assert not hasattr(error, "sql"), "ClickHouse had to refuse it"  # noqa: PT017
        return
    pairs = zip(flat(found), flat(rows), strict=True)
    assert all(same(one, other) for one, other in pairs), (found, rows)


def flat(rows):
    for row in rows:
        if isinstance(row, list):
            yield from flat(row)
        else:
            yield row


def same(found, given) -> bool:
    if isinstance(given, float) and math.isnan(given):
        return isinstance(found, float) and math.isnan(found)
    if isinstance(found, int) and isinstance(given, str):
        return str(found) == given  # text is how Arrow carries Int256
    return found == given
