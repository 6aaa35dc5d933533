"""Files into Objects: every value exactly, or an error that names the file; nothing half-made."""

from __future__ import annotations

import bz2
import datetime as dt
import functools
import gzip
import http.server
import json
import lzma
import os
import signal
import threading
import uuid
import zipfile
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aaiclick_ext.context import DataContext
from aaiclick_ext.errors import (
    FileContentError,
    FileError,
    MissingFileError,
    SchemaError,
    SettingsError,
    UnsupportedTypeError,
    ValueRangeError,
)
from aaiclick_ext.objects import text_types

UTC = dt.UTC


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a file and gives its path."""

    def write(content: bytes | str, name: str = "x.csv"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def types_of(made) -> dict[str, str]:
    return dict(made._backend.services.schemas.get(made.table_name).types)


# CSV: what a column of text is.


@pytest.mark.parametrize(
    ("cells", "type_", "values"),
    [
        (["1", "-2"], "Int64", [1, -2]),
        (["1", ""], "Nullable(Int64)", [1, None]),
        (["1", '""'], "Nullable(Int64)", [1, None]),
        ([" 1", "2 "], "Int64", [1, 2]),
        (["9223372036854775808", "0"], "UInt64", [2**63, 0]),
        (["9223372036854775808", "-1"], "String", ["9223372036854775808", "-1"]),
        (["18446744073709551616", "1"], "String", ["18446744073709551616", "1"]),
        (["007", "1"], "String", ["007", "1"]),
        (["1.5", "2"], "Float64", [1.5, 2.0]),
        (["5.0", "6.0"], "Float64", [5.0, 6.0]),
        (["1e5", "-1e-7"], "Float64", [1e5, -1e-7]),
        (["0.1", "0.30000000000000004"], "Float64", [0.1, 0.1 + 0.2]),
        (["0.123456789012345678", "1"], "String", ["0.123456789012345678", "1"]),
        (["9007199254740993", "0.5"], "String", ["9007199254740993", "0.5"]),
        (["1e400", "1"], "String", ["1e400", "1"]),
        (["inf", "-inf"], "Float64", [float("inf"), float("-inf")]),
        (["Nan", "Bread"], "String", ["Nan", "Bread"]),
        (["true", "False"], "Bool", [True, False]),
        (["2013-02-28", "1066-10-14"], "Date32", [dt.date(2013, 2, 28), dt.date(1066, 10, 14)]),
        (["2013-02-30", "2013-02-28"], "String", ["2013-02-30", "2013-02-28"]),
        (["01/02/2013", "02/02/2013"], "String", ["01/02/2013", "02/02/2013"]),
        (["2013-01-01 05:00", "2013-01-01T05:00:00.5"], "DateTime64(3)",
         [dt.datetime(2013, 1, 1, 5), dt.datetime(2013, 1, 1, 5, 0, 0, 500_000)]),
        (["2013-01-01T05:00:00Z", "2013-01-01T05:00:00+02:00"], "DateTime64(0, 'UTC')",
         [dt.datetime(2013, 1, 1, 5, tzinfo=UTC), dt.datetime(2013, 1, 1, 3, tzinfo=UTC)]),
        (["2013-01-01 05:00:00", "2013-01-01T05:00:00Z"], "String",
         ["2013-01-01 05:00:00", "2013-01-01T05:00:00Z"]),
        (["2013-01-01 24:00:00", ""], "Nullable(String)", ["2013-01-01 24:00:00", None]),
        (["9999-12-31 23:59:59.123456789", ""], "Nullable(String)",
         ["9999-12-31 23:59:59.123456789", None]),
        (["2013-01-01 05:00:00.123456789", '""'], "Nullable(DateTime64(9))", None),
        (["2013-01-01 05:00:00", ""], "Nullable(DateTime64(0))",
         [dt.datetime(2013, 1, 1, 5), None]),
        (["2013-01-01", ""], "Nullable(Date32)", [dt.date(2013, 1, 1), None]),
        (["x", '""'], "String", ["x", ""]),
        (["x", ""], "Nullable(String)", ["x", None]),
        (["", ""], "Nullable(String)", [None, None]),
        (["\\N", "NA"], "String", ["\\N", "NA"]),
        ([" a ", "it's"], "String", [" a ", "it's"]),
        (['"a,""b""\n"', "'c'"], "String", ['a,"b"\n', "'c'"]),
        (['"[1,2]"', "{}"], "String", ["[1,2]", "{}"]),
    ],
)  # fmt: skip
def test_a_type_is_given_only_where_no_value_changes(ctx, write, cells, type_, values):
    path = write("k,a\n" + "".join(f"0,{cell}\n" for cell in cells))
    made = ctx.read_csv(path)
    assert types_of(made) == {"k": "Int64", "a": type_}
    if values is not None:
        assert made.data()["a"] == values
    else:
        assert made.to_pyarrow()["a"].cast(pa.int64()).to_pylist() == [1357016400123456789, None]


@pytest.mark.parametrize(
    ("late", "type_"),
    [("2.5", "Float64"), ("9223372036854775808", "UInt64"), ("x", "String"), ("007", "String"),
     ("", "Nullable(Int64)"), (" 5", "Int64"), ("9007199254740993.5", "String")],
)  # fmt: skip
def test_types_follow_from_every_row(ctx, write, late, type_):
    rows = text_types.SAMPLE_ROWS + 5
    made = ctx.read_csv(write("k,a\n" + "0,1\n" * rows + f"0,{late}\n"))
    assert types_of(made)["a"] == type_
    assert len(made) == rows + 1


def test_a_late_value_decides_about_blanks_and_nulls(ctx, write):
    rows = text_types.SAMPLE_ROWS
    made = ctx.read_csv(write("k,a,b\n" + '0,"",\n' * rows + "1,5,6\n"))
    assert types_of(made) == {"k": "Int64", "a": "Nullable(Int64)", "b": "Nullable(Int64)"}
    assert made.filter(made.k == 1).data() == {"k": [1], "a": [5], "b": [6]}


# CSV: how it is written.


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        ("a;b\n1;2\n", {}, {"a": [1], "b": [2]}),
        ("a\tb\n1\t2\n", {}, {"a": [1], "b": [2]}),
        ("a|b\n1|2", {}, {"a": [1], "b": [2]}),
        ("a,b\r\n1,2\r\n", {}, {"a": [1], "b": [2]}),
        ("\n\na,b\n1,2\n\n\n", {}, {"a": [1], "b": [2]}),
        ("\ufeffa,b\n1,2\n", {}, {"a": [1], "b": [2]}),
        ("a;b\n1,5;2\n", {"delimiter": ";"}, {"a": ["1,5"], "b": [2]}),
        ("1,2\n3,4\n", {"header": False}, {"c1": [1, 3], "c2": [2, 4]}),
        ("1,2\n3,4\n", {"header": False, "names": ["x", "y"]}, {"x": [1, 3], "y": [2, 4]}),
        ("a,a\n1,2\n", {"names": ["x", "y"]}, {"x": [1], "y": [2]}),
        ("a,b\nNA,-\n1,2\n", {"null_values": ["NA", "-"]}, {"a": [None, 1], "b": [None, 2]}),
        ('a,b\n"NA",1\n', {"null_values": ["NA"]}, {"a": ["NA"], "b": [1]}),
        ('"a\nb","c ""d"""\n1,2\n', {}, {"a\nb": [1], 'c "d"': [2]}),
        ("a\nx\n\ny\n", {}, {"a": ["x", None, "y"]}),
        ("a,b\n", {}, {"a": [], "b": []}),
        ("a,b", {}, {"a": [], "b": []}),
        ("_row,_pos,value\n1,2,3\n", {}, {"_row": [1], "_pos": [2], "value": [3]}),
        ("a b,c`d,e'f\n1,2,3\n", {}, {"a b": [1], "c`d": [2], "e'f": [3]}),
        ("", {"names": ["a"]}, {"a": []}),
    ],
)
def test_csv_as_it_is_written(ctx, write, content, options, expected):
    assert ctx.read_csv(write(content), **options).data() == expected


