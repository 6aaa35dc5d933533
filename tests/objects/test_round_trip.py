"""What goes into ClickHouse comes out the same: generated values of every supported type."""

from __future__ import annotations

import datetime as dt
import math
import struct
import uuid
from decimal import Context, Decimal
from itertools import count
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aaiclick_ext.engine import quote_identifier, quote_literal
from aaiclick_ext.engine.types import restore, wrap_fetch
from aaiclick_ext.objects.python_values import to_python
from aaiclick_ext.objects.values import conform, to_columnar
from aaiclick_ext.schema.ibis_types import comment_paths

PROPERTY = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
NUMBERS = count()

ZONES = ["UTC", "Asia/Kolkata", "America/New_York", "Australia/Lord_Howe", "+05:30", "-11:00"]
TEXT = st.text(st.characters(codec="utf-8"), max_size=5)
NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=4
).filter(lambda name: name != "null")
DAY = 86_400


def ints(bits: int, *, signed: bool) -> st.SearchStrategy[int]:
    return (
        st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        if signed
        else st.integers(0, 2**bits - 1)
    )


def decimals(precision: int, scale: int) -> st.SearchStrategy[Decimal]:
    limit = 10**precision - 1
    return st.integers(-limit, limit).map(lambda n: Decimal(n).scaleb(-scale, CONTEXT))


CONTEXT = Context(prec=100)


def ticks(type_: pa.DataType, low: int, high: int):
    """Return a strategy of Arrow scalars by their ticks: Python has no nanoseconds."""
    storage = pa.int32() if type_.bit_width == 32 else pa.int64()
    return st.integers(low, high).map(lambda n: pa.array([n], storage).view(type_)[0])


FIRST, LAST = -719_162, 2_932_896
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def timestamps(unit: str, zone: str | None):
    type_ = pa.timestamp(unit, zone)
    if unit == "ns":
        return type_, ticks(type_, -(2**63), 2**63 - 1)
    per_day = DAY * PER_SECOND[unit]
    return type_, ticks(type_, FIRST * per_day, (LAST + 1) * per_day - 1)


def leaves():
    """Return a strategy of (Arrow type, strategy of values, usable as a map key)."""
    plain = [
        (pa.bool_(), st.booleans()),
        *((getattr(pa, f"int{bits}")(), ints(bits, signed=True)) for bits in (8, 16, 32, 64)),
        *((getattr(pa, f"uint{bits}")(), ints(bits, signed=False)) for bits in (8, 16, 32, 64)),
        (pa.float32(), st.floats(width=32)),
        (pa.float64(), st.floats()),
        (pa.string(), TEXT),
        (pa.large_string(), TEXT),
        (pa.string_view(), TEXT),
        (pa.binary(), st.binary(max_size=4)),
        (pa.large_binary(), st.binary(max_size=4)),
        (pa.binary(3), st.binary(min_size=3, max_size=3)),
        (pa.date32(), ticks(pa.date32(), FIRST, LAST)),
        (pa.time32("s"), ticks(pa.time32("s"), 0, DAY - 1)),
        (pa.time32("ms"), ticks(pa.time32("ms"), 0, DAY * 10**3 - 1)),
        (pa.time64("us"), ticks(pa.time64("us"), 0, DAY * 10**6 - 1)),
        (pa.time64("ns"), ticks(pa.time64("ns"), 0, DAY * 10**9 - 1)),
        *((pa.duration(u), ticks(pa.duration(u), -(2**63) + 1, 2**63 - 1)) for u in PER_SECOND),
        (pa.uuid(), st.uuids().map(lambda u: u.bytes)),
        (pa.dictionary(pa.int32(), pa.string()), TEXT),
        (pa.dictionary(pa.int8(), pa.int64()), ints(64, signed=True)),
        (pa.null(), st.none()),
    ]
    times = st.builds(
        timestamps, st.sampled_from(list(PER_SECOND)), st.sampled_from([None, *ZONES])
    )
    scaled = st.integers(1, 76).flatmap(
        lambda p: st.integers(0, p).map(
            lambda s: ((pa.decimal128 if p <= 38 else pa.decimal256)(p, s), decimals(p, s))
        )
    )
    return st.one_of(st.sampled_from(plain), times, scaled)


def optional(values):
    return st.one_of(values, st.none())


