"""The Arrow types that ClickHouse sends, from its own: what a fetch gives, known without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from aaiclick_ext.engine.arrow_leaves import timestamp_type
from aaiclick_ext.engine.type_tree import ChType, parse
from aaiclick_ext.errors import UnsupportedTypeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LEAVES: dict[str, pa.DataType] = {
    "BFloat16": pa.binary(),
    "Bool": pa.bool_(),
    "Date": pa.date32(),
    "Date32": pa.date32(),
    "DateTime": pa.uint32(),
    "Dynamic": pa.json_(),
    "Enum16": pa.int16(),
    "Enum8": pa.int8(),
    "FixedString": pa.string(),
    "Float32": pa.float32(),
    "Float64": pa.float64(),
    "IPv4": pa.uint32(),
    "IPv6": pa.binary(16),
    "Int128": pa.binary(16),
    "Int16": pa.int16(),
    "Int256": pa.binary(32),
    "Int32": pa.int32(),
    "Int64": pa.int64(),
    "Int8": pa.int8(),
    "IntervalMicrosecond": pa.duration("us"),
    "IntervalMillisecond": pa.duration("ms"),
    "IntervalNanosecond": pa.duration("ns"),
    "IntervalSecond": pa.duration("s"),
    "IntervalDay": pa.int64(),
    "IntervalHour": pa.int64(),
    "IntervalMinute": pa.int64(),
    "IntervalMonth": pa.int64(),
    "IntervalQuarter": pa.int64(),
    "IntervalWeek": pa.int64(),
    "IntervalYear": pa.int64(),
    "JSON": pa.json_(),
    "Nothing": pa.null(),
    "Object": pa.json_(),
    "String": pa.string(),
    "Time": pa.time32("s"),
    "UInt128": pa.binary(16),
    "UInt16": pa.uint16(),
    "UInt256": pa.binary(32),
    "UInt32": pa.uint32(),
    "UInt64": pa.uint64(),
    "UInt8": pa.uint8(),
    "UUID": pa.uuid(),
}
_NULL_INSIDE = ("Dynamic", "Geometry", "Variant")
"""Types that hold a null without their field saying so."""


def sent_schema(columns: Mapping[str, str]) -> pa.Schema:
    """Return the schema of what ClickHouse sends of columns. Runs no query.

    Parameters
    ----------
    columns
        Column to ClickHouse type, after the casts of `wrap_fetch`.

    Raises
    ------
    UnsupportedTypeError
        If it is not known how a type is sent.

    Examples
    --------
    >>> print(sent_schema({"a": "Nullable(Int8)", "b": "Array(DateTime)"}))
    a: int8
    b: list<item: uint32 not null> not null
      child 0, item: uint32 not null
    """
    return pa.schema([_field(name, parse(text)) for name, text in columns.items()])


def _field(name: str, type_: ChType) -> pa.Field:
    sent = _sent(type_.inner)
    is_null = pa.types.is_null(sent)  # ClickHouse calls it not null, which pyarrow cannot say
    nullable = type_.nullable and type_.name not in _NULL_INSIDE
    return pa.field(name, sent, nullable=nullable or is_null)


def _sent(type_: ChType) -> pa.DataType:
    if type_.name in _LEAVES:
        return _LEAVES[type_.name]
    make = _MADE.get(type_.name)
    if make is None:
        raise UnsupportedTypeError(
            f"it is not known how ClickHouse sends {type_} as Arrow; cast the column, as in "
            "toString(column)"
        )
    return make(type_)


def _decimal(type_: ChType) -> pa.DataType:
    precision, scale = (int(p) for p in type_.params)
    return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)


def _time64(type_: ChType) -> pa.DataType:
    scale = int(type_.params[0])
    if scale <= 3:
        return pa.time32("s" if scale == 0 else "ms")
    return pa.time64("us" if scale <= 6 else "ns")


def _list(type_: ChType) -> pa.DataType:
    return pa.list_(_field("item", type_.args[0]))


def _map(type_: ChType) -> pa.DataType:
    key, value = type_.args
    return pa.map_(_field("key", key).with_nullable(False), _field("value", value))


def _struct(type_: ChType) -> pa.DataType:
    names = type_.names or tuple(str(i + 1) for i in range(len(type_.args)))
    return pa.struct([_field(name, arg) for name, arg in zip(names, type_.args, strict=True)])


def _union(type_: ChType) -> pa.DataType:
    # Named by the type alone, and NULL last.
    fields = [pa.field(_family(arg), _sent(arg.inner)) for arg in type_.args]
    return pa.dense_union([*fields, pa.field("NULL", pa.null())])


def _family(type_: ChType) -> str:
    return type_.name if type_.name == "LowCardinality" else type_.inner.name


_MADE: dict[str, Callable[[ChType], pa.DataType]] = {
    "Array": _list,
    "DateTime64": timestamp_type,
    "Decimal": _decimal,
    "Map": _map,
    "Time64": _time64,
    "Tuple": _struct,
    "Variant": _union,
}