def test_other_encodings(ctx, write):
    assert ctx.read_csv(write("a,b\né,1\n".encode("utf-16"))).data() == {"a": ["é"], "b": [1]}
    path = write("a\né\n".encode("cp1252"))
    with pytest.raises(FileContentError, match=r"not utf-8 text; pass encoding='cp1252'"):
        ctx.read_csv(path)
    assert ctx.read_csv(path, encoding="cp1252").data() == {"a": ["é"]}
    with pytest.raises(SettingsError, match="does not know"):
        ctx.read_csv(path, encoding="klingon")


@pytest.mark.parametrize(
    ("content", "options", "error", "message"),
    [
        ("", {}, FileContentError, "x.csv is empty"),
        ("a,b\n1\n", {}, FileContentError, "1 cells where there are 2 columns"),
        ("a,b\n1,2\n3,4,5\n", {}, FileContentError, "3 cells where there are 2 columns.*'3,4,5'"),
        ('a,b\n"1,2\n', {}, FileContentError, "1 cells where there are 2"),
        ("a,b,a\n1,2,3\n", {}, SchemaError, "several columns named 'a'; rename them"),
        (",a\n1,2\n", {}, SchemaError, "column 1 has no name.*index=False"),
        ("a,b\n1,2\n", {"names": ["x"]}, SchemaError, "has 2 columns and names has 1"),
        ("a\n1\n", {"schema": {"b": "Int8"}}, SchemaError, "has no column 'b'; it has a"),
        ("a\n1\n", {"schema": {"a": "Int9"}}, SchemaError, "Int9"),
        ("a\n1\n", {"schema": {"a": 8}}, SchemaError, "write it as in"),
        ("a\n1\n", {"schema": {"a": "Array(Int8)"}}, UnsupportedTypeError, "text cannot be read"),
        ("a\n1\n", {"delimiter": ";;"}, SettingsError, "one character"),
        ("a\n1\n", {"null_values": "NA"}, SettingsError, r"\['', 'NA'\]"),
    ],
)
def test_what_is_no_csv_is_refused(ctx, write, tables, content, options, error, message):
    before = tables()
    path = write(content)
    with pytest.raises(error, match=message):
        ctx.read_csv(path, **options)
    assert tables() == before