def lists(inner):
    type_, values = inner
    return pa.list_(type_), st.lists(values, max_size=3)


def structs(fields):
    type_ = pa.struct([pa.field(name, inner) for name, (inner, _) in fields.items()])
    return type_, optional(st.fixed_dictionaries({n: v for n, (_, v) in fields.items()}))


KEYS = [
    (pa.string(), TEXT),
    (pa.int16(), ints(16, signed=True)),
    (pa.uint64(), ints(64, signed=False)),
    (pa.binary(), st.binary(max_size=3)),
]


def maps(key, inner):
    type_, values = inner
    return pa.map_(key[0], type_), st.dictionaries(key[1], values, max_size=3).map(
        lambda d: list(d.items())
    )


NULLABLE_LEAVES = leaves().map(lambda leaf: (leaf[0], optional(leaf[1])))
COLUMNS = st.recursive(
    NULLABLE_LEAVES,
    lambda inner: st.one_of(
        inner.map(lists),
        st.dictionaries(NAMES, inner, min_size=1, max_size=3).map(structs),
        st.tuples(st.sampled_from(KEYS), inner).map(lambda pair: maps(*pair)),
    ),
    max_leaves=4,
)


def built(type_: pa.DataType, values: list) -> pa.Array:
    """Return an array of values, some of them Arrow scalars, which `pa.array` takes only flat."""
    if pa.types.is_list(type_):
        offsets = [0]
        for value in values:
            offsets.append(offsets[-1] + len(value))
        flat = built(type_.value_type, [item for value in values for item in value])
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), flat)
    if pa.types.is_map(type_):
        offsets = [0]
        for value in values:
            offsets.append(offsets[-1] + len(value))
        keys = built(type_.key_type, [k for value in values for k, _ in value])
        items = built(type_.item_type, [v for value in values for _, v in value])
        return pa.MapArray.from_arrays(pa.array(offsets, pa.int32()), keys, items)
    if pa.types.is_struct(type_):
        fields = [type_.field(i) for i in range(type_.num_fields)]
        children = [
            built(
                field.type,
                [_under_null(field.type) if v is None else v[field.name] for v in values],
            )
            for field in fields
        ]
        mask = pa.array([v is None for v in values], pa.bool_())
        return pa.StructArray.from_arrays(children, fields=fields, mask=mask)
    if type_ == pa.uuid():
        return pa.ExtensionArray.from_storage(type_, pa.array(values, pa.binary(16)))
    if pa.types.is_dictionary(type_):
        return pa.array(values, type_.value_type).dictionary_encode().cast(type_)
    scalars = [v for v in values if isinstance(v, pa.Scalar)]
    if not scalars:
        return pa.array(values, type_)
    storage = pa.int32() if type_.bit_width == 32 else pa.int64()
    raw = [None if v is None else pa.array([v], type_).view(storage)[0].as_py() for v in values]
    return pa.array(raw, storage).view(type_)


def _under_null(type_: pa.DataType):
    return [] if pa.types.is_list(type_) or pa.types.is_map(type_) else None


def plain(type_: pa.DataType) -> pa.DataType:
    """Return the type that comes back: storage variants become the plain type."""
    if pa.types.is_dictionary(type_):
        return plain(type_.value_type)
    if type_ in (pa.large_string(), pa.string_view(), pa.null()):
        return pa.string()
    if type_ in (pa.large_binary(), pa.binary_view()):
        return pa.binary()
    if pa.types.is_list(type_):
        return pa.list_(plain(type_.value_type))
    if pa.types.is_map(type_):
        return pa.map_(plain(type_.key_type), plain(type_.item_type))
    if pa.types.is_struct(type_):
        return pa.struct([pa.field(f.name, plain(f.type)) for f in type_.fields])
    return type_


def ticked(array: pa.Array):
    """Return values that compare exactly: times as ticks, floats as bits, nulls as None."""
    if isinstance(array, pa.ChunkedArray):
        return [value for chunk in array.chunks for value in ticked(chunk)]
    type_ = array.type
    if pa.types.is_dictionary(type_):
        return ticked(array.dictionary_decode())
    if pa.types.is_list(type_):
        return [None if v is None else ticked(v.values) for v in array]
    if pa.types.is_map(type_):
        return [None if v is None else ticked(v.values) for v in array]
    if pa.types.is_struct(type_):
        columns = [ticked(array.field(i)) for i in range(type_.num_fields)]
        rows = zip(*columns, strict=True) if columns else [()] * len(array)
        return [
            row if valid else None
            for row, valid in zip(rows, array.is_valid().to_pylist(), strict=True)
        ]
    if pa.types.is_timestamp(type_) or pa.types.is_duration(type_) or pa.types.is_time64(type_):
        return array.view(pa.int64()).to_pylist()
    if pa.types.is_floating(type_):
        return [None if v is None else "nan" if math.isnan(v) else struct.pack("d", v)
                for v in array.to_pylist()]  # fmt: skip
    return array.to_pylist()


