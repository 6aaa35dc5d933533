from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aaiclick_ext.engine.types import (
    ChType,
    fetch_casts,
    parse,
    restore,
    restored_schema,
    wrap_fetch,
)
from aaiclick_ext.errors import SchemaError, UnsupportedTypeError, ValueRangeError

UTC = dt.UTC
INDIA = dt.timezone(dt.timedelta(hours=5, minutes=30))


class TestParse:
    @pytest.mark.parametrize(
        "text",
        [
            "Int64",
            "Array(Nullable(String))",
            "DateTime('Asia/Kolkata')",
            "DateTime64(9, 'Asia/Kolkata')",
            "DateTime64(6, 'Fixed/UTC+05:30:00')",
            "Decimal(76, 38)",
            "FixedString(16)",
            "Enum8('a' = 1, 'b' = -2)",
            r"Enum16('it\'s' = 1, 'back\\slash' = 2, 'par(en), =' = 3)",
            "Tuple(UInt8, String)",
            "Tuple(a Int8, `b c` String)",
            "Tuple(`a\\`b` Int8, `1` Int8)",
            "Tuple()",
            "Tuple(Int8 String, Array Array(Int8))",
            "Nested(a Int8, b Array(String))",
            "Map(LowCardinality(String), Array(Map(UInt8, Float64)))",
            "LowCardinality(Nullable(FixedString(3)))",
            "JSON",
            "JSON(max_dynamic_paths=10, a.b Int32, SKIP c, SKIP REGEXP 'x)')",
            "Object('json')",
            "Variant(Int8, Array(String), Tuple(a Int8))",
            "Dynamic(max_types=3)",
            "QBit(Float32, 2)",
            "SimpleAggregateFunction(sum, UInt64)",
            "AggregateFunction(quantiles(0.5, 0.9), Float64)",
            "AggregateFunction(count)",
            "AggregateFunction(1, sumMap, Array(Int8), Array(Int64))",
            "Point",
            "IntervalMicrosecond",
            "Time64(6)",
        ],
    )
    def test_gives_its_text_back(self, text):
        assert str(parse(text)) == text

    @pytest.mark.parametrize(
        ("text", "same"),
        [
            ("Tuple(\n    a Int8,\n    b String)", "Tuple(a Int8, b String)"),
            ('Tuple("a b" Int8)', "Tuple(`a b` Int8)"),
            ("Enum8('it''s'=1)", r"Enum8('it\'s' = 1)"),
            (" Array( Int8 ) ", "Array(Int8)"),
        ],
    )
    def test_other_spellings(self, text, same):
        assert str(parse(text)) == same

    def test_escapes_in_names(self):
        found = parse(r"Enum8('a\'b\\c\n' = 1, '' = 2)")
        assert found.values == (("a'b\\c\n", 1), ("", 2))
        assert parse(r"Tuple(`x\`y` Int8)").names == ("x`y",)

    @pytest.mark.parametrize(
        "text",
        ["", "Array(", "Array(Int8", "Array(Int8))", "Int8 Int8", "1", "Tuple(a Int8, String)",
         "Enum8", "Enum8('a' = )", "Enum8(1)", "Array(;)", "Nullable(Int8,)", "a b c"],
    )  # fmt: skip
    def test_refuses_what_is_no_type(self, text):
        if text == "Enum8":  # a name alone is a type, whether ClickHouse has it or not
            assert parse(text) == ChType("Enum8")
            return
        with pytest.raises(SchemaError, match="not a ClickHouse type"):
            parse(text)

    @pytest.mark.parametrize(
        ("text", "nullable", "inner"),
        [
            ("Int8", False, "Int8"),
            ("LowCardinality(Nullable(String))", True, "String"),
            ("SimpleAggregateFunction(any, Nullable(Int8))", True, "Int8"),
            ("Dynamic", True, "Dynamic"),
            ("Array(Nullable(Int8))", False, "Array(Nullable(Int8))"),
            ("Polygon", False, "Array(Ring)"),
            ("Nested(a Int8)", False, "Array(Tuple(a Int8))"),
        ],
    )
    def test_nullable_and_inner(self, text, nullable, inner):
        assert parse(text).nullable is nullable
        assert str(parse(text).inner) == inner