# CSV: types that the user gives.


@pytest.mark.parametrize(
    ("type_", "good", "value", "bad"),
    [
        ("Int8", "-128", -128, ["128", "1.5", "x", ""]),
        ("UInt64", "18446744073709551615", 2**64 - 1, ["-1", "18446744073709551616"]),
        ("Int256", "-" + "9" * 70, -int("9" * 70), ["9" * 80]),
        ("Nullable(Int8)", "", None, ["300"]),
        ("Decimal(10, 2)", "12345678.900", Decimal("12345678.90"), ["1.239", "123456789", "x"]),
        ("Float64", "1e-5", 1e-5, ["1e400", "x"]),
        ("String", "007", "007", []),
        ("FixedString(3)", "abc", "abc", ["abcd"]),
        ("LowCardinality(String)", "x", "x", []),
        ("Bool", "1", True, ["2", "yes"]),
        ("Date", "2013-01-01", dt.date(2013, 1, 1), ["1960-01-01", "2013-02-30", "1.1.2013"]),
        ("Date32", "1066-10-14", dt.date(1066, 10, 14), ["2013-02-30"]),
        ("DateTime", "2013-01-01T05:00:00", dt.datetime(2013, 1, 1, 5),
         ["1960-01-01 00:00:00", "2013-01-01 05:00:00.5", "2106-02-07 06:28:16"]),
        ("DateTime64(3)", "1960-01-01 00:00:00.5", dt.datetime(1960, 1, 1, 0, 0, 0, 500_000),
         ["1960-01-01 00:00:00.1234"]),
        ("UUID", "550e8400-e29b-41d4-a716-446655440000",
         uuid.UUID("550e8400-e29b-41d4-a716-446655440000"), ["550e8400"]),
        ("IPv4", "10.0.0.1", "10.0.0.1", ["10.0.0.256"]),
        ("IPv6", "::1", "::1", ["x"]),
        ("Enum8('a' = 1, 'b c' = 2)", "b c", "b c", ["c"]),
        ("Time", "10:20:30", dt.time(10, 20, 30), ["x"]),
        ("JSON", '"{""k"":1}"', {"k": 1}, ["{k}"]),
    ],
)  # fmt: skip
def test_given_types_take_exactly_what_fits(ctx, write, tables, type_, good, value, bad):
    made = ctx.read_csv(write(f"k,a\n1,{good}\n"), schema={"a": type_})
    assert types_of(made)["a"] == type_
    assert made.data()["a"] == [value]
    del made
    before = tables()
    for text in bad:
        path = write(f"k,a\n1,{good}\n2,{text}\n3,{text}\n")
        with pytest.raises(ValueRangeError, match=r"column 'a': .* \(and 1 more rows\) is not"):
            ctx.read_csv(path, schema={"a": type_})
    assert tables() == before


def test_a_given_zone_is_that_of_times_without_one(ctx, write):
    path = write("a\n2013-01-01 05:00:00\n2013-01-01 05:00:00Z\n")
    made = ctx.read_csv(path, schema={"a": "DateTime64(0, 'Asia/Tokyo')"})
    naive, utc = made.data()["a"]
    assert naive.astimezone(UTC) == dt.datetime(2012, 12, 31, 20, tzinfo=UTC)
    assert utc.astimezone(UTC) == dt.datetime(2013, 1, 1, 5, tzinfo=UTC)


def test_aliases_of_types_are_clickhouses(ctx, write):
    made = ctx.read_csv(write("a,b\n1,1.5\n"), schema={"a": "INT", "b": "Decimal64(2)"})
    assert types_of(made) == {"a": "Int32", "b": "Decimal(18, 2)"}


