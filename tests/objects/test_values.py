from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import re
import uuid
from decimal import Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aaiclick_ext.errors import AaiclickError, SchemaError, UnsupportedTypeError, ValueRangeError
from aaiclick_ext.objects.values import Shape, to_columnar

INDIA = ZoneInfo("Asia/Kolkata")


def _shown(value):
    """Return a test's id: the same in every process, so without addresses."""
    return re.sub(r"0x[0-9a-fA-F]+", "…", repr(value))[:50]


def _name(value):
    if isinstance(value, str):
        return None
    return f"{type(value).__module__.split('.')[0]}-{_shown(value)}"


class Color(enum.Enum):
    RED = 1


class Word(enum.StrEnum):
    RED = "red"


class Number(enum.IntEnum):
    ONE = 1


@dataclasses.dataclass
class Point:
    x: int
    tags: list[str]


class Pair(NamedTuple):
    a: int
    b: object


def one_type(value) -> str:
    return to_columnar(value).types["value"]


SCALARS = [
    (1, "Int64"),
    (-(2**63), "Int64"),
    (2**64 - 1, "UInt64"),
    (1.5, "Float64"),
    (float("nan"), "Float64"),
    (True, "Bool"),
    ("", "String"),
    (b"\xff", "String"),
    (None, "Nullable(String)"),
    (Decimal("1.50"), "Decimal(38, 2)"),
    (Decimal("-1E-40"), "Decimal(40, 40)"),
    (Decimal("9" * 76), "Decimal(76, 0)"),
    (Decimal("1E+3"), "Decimal(38, 0)"),
    (dt.date(1, 1, 1), "Date32"),
    (dt.datetime.max, "DateTime64(6)"),
    (dt.datetime(2020, 1, 1, tzinfo=INDIA), "DateTime64(6, 'Asia/Kolkata')"),
    (dt.datetime(2020, 1, 1, tzinfo=dt.UTC), "DateTime64(6, 'UTC')"),
    (dt.datetime(2020, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=-3, minutes=-30))),
     "DateTime64(6, 'Fixed/UTC-03:30:00')"),
    (dt.time(1, 2, 3, 4), "Time64(6)"),
    (dt.timedelta(days=-1), "IntervalMicrosecond"),
    (uuid.UUID(int=1), "UUID"),
    (Word.RED, "String"),
    (Number.ONE, "Int64"),
    (np.int8(1), "Int8"),
    (np.float32(1.5), "Float32"),
    (np.float64(1.5), "Float64"),
    (np.bool_(True), "Bool"),
    (np.str_("a"), "String"),
    (np.datetime64("2020-01-01"), "Date32"),
    (np.datetime64("2020-01-01T00:00:00.000000001"), "DateTime64(9)"),
    (np.timedelta64(5, "ms"), "IntervalMillisecond"),
    (np.array(3, dtype="u2"), "UInt16"),
    (pd.Timestamp("2020-01-01 00:00:00.000000001", tz="UTC"), "DateTime64(9, 'UTC')"),
    (pd.Timestamp("2020-01-01"), "DateTime64(6)"),
    (pd.Timedelta(5, "ns"), "IntervalNanosecond"),
    (pd.NaT, "Nullable(String)"),
    (pd.NA, "Nullable(String)"),
    (pa.scalar(5, pa.int8()), "Int8"),
    (pa.scalar(None, pa.int8()), "Nullable(Int8)"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "type_"), SCALARS, ids=repr)
def test_scalars(value, type_):
    columnar = to_columnar(value)
    assert columnar.types == {"value": type_}
    assert columnar.shape is Shape.SCALAR
    assert columnar.data.num_rows == 1