def stored(engine, columnar, *, table_engine: str = "Memory") -> pa.Table:
    """Put columns into a new table and fetch them back."""
    table = f"round_trip_{next(NUMBERS)}"
    columns = ", ".join(
        f"{quote_identifier(name)} {type_}"
        + (
            f" COMMENT {quote_literal(columnar.comments[name])}"
            if name in columnar.comments
            else ""
        )
        for name, type_ in columnar.types.items()
    )
    engine.command(f"CREATE TABLE {table} ({columns}) ENGINE = {table_engine}")
    try:
        if columnar.data.num_rows:
            engine.insert_arrow(table, columnar.data)
        sql = f"SELECT * FROM {table}"
        types = engine.columns_of(sql)
        comments = {c.name: c.comment for c in engine.columns_of_table(table)}
        binary = {
            path for name, comment in comments.items() for path in comment_paths(name, comment)
        }
        data = restore(engine.query_arrow(wrap_fetch(sql, types)), types, binary=binary)
        data.validate(full=True)
        return data
    finally:
        engine.command(f"DROP TABLE {table} SYNC")


@PROPERTY
@given(data=st.data())
def test_arrow_columns(engine, data):
    columns = data.draw(st.dictionaries(NAMES, COLUMNS, min_size=1, max_size=3))
    rows = data.draw(st.integers(0, 5))
    table = pa.table(
        {
            name: built(type_, data.draw(st.lists(values, min_size=rows, max_size=rows)))
            for name, (type_, values) in columns.items()
        }
    )
    start = data.draw(st.integers(0, rows))
    table = pa.concat_tables([table.slice(0, start), table.slice(start)])
    columnar = to_columnar(table)
    back = stored(engine, columnar)
    assert back.column_names == table.column_names
    for name in table.column_names:
        assert same_type(back[name].type, plain(table[name].type))
        assert ticked(back[name]) == ticked(table[name])


def same_type(left: pa.DataType, right: pa.DataType) -> bool:
    """Whether types are the same but for the nullability of what is in them."""
    return str(left).replace(" not null", "") == str(right).replace(" not null", "")


@PROPERTY
@given(data=st.data())
def test_what_was_stored_conforms_to_its_own_types(engine, data):
    type_, values = data.draw(COLUMNS)
    column = built(type_, data.draw(st.lists(values, max_size=4)))
    columnar = to_columnar(pa.table({"c": column}))
    again = conform(columnar, columnar.types, columnar.comments)
    assert ticked(again["c"]) == ticked(columnar.data["c"])
    back = stored(engine, type(columnar)(
        again, columnar.types, columnar.comments, columnar.shape, ""))  # fmt: skip
    assert ticked(back["c"]) == ticked(column)


def aware(zone: dt.tzinfo):
    return st.datetimes(dt.datetime(2, 1, 1), dt.datetime(9998, 1, 1), timezones=st.just(zone))


PYTHON_LEAVES = [
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(0, 2**64 - 1),
    st.floats(),
    TEXT,
    st.binary(max_size=4),
    st.uuids(),
    st.dates(),
    st.datetimes(),
    st.times(),
    st.timedeltas(dt.timedelta(days=-(10**6)), dt.timedelta(days=10**6)),
    *(aware(ZoneInfo(zone)) for zone in ZONES if "/" in zone),
    aware(dt.timezone(dt.timedelta(hours=-9, minutes=-30))),
    aware(dt.UTC),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30,
                places=6),
]  # fmt: skip
PYTHON_COLUMNS = st.recursive(
    st.sampled_from(PYTHON_LEAVES).map(optional),
    lambda inner: st.one_of(
        inner.map(lambda values: st.lists(values, max_size=3)),
        st.dictionaries(NAMES, inner, min_size=1, max_size=3).map(
            lambda fields: optional(st.fixed_dictionaries(fields))
        ),
    ),
    max_leaves=3,
)


