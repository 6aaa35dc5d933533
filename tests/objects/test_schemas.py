from __future__ import annotations

import ibis
import ibis.expr.datatypes as dt
import pyarrow as pa
import pytest

from aaiclick_ext.errors import SchemaError, UnsupportedTypeError
from aaiclick_ext.objects.schemas import types_from_schema
from aaiclick_ext.schema.ibis_types import ibis_schema


def test_clickhouse_types():
    types, comments = types_from_schema({"a": "Nullable( Int8 )", "b": "Enum8('x'=1)"})
    assert types == {"a": "Nullable(Int8)", "b": "Enum8('x' = 1)"}
    assert comments == {}


def test_ibis_schema():
    schema = ibis.schema(
        {
            "a": "!int8", "b": "string", "c": "array<string>", "d": "struct<x: int8, y: !string>",
            "e": "map<string, float64>", "f": "timestamp('Asia/Kolkata', 3)", "g": "timestamp",
            "h": "decimal(9, 2)", "i": "binary", "j": "array<!binary>", "k": "uuid",
            "l": "interval('s')", "m": "date", "n": "time", "o": "json", "p": "boolean",
        }
    )  # fmt: skip
    types, comments = types_from_schema(schema)
    assert types == {
        "a": "Int8",
        "b": "Nullable(String)",
        "c": "Array(Nullable(String))",
        "d": "Tuple(x Nullable(Int8), y String)",
        "e": "Map(String, Nullable(Float64))",
        "f": "Nullable(DateTime64(3, 'Asia/Kolkata'))",
        "g": "Nullable(DateTime64(6))",
        "h": "Nullable(Decimal(9, 2))",
        "i": "Nullable(String)",
        "j": "Array(String)",
        "k": "Nullable(UUID)",
        "l": "Nullable(IntervalSecond)",
        "m": "Nullable(Date32)",
        "n": "Nullable(Time64(6))",
        "o": "Nullable(JSON)",
        "p": "Nullable(Bool)",
    }
    assert comments == {"i": "aaiclick:binary", "j": 'aaiclick:binary [["[]"]]'}


def test_arrow_schema():
    schema = pa.schema(
        [
            pa.field("a", pa.int8(), nullable=False),
            pa.field("b", pa.large_string()),
            pa.field("c", pa.list_(pa.field("item", pa.int8(), nullable=False))),
            pa.field("d", pa.struct([pa.field("x", pa.binary())])),
            pa.field("e", pa.map_(pa.string(), pa.int8())),
            pa.field("f", pa.timestamp("ns", "+05:30")),
            pa.field("g", pa.dictionary(pa.int8(), pa.string())),
            pa.field("h", pa.list_(pa.uuid())),
            pa.field("i", pa.null()),
        ]
    )
    types, comments = types_from_schema(schema)
    assert types == {
        "a": "Int8",
        "b": "Nullable(String)",
        "c": "Array(Int8)",
        "d": "Tuple(x Nullable(String))",
        "e": "Map(String, Nullable(Int8))",
        "f": "Nullable(DateTime64(9, 'Fixed/UTC+05:30:00'))",
        "g": "LowCardinality(Nullable(String))",
        "h": "Array(Nullable(UUID))",
        "i": "Nullable(String)",
    }
    assert comments == {"d": 'aaiclick:binary [["x"]]'}


@pytest.mark.parametrize(
    ("schema", "error", "match"),
    [
        ({}, SchemaError, "at least one"),
        (pa.schema([]), SchemaError, "at least one"),
        ({"": "Int8"}, SchemaError, "empty"),
        ({1: "Int8"}, SchemaError, "text"),
        ({"a\0": "Int8"}, SchemaError, "NUL"),
        ({"a": int}, SchemaError, "column 'a'.*Nullable"),
        ({"a": "Array("}, SchemaError, "not a ClickHouse type"),
        (["a"], SchemaError, "list"),
        (pa.schema([("a", pa.int8()), ("a", pa.int8())]), SchemaError, "twice"),
        (pa.schema([("a", pa.month_day_nano_interval())]), UnsupportedTypeError, "'a'"),
        (ibis.schema({"a": dt.Decimal()}), UnsupportedTypeError, "precision"),
        (ibis.schema({"a": "inet"}), UnsupportedTypeError, "IPv4"),
        (ibis.schema({"a": dt.unknown}), UnsupportedTypeError, "ClickHouse type"),
    ],
    ids=str,
)
def test_refused(schema, error, match):
    with pytest.raises(error, match=match):
        types_from_schema(schema)


def test_clickhouse_makes_tables_of_them_and_ibis_reads_them_back(engine):
    schema = ibis.schema(
        {
            "a": "!int8", "b": "string", "c": "!array<string>", "f": "!timestamp('+05:30', 3)",
            "h": "decimal(9, 2)", "i": "!binary", "j": "!map<!string, !binary>", "k": "uuid",
            "l": "interval('us')", "m": "!date", "n": "time", "d": "!struct<x: binary, y: string>",
        }
    )  # fmt: skip
    types, comments = types_from_schema(schema)
    columns = ", ".join(f"{name} {type_}" for name, type_ in types.items())
    engine.command(f"CREATE TABLE schemas ({columns}) ENGINE = MergeTree ORDER BY ()")
    told = engine.columns_of("SELECT * FROM schemas")
    engine.command("DROP TABLE schemas SYNC")
    assert ibis_schema(told, comments) == schema