ARRAYS = [
    ([], "Nullable(String)"),
    ([None], "Nullable(String)"),
    ([1, None], "Nullable(Int64)"),
    ([1, 2.5], "Float64"),
    ([1, 2**63], "UInt64"),
    ([float("nan"), None], "Nullable(Float64)"),
    ([Decimal("1.5"), 2], "Decimal(38, 1)"),
    ([np.int8(1), np.int8(2), None], "Nullable(Int8)"),
    ([np.int8(1), 300], "Int64"),
    ([np.float32(1), 2.5], "Float64"),
    ([1, pd.NA], "Nullable(Int64)"),
    (["a", pd.NaT], "Nullable(String)"),
    ([np.datetime64("2020-01-01", "s"), None], "Nullable(DateTime64(0))"),
    ([Word.RED, "x"], "String"),
    ([b"a", bytearray(b"b"), memoryview(b"c")], "String"),
    ((1, 2), "Int64"),
    (range(5), "Int64"),
    (range(5, 0, -2), "Int64"),
    (range(2**63, 2**63 + 2), "UInt64"),
    ([[1, 2], []], "Array(Int64)"),
    ([[], []], "Array(Nullable(String))"),
    ([[None], [1]], "Array(Nullable(Int64))"),
    ([[[1]], [[]]], "Array(Array(Int64))"),
    ([(1, 2), (3, 4)], "Array(Int64)"),
    ([np.array([1, 2], dtype="i2"), [3]], "Array(Int64)"),
    ([[{"a": 1}], [{"a": None, "b": "x"}]],
     "Array(Tuple(a Nullable(Int64), b Nullable(String)))"),
    (np.arange(3, dtype="u8"), "UInt64"),
    (np.array([1.5], dtype="f2"), "Float32"),
    (np.array(["a", "é"]), "String"),
    (np.array([b"a"]), "String"),
    (np.array(["a"], dtype=np.dtypes.StringDType()), "String"),
    (np.array([1, None], dtype=object), "Nullable(Int64)"),
    (np.array(["2020-01-01", "NaT"], "M8[D]"), "Nullable(Date32)"),
    (np.array(["2020-01-01T05"], "M8[h]"), "DateTime64(0)"),
    (np.array([5], "m8[D]"), "IntervalSecond"),
    (np.array([1, 2], ">i4"), "Int32"),
    (np.array([True, False])[::-1], "Bool"),
    (np.ma.array([1, 2], mask=[0, 1]), "Nullable(Int64)"),
    (np.array([], dtype="f8"), "Float64"),
    (pd.Series([1.0, np.nan]), "Nullable(Float64)"),
    (pd.Series(["a", None]), "Nullable(String)"),
    (pd.Series(["a", np.nan], dtype=object), "Nullable(String)"),
    (pd.Series([3, 1, 2]).sort_values(), "Int64"),
    (pd.Series([1, 2, 3])[lambda s: s > 1], "Int64"),
    (pd.Series(pa.array([float("nan")]), dtype=pd.ArrowDtype(pa.float64())), "Float64"),
    (pd.Series([1.5, np.nan, 2], dtype=object), "Nullable(Float64)"),
    (pd.Series([1, None], dtype="Int64"), "Nullable(Int64)"),
    (pd.Series([2**64 - 1, None], dtype="UInt64"), "Nullable(UInt64)"),
    (pd.Series([True, None], dtype="boolean"), "Nullable(Bool)"),
    (pd.Series(["a", None], dtype="category"), "LowCardinality(Nullable(String))"),
    (pd.Series([1, 2, 1], dtype="category"), "Int64"),
    (pd.Series(["a"], dtype=pd.ArrowDtype(pa.string())), "String"),
    (pd.Series([[1]], dtype=pd.ArrowDtype(pa.list_(pa.int8()))), "Array(Int8)"),
    (pd.to_datetime(pd.Series(["2020-01-01", None])), "Nullable(DateTime64(6))"),
    (pd.Series(pd.to_datetime(["2020-01-01T00:00+05:30"])),
     "DateTime64(6, 'Fixed/UTC+05:30:00')"),
    (pd.Series(pd.to_timedelta(["1D"])).astype("timedelta64[ns]"), "IntervalNanosecond"),
    (pd.Index([1, 2]), "Int64"),
    (pd.array([1, None]), "Nullable(Int64)"),
    (pl.Series([1, None]), "Nullable(Int64)"),
    (pl.Series([2**64 - 1], dtype=pl.UInt64), "UInt64"),
    (pl.Series(["a"], dtype=pl.Categorical), "LowCardinality(String)"),
    (pl.Series(["a"], dtype=pl.Enum(["b", "a"])), "LowCardinality(String)"),
    (pl.Series([Decimal("1.50")]), "Decimal(38, 2)"),
    (pl.Series([[1, 2]], dtype=pl.Array(pl.Int8, 2)), "Array(Int8)"),
    (pl.Series([{"a": 1}]), "Tuple(a Int64)"),
    (pl.Series([dt.time(1)]), "Time64(9)"),
    (pl.Series([dt.timedelta(1)]), "IntervalMicrosecond"),
    (pl.Series([None]), "Nullable(String)"),
    (pa.array(["a", "b"]).dictionary_encode(), "LowCardinality(String)"),
    (pa.array([10, 20]).dictionary_encode(), "Int64"),
    (pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(["a", None])), "Nullable(String)"),
    (pa.array(["a"], pa.string_view()), "String"),
    (pa.array([b"abcd"], pa.binary(4)), "FixedString(4)"),
    (pa.array([Decimal("1.5")], pa.decimal32(5, 2)), "Decimal(5, 2)"),
    (pa.array([15]).cast(pa.decimal128(38, 5)).cast(pa.decimal128(8, 5)), "Decimal(8, 5)"),
    (pa.array([86_400_000]).view(pa.date64()), "Date32"),
    (pa.array([5], pa.time32("s")), "Time64(0)"),
    (pa.array([[1, 2], None, [3]], pa.list_view(pa.int8())).filter([True, False, True]),
     "Array(Int8)"),
    (pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int32()), pa.array([7, 8])), "Int64"),
    (pa.array([{"a": 1}, None]), "Nullable(Tuple(a Int64))"),
    (pa.array([{"a": [1]}, None]), "Nullable(Tuple(a Array(Int64)))"),
    (pa.array([{}]), "Tuple()"),
    (pa.array([[("a", None)]], pa.map_(pa.string(), pa.int8())), "Map(String, Nullable(Int8))"),
    (pa.nulls(2, pa.int8()), "Nullable(Int8)"),
    (pa.chunked_array([], pa.int8()), "Int8"),
    (pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0], pa.int8())), "Bool"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "type_"), ARRAYS, ids=_name)