# JSON.


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"a":1,"b":"x"}\n{"b":"y","a":null}\n', {"a": [1, None], "b": ["x", "y"]}),
        ('[{"a":1},\n {"a":2.5}]\n', {"a": [1.0, 2.5]}),
        ('{"a":1}{"a":2}', {"a": [1, 2]}),
        ('{\n "a": 1\n}\n{"a":\n2}', {"a": [1, 2]}),
        (" \n[ ]\n".replace("[ ]", '[{"a":[]},{"a":["x"]}]'), {"a": [[], ["x"]]}),
        ('\ufeff{"a":1}\n\n{"a":2}\n', {"a": [1, 2]}),
        ('{"a":1}\n{"b":true}\n', {"a": [1, None], "b": [None, True]}),
        ('{"a":18446744073709551615}\n', {"a": [2**64 - 1]}),
        ('{"a":{"x":1,"y":{"z":"q"}}}\n', {"a": [{"x": 1, "y": {"z": "q"}}]}),
        ('{"a":{"x":1}}\n{"a":null}\n{"a":{"y":2}}', {"a": [{"x": 1, "y": None}, None,
                                                           {"x": None, "y": 2}]}),
        ('{"a":[{"x":1},{"x":null,"y":"q"}]}', {"a": [[{"x": 1, "y": None},
                                                     {"x": None, "y": "q"}]]}),
        ('{"a":"2013-01-01","b":"007","c":"12"}', {"a": [dt.date(2013, 1, 1)], "b": ["007"],
                                                  "c": ["12"]}),
        ('{"a":"2013-01-01T05:00:00Z"}', {"a": [dt.datetime(2013, 1, 1, 5, tzinfo=UTC)]}),
        ('{"a":"\\u00e9\\n\\"\\ud83d\\ude00"}', {"a": ['é\n"😀']}),
        ('{"_row":1,"value":2}', {"_row": [1], "value": [2]}),
        ('{"a":null}\n{"a":null}', {"a": [None, None]}),
    ],
)  # fmt: skip
def test_json(ctx, write, content, expected):
    made = ctx.read_json(write(content, "x.json"))
    assert made.data() == expected


def test_json_of_python_has_nan_and_infinity(ctx, write):
    path = write('{"a":NaN}\n{"a":-Infinity}\n{"a":1}\n{"a":null}', "x.json")
    nan, *others = ctx.read_json(path).data()["a"]
    assert nan != nan
    assert others == [float("-inf"), 1.0, None]


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ("", FileContentError, "has no objects"),
        ("[]", FileContentError, "has no objects"),
        ("{}\n{}", SchemaError, "no keys"),
        ('{"":1}', SchemaError, "empty name"),
        ("[1,2]", FileContentError, "record 1 is 1; every record has to be an object"),
        ('{"a":1}\n[2]', FileContentError, r"record 2 is \[2\]"),
        ('{"a":1}\n{"a":\n{"a":3}\n', FileContentError, "line 2: Expecting"),
        ('[{"a":1}', FileContentError, "no comma or ]"),
        ('[{"a":1},', FileContentError, "nothing after it"),
        ('[{"a":1},]', FileContentError, "nothing after it"),
        ('[{"a":1} {"a":2}]', FileContentError, "no comma"),
        ('[{"a":1}] x', FileContentError, "after the end"),
        ('[{"a":tru}]', FileContentError, "Expecting value"),
        (b'{"a":"\xff"}', FileContentError, "UTF-8"),
        ('{"a":' + "[" * 100_000, FileContentError, "nested too deeply"),
        ('{"a":1}\n{"a":"x"}', UnsupportedTypeError, "several types, int, str.*schema="),
        ('{"a":[1]}\n{"a":null}', UnsupportedTypeError, "null list"),
        ('{"a":[1]}\n{"b":2}', UnsupportedTypeError, "null list"),
        ('{"a":18446744073709551616}', ValueRangeError, "does not fit 64 bits"),
        ('{"a":18446744073709551615}\n{"a":-1}', ValueRangeError, "does not fit 64 bits"),
        ('{"a":0.1234567890123456789}', ValueRangeError, "keep every digit"),
        ('{"a":1}\n{"a":1e999}', ValueRangeError, "keep every digit"),
        ('{"a":"\\ud800"}', ValueRangeError, "surrogate"),
    ],
)
def test_what_is_no_table_of_json_is_refused(ctx, write, tables, content, error, message):
    before = tables()
    path = write(content, "x.json")
    with pytest.raises(error, match=message):
        ctx.read_json(path)
    assert tables() == before