# ClickHouse keeps one name for itself: the null map of a Nullable(Tuple).
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8).filter(lambda n: n != "null")
LEAVES = st.one_of(
    st.sampled_from(["Int8", "String", "UUID", "DateTime", "Float64", "Point"]).map(ChType),
    st.integers(0, 9).map(lambda scale: ChType("DateTime64", params=(scale, "Asia/Kolkata"))),
    st.lists(NAMES, min_size=1, max_size=3, unique=True).map(
        lambda names: ChType("Enum8", values=tuple((n, i - 1) for i, n in enumerate(names)))
    ),
)


def tuples(children):
    named = st.dictionaries(NAMES, children, min_size=1, max_size=3)
    return named.map(lambda d: ChType("Tuple", tuple(d.values()), tuple(d)))


TYPES = st.recursive(
    LEAVES,
    lambda children: st.one_of(
        children.map(lambda t: ChType("Array", (t,))),
        st.tuples(LEAVES, children).map(lambda pair: ChType("Map", pair)),
        tuples(children),
    ),
    max_leaves=6,
)


@given(TYPES)
def test_text_of_a_tree_parses_to_the_tree(type_):
    assert parse(str(type_)) == type_


@settings(deadline=None)
@given(names=st.dictionaries(NAMES, LEAVES, min_size=1, max_size=3))
def test_clickhouse_reads_names_as_we_write_them(engine, names):
    type_ = ChType("Tuple", tuple(names.values()), tuple(names))
    told = engine.columns_of(f"SELECT defaultValueOfTypeName({literal(str(type_))}) AS x")["x"]
    assert parse(told) == type_


def literal(text: str) -> str:
    from aaiclick_ext.engine import quote_literal

    return quote_literal(text)


def fetched(engine, expression: str, **flags) -> pa.Table:
    sql = f"SELECT {expression} AS x"
    types = engine.columns_of(sql)
    data = restore(engine.query_arrow(wrap_fetch(sql, types)), types, **flags)
    data.validate(full=True)
    return data


