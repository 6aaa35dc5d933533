"""The Arrow schema of columns, without a query, is the one that a fetch of them has."""

from __future__ import annotations

import pytest

from aaiclick_ext.engine.types import arrow_schema, restore, wrap_fetch
from aaiclick_ext.errors import UnsupportedTypeError

TYPES = [
    "Int8", "Int16", "Int32", "Int64", "Int128", "Int256", "UInt8", "UInt16", "UInt32", "UInt64",
    "UInt128", "UInt256", "Float32", "Float64", "BFloat16", "Bool", "String", "FixedString(4)",
    "UUID", "Date", "Date32", "DateTime", "DateTime('UTC')", "DateTime('Fixed/UTC+05:30:00')",
    *[f"DateTime64({scale})" for scale in range(10)], "DateTime64(5, 'Asia/Kolkata')",
    "Time", *[f"Time64({scale})" for scale in range(10)],
    "Decimal(9, 2)", "Decimal(18, 4)", "Decimal(38, 3)", "Decimal(39, 3)", "Decimal(76, 4)",
    "Enum8('a' = 1)", "Enum16('a' = 1000)", "IPv4", "IPv6",
    "JSON", "JSON(a Int32, SKIP b)", "Dynamic", "Dynamic(max_types=3)",
    *["Interval" + unit for unit in (
        "Nanosecond", "Microsecond", "Millisecond", "Second", "Minute", "Hour", "Day", "Week",
        "Month", "Quarter", "Year")],
    "Point", "Ring", "LineString", "MultiLineString", "Polygon", "MultiPolygon", "MultiPoint",
    "Geometry",
    "LowCardinality(String)", "LowCardinality(Nullable(String))", "LowCardinality(FixedString(2))",
    "Array(Int8)", "Array(Nullable(Int8))", "Array(Array(Nullable(String)))", "Array(Dynamic)",
    "Array(JSON)", "Array(UUID)", "Array(Nullable(Decimal(9, 2)))", "Array(Nullable(IPv4))",
    "Array(Nullable(Tuple(a Int8)))", "Array(Variant(Int8, String))", "Array(Enum8('a' = 1))",
    "Array(LowCardinality(Nullable(String)))", "Array(IntervalMonth)", "Array(Int256)",
    "Map(String, Nullable(Int8))", "Map(LowCardinality(String), Array(DateTime))",
    "Map(UInt8, Map(String, IPv6))", "Map(String, DateTime64(3, 'UTC'))", "Map(UUID, Dynamic)",
    "Tuple(Int8, String)", "Tuple(a Int8, `b c` Nullable(String))", "Tuple()",
    "Nullable(Tuple(a Int8, t Nullable(DateTime)))", "Tuple(a Tuple(b Array(UUID)), c Int128)",
    "Tuple(a Variant(Int8, String))", "Variant(Int8, String)",
    "Variant(Int16, Int8)", "Variant(Array(Int8), DateTime, String)", "Variant(IPv4, IPv6, Int256)",
    "Variant(BFloat16, UUID)", "Variant(Tuple(a Int8), Int8)",
    "AggregateFunction(sum, Int8)", "AggregateFunction(quantiles(0.5, 0.9), Float64)",
    "SimpleAggregateFunction(sum, Int64)", "SimpleAggregateFunction(anyLast, Nullable(IPv4))",
    "QBit(Float32, 2)", "QBit(Float64, 3)", "QBit(BFloat16, 2)",
]  # fmt: skip
NULLABLE = [
    "Int8", "UInt64", "Int128", "Int256", "Float64", "BFloat16", "Bool", "String", "FixedString(4)",
    "UUID", "Date32", "DateTime", "DateTime64(3, 'UTC')", "Time64(6)", "Decimal(38, 3)",
    "Enum8('a' = 1)", "IPv4", "IPv6", "IntervalSecond", "IntervalDay",
]  # fmt: skip
SETTINGS = "SETTINGS allow_suspicious_variant_types = 1, allow_suspicious_types_in_order_by = 1"


@pytest.mark.parametrize("text", [*TYPES, *[f"Nullable({text})" for text in NULLABLE]])
@pytest.mark.parametrize("binary", [(), ("x",)], ids=["text", "bytes"])
def test_it_is_that_of_an_empty_fetch(engine, text, binary):
    engine.command(f"CREATE TABLE typed (x {text}, `y z` Int8) ENGINE = Memory {SETTINGS}")
    try:
        types = {column.name: column.type for column in engine.columns_of_table("typed")}
        fetched = engine.query_arrow(wrap_fetch("SELECT * FROM typed", types))
    finally:
        engine.command("DROP TABLE typed SYNC")
    expected = restore(fetched, types, binary=binary).schema
    assert arrow_schema(types, binary=binary).equals(expected)


@pytest.mark.parametrize("expression", ["NULL", "[]", "tuple()", "(NULL, [NULL])"])
def test_types_that_only_queries_have(engine, expression):
    sql = f"SELECT {expression} AS x LIMIT 0"
    types = engine.columns_of(sql)
    expected = restore(engine.query_arrow(wrap_fetch(sql, types)), types).schema
    assert str(arrow_schema(types)) == str(expected).replace("null not null", "null")


def test_a_type_not_known_is_refused_with_a_remedy():
    with pytest.raises(UnsupportedTypeError, match=r"sends Strange\(1\).*toString"):
        arrow_schema({"x": "Strange(1)"})