def test_given_types_of_json(ctx, write):
    line = '{"a":1,"d":0.10,"i":18446744073709551616,"n":{"k":1},"s":5,"f":"NaN","t":[]}\n'
    schema = {
        "d": "Decimal(20, 4)", "i": "UInt128", "n": "Map(String, Int64)", "s": "String",
        "f": "Float64", "t": "Array(String)",
    }  # fmt: skip
    made = ctx.read_json(write(line, "x.json"), schema=schema)
    assert types_of(made) == {"a": "Int64", **schema}
    row = made.data(orient="records")[0]
    assert row.pop("f") != row.get("f")
    assert row == {"a": 1, "d": Decimal("0.1"), "i": 2**64, "n": {"k": 1}, "s": "5", "t": []}
    with pytest.raises(ValueRangeError, match=r"'0\.12345' is not exactly a Decimal\(9, 4\)"):
        ctx.read_json(write('{"d":0.12345}', "y.json"), schema={"d": "Decimal(9, 4)"})


def test_json_whose_types_change_late(ctx, write, monkeypatch):
    from aaiclick_ext.objects import json_files

    monkeypatch.setattr(json_files, "_CHUNK_CHARACTERS", 64)
    records = [{"k": i, "a": i, "b": f"x{i}"} for i in range(50)]
    records += [{"k": 50 + i, "a": i + 0.5, "c": {"k": i}} for i in range(50)]
    records += [{"k": 100, "a": None, "c": {"l": "z"}}]
    for text in ("\n".join(map(json.dumps, records)), json.dumps(records, indent=1)):
        made = ctx.read_json(write(text, "x.json"))
        assert types_of(made) == {
            "k": "Int64",
            "a": "Nullable(Float64)",
            "b": "Nullable(String)",
            "c": "Nullable(Tuple(k Nullable(Int64), l Nullable(String)))",
        }
        data = made.order_by("k").data()
        assert data["a"] == [r["a"] for r in records]
        assert data["b"] == [r.get("b") for r in records]
        assert data["c"] == [
            None if "c" not in r else {"k": r["c"].get("k"), "l": r["c"].get("l")} for r in records
        ]


def test_json_chunks_that_do_not_go_together(ctx, write, monkeypatch):
    from aaiclick_ext.objects import json_files

    monkeypatch.setattr(json_files, "_CHUNK_CHARACTERS", 8)
    path = write('{"a":1}\n{"a":2}\n{"a":3}\n{"a":"x"}\n', "x.json")
    with pytest.raises(SchemaError, match=r"x\.json: column 'a' is string here and int64 before"):
        ctx.read_json(path)
    path = write('{"a":1}\n{"a":2}\n{"a":3}\n{"a":[1]}\n', "x.json")
    with pytest.raises(SchemaError, match="list<item: int64> here"):
        ctx.read_json(path)
    path = write('{"a":9007199254740993}\n{"a":2}\n{"a":3}\n{"a":0.5}\n', "x.json")
    with pytest.raises(ValueRangeError, match="9007199254740993"):
        ctx.read_json(path)


# Parquet.

PARQUET = pa.table(
    {
        "i": pa.array([1, None], pa.int8()),
        "u": pa.array([2**64 - 1, 0], pa.uint64()),
        "f": pa.array([0.1, None], pa.float32()),
        "s": ["", "é"],
        "b": [b"\xff\x00", None],
        "fixed": pa.array([b"ab", b"cd"], pa.binary(2)),
        "d": pa.array([Decimal("-0.10"), None], pa.decimal128(9, 2)),
        "big": pa.array([Decimal(10) ** 60, None], pa.decimal256(70, 3)),
        "day": [dt.date(1066, 10, 14), None],
        "ns": pa.array([-1, None], pa.timestamp("ns")),
        "zoned": pa.array([0, None], pa.timestamp("s", "Asia/Tokyo")),
        "time": pa.array([1, None], pa.time64("us")),
        "uuid": pa.array([uuid.UUID(int=5).bytes, None], pa.uuid()),
        "bool": [True, None],
        "list": pa.array([[1, None], []], pa.list_(pa.int16())),
        "struct": [{"x": 1, "y": ["a"]}, {"x": None, "y": []}],
        "map": pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64())),
        "dictionary": pa.array(["a", "b"]).dictionary_encode(),
        "nothing": pa.nulls(2),
    }
)


def test_parquet_keeps_types_and_values(ctx, tmp_path):
    pq.write_table(PARQUET, tmp_path / "x.parquet")
    made = ctx.read_parquet(tmp_path / "x.parquet")
    assert types_of(made) == {
        "i": "Nullable(Int8)", "u": "UInt64", "f": "Nullable(Float32)", "s": "String",
        "b": "Nullable(String)", "fixed": "FixedString(2)", "d": "Nullable(Decimal(9, 2))",
        "big": "Nullable(Decimal(70, 3))", "day": "Nullable(Date32)",
        "ns": "Nullable(DateTime64(9))", "zoned": "Nullable(DateTime64(3, 'Asia/Tokyo'))",
        "time": "Nullable(Time64(6))", "uuid": "Nullable(UUID)", "bool": "Nullable(Bool)",
        "list": "Array(Nullable(Int16))",
        "struct": "Tuple(x Nullable(Int64), y Array(Nullable(String)))",
        "map": "Map(String, Nullable(Int64))", "dictionary": "LowCardinality(String)",
        "nothing": "Nullable(String)",
    }  # fmt: skip
    assert made.data() == ctx.create_object_from_value(PARQUET).data()