def test_arrays(value, type_):
    columnar = to_columnar(value)
    assert columnar.types == {"value": type_}
    assert columnar.shape is Shape.ARRAY
    assert columnar.data.column_names == ["value"]
    columnar.data.validate(full=True)


TABLES = [
    ({"a": 1, "b": None}, {"a": "Int64", "b": "Nullable(String)"}, 1),
    ({"a": [1, 2], "b": ("x", None)}, {"a": "Int64", "b": "Nullable(String)"}, 2),
    ({"a": [], "b": np.array([])}, {"a": "Nullable(String)", "b": "Float64"}, 0),
    ({"a": range(2), "b": pd.Series([1, 2]), "c": pl.Series([1, None]), "d": pa.array([1, 2])},
     {"a": "Int64", "b": "Int64", "c": "Nullable(Int64)", "d": "Int64"}, 2),
    ({"a`b\n☃\\": [1]}, {"a`b\n☃\\": "Int64"}, 1),
    ([{"a": 1}, {"b": "x"}], {"a": "Nullable(Int64)", "b": "Nullable(String)"}, 2),
    ([{"a": {"x": 1}}, {"a": None}], {"a": "Nullable(Tuple(x Int64))"}, 2),
    (Point(1, ["a"]), {"x": "Int64", "tags": "Array(String)"}, 1),
    ([Point(1, []), Point(2, ["a"])], {"x": "Int64", "tags": "Array(String)"}, 2),
    ([Pair(1, "x"), Pair(2, "y")], {"a": "Int64", "b": "String"}, 2),
    (Pair(1, [2]), {"a": "Int64", "b": "Array(Int64)"}, 1),
    (np.array([(1, 2.5, [1, 2])], dtype=[("a", "i4"), ("b", "f8"), ("c", "i2", (2,))]),
     {"a": "Int32", "b": "Float64", "c": "Array(Int64)"}, 1),
    (pd.DataFrame({"a": [1, 2], "b": ["x", None]}), {"a": "Int64", "b": "Nullable(String)"}, 2),
    (pd.DataFrame({"a": [1, 2, 3]}).head(2), {"a": "Int64"}, 2),
    (pd.DataFrame({"a": []}), {"a": "Float64"}, 0),
    (pl.DataFrame({"a": [1], "c": pl.Series(["x"], dtype=pl.Categorical)}),
     {"a": "Int64", "c": "LowCardinality(String)"}, 1),
    (pa.table({"a": [1]}), {"a": "Int64"}, 1),
    (pa.record_batch({"a": [1]}), {"a": "Int64"}, 1),
    ([pa.record_batch({"a": [1]}), pa.record_batch({"a": [2]})], {"a": "Int64"}, 2),
]  # fmt: skip