FETCHES = {
    "toUInt64(18446744073709551615)": (pa.uint64(), 2**64 - 1),
    "toInt128('-170141183460469231731687303715884105728')": (
        pa.decimal256(39, 0), Decimal(-(2**127))),
    "toUInt128('340282366920938463463374607431768211455')": (
        pa.decimal256(39, 0), Decimal(2**128 - 1)),
    "[toInt128(-5), 7, NULL]": (
        pa.list_(pa.decimal256(39, 0)), [Decimal(-5), Decimal(7), None]),
    "toInt256('-5')": (pa.string(), "-5"),
    "[toUInt256('115792089237316195423570985008687907853269984665640564039457584007913129639935')]":
        (pa.list_(pa.field("item", pa.string(), nullable=False)), [str(2**256 - 1)]),
    "toBFloat16(1.5)": (pa.float32(), 1.5),
    "toDateTime('2020-01-01 00:00:00')": (pa.timestamp("s"), dt.datetime(2020, 1, 1)),
    "toNullable(toDateTime('2106-02-07 06:28:15'))": (
        pa.timestamp("s"), dt.datetime(2106, 2, 7, 6, 28, 15)),
    "toDateTime('2020-01-01 00:00:00', 'UTC')": (
        pa.timestamp("s", "UTC"), dt.datetime(2020, 1, 1, tzinfo=UTC)),
    "toDateTime64('1950-01-01 00:00:00.5', 1)": (
        pa.timestamp("ms"), dt.datetime(1950, 1, 1, 0, 0, 0, 500_000)),
    "toDateTime64('2020-01-01 05:30:00', 6, 'Fixed/UTC+05:30:00')": (
        pa.timestamp("us", "+05:30"), dt.datetime(2020, 1, 1, 5, 30, tzinfo=INDIA)),
    "map('a', toDateTime(5))": (None,
        [("a", dt.datetime(1970, 1, 1, 0, 0, 5))]),
    "CAST('b', 'Enum8(\\'a\\' = -100, \\'b\\' = 100)')": (pa.string(), "b"),
    "CAST(NULL, 'Nullable(Enum16(\\'a\\' = -1000))')": (pa.string(), None),
    "[CAST('a', 'Enum8(\\'a\\' = 1)')]": (
        pa.list_(pa.field("item", pa.string(), nullable=False)), ["a"]),
    "toIPv4('1.2.3.4')": (pa.string(), "1.2.3.4"),
    "toIPv6('::ffff:1.2.3.4')": (pa.string(), "::ffff:1.2.3.4"),
    "toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0')": (
        pa.uuid(), uuid.UUID("61f0c404-5cb3-11e7-907b-a6006ad3dba0")),
    "toDecimal256('1.50', 2)": (pa.decimal256(76, 2), Decimal("1.50")),
    "toLowCardinality('x')": (pa.string(), "x"),
    "toFixedString('ab', 3)": (pa.string(), "ab\0"),
    "(1, 'a', toDateTime(0))": (None, {"1": 1, "2": "a", "3": dt.datetime(1970, 1, 1)}),
    "CAST((1, NULL), 'Nullable(Tuple(a Int8, b Nullable(DateTime)))')": (
        None, {"a": 1, "b": None}),
    "CAST('{\"a\":1}', 'JSON')": (pa.json_(), '{"a":1}'),
    "CAST(1, 'Dynamic')": (pa.json_(), "1"),
    "CAST(NULL, 'Dynamic')": (pa.json_(), None),
    "CAST(toDateTime(0), 'Variant(DateTime, String)')": (None, dt.datetime(1970, 1, 1)),
    "CAST('x', 'Variant(DateTime, String)')": (None, "x"),
    "CAST(NULL, 'Variant(DateTime, String)')": (None, None),
    "[CAST(toIPv4('1.2.3.4'), 'Variant(IPv4, String)')]": (None, ["1.2.3.4"]),
    "CAST(toInt256(-7), 'Variant(Int256, String)')": (None, "-7"),
    "CAST(toIPv6('::1'), 'Variant(IPv6, UInt8)')": (None, "::1"),
    "CAST(toBFloat16(1.5), 'Variant(BFloat16, String)')": (None, 1.5),
    "CAST('10:11:12.5', 'Time64(3)')": (pa.time32("ms"), dt.time(10, 11, 12, 500_000)),
    "toIntervalMicrosecond(5)": (pa.duration("us"), dt.timedelta(microseconds=5)),
    "toIntervalMonth(5)": (pa.int64(), 5),
    "CAST(5, 'SimpleAggregateFunction(sum, UInt64)')": (pa.uint64(), 5),
    "countState()": (pa.binary(), b"\1"),
    "CAST((1, 2), 'Point')": (None, {"1": 1.0, "2": 2.0}),
    "CAST([1, 2], 'QBit(Float32, 2)')": (None, [1.0, 2.0]),
    "tuple()": (pa.struct([]), {}),
    "[]": (None, []),
    "NULL": (pa.null(), None),
}  # fmt: skip


@pytest.mark.parametrize("expression", FETCHES)
def test_fetch_restores(engine, expression):
    wanted, value = FETCHES[expression]
    data = fetched(engine, expression)
    if wanted is not None:
        assert data.schema.field("x").type == wanted
    assert data["x"].to_pylist() == [value]


@pytest.mark.parametrize("expression", FETCHES)
def test_empty_results_and_streams_have_the_same_types(engine, expression):
    wanted = fetched(engine, expression).schema
    sql = f"SELECT {expression} AS x"
    types = engine.columns_of(sql)
    wrapped = wrap_fetch(sql, types)
    raw = engine.query_arrow(wrapped)
    assert restore(raw.slice(0, 0), types).schema == wanted
    assert restored_schema(raw.schema, types) == wanted