def test_parquet_row_groups_and_files(ctx, tmp_path):
    table = pa.table({"a": list(range(10)), "b": [None] * 5 + [{"q": 1}] * 5})
    pq.write_table(table, tmp_path / "1.parquet", row_group_size=3)
    pq.write_table(table.select(["b", "a"]), tmp_path / "2.parquet")
    made = ctx.read_parquet(tmp_path / "*.parquet")
    assert types_of(made) == {"a": "Int64", "b": "Nullable(Tuple(q Nullable(Int64)))"}
    assert sorted(made.data()["a"]) == sorted([*range(10), *range(10)])
    assert made.data()["b"].count(None) == 10


def test_a_large_row_group_is_read_in_parts(ctx, tmp_path, monkeypatch):
    from aaiclick_ext.objects import parquet_files

    monkeypatch.setattr(parquet_files, "_GROUP_BYTES", 100)
    monkeypatch.setattr(parquet_files, "_ROWS_AT_ONCE", 7)
    pq.write_table(pa.table({"a": list(range(100))}), tmp_path / "x.parquet")
    assert sorted(ctx.read_parquet(tmp_path / "x.parquet").data()["a"]) == list(range(100))


def test_an_empty_parquet_file_has_its_columns(ctx, tmp_path):
    pq.write_table(pa.table({"a": pa.array([], pa.int32())}), tmp_path / "x.parquet")
    made = ctx.read_parquet(tmp_path / "x.parquet")
    assert made.data() == {"a": []}
    assert made.shape == (0, 1)


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        (pa.table({"a": [[1], None]}), UnsupportedTypeError, r"x\.parquet: .*row 1: a null list"),
        (pa.table({"a": pa.array([10**8], pa.date32())}), ValueRangeError, "year"),
        (pa.table([[1], [2]], names=["a", "a"]), SchemaError, "several columns named 'a'"),
        (pa.table({}), SchemaError, "no columns"),
    ],
)
def test_parquet_that_clickhouse_cannot_hold(ctx, tmp_path, tables, table, error, message):
    before = tables()
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(error, match=message):
        ctx.read_parquet(tmp_path / "x.parquet")
    assert tables() == before


def test_int96_beyond_the_years_of_nanoseconds(ctx, tmp_path):
    days = pa.table({"a": pa.array([dt.datetime(9999, 12, 31)], pa.timestamp("us"))})
    pq.write_table(days, tmp_path / "x.parquet", use_deprecated_int96_timestamps=True)
    assert ctx.read_parquet(tmp_path / "x.parquet").data() == {"a": [dt.datetime(9999, 12, 31)]}


def test_damaged_parquet(ctx, tmp_path, write, tables):
    before = tables()
    pq.write_table(pa.table({"a": list(range(1000))}), tmp_path / "x.parquet")
    whole = (tmp_path / "x.parquet").read_bytes()
    for content in (b"", b"a,b\n1,2\n", whole[:-10], whole[100:], whole[:50] + whole[60:]):
        with pytest.raises(FileContentError, match=r"y\.parquet.* (damaged|cannot be read)"):
            ctx.read_parquet(write(content, "y.parquet"))
    assert tables() == before


# Paths.


def test_names_that_mean_something_elsewhere(ctx, write, tmp_path, monkeypatch):
    for number, name in enumerate(
        ["a b.csv", "é.csv", "it's.csv", 'say "x".csv', "{a,b}*[1]?.csv", "x::y.csv", "%s$HOME.csv",
         "a\\b.csv", "-x.csv", "back`tick.csv", "no extension"]
    ):  # fmt: skip
        assert ctx.read_csv(write(f"a\n{number}\n", name)).data() == {"a": [number]}
    monkeypatch.chdir(tmp_path)
    assert ctx.read_csv("a b.csv").data() == {"a": [0]}
    assert ctx.read_csv("./sub/../a b.csv".replace("sub/../", "")).data() == {"a": [0]}
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ctx.read_csv("~/a b.csv").data() == {"a": [0]}
    (tmp_path / "link.csv").symlink_to("a b.csv")
    assert ctx.read_csv(tmp_path / "link.csv").data() == {"a": [0]}