@pytest.mark.parametrize(("value", "types", "rows"), TABLES, ids=_shown)
def test_tables(value, types, rows):
    columnar = to_columnar(value)
    assert columnar.types == types
    assert columnar.shape is Shape.TABLE
    assert columnar.data.num_rows == rows


class TestProtocol:
    def test_reader(self):
        batch = pa.record_batch({"a": [1, 2]})
        reader = pa.RecordBatchReader.from_batches(batch.schema, [batch, batch])
        assert to_columnar(reader).data["a"].to_pylist() == [1, 2, 1, 2]

    def test_empty_reader_keeps_its_columns(self):
        reader = pa.RecordBatchReader.from_batches(pa.schema([("a", pa.int8())]), [])
        assert to_columnar(reader).types == {"a": "Int8"}

    def test_anything_with_a_stream(self):
        class Stream:
            def __arrow_c_stream__(self, requested_schema=None):
                return pa.table({"a": [1]}).__arrow_c_stream__(requested_schema)

        assert to_columnar(Stream()).types == {"a": "Int64"}

    def test_a_stream_of_one_column(self):
        class Stream:
            def __arrow_c_stream__(self, requested_schema=None):
                return pa.chunked_array([[1, 2]]).__arrow_c_stream__(requested_schema)

        columnar = to_columnar(Stream())
        assert (columnar.shape, columnar.types) == (Shape.ARRAY, {"value": "Int64"})

    def test_duckdb_relation(self):
        import duckdb

        relation = duckdb.sql("SELECT 1::UTINYINT AS a, 'x' AS b")
        assert to_columnar(relation).types == {"a": "UInt8", "b": "String"}


class TestBytes:
    def test_comment_says_bytes(self):
        assert to_columnar([b"a"]).comments == {"value": "aaiclick:binary"}
        assert to_columnar(["a"]).comments == {}

    def test_inside(self):
        columnar = to_columnar([{"k": {"b": b"x", "t": "y"}, "l": [b"z"]}])
        assert columnar.comments == {
            "k": 'aaiclick:binary [["b"]]',
            "l": 'aaiclick:binary [["[]"]]',
        }


