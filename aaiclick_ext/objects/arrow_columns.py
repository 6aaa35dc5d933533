"""Arrow columns as ClickHouse columns: which type each has, and which cannot be kept.

What ClickHouse reads as something else, without an error, is refused here (measured with
ClickHouse 26.9): a null list becomes an empty one, a date outside its range another date.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aaiclick_ext.engine.arrow_leaves import FIXED_ZONE
from aaiclick_ext.engine.type_tree import ChType
from aaiclick_ext.objects.refusal import Refusal, first_refused, out_of_range, unsupported

if TYPE_CHECKING:
    from aaiclick_ext.engine.type_paths import Path

_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)\Z")

_SECONDS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_SCALES = {"s": 0, "ms": 3, "us": 6, "ns": 9}
_INTERVALS = {
    "s": "IntervalSecond",
    "ms": "IntervalMillisecond",
    "us": "IntervalMicrosecond",
    "ns": "IntervalNanosecond",
}
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896
"""0001-01-01 and 9999-12-31: what Date32, DateTime64 and Python's own dates all can hold."""

_PLAIN = {
    pa.bool_(): "Bool",
    pa.float16(): "Float32",
    pa.float32(): "Float32",
    pa.float64(): "Float64",
    pa.int16(): "Int16",
    pa.int32(): "Int32",
    pa.int64(): "Int64",
    pa.int8(): "Int8",
    pa.large_string(): "String",
    pa.string(): "String",
    pa.string_view(): "String",
    pa.uint16(): "UInt16",
    pa.uint32(): "UInt32",
    pa.uint64(): "UInt64",
    pa.uint8(): "UInt8",
    pa.uuid(): "UUID",
}


@dataclass(frozen=True, slots=True)
class Declared:
    """A column as it goes into ClickHouse.

    Attributes
    ----------
    data
        The column, in a form that ClickHouse reads.
    type
        The ClickHouse type to declare.
    binary
        Paths to its Strings that are bytes.
    """

    data: pa.ChunkedArray
    type: ChType
    binary: frozenset[Path]


def declare(name: str, column: pa.ChunkedArray) -> Declared:
    """Return the ClickHouse type that holds a column exactly, Nullable where a null occurs.

    Copies nothing but what ClickHouse cannot read (run ends, list views).

    Raises
    ------
    UnsupportedTypeError
        If there is no such type.
    ValueRangeError
        If a value is outside what the type holds.
    """
    try:
        return _declared(name, column)
    except Refusal as refusal:
        refusal.row = first_refused(column, lambda part: _declared(name, part))
        raise refusal.error(name) from refusal.__cause__


def _declared(name: str, column: pa.ChunkedArray) -> Declared:
    column = readable(column)
    binary: set[Path] = set()
    found = _type(column.type, column.chunks, (name,), binary)
    return Declared(column, found, frozenset(binary))


def clickhouse_zone(zone: str) -> str:
    """Return an Arrow time zone as ClickHouse names it.

    Examples
    --------
    >>> clickhouse_zone("+05:30"), clickhouse_zone("Asia/Kolkata")
    ('Fixed/UTC+05:30:00', 'Asia/Kolkata')
    """
    found = _OFFSET.match(zone)
    return f"{FIXED_ZONE}{found[1]}{found[2]}:{found[3]}:00" if found else zone


def is_text(type_: pa.DataType) -> bool:
    """Whether an Arrow type is one of the three of text."""
    return type_ in (pa.string(), pa.large_string(), pa.string_view())


def is_bytes(type_: pa.DataType) -> bool:
    """Whether an Arrow type is one of bytes of any length."""
    return type_ in (pa.binary(), pa.large_binary(), pa.binary_view())


def is_list(type_: pa.DataType) -> bool:
    """Whether an Arrow type is one of lists that ClickHouse reads."""
    return bool(
        pa.types.is_list(type_) or pa.types.is_large_list(type_)
        or pa.types.is_fixed_size_list(type_)
    )  # fmt: skip


