"""Arrow columns that pandas or polars cannot take, in a form that they can."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from aaiclick_ext.engine.arrow_leaves import retagged
from aaiclick_ext.engine.arrow_nesting import rebuilt_list, rebuilt_map, rebuilt_struct
from aaiclick_ext.objects.python_values import to_python
from aaiclick_ext.objects.refusal import Refusal, first_refused, out_of_range, unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)\Z")
_DIGITS = 38


def pandas_objects(data: pa.Table, types: Mapping[str, str]) -> dict[str, list[Any]]:
    """Return the columns that Arrow cannot make pandas columns of, as lists of Python values.

    Those are Variants, and UUIDs, JSON and Dynamics inside other types.

    Parameters
    ----------
    types
        Column to ClickHouse type, as for `to_python`.

    Examples
    --------
    >>> pandas_objects(pa.table({"a": [1]}), {"a": "Int64"})
    {}
    """
    names = [field.name for field in data.schema if _is_foreign_to_pandas(field.type)]
    return to_python(data.select(names), types) if names else {}


def polars_ready(data: pa.Table) -> pa.Table:
    """Return a table whose columns all have a polars type; itself if they had.

    UUIDs and JSON become text, offsets of whole hours the zones of that name (``Etc/GMT-5`` is five
    hours east), Decimals of more than 38 digits such of 38 where the values fit.

    Raises
    ------
    UnsupportedTypeError
        If a column's type has none: Variants, and time zones of part of an hour.
    ValueRangeError
        If a Decimal has more than 38 digits.

    Examples
    --------
    >>> polars_ready(pa.table({"a": pa.array([1], pa.decimal256(39, 0))})).schema.types
    [Decimal128Type(decimal128(38, 0))]
    """
    columns = [
        _polars_column(field.name, column) if _is_foreign_to_polars(field.type) else column
        for field, column in zip(data.schema, data.columns, strict=True)
    ]
    if not any(map(_is_foreign_to_polars, data.schema.types)):
        return data
    return pa.table(columns, names=data.column_names)


def _inner_types(type_: pa.DataType) -> list[pa.DataType]:
    if pa.types.is_list(type_):
        return [type_.value_type]
    if pa.types.is_map(type_):
        return [type_.key_type, type_.item_type]
    return [type_.field(i).type for i in range(type_.num_fields)]


def _has(type_: pa.DataType, test: Callable[[pa.DataType], bool]) -> bool:
    return test(type_) or any(_has(inner, test) for inner in _inner_types(type_))


def _is_foreign_to_pandas(type_: pa.DataType) -> bool:
    def extension(inner: pa.DataType) -> bool:
        return isinstance(inner, pa.BaseExtensionType)

    inside = any(_has(inner, extension) for inner in _inner_types(type_))
    return inside or _has(type_, pa.types.is_union)


def _is_foreign_to_polars(type_: pa.DataType) -> bool:
    return _has(
        type_,
        lambda t: (
            isinstance(t, pa.BaseExtensionType)
            or pa.types.is_union(t)
            or pa.types.is_decimal256(t)
            or (pa.types.is_timestamp(t) and bool(_OFFSET.match(t.tz or "")))
        ),
    )


def _polars_column(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    def convert(part: pa.ChunkedArray) -> pa.ChunkedArray:
        chunks = part.chunks or [pa.nulls(0, part.type)]
        return pa.chunked_array([_polars_array(chunk) for chunk in chunks])

    try:
        return convert(column)
    except Refusal as refusal:
        refusal.row = first_refused(column, convert)
        raise refusal.error(name) from refusal.__cause__


def _polars_array(array: pa.Array) -> pa.Array:
    type_ = array.type
    if not _is_foreign_to_polars(type_):
        return array
    if pa.types.is_list(type_):
        item = _polars_array(pa.nulls(0, type_.value_type)).type
        return rebuilt_list(array, pa.list_(item), _polars_array)
    if pa.types.is_map(type_):
        key, item = (_polars_array(pa.nulls(0, t)).type for t in _inner_types(type_))
        return rebuilt_map(array, pa.map_(key, item), _polars_array, _polars_array)
    if pa.types.is_struct(type_):
        fields = [
            field.with_type(_polars_array(pa.nulls(0, field.type)).type) for field in type_.fields
        ]
        return rebuilt_struct(array, pa.struct(fields), [_polars_array] * len(fields))
    return _polars_leaf(array)


def _polars_leaf(array: pa.Array) -> pa.Array:
    type_ = array.type
    if type_ == pa.uuid():
        texts = [v and str(uuid.UUID(bytes=v)) for v in array.storage.to_pylist()]
        return pa.array(texts, pa.string())
    if isinstance(type_, pa.BaseExtensionType):
        return array.storage
    if pa.types.is_decimal256(type_):
        return _narrow_decimal(array)
    if pa.types.is_timestamp(type_):
        return retagged(array, pa.timestamp(type_.unit, _named_zone(type_.tz)))
    raise unsupported(
        "polars has no type for values of several types; cast the column in the query, or use "
        "data() or to_pyarrow()"
    )


def _narrow_decimal(array: pa.Array) -> pa.Array:
    scale = array.type.scale
    try:
        if scale <= _DIGITS:
            return array.cast(pa.decimal128(_DIGITS, scale))
    except pa.ArrowInvalid as error:
        raise out_of_range(_too_long(array.type)) from error
    raise unsupported(_too_long(array.type))


def _too_long(type_: pa.DataType) -> str:
    return (
        f"polars has Decimals of {_DIGITS} digits, {type_} holds more; cast the column to string "
        "or float64 in the query, or use data() or to_pyarrow()"
    )


def _named_zone(offset: str) -> str:
    """Return the name that the time zone database has for an offset; its signs are reversed."""
    found = _OFFSET.match(offset)
    assert found is not None
    sign, hours, minutes = found[1], int(found[2]), int(found[3])
    if minutes or hours > (14 if sign == "+" else 12):
        raise unsupported(
            f"polars has no time zone {offset}; convert the column to one with a name in the "
            "query, as in toTimeZone(c, 'UTC'), or use data() or to_pyarrow()"
        )
    return f"Etc/GMT{'-' if sign == '+' else '+'}{hours}" if hours else "UTC"
