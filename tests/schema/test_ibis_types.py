from __future__ import annotations

import ibis
import ibis.expr.datatypes as dt
import pytest
from ibis.backends.sql.datatypes import ClickHouseType

from aaiclick_ext.schema.ibis_types import (
    binary_comment,
    binary_paths,
    boolean_paths,
    comment_paths,
    ibis_schema,
    ibis_type,
)

SAME_AS_IBIS = [
    "Int8", "UInt64", "Nullable(Int32)", "Float32", "Float64", "Bool", "String", "UUID",
    "Nullable(UUID)", "FixedString(4)", "Date", "Date32",
    "DateTime", "DateTime('UTC')", "DateTime64(9, 'Asia/Kolkata')", "Decimal(76, 10)",
    "Array(Nullable(Int8))", "Map(String, Array(Int64))", "Tuple(a Int8, `b c` String)",
    "Nullable(Tuple(a Int8))", "Enum8('a' = 1)", r"Enum16('a\'b' = 1, 'c' = -5)", "IPv4", "IPv6",
    "JSON", "JSON(max_dynamic_paths=10, a Int32)", "Object('json')", "Time", "Tuple()",
]  # fmt: skip


@pytest.mark.parametrize("text", SAME_AS_IBIS)
def test_as_ibis_maps_them(text):
    assert ibis_type(text) == ClickHouseType.from_string(text)


@pytest.mark.parametrize(
    ("text", "dtype"),
    [
        ("LowCardinality(Nullable(String))", dt.String()),
        ("Int128", dt.Decimal(39, 0, nullable=False)),
        ("Nullable(UInt128)", dt.Decimal(39, 0)),
        ("IntervalMicrosecond", dt.Interval("us", nullable=False)),
        ("Time64(6)", dt.Time(nullable=False)),
        ("DateTime64(6, 'Fixed/UTC+05:30:00')", dt.Timestamp("+05:30", 6, nullable=False)),
        ("SimpleAggregateFunction(sum, Nullable(UInt64))", dt.UInt64()),
        ("Nullable(Nothing)", dt.null),
        ("Point", dt.dtype("!struct<1: !float64, 2: !float64>")),
        ("Ring", dt.dtype("!array<!struct<1: !float64, 2: !float64>>")),
        ("Tuple(Int8, String)", dt.dtype("!struct<1: !int8, 2: !string>")),
        ("Nested(a Int8)", dt.dtype("!array<!struct<a: !int8>>")),
    ],
)
def test_where_ibis_says_less_or_other(text, dtype):
    assert ibis_type(text) == dtype


@pytest.mark.parametrize(
    "text",
    ["Int256", "UInt256", "BFloat16", "Dynamic", "Variant(Int8, String)", "QBit(Float32, 2)",
     "AggregateFunction(sum, UInt64)", "Geometry"],
)  # fmt: skip
def test_unknown_to_ibis(text):
    assert ibis_type(text).is_unknown()
    assert ibis_type(f"Array({text})").value_type.is_unknown()


def test_binary_by_comment():
    types = {"a": "String", "b": "Map(String, FixedString(2))", "c": "String", "d": "String"}
    comments = {
        "a": "aaiclick:binary", "b": 'aaiclick:binary [["value"]]', "c": "user's own",
        "d": "aaiclick:binary not json",
    }  # fmt: skip
    schema = ibis_schema(types, comments)
    assert schema == ibis.schema(
        {"a": "!binary", "b": "!map<!string, !binary>", "c": "!string", "d": "!string"}
    )
    assert binary_paths(schema) == {("a",), ("b", "value")}
    for column, comment in list(comments.items())[:2]:
        assert binary_comment(comment_paths(column, comment)) == comment


def test_booleans_only_where_clickhouse_says_uint8():
    schema = ibis.schema(
        {"a": "boolean", "b": "boolean", "c": "array<boolean>", "d": "struct<x: int8, y: boolean>"}
    )
    types = {
        "a": "UInt8", "b": "Bool", "c": "Array(Nullable(UInt8))", "d": "Tuple(x Int8, y UInt8)",
    }  # fmt: skip
    assert boolean_paths(schema, types) == {("a",), ("c", "[]"), ("d", "y")}


def test_fields_of_unnamed_tuples_can_be_asked_for(engine):
    import ibis.backends.sql.compilers as compilers

    schema = ibis_schema({"c": "Tuple(UInt8, String)"})
    t = ibis.table(schema, name="tuples")
    sql = compilers.ClickHouseCompiler().to_sqlglot(t.select(x=t.c["2"])).sql("clickhouse")
    engine.command("CREATE TABLE tuples ENGINE = Memory AS SELECT (1, 'a') AS c")
    found = engine.query_rows(sql)
    engine.command("DROP TABLE tuples SYNC")
    assert found == [("a",)]