JSON = pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a":1}']))
REFUSED = [
    (2**64, ValueRangeError, "row 0.*64 bits.*Decimal"),
    ([1, -(2**63) - 1], ValueRangeError, "row 1"),
    ([-1, 2**63], ValueRangeError, "row 1.*negative"),
    ([2**53 + 1, 2.5], ValueRangeError, "row 0.*rounded"),
    ([1.5, 10**400], ValueRangeError, "row 1.*rounded"),
    ([1, "a"], UnsupportedTypeError, "row 1.*int, str.*convert"),
    ([True, 1], UnsupportedTypeError, "bool, int"),
    ([b"a", "b"], UnsupportedTypeError, "bytes, str"),
    ([np.datetime64("9999-01-01"), np.datetime64("2020-01-01", "ns")], UnsupportedTypeError,
     r"datetime64\[D\], datetime64\[ns\]"),
    ([dt.datetime(2300, 1, 1), pd.Timestamp(1)], ValueRangeError, "2262"),
    ([np.array(1), np.array("a")], UnsupportedTypeError, "row 1"),
    ([Decimal(1), 1.5], UnsupportedTypeError, "Decimal, float"),
    ([dt.date(2020, 1, 1), dt.datetime(2020, 1, 1)], UnsupportedTypeError, "date, datetime"),
    ([dt.datetime(2020, 1, 1), dt.datetime(2020, 1, 1, tzinfo=dt.UTC)],
     UnsupportedTypeError, "row 1.*time zones, none, UTC.*astimezone"),
    ([[1], ["a", "b"]], UnsupportedTypeError, r"'value\[\]', row 1.*int, str"),
    ([[1, 2], None], UnsupportedTypeError, "row 1: a null list.*empty"),
    ([{"a": 1}, {"a": 2, "b": [1]}], UnsupportedTypeError, "column 'b', row 0: a null list"),
    (Decimal("NaN"), ValueRangeError, "row 0.*null"),
    (Decimal("9" * 77), ValueRangeError, "77 digits"),
    (dt.timedelta.max, ValueRangeError, "64 bits"),
    (dt.time(1, tzinfo=dt.UTC), UnsupportedTypeError, "datetime"),
    (dt.datetime(2020, 1, 1, tzinfo=dt.timezone(dt.timedelta(seconds=5))),
     UnsupportedTypeError, "zoneinfo"),
    ("\ud800", ValueRangeError, "surrogate"),
    (1j, UnsupportedTypeError, r"\.real and \.imag"),
    ({1, 2}, UnsupportedTypeError, r"sorted\(values\)"),
    ([[1], {2}], UnsupportedTypeError, "row 1.*sorted"),
    ((i for i in range(3)), UnsupportedTypeError, r"list\(value\)"),
    (iter([1]), UnsupportedTypeError, r"list\(value\)"),
    (object(), UnsupportedTypeError, "object"),
    (int, UnsupportedTypeError, "class"),
    ([Color.RED], UnsupportedTypeError, r"v\.name"),
    ({}, SchemaError, "no columns"),
    ([{}], SchemaError, "no columns"),
    ({"a": [1], "b": [1, 2]}, SchemaError, "a 1, b 2"),
    ({"a": [1], "b": 2}, SchemaError, r"\['a'\] are lists.*\['b'\] single"),
    ({"a": {"x": 1}}, SchemaError, "list of dicts"),
    ({1: [1]}, SchemaError, r"text.*rename\(columns=str\)"),
    ({"": [1]}, SchemaError, "empty name"),
    ({"a\ud800": [1]}, SchemaError, "rename"),
    ({"a\0b": [1]}, SchemaError, "rename"),
    ([[{"a\0b": 1}]], SchemaError, r"column 'value\[\]'.*rename"),
    ([{"a": 1}, None], UnsupportedTypeError, "row 1.*NoneType"),
    ([{"a": 1}, 5], UnsupportedTypeError, "row 1.*int"),
    ([{1: 2}], SchemaError, r"row 0.*str\(name\)"),
    (np.zeros((2, 2)), UnsupportedTypeError, r"dict\(zip\(names, a\.T\)\)"),
    ({"a": np.zeros((2, 2))}, UnsupportedTypeError, "column 'a'.*2 dimensions"),
    (np.array([1j]), UnsupportedTypeError, "real"),
    (np.array(["2020-01"], "M8[M]"), UnsupportedTypeError, "astype"),
    (np.array([1], dtype=np.longdouble), UnsupportedTypeError, "float64"),
    (np.array([-62135596801], "M8[s]"), ValueRangeError, "row 0.*years 1 to 9999"),
    (pd.DataFrame({"a": [1]}, index=["x"]), SchemaError, "reset_index"),
    (pd.Series([1], index=pd.RangeIndex(1, name="i")), SchemaError, "index i.*reset_index"),
    (pd.DataFrame([[1, 2]]), SchemaError, r"rename\(columns=str\)"),
    (pd.DataFrame([[1, 2]], columns=["a", "a"]), SchemaError, "same name"),
    (pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])), SchemaError, "levels"),
    (pd.DataFrame(), SchemaError, "no columns"),
    (pd.Series(np.array([1], dtype=np.longdouble)), UnsupportedTypeError, "float64"),
    (pd.Series(pd.period_range("2020", "2021", freq="M")), UnsupportedTypeError, "to_timestamp"),
    (pd.Series(pd.interval_range(0, 2)), UnsupportedTypeError, "left and right"),
    (pd.Series(pd.arrays.SparseArray([0, 1])), UnsupportedTypeError, "to_dense"),
    (pl.Series([object()], dtype=pl.Object), UnsupportedTypeError, "Object"),
    (pl.Series([[2**100]], dtype=pl.List(pl.Int128)), UnsupportedTypeError, "Decimal"),
    (pl.DataFrame({"a": [1]}).lazy(), UnsupportedTypeError, "collect"),
    (JSON, UnsupportedTypeError, "cast the column to string"),
    (pa.array([pa.MonthDayNano([1, 2, 3])]), UnsupportedTypeError, "split"),
    (pa.UnionArray.from_dense(pa.array([0], pa.int8()), pa.array([0], pa.int32()),
                              [pa.array([1])]), UnsupportedTypeError, "split"),
    (pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int8())), UnsupportedTypeError,
     "row 1: a null map"),
    (pa.array([None, [[1], None]]).slice(1), UnsupportedTypeError, r"'value\[\]'.*null list"),
    (pa.array([0, 3_000_000], pa.int32()).view(pa.date32()), ValueRangeError, "row 1"),
    (pa.array([1]).view(pa.date64()), UnsupportedTypeError, "lose data"),
    (pa.array([0, -5]).view(pa.time64("ns")), ValueRangeError, "row 1.*24 hours"),
    (pa.table({}), SchemaError, "no columns"),
    (pa.table([[1], [2]], ["a", "a"]), SchemaError, "same name"),
    ([[{"null": 1}]], UnsupportedTypeError, "rename"),
    (pa.array([{"a": 1, "": 2}]), UnsupportedTypeError, "names of their own"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "error", "match"), REFUSED, ids=_shown)
