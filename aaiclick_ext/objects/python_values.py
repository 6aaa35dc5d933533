"""Fetched columns as Python values: what `data()` gives."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from aaiclick_ext.engine.arrow_nesting import union_positions
from aaiclick_ext.engine.type_tree import WIDE_INTEGERS, ChType, parse
from aaiclick_ext.errors import UnsupportedTypeError, ValueRangeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_ANY = ChType("")
"""Stands where ClickHouse's type is not known: Arrow's alone decides."""


def to_python(data: pa.Table, types: Mapping[str, str]) -> dict[str, list[Any]]:
    """Return column → list of Python values.

    Integers of any width are int, Decimals `decimal.Decimal` of their scale, UUIDs `uuid.UUID`,
    times `datetime.datetime` with the zone their type has, null is None and NaN is NaN. Named
    tuples of ClickHouse and maps are dicts, unnamed ones tuples; JSON and Dynamic are what their
    JSON says. IPv4, IPv6 and enums are text.

    Nanoseconds that Python's own types would cut come as `pandas.Timestamp` and
    `pandas.Timedelta`, which are subclasses of them.

    Parameters
    ----------
    data
        What `restore` returned.
    types
        Column to ClickHouse type.

    Raises
    ------
    ValueRangeError
        If a map has a key twice, or Python has no type for a value.

    Examples
    --------
    >>> to_python(pa.table({"p": [{"1": 1, "2": "a"}]}), {"p": "Tuple(UInt8, String)"})
    {'p': [(1, 'a')]}
    """
    columns = {}
    for name, column in zip(data.column_names, data.columns, strict=True):
        convert = partial(_values, type_=parse(types[name]) if name in types else _ANY)
        try:
            columns[name] = [value for chunk in column.chunks for value in convert(chunk)]
        except _NoPythonValueError as error:
            raise ValueRangeError(f"column {name!r}: {error}") from error
    return columns


class _NoPythonValueError(ValueError):
    """A value for which Python has none."""


def _values(array: pa.Array, type_: ChType) -> list[Any]:
    type_ = type_.inner
    arrow = array.type
    if pa.types.is_map(arrow):
        return _maps(array, type_)
    if pa.types.is_list(arrow):
        return _lists(array, type_)
    if pa.types.is_struct(arrow):
        return _structs(array, type_)
    if pa.types.is_union(arrow):
        return _union(array, type_)
    if isinstance(arrow, pa.BaseExtensionType) and arrow.extension_name == "arrow.json":
        return _each(array.storage.to_pylist(), json.loads)
    if type_.name in WIDE_INTEGERS:
        return _each(array.to_pylist(), int)
    if getattr(arrow, "unit", None) == "ns":
        return _nanoseconds(array)
    if pa.types.is_duration(arrow) or (pa.types.is_timestamp(arrow) and arrow.tz is None):
        return _times(array)
    try:
        return list(array.to_pylist())
    except (OverflowError, ValueError) as error:
        raise _NoPythonValueError(
            f"{arrow} holds a value that Python cannot ({error}); use to_pyarrow()"
        ) from error


def _each(values: list[Any], convert: Callable[[Any], Any]) -> list[Any]:
    return [None if value is None else convert(value) for value in values]


def _arg(type_: ChType, index: int) -> ChType:
    return type_.args[index] if index < len(type_.args) else _ANY


def _lists(array: pa.ListArray, type_: ChType) -> list[Any]:
    items = _values(array.flatten(), _arg(type_, 0))
    found: list[Any] = []
    start = 0
    for length in pc.list_value_length(array).to_pylist():
        if length is None:
            found.append(None)
        else:
            found.append(items[start : start + length])
            start += length
    return found


def _maps(array: pa.MapArray, type_: ChType) -> list[Any]:
    start, stop = (array.offsets[0].as_py(), array.offsets[-1].as_py()) if len(array) else (0, 0)
    keys = _values(array.keys.slice(start, stop - start), _arg(type_, 0))
    values = _values(array.items.slice(start, stop - start), _arg(type_, 1))
    bounds = [offset - start for offset in array.offsets.to_pylist()]
    valid = array.is_valid().to_pylist()
    return [
        _dict(keys[low:high], values[low:high]) if is_valid else None
        for low, high, is_valid in zip(bounds, bounds[1:], valid, strict=False)
    ]


def _dict(keys: list[Any], values: list[Any]) -> dict[Any, Any]:
    try:
        found = dict(zip(keys, values, strict=True))
    except TypeError as error:
        raise _NoPythonValueError(
            f"a map key no dict can have ({error}); use to_pyarrow()"
        ) from error
    if len(found) < len(keys):
        raise _NoPythonValueError("a map has a key twice, which no dict can; use to_pyarrow()")
    return found


def _structs(array: pa.StructArray, type_: ChType) -> list[Any]:
    names = [array.type.field(i).name for i in range(array.type.num_fields)]
    columns = [_values(array.field(i), _arg(type_, i)) for i in range(len(names))]
    rows = zip(*columns, strict=True) if columns else [()] * len(array)
    unnamed = type_.name == "Tuple" and type_.names is None
    valid = array.is_valid().to_pylist()
    return [
        None if not is_valid else tuple(row) if unnamed else dict(zip(names, row, strict=True))
        for row, is_valid in zip(rows, valid, strict=True)
    ]


def _union(array: pa.UnionArray, type_: ChType) -> list[Any]:
    children = [_values(array.field(i), _arg(type_, i)) for i in range(array.type.num_fields)]
    position = {code: i for i, code in enumerate(array.type.type_codes)}
    codes, offsets = union_positions(array)
    return [
        children[position[c]][o]
        for c, o in zip(codes.to_pylist(), offsets.to_pylist(), strict=True)
    ]


def _times(array: pa.Array) -> list[Any]:
    """Return times without a zone, or durations, by way of NumPy: 20 times as fast as Arrow."""
    found = array.cast(_microseconds(array.type)).to_numpy(zero_copy_only=False).tolist()
    if any(isinstance(value, int) for value in found):
        raise _NoPythonValueError(f"{array.type} outside what Python can hold; use to_pyarrow()")
    return list(found)


def _nanoseconds(array: pa.Array) -> list[Any]:
    """Return times and durations as Python's where those are exact, else as pandas'."""
    arrow = array.type
    ticks = pc.drop_null(array).view(pa.int64())
    exact = pc.all(pc.equal(pc.multiply(pc.divide(ticks, 1000), 1000), ticks), min_count=0)
    if exact.as_py():
        return _values(array.cast(_microseconds(arrow)), _ANY)
    if pa.types.is_time(arrow):
        raise _NoPythonValueError(
            "a time of day with nanoseconds, which Python's time has not; use to_pyarrow()"
        )
    try:
        import pandas as pd  # noqa: F401  Arrow makes its values of it
    except ImportError as error:
        raise UnsupportedTypeError(
            "nanoseconds need pandas to become Python values; install pandas or use to_pyarrow()"
        ) from error
    return list(array.to_pylist())


def _microseconds(arrow: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(arrow):
        return pa.timestamp("us", arrow.tz)
    return pa.time64("us") if pa.types.is_time(arrow) else pa.duration("us")