def test_globs(ctx, write, tmp_path):
    for number in range(3):
        write(f"a,b\n{number},x\n", f"p/{number}.csv")
    write("b,a\ny,9\n", "p/q/9.csv")
    assert sorted(ctx.read_csv(tmp_path / "p/*.csv").data()["a"]) == [0, 1, 2]
    assert sorted(ctx.read_csv(tmp_path / "p/[02].csv").data()["a"]) == [0, 2]
    assert sorted(ctx.read_csv(f"{tmp_path}/p/**/*.csv").data()["a"]) == [0, 1, 2, 9]
    write("a\n1\n", "p/other.csv")
    with pytest.raises(SchemaError, match=r"different columns: .*other\.csv lacks b \(beside .*0"):
        ctx.read_csv(tmp_path / "p/*.csv")


def test_what_is_not_there(ctx, write, tmp_path):
    write("a\n1\n", "here.csv")
    (tmp_path / "dir").mkdir()
    (tmp_path / "dangling.csv").symlink_to("gone.csv")
    cases = {
        "nope.csv": (MissingFileError, "there is no file .*In .* there are: .*here.csv"),
        "*.nope": (MissingFileError, r"no file matches .*\*\.nope\. In .* there are: "),
        "no/such/dir/x.csv": (MissingFileError, "is not a directory"),
        "dir": (FileError, r"is a directory; give a pattern, as in .*/dir/\*\.csv\. .* is empty"),
        "d*r": (MissingFileError, "matches only directories"),
        "dangling.csv": (MissingFileError, "link to gone.csv, which is not there"),
        "": (FileError, "is a directory"),
    }
    for name, (error, message) in cases.items():
        with pytest.raises(error, match=message) as caught:
            ctx.read_csv(tmp_path / name)
        assert isinstance(caught.value, OSError)
    with pytest.raises(FileNotFoundError):
        ctx.read_csv(tmp_path / "nope.csv")
    for text, message in {"": "no path", "a\0b": "no path", "file:///x": "give its path",
                          "s3://b/k.csv": "s3:// cannot be read"}.items():  # fmt: skip
        with pytest.raises(FileError, match=message):
            ctx.read_csv(text)
    with pytest.raises(FileError, match="not a regular file"):
        ctx.read_csv("/dev/null")


def test_compressed_whatever_the_name_says(ctx, write, tmp_path):
    content = b"a\n" + b"1\n" * 5000
    zstd = pa.BufferOutputStream()
    with pa.CompressedOutputStream(zstd, "zstd") as stream:
        stream.write(content)
    packed = {
        "gz": gzip.compress(content[:6]) + gzip.compress(content[6:]),
        "bz2": bz2.compress(content),
        "xz": lzma.compress(content),
        "zst": zstd.getvalue().to_pybytes(),
    }
    for suffix, data in packed.items():
        assert len(ctx.read_csv(write(data, f"x.csv.{suffix}"))) == 5000
        assert len(ctx.read_csv(write(data, "plain.csv"))) == 5000
        with pytest.raises(FileContentError, match=r"x\.csv\.\w+: .*(damaged|cut)"):
            ctx.read_csv(write(data[:-6], f"x.csv.{suffix}"))
    table = pa.table({"a": [1]})
    pq.write_table(table, tmp_path / "x.parquet")
    packed_parquet = write(gzip.compress((tmp_path / "x.parquet").read_bytes()), "x.parquet.gz")
    assert ctx.read_parquet(packed_parquet).data() == {"a": [1]}
    assert ctx.read_json(write(gzip.compress(b'{"a":1}'), "x.json.gz")).data() == {"a": [1]}


def test_zip_archives(ctx, write, tmp_path):
    path = tmp_path / "x.zip"

    def pack(**members: bytes | str) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)

    pack(**{"d/1.csv": "a,b\n1,2\n", "d/2.csv": "b,a\n3,4\n", "__MACOSX/._1": "x", ".DS": "x"})
    assert sorted(ctx.read_csv(path).data(orient="records"), key=str) == [
        {"a": 1, "b": 2},
        {"a": 4, "b": 3},
    ]
    pack(**{"1.json": '[{"a":1}]', "2.jsonl.gz": gzip.compress(b'{"a":2}')})
    assert sorted(ctx.read_json(path).data()["a"]) == [1, 2]
    pq.write_table(pa.table({"a": [1]}), tmp_path / "x.parquet")
    pack(**{"x.parquet": (tmp_path / "x.parquet").read_bytes()})
    assert ctx.read_parquet(path).data() == {"a": [1]}
    pack(**{"1.csv": "a\n1\n", "2.json": "{}"})
    with pytest.raises(FileContentError, match=r"members of another format, 2\.json"):
        ctx.read_csv(path)
    pack(**{"[Content_Types].xml": "x"})
    with pytest.raises(FileContentError, match="Office document"):
        ctx.read_csv(path)
    pack()
    with pytest.raises(FileContentError, match="without files"):
        ctx.read_csv(path)
    pack(**{"1.csv": "a\n" + "1\n" * 9999})
    with pytest.raises(FileContentError, match=r"x\.zip: .*damaged"):
        ctx.read_csv(write(path.read_bytes()[:-30], "cut/x.zip"))