def readable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column without the encodings that ClickHouse does not read."""
    if pa.types.is_run_end_encoded(column.type):
        chunks = [pc.run_end_decode(chunk) for chunk in column.chunks]
        column = pa.chunked_array(chunks, column.type.value_type)
    if pa.types.is_dictionary(column.type):
        column = _one_dictionary(column)
    if pa.types.is_list_view(column.type) or pa.types.is_large_list_view(column.type):
        column = pa.chunked_array(
            [_list_of_view(chunk) for chunk in column.chunks], pa.list_(column.type.value_type)
        )
    wanted = _readable_type(column.type)
    if wanted == column.type:
        return column
    try:
        return column.cast(wanted)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise unsupported(f"{column.type} cannot be read as {wanted} ({error})") from error


def _list_of_view(array: pa.Array) -> pa.Array:
    # Arrow's own cast of a list view gives an array without its last offset (pyarrow 26).
    lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy()
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    mask = array.is_null() if array.null_count else None
    return pa.ListArray.from_arrays(pa.array(offsets), array.flatten(), mask=mask)


def _one_dictionary(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a dictionary column with one dictionary of text without nulls, or decoded."""
    values = column.type.value_type
    if not is_text(values) or any(c.dictionary.null_count for c in column.chunks):
        return column.cast(values)
    return column.unify_dictionaries()


def _readable_type(type_: pa.DataType) -> pa.DataType:
    # Views: servers before 2025 do not read them, and Arrow itself cannot take from them.
    if type_ == pa.string_view():
        return pa.large_string()
    if type_ == pa.binary_view():
        return pa.large_binary()
    if pa.types.is_date64(type_):
        return pa.date32()
    if isinstance(type_, pa.BaseExtensionType) and type_.extension_name == "arrow.bool8":
        return pa.bool_()
    if pa.types.is_list_view(type_) or pa.types.is_large_list_view(type_):
        return pa.list_(_readable_inside(type_.value_type))
    if is_list(type_):
        inner = _readable_inside(type_.value_type)
        return type_ if inner == type_.value_type else pa.list_(inner)
    if pa.types.is_struct(type_):
        fields = [type_.field(i) for i in range(type_.num_fields)]
        inner = [field.with_type(_readable_inside(field.type)) for field in fields]
        return type_ if inner == fields else pa.struct(inner)
    if pa.types.is_map(type_):
        key, item = _readable_inside(type_.key_type), _readable_inside(type_.item_type)
        return type_ if (key, item) == (type_.key_type, type_.item_type) else pa.map_(key, item)
    return type_


def _readable_inside(type_: pa.DataType) -> pa.DataType:
    # A file of Arrow has one dictionary for each column, and those inside cannot be made one.
    return _readable_type(type_.value_type if pa.types.is_dictionary(type_) else type_)


def _type(type_: pa.DataType, chunks: list[pa.Array], path: Path, binary: set[Path]) -> ChType:
    if is_list(type_):
        return _array(type_, chunks, path, binary)
    if pa.types.is_map(type_):
        return _map(type_, chunks, path, binary)
    if pa.types.is_struct(type_):
        return _tuple(type_, chunks, path, binary)
    if pa.types.is_dictionary(type_):
        return ChType("LowCardinality", (_nullable(ChType("String"), chunks),))
    if type_ == pa.null():
        return ChType("Nullable", (ChType("String"),))  # Nullable(Nothing) cannot be stored
    return _nullable(_leaf(type_, chunks, path, binary), chunks)


def _nullable(type_: ChType, chunks: list[pa.Array]) -> ChType:
    has_null = any(chunk.null_count for chunk in chunks)
    return ChType("Nullable", (type_,)) if has_null else type_


def _leaf(type_: pa.DataType, chunks: list[pa.Array], path: Path, binary: set[Path]) -> ChType:
    if type_ in _PLAIN:
        return ChType(_PLAIN[type_])
    if is_bytes(type_):
        binary.add(path)
        return ChType("String")
    if pa.types.is_fixed_size_binary(type_) and type_.byte_width:
        binary.add(path)
        return ChType("FixedString", params=(type_.byte_width,))
    if pa.types.is_decimal(type_) and type_.scale >= 0:
        return ChType("Decimal", params=(max(type_.precision, type_.scale), type_.scale))
    if pa.types.is_date32(type_):
        _check_range(chunks, pa.int32(), _FIRST_DAY, _LAST_DAY, "a date outside years 1 to 9999")
        return ChType("Date32")
    if pa.types.is_timestamp(type_):
        return _date_time(type_, chunks)
    if pa.types.is_time(type_):
        storage = pa.int32() if pa.types.is_time32(type_) else pa.int64()
        last = 86_400 * _SECONDS[type_.unit] - 1
        _check_range(chunks, storage, 0, last, "a time of day outside 0 to 24 hours")
        return ChType("Time64", params=(_SCALES[type_.unit],))
    if pa.types.is_duration(type_):
        return ChType(_INTERVALS[type_.unit])
    raise unsupported(_why_not(type_))