def test_large_slices_and_chunks(engine):
    sql = (
        "SELECT number AS n, toDateTime(number) AS t, if(n % 3 = 0, NULL, t) AS tn, "
        "CAST(n % 2, 'Enum8(\\'a\\' = 0, \\'b\\' = 1)') AS e, toInt128(n) - 5 AS i, "
        "range(n % 4)::Array(DateTime) AS l, map('k', t) AS m, (n, [t]) AS s, "
        "if(n % 5 = 0, NULL, toInt128(n)) AS inull FROM numbers(200000)"
    )
    types = engine.columns_of(sql)
    data = restore(engine.query_arrow(wrap_fetch(sql, types)), types)
    data.validate(full=True)
    assert data["t"].num_chunks > 1
    part = data.slice(131_070, 4).to_pylist()
    epoch = dt.datetime(1970, 1, 1)
    for row in part:
        n = row["n"]
        at = epoch + dt.timedelta(seconds=n)
        assert row == {
            "n": n,
            "t": at,
            "tn": None if n % 3 == 0 else at,
            "e": "ab"[n % 2],
            "i": Decimal(n - 5),
            "l": [epoch + dt.timedelta(seconds=k) for k in range(n % 4)],
            "m": [("k", at)],
            "s": {"1": n, "2": [at]},
            "inull": None if n % 5 == 0 else Decimal(n),
        }


@pytest.mark.parametrize("offset", [0, 1, 7, 8, 9])
def test_slices_of_what_arrived(engine, offset):
    sql = (
        "SELECT toDateTime(number) AS t, range(number % 3)::Array(DateTime) AS l, "
        "if(number % 2 = 0, NULL, toInt128(number)) AS i, map(number, t) AS m, "
        "if(number % 2 = 0, NULL, tuple(t)) AS s, "
        "CAST(if(number % 2 = 0, NULL, 'a'), 'Nullable(Enum8(\\'a\\' = 7))') AS e, "
        "multiIf(number % 3 = 0, t::Variant(DateTime, String), number % 3 = 1, 'x', NULL) AS v, "
        "if(number % 2 = 0, NULL, toBFloat16(number)) AS b FROM numbers(20)"
    )
    types = engine.columns_of(sql)
    raw = engine.query_arrow(sql.replace("toBFloat16(number)", "toFloat32(number)"))
    whole = restore(raw, types).to_pylist()
    part = restore(raw.slice(offset, 5), types)
    part.validate(full=True)
    assert part.to_pylist() == whole[offset : offset + 5]


class TestFlags:
    def test_bytes(self, engine):
        data = fetched(engine, "unhex('ff00')", binary={"x"})
        assert data.schema.field("x").type == pa.binary()
        assert data["x"].to_pylist() == [b"\xff\0"]

    def test_fixed_bytes(self, engine):
        data = fetched(engine, "toFixedString(unhex('ff'), 2)", binary={"x"})
        assert data.schema.field("x").type == pa.binary(2)
        assert data["x"].to_pylist() == [b"\xff\0"]

    def test_bytes_inside(self, engine):
        data = fetched(engine, "map('k', unhex('ff'))", binary={("x", "value")})
        assert data["x"].to_pylist() == [[("k", b"\xff")]]
        data = fetched(
            engine, "CAST((unhex('ff'), ['t']), 'Tuple(b String, t Array(String))')",
            binary={("x", "b")},
        )  # fmt: skip
        assert data["x"].to_pylist() == [{"b": b"\xff", "t": ["t"]}]
        data = fetched(engine, "[[unhex('ff')]]", binary={"x"})
        assert data["x"].to_pylist() == [[[b"\xff"]]]

    def test_booleans(self, engine):
        data = fetched(engine, "(1 = 1)", booleans={"x"})
        assert data["x"].to_pylist() == [True]
        assert fetched(engine, "(1 = 1)")["x"].to_pylist() == [1]
        data = fetched(engine, "[1 = 2, NULL = 1]", booleans={("x", "[]")})
        assert data["x"].to_pylist() == [[False, None]]