# URLs.


@pytest.fixture
def site(tmp_path):
    """Return the address of an HTTP server of `tmp_path`, and the requests it got."""
    seen = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            seen.append((self.path, self.headers.get("Authorization")))
            if self.path.startswith("/short"):
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b"a\n1\n")
            else:
                super().do_GET()

        def log_message(self, *_):
            pass

    handler = functools.partial(Handler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}", seen
        server.shutdown()
        thread.join()


def test_urls(ctx, write, site):
    place, seen = site
    write(gzip.compress(b"a\n1\n"), "some file.csv.gz")
    made = ctx.read_csv(f"http://alice:s3cr%40t@{place}/some file.csv.gz?token=hush")
    assert made.data() == {"a": [1]}
    assert seen == [("/some%20file.csv.gz?token=hush", "Basic YWxpY2U6czNjckB0")]
    event = ctx.backward_oplog(made)[0]
    assert event.params["path"] == f"http://alice:***@{place}/some file.csv.gz?token=***"
    with pytest.raises(MissingFileError, match=r"http://alice:.*404") as caught:
        ctx.read_csv(f"http://alice:s3cret@{place}/nope.csv")
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    with pytest.raises(FileError, match="ended 996 bytes early"):
        ctx.read_csv(f"http://{place}/short.csv")
    with pytest.raises(FileError, match="refused"):
        ctx.read_csv("http://127.0.0.1:9/x.csv")
    with pytest.raises(FileError, match="cannot be downloaded"):
        ctx.read_csv("http://[::1/x.csv")


# Names, the log, and servers.


def test_a_named_object_of_a_file(ctx, write):
    path = write("a\n1\n")
    made = ctx.read_csv(path, name="from_file", scope="session")
    ctx.read_csv(path, name="from_file", scope="session", if_exists="append")
    assert made.data() == {"a": [1, 1]}
    again = ctx.read_csv(path, name="from_file", scope="session")
    assert again.data() == {"a": [1]}
    assert made.data() == {"a": [1, 1]}
    ctx.delete_object("from_file")


def test_reading_is_one_event(ctx, write, tmp_path):
    path = write("a,b\n1,\n2,x\n")
    made = ctx.read_csv(path, schema={"a": "Int8"}, null_values=["", "NA"])
    (event,) = ctx.backward_oplog(made)
    assert event.operation == "read_csv"
    assert event.kwargs == {}
    modified = dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC)
    assert event.params == {
        "path": str(path), "format": "csv", "files": "1", "bytes": "11", "schema.a": "Int8",
        "option.null_values": '["", "NA"]', "modified": modified.isoformat(" ", "microseconds"),
    }  # fmt: skip
    assert event.rows == 2
    assert event.result_schema == {"a": "Int8", "b": "Nullable(String)"}
    with pytest.raises(MissingFileError):
        ctx.read_json(tmp_path / "gone.json")
    ctx.oplog.flush()
    found = ctx.engine.query_rows(
        "SELECT operation, status, error FROM operation_log "
        "WHERE params['path'] = {path:String}", {"path": str(tmp_path / "gone.json")},
    )  # fmt: skip
    assert [(operation, status) for operation, status, _ in found] == [("read_json", "error")]
    assert "there is no file" in found[0][2]


def test_a_server_gets_the_rows_from_here(server_url, settings, write, tmp_path):
    pq.write_table(PARQUET, tmp_path / "x.parquet")
    lines = write('{"a":1,"b":[{"c":"x"}]}\n{"a":null,"b":[]}\n', "x.jsonl")
    with DataContext(server_url, settings=settings) as remote:
        cells = remote.read_csv(write("a,b\n1,2013-01-01\n,2013-01-02\n"))
        assert cells.data() == {"a": [1, None], "b": [dt.date(2013, 1, 1), dt.date(2013, 1, 2)]}
        assert remote.read_json(lines).data() == {"a": [1, None], "b": [[{"c": "x"}], []]}
        made = remote.read_parquet(tmp_path / "x.parquet")
        assert made.data()["zoned"] == PARQUET["zoned"].to_pylist()
        assert made.data()["u"] == PARQUET["u"].to_pylist()


def test_ctrl_c_leaves_nothing(ctx, tmp_path, tables):
    before = tables()
    path = tmp_path / "x.csv"
    with path.open("w") as file:
        file.write("a,b,c\n")
        file.writelines(f"{i},{i * 7919},{i}.5\n" for i in range(3_000_000))
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        ctx.read_csv(path)
    timer.join()
    assert tables() == before
    assert ctx.engine.query_rows("SELECT 1") == [(1,)]