def _date_time(type_: pa.DataType, chunks: list[pa.Array]) -> ChType:
    per_day = 86_400 * _SECONDS[type_.unit]
    if type_.unit != "ns":  # all of int64 is within the years 1677 to 2262
        first, last = _FIRST_DAY * per_day, (_LAST_DAY + 1) * per_day - 1
        _check_range(chunks, pa.int64(), first, last, "a time outside years 1 to 9999")
    scale = _SCALES[type_.unit]
    if type_.tz is None:
        return ChType("DateTime64", params=(scale,))
    return ChType("DateTime64", params=(scale, clickhouse_zone(type_.tz)))


def _check_range(
    chunks: list[pa.Array], storage: pa.DataType, first: int, last: int, what: str
) -> None:
    for chunk in chunks:
        bounds = pc.min_max(chunk.view(storage)).as_py()
        if bounds["min"] is not None and not first <= bounds["min"] <= bounds["max"] <= last:
            raise out_of_range(f"{what}; ClickHouse cannot hold it: drop it or make it null")


def _why_not(type_: pa.DataType) -> str:
    if isinstance(type_, pa.BaseExtensionType) and type_.extension_name == "arrow.json":
        return (
            "ClickHouse's JSON reorders keys and drops nulls; cast the column to string to keep "
            'the text. A column made with create_object({"c": "JSON"}) takes that text too'
        )
    if pa.types.is_union(type_):
        return f"{type_} has several types; split it into a column for each"
    if pa.types.is_interval(type_):
        return (
            f"{type_} has no ClickHouse type; split it into columns of months, days and nanoseconds"
        )
    return f"Arrow type {type_} has no ClickHouse type; cast it to one that has, or to string"


def _array(type_: pa.DataType, chunks: list[pa.Array], path: Path, binary: set[Path]) -> ChType:
    _no_nulls(chunks, "list")
    items = [chunk.flatten() for chunk in chunks]
    try:
        return ChType("Array", (_type(type_.value_type, items, (*path, "[]"), binary),))
    except Refusal as refusal:
        raise refusal.inside("[]") from refusal.__cause__


def _map(type_: pa.DataType, chunks: list[pa.Array], path: Path, binary: set[Path]) -> ChType:
    _no_nulls(chunks, "map")
    keys, values = [], []
    for chunk in chunks:
        start, stop = (
            (chunk.offsets[0].as_py(), chunk.offsets[-1].as_py()) if len(chunk) else (0, 0)
        )
        keys.append(chunk.keys.slice(start, stop - start))
        values.append(chunk.items.slice(start, stop - start))
    try:
        key = _type(type_.key_type, keys, (*path, "key"), binary)
        value = _type(type_.item_type, values, (*path, "value"), binary)
    except Refusal as refusal:
        raise refusal.inside("{}") from refusal.__cause__
    return ChType("Map", (key, value))


def _tuple(type_: pa.DataType, chunks: list[pa.Array], path: Path, binary: set[Path]) -> ChType:
    fields = [type_.field(i) for i in range(type_.num_fields)]
    names = [field.name for field in fields]
    if "" in names or len(set(names)) < len(names):
        raise unsupported(f"the fields of a struct need names of their own, these are {names}")
    if "null" in names:
        raise unsupported("ClickHouse keeps the field name null for itself; rename it")
    # What stands under a null struct is not a value.
    valid = [c.filter(c.is_valid()) if c.null_count else c for c in chunks]
    args = []
    for index, field in enumerate(fields):
        inner = [chunk.field(index) for chunk in valid]
        try:
            args.append(_type(field.type, inner, (*path, field.name), binary))
        except Refusal as refusal:
            raise refusal.inside(f".{field.name}") from refusal.__cause__
    return _nullable(ChType("Tuple", tuple(args), tuple(names) or None), chunks)


def _no_nulls(chunks: list[pa.Array], what: str) -> None:
    if any(chunk.null_count for chunk in chunks):
        raise unsupported(
            f"a null {what}; in ClickHouse it would become an empty one. Replace it by an empty "
            f"{what}, or put the {what} inside a struct, which can be null"
        )
