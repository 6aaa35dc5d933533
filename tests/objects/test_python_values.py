from __future__ import annotations

import datetime as dt
import math
import subprocess
import sys
import uuid
from decimal import Decimal
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from aaiclick_ext.engine.types import restore, wrap_fetch
from aaiclick_ext.errors import ValueRangeError
from aaiclick_ext.objects.python_values import to_python


def python(engine, expression: str):
    sql = f"SELECT {expression} AS x"
    types = engine.columns_of(sql)
    return to_python(restore(engine.query_arrow(wrap_fetch(sql, types)), types), types)["x"][0]


VALUES = {
    "toUInt64(18446744073709551615)": 2**64 - 1,
    "toInt128('-170141183460469231731687303715884105728')": -(2**127),
    "[toUInt256('115792089237316195423570985008687907853269984665640564039457584007913129639935')]":
        [2**256 - 1],
    "map('a', toInt256(-1))": {"a": -1},
    "toDecimal64('1.50', 2)": Decimal("1.50"),
    "toDate32('1900-01-01')": dt.date(1900, 1, 1),
    "toDateTime('2020-01-01 00:00:00')": dt.datetime(2020, 1, 1),
    "toDateTime('2020-01-01 00:00:00', 'Asia/Kolkata')":
        dt.datetime(2020, 1, 1, tzinfo=ZoneInfo("Asia/Kolkata")),
    "toDateTime64('2020-01-01 00:00:00', 3, 'Fixed/UTC-03:30:00')":
        dt.datetime(2020, 1, 1, tzinfo=dt.timezone(-dt.timedelta(hours=3, minutes=30))),
    "toDateTime64('2020-01-01 00:00:00.000001', 9)": dt.datetime(2020, 1, 1, 0, 0, 0, 1),
    "toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0')":
        uuid.UUID("61f0c404-5cb3-11e7-907b-a6006ad3dba0"),
    "toIPv6('::1')": "::1",
    "CAST('a', 'Enum8(\\'a\\' = 1)')": "a",
    "(1, 'a')": (1, "a"),
    "CAST((1, ['x']), 'Tuple(a Int8, b Array(String))')": {"a": 1, "b": ["x"]},
    "tuple()": (),
    "CAST((1, 2), 'Point')": (1.0, 2.0),
    "[CAST((1, NULL), 'Nullable(Tuple(Int8, Nullable(Int8)))'), NULL]": [(1, None), None],
    "map('a', map(1, toDateTime(0)))": {"a": {1: dt.datetime(1970, 1, 1)}},
    "map((1, 'x'), 2)": {(1, "x"): 2},
    "CAST('{\"a\": {\"b\": [1, null, \"x\"]}}', 'JSON')": {"a": {"b": [1, None, "x"]}},
    "CAST(18446744073709551615, 'Dynamic')": 2**64 - 1,
    "CAST(NULL, 'Dynamic')": None,
    "[1::Variant(UInt8, String), 'x', NULL]": [1, "x", None],
    "CAST(toInt256(-7), 'Variant(Int256, String)')": -7,
    "toIntervalMicrosecond(-5)": dt.timedelta(microseconds=-5),
    "toIntervalNanosecond(5000)": dt.timedelta(microseconds=5),
    "CAST('10:11:12.5', 'Time64(9)')": dt.time(10, 11, 12, 500_000),
    "NULL": None,
    "[]": [],
    "true": True,
}  # fmt: skip


@pytest.mark.parametrize("expression", VALUES)
def test_values(engine, expression):
    found = python(engine, expression)
    assert found == VALUES[expression]
    assert type(found) is type(VALUES[expression])


def test_nan_is_not_null(engine):
    assert math.isnan(python(engine, "nan"))
    assert python(engine, "CAST(NULL, 'Nullable(Float64)')") is None


def test_nanoseconds_are_kept_as_pandas_has_them(engine):
    import pandas as pd

    found = python(engine, "toDateTime64('2020-01-01 00:00:00.000000001', 9, 'Asia/Kolkata')")
    assert isinstance(found, dt.datetime)
    assert found == pd.Timestamp("2020-01-01 00:00:00.000000001", tz="Asia/Kolkata")
    assert python(engine, "toIntervalNanosecond(5)") == pd.Timedelta(5, "ns")
    with pytest.raises(ValueRangeError, match=r"nanoseconds.*to_pyarrow"):
        python(engine, "CAST('10:11:12.000000001', 'Time64(9)')")


def test_a_key_twice_is_refused(engine):
    with pytest.raises(ValueRangeError, match=r"column 'x'.*a key twice"):
        python(engine, "mapFromArrays(['a', 'a'], [1, 2])")


def test_a_key_no_dict_can_have(engine):
    with pytest.raises(ValueRangeError, match="no dict can have"):
        python(engine, "map([1], 2)")


def test_years_python_does_not_have():
    year_0 = pa.table({"t": pa.array([-62_135_596_801]).view(pa.timestamp("s"))})
    with pytest.raises(ValueRangeError, match="to_pyarrow"):
        to_python(year_0, {"t": "DateTime64(0)"})
    with pytest.raises(ValueRangeError, match="to_pyarrow"):
        to_python(year_0.cast(pa.schema([("t", pa.timestamp("s", "UTC"))])), {})


@pytest.mark.parametrize("offset", [0, 1, 3])
def test_slices(offset):
    data = pa.table(
        {
            "l": pa.array([[1], [], [2, 3], [4]]),
            "m": pa.array([[(1, 2)], [], None, [(3, 4), (5, 6)]], pa.map_(pa.int8(), pa.int8())),
            "s": pa.array([{"1": 1}, None, {"1": None}, {"1": 4}]),
            "t": pa.array([0, None, 5, -1]).view(pa.timestamp("ms")),
        }
    )
    types = {
        "l": "Array(Int64)", "m": "Map(Int8, Int8)", "s": "Tuple(Nullable(Int8))",
        "t": "Nullable(DateTime64(3))",
    }  # fmt: skip
    whole = {
        "l": [[1], [], [2, 3], [4]],
        "m": [{1: 2}, {}, None, {3: 4, 5: 6}],
        "s": [(1,), None, (None,), (4,)],
        "t": [dt.datetime(1970, 1, 1), None, dt.datetime(1970, 1, 1, 0, 0, 0, 5_000),
              dt.datetime(1969, 12, 31, 23, 59, 59, 999_000)],
    }  # fmt: skip
    assert to_python(data.slice(offset), types) == {n: v[offset:] for n, v in whole.items()}


def test_needs_no_pandas():
    code = (
        "import sys\n"
        "class NoPandas:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'pandas': raise ImportError(name)\n"
        "sys.meta_path.insert(0, NoPandas())\n"
        "import pyarrow as pa\n"
        "from aaiclick_ext.objects.python_values import to_python\n"
        "from aaiclick_ext.objects.values import to_columnar\n"
        "data = pa.table({'t': pa.array([1000, None]).view(pa.timestamp('ns'))})\n"
        "assert to_python(data, {})['t'][0].microsecond == 1\n"
        "assert to_columnar({'a': [1], 'b': (2,)}).types == {'a': 'Int64', 'b': 'Int64'}\n"
        "try: to_python(pa.table({'t': pa.array([1]).view(pa.timestamp('ns'))}), {})\n"
        "except TypeError as error: assert 'install pandas' in str(error)\n"
        "else: raise SystemExit(1)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
