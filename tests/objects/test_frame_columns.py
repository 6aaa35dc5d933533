from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pytest

from aaiclick_ext.engine.types import restore, wrap_fetch
from aaiclick_ext.errors import UnsupportedTypeError, ValueRangeError
from aaiclick_ext.objects.frame_columns import pandas_objects, polars_ready

EAST = dt.timezone(dt.timedelta(hours=5))


def fetched(engine, expression: str) -> tuple[pa.Table, dict[str, str]]:
    sql = f"SELECT {expression} AS x"
    types = engine.columns_of(sql)
    return restore(engine.query_arrow(wrap_fetch(sql, types)), types), types


ID = "61f0c404-5cb3-11e7-907b-a6006ad3dba0"
TO_POLARS = {
    f"toUUID('{ID}')": ID,
    f"[toUUID('{ID}'), NULL]": [ID, None],
    "CAST('{\"a\":1}', 'JSON')": '{"a":1}',
    "toInt128(-5)": Decimal(-5),
    "map('a', toInt128(5))": {"a": Decimal(5)},
    "CAST((1, toInt128(5)), 'Tuple(a Int8, b Int128)')": {"a": 1, "b": Decimal(5)},
    "toDateTime64('2020-01-01 00:00:00', 6, 'Fixed/UTC+05:00:00')":
        dt.datetime(2020, 1, 1, tzinfo=EAST),
    "toDateTime('2020-01-01 00:00:00')": dt.datetime(2020, 1, 1),
    "toFixedString('a', 2)": "a\0",
    "toIntervalSecond(5)": dt.timedelta(seconds=5),
    "CAST('10:11:12', 'Time')": dt.time(10, 11, 12),
    "map('a', [1])": {"a": [1]},
}  # fmt: skip


@pytest.mark.parametrize("expression", TO_POLARS)
def test_polars_takes_them(engine, expression):
    data, _ = fetched(engine, expression)
    frame = pl.from_arrow(polars_ready(data))
    assert frame["x"].to_list() == [TO_POLARS[expression]]
    empty = polars_ready(data.slice(0, 0))
    assert empty.schema == polars_ready(data).schema


def test_zones_of_whole_hours_have_names():
    data = pa.table({"t": pa.array([0], pa.timestamp("s", "-03:00"))})
    assert polars_ready(data).schema.field("t").type.tz == "Etc/GMT+3"
    data = pa.table({"t": pa.array([0], pa.timestamp("s", "+00:00"))})
    assert polars_ready(data).schema.field("t").type.tz == "UTC"


def test_what_polars_has_is_passed_on():
    data = pa.table({"a": [1], "b": [[{"c": "x"}]]})
    assert polars_ready(data) is data


def test_refused_for_polars(engine):
    data, _ = fetched(engine, "CAST(1, 'Variant(UInt8, String)')")
    with pytest.raises(UnsupportedTypeError, match=r"column 'x'.*several types"):
        polars_ready(data)
    data, _ = fetched(engine, "toDateTime64(0, 3, 'Fixed/UTC+05:30:00')")
    with pytest.raises(UnsupportedTypeError, match=r"\+05:30.*toTimeZone"):
        polars_ready(data)
    data = pa.table({"a": pa.array([Decimal(1), Decimal("9" * 39)], pa.decimal256(40, 0))})
    with pytest.raises(ValueRangeError, match=r"row 1.*38 digits"):
        polars_ready(data)


def test_pandas_objects(engine):
    data, types = fetched(engine, f"[toUUID('{ID}')]")
    assert pandas_objects(data, types) == {"x": [[uuid.UUID(ID)]]}
    data, types = fetched(engine, "CAST('a', 'Variant(UInt8, String)')")
    assert pandas_objects(data, types) == {"x": ["a"]}
    data, types = fetched(engine, "toInt128(1)")
    assert pandas_objects(data, types) == {}