def test_refused_with_place_and_remedy(value, error, match):
    with pytest.raises(error, match=match) as caught:
        to_columnar(value)
    assert isinstance(caught.value, AaiclickError)


def test_ibis_expressions_are_not_values():
    import ibis

    with pytest.raises(UnsupportedTypeError, match="View"):
        to_columnar(ibis.table({"a": "int8"}, name="t"))


def test_row_of_a_late_value_in_many_chunks():
    days = pa.chunked_array([pa.array([0] * 1000, pa.int32()).view(pa.date32())] * 3
                            + [pa.array([0, 3_000_000], pa.int32()).view(pa.date32())])  # fmt: skip
    with pytest.raises(ValueRangeError, match="row 3001"):
        to_columnar(days)


class TestCost:
    def test_arrow_and_numpy_are_not_copied(self):
        numbers = np.arange(1000)
        table = pa.table({"a": pa.array(numbers), "s": ["x"] * 1000, "t": numbers.view("M8[us]")})
        for value in (table, table.to_batches()):
            data = to_columnar(value).data
            for name in table.column_names:
                ours, theirs = data[name].chunk(0), table[name].chunk(0)
                assert [b and b.address for b in ours.buffers()] == [
                    b and b.address for b in theirs.buffers()
                ]
        frame = pd.DataFrame({"a": numbers, "b": numbers})
        buffer = to_columnar(frame).data["b"].chunk(0).buffers()[1]
        assert buffer.address == frame["b"].to_numpy().ctypes.data

    def test_source_says_what_it_was(self):
        assert to_columnar(pd.DataFrame({"a": [1]})).source == "pandas.DataFrame"
        assert to_columnar([{"a": 1}]).source == "list of dict"
        assert to_columnar(1).source == "int"


JUNK = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.complex_numbers(), st.text(),
        st.binary(max_size=3), st.decimals(), st.datetimes(timezones=st.none() | st.timezones()),
        st.dates(), st.times(), st.timedeltas(), st.uuids(), st.just(object()), st.just(Color.RED),
        st.just(pd.NA), st.just(pd.NaT), st.just(range(2)), st.just(pd.Series([1, None])),
        st.sampled_from([np.int8(1), np.float32(2), np.datetime64("NaT", "s"), np.array(1),
                         np.bool_(1), np.zeros(2), np.array(["a", None], dtype=object),
                         np.timedelta64(1, "D")]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.tuples(inner, inner),
        st.dictionaries(st.text(max_size=2) | st.integers(), inner, max_size=3),
        st.frozensets(st.integers(), max_size=2), inner.map(lambda v: Point(1, v)),
        inner.map(lambda v: Pair(1, v)),
    ),
    max_leaves=6,
)  # fmt: skip


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(JUNK)
def test_anything_is_kept_or_refused_by_us(value):
    try:
        columnar = to_columnar(value)
    except AaiclickError:
        return
    columnar.data.validate(full=True)
    assert list(columnar.types) == columnar.data.column_names


@pytest.mark.parametrize("unit", ["D", "W", "h", "m", "s", "ms", "us", "ns"])
@pytest.mark.parametrize("tick", [2**62, -(2**62), 2**40, -1, 0])
def test_times_of_numpy_at_the_edges(unit, tick):
    values = np.array([tick]).astype("i8").view(f"M8[{unit}]")
    try:
        data = to_columnar(values).data["value"]
    except AaiclickError:
        return
    assert data.to_numpy().astype(values.dtype) == values