def exact(value):
    """Return a value that compares bit by bit, times with their zone's name."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else struct.pack("d", value)
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=None), value.utcoffset(), value.fold if value.tzinfo else 0
    if isinstance(value, Decimal):
        return value, value.as_tuple().exponent
    if isinstance(value, list):
        return [exact(v) for v in value]
    if isinstance(value, dict):
        return {k: exact(v) for k, v in value.items()}
    return type(value), value


@PROPERTY
@given(data=st.data())
def test_python_values(engine, data):
    columns = data.draw(st.dictionaries(NAMES, PYTHON_COLUMNS, min_size=1, max_size=3))
    rows = data.draw(st.integers(1, 5))
    value = {
        name: data.draw(st.lists(values, min_size=rows, max_size=rows))
        for name, values in columns.items()
    }
    columnar = to_columnar(value)
    back = to_python(stored(engine, columnar), columnar.types)
    for name, values in value.items():
        assert [exact(v) for v in back[name]] == [normal(v) for v in values]


ELSEWHERE = dt.timezone(dt.timedelta(hours=1))


def normal(value):
    """Return what is expected of a value: a fold that means nothing is 0."""
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return exact(value.astimezone(ELSEWHERE).astimezone(value.tzinfo))
    if isinstance(value, dt.datetime):
        return exact(value.replace(fold=0))
    if isinstance(value, list):
        return [normal(v) for v in value]
    if isinstance(value, dict):
        return {k: normal(v) for k, v in value.items()}
    return exact(value)


SPECIAL = [
    [2**64 - 1, 0],
    [-(2**63), 2**63 - 1],
    [float("nan"), None, float("inf"), -0.0],
    ["", None, "\0", "é☃𝄞"],
    [b"", b"\xff\0", None],
    [Decimal("1.500"), Decimal("-0.001"), None],
    [dt.date(1969, 12, 31), dt.date(1, 1, 1), dt.date(9999, 12, 31), None],
    [dt.datetime(1969, 12, 31, 23, 59, 59, 999_999), dt.datetime.min, dt.datetime.max],
    [dt.datetime(2020, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=f) for f in (0, 1)],
    [uuid.UUID(int=2**128 - 1), uuid.UUID(int=0), None],
    [True, False, None],
    [None, None],
    [[], [1], [None]],
    [[{"a": None}], [None], [{"a": 1}]],
    [[{"b": b"\xff", "t": "é"}], []],
]


@pytest.mark.parametrize("values", SPECIAL, ids=repr)
@pytest.mark.parametrize("table_engine", ["Memory", "MergeTree ORDER BY tuple()"])
def test_edges(engine, values, table_engine):
    columnar = to_columnar(values)
    back = to_python(stored(engine, columnar, table_engine=table_engine), columnar.types)
    assert [exact(v) for v in back["value"]] == [exact(v) for v in values]


def test_empty_table_keeps_its_types(engine):
    schema = pa.schema(
        [("a", pa.uint8()), ("b", pa.list_(pa.timestamp("ns", "UTC"))), ("c", pa.decimal128(9, 2))]
    )
    back = stored(engine, to_columnar(schema.empty_table()))
    assert back.num_rows == 0
    for left, right in zip(back.schema.types, schema.types, strict=True):
        assert same_type(left, right)


def test_frames(engine):
    import pandas as pd
    import polars as pl

    frame = pd.DataFrame(
        {
            "i": pd.array([1, None], dtype="Int8"),
            "f": [1.5, float("nan")],
            "s": ["x", None],
            "t": pd.to_datetime(["2020-01-01", None]).tz_localize("Asia/Kolkata"),
            "c": pd.Categorical(["a", "b"]),
        }
    )
    back = stored(engine, to_columnar(frame)).to_pandas()
    assert back["s"].tolist()[0] == "x"
    assert pd.isna(back["s"][1])
    assert back["t"].dtype == frame["t"].dtype
    assert back["f"].isna().tolist() == [False, True]
    polars = pl.DataFrame(
        {"a": [1, None], "d": [dt.timedelta(1), None], "l": [[1], []], "b": [b"\xff", None]}
    )
    assert pl.from_arrow(stored(engine, to_columnar(polars))).equals(polars)