class TestUtf8:
    @pytest.mark.parametrize("value", ["x", "[x]", "map('k', x)", "(1, [x])", "x::Dynamic"])
    def test_names_column_row_and_remedy(self, engine, value):
        sql = f"SELECT {value} AS c FROM (SELECT if(number = 70001, unhex('ff'), 'é') AS x "
        sql += "FROM numbers(70003)) SETTINGS max_threads = 1"
        types = engine.columns_of(sql)
        with pytest.raises(ValueRangeError, match=r"column 'c', row 70001.*cast\(\"binary\"\)"):
            restore(engine.query_arrow(sql), types)

    def test_halves_of_a_character_in_two_rows(self):
        halves = pa.array(["é".encode()[:1], "é".encode()[1:]], pa.binary())
        data = pa.table({"c": halves})
        with pytest.raises(ValueRangeError, match="row 0"):
            restore(data, {"c": "String"})

    def test_text_of_every_plane(self, engine):
        text = "".join(chr(c) for c in range(1, 0x110000, 97) if not 0xD800 <= c < 0xE000)
        assert fetched(engine, literal(text))["x"].to_pylist() == [text]


class TestCasts:
    def test_only_where_needed(self):
        columns = {
            "a": "Int64", "b": "DateTime", "c": "Enum8('a' = 1)", "d": "Int128",
            "e": "Array(Nullable(IPv6))", "f": "Tuple(`x y` Map(String, Int256), z BFloat16)",
            "g": "Variant(IPv4, String)", "h": "AggregateFunction(sum, Int8)",
            "i": "SimpleAggregateFunction(any, Nullable(IPv4))",
        }  # fmt: skip
        assert fetch_casts(columns) == {
            "e": "Array(Nullable(String))",
            "f": "Tuple(`x y` Map(String, String), z Float32)",
            "h": "String",
            "i": "Nullable(String)",
        }

    def test_sql_that_needs_none_is_the_same_object(self):
        sql = "SELECT 1"
        assert wrap_fetch(sql, {"1": "UInt8"}) is sql

    def test_wraps_comments_names_and_order(self, engine):
        sql = (
            "SELECT toIPv4(number) AS `a ``b`, number AS n FROM numbers(100000) "
            "ORDER BY n DESC -- a comment"
        )
        types = {"a `b": "IPv4", "n": "UInt64"}
        data = engine.query_arrow(wrap_fetch(sql, types))
        assert data["n"].to_pylist() == list(range(99_999, -1, -1))
        assert data["a `b"][-1].as_py() == "0.0.0.0"

    def test_overrides(self, engine):
        sql = wrap_fetch("SELECT 1 AS a", {"a": "UInt8"}, {"a": "String"})
        assert engine.query_rows(sql) == [("1",)]


class TestCost:
    def test_what_is_right_is_passed_on(self, engine):
        types = {"a": "Int64", "d": "Date32", "u": "Nullable(Float64)"}
        data = engine.query_arrow(
            "SELECT 1::Int64 AS a, '1950-01-01'::Date32 AS d, 1.5::Nullable(Float64) AS u"
        )
        assert restore(data, types) is data

    def test_strings_and_times_are_not_copied(self, engine):
        data = engine.query_arrow("SELECT 'é' AS s, now64(6) AS t, [now64(6)] AS l")
        restored = restore(data, {"s": "String", "t": "DateTime64(6)", "l": "Array(DateTime64(6))"})

        def addresses(table):
            return [
                [b and b.address for b in column.chunk(0).buffers()] for column in table.columns
            ]

        assert restored.schema.field("t").type == pa.timestamp("us")
        assert addresses(restored) == addresses(data)


def test_unknown_form_is_refused_with_a_remedy():
    data = pa.table({"u": pa.array([b"0" * 16], pa.binary(16))})
    with pytest.raises(UnsupportedTypeError, match=r"column 'u'.*toString\(`u`\)"):
        restore(data, {"u": "UUID"})


def test_columns_not_named_are_left_alone():
    data = pa.table({"a": pa.array([1], pa.uint32())})
    assert restore(data, {}) is data
