"""Schemas that users give, as ClickHouse types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ibis.expr.datatypes as dt
import ibis.expr.schema as sch
import pyarrow as pa

from aaiclick_ext.engine.type_tree import ChType, parse
from aaiclick_ext.errors import SchemaError, UnsupportedTypeError
from aaiclick_ext.objects.arrow_columns import clickhouse_zone, declare
from aaiclick_ext.objects.refusal import Refusal
from aaiclick_ext.objects.sequences import check_name
from aaiclick_ext.schema.ibis_types import binary_comment, binary_paths

_LEAVES: dict[type[dt.DataType], str] = {
    dt.Binary: "String",
    dt.Boolean: "Bool",
    dt.Date: "Date32",
    dt.Float16: "Float32",
    dt.Float32: "Float32",
    dt.Float64: "Float64",
    dt.Int16: "Int16",
    dt.Int32: "Int32",
    dt.Int64: "Int64",
    dt.Int8: "Int8",
    dt.JSON: "JSON",
    dt.Time: "Time64(6)",
    dt.UInt16: "UInt16",
    dt.UInt32: "UInt32",
    dt.UInt64: "UInt64",
    dt.UInt8: "UInt8",
    dt.UUID: "UUID",
}
_INTERVALS = {
    "Y": "IntervalYear",
    "Q": "IntervalQuarter",
    "M": "IntervalMonth",
    "W": "IntervalWeek",
    "D": "IntervalDay",
    "h": "IntervalHour",
    "m": "IntervalMinute",
    "s": "IntervalSecond",
    "ms": "IntervalMillisecond",
    "us": "IntervalMicrosecond",
    "ns": "IntervalNanosecond",
}


def types_from_schema(schema: Any) -> tuple[dict[str, str], dict[str, str]]:
    """Return ClickHouse types and comments of the columns that a schema names.

    Parameters
    ----------
    schema
        An Ibis schema, an Arrow schema, or ``{name: ClickHouse type}``. A column is Nullable
        where the schema says so; Ibis and Arrow say so unless told otherwise.

    Raises
    ------
    SchemaError
        If it names no columns, one twice, or a text is not a ClickHouse type.
    UnsupportedTypeError
        If a type has no ClickHouse type.

    Examples
    --------
    >>> types_from_schema({"a": "UInt8", "b": "Array(String)"})[0]
    {'a': 'UInt8', 'b': 'Array(String)'}
    """
    if isinstance(schema, sch.Schema):
        return _from_ibis(schema)
    if isinstance(schema, pa.Schema):
        return _from_arrow(schema)
    if not isinstance(schema, Mapping):
        raise SchemaError(
            f"a schema cannot be a {type(schema).__name__}; give an Ibis or Arrow schema, or "
            "{name: ClickHouse type}"
        )
    _check_names(list(schema))
    for name, type_ in schema.items():
        if not isinstance(type_, str):
            raise SchemaError(
                f"column {name!r}: the type {type_!r} is not text; write it as ClickHouse does, "
                "as in 'Nullable(Int64)', or give an Ibis or Arrow schema"
            )
    return {name: str(parse(type_)) for name, type_ in schema.items()}, {}


def _check_names(names: list[Any]) -> None:
    if not names:
        raise SchemaError("a schema needs at least one column")
    for name in names:
        try:
            check_name(name)
        except Refusal as refusal:
            raise SchemaError(f"a column cannot have {refusal.reason}") from refusal
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise SchemaError(f"the schema names columns twice, {twice}; rename them")


def _from_arrow(schema: pa.Schema) -> tuple[dict[str, str], dict[str, str]]:
    _check_names(schema.names)
    types, comments = {}, {}
    for field in schema:
        declared = declare(field.name, pa.chunked_array([], field.type))
        types[field.name] = str(_with_nullability(declared.type, field))
        if declared.binary:
            comments[field.name] = binary_comment(declared.binary)
    return types, comments


def _with_nullability(type_: ChType, field: pa.Field) -> ChType:
    """Return a type declared without data, Nullable wherever its field may be."""
    arrow = field.type
    if type_.name == "Array":
        return ChType("Array", (_with_nullability(type_.args[0], arrow.value_field),))
    if type_.name == "Map":
        key, value = type_.args
        return ChType("Map", (key, _with_nullability(value, arrow.item_field)))
    if type_.name == "Tuple":
        inner = tuple(_with_nullability(arg, arrow.field(i)) for i, arg in enumerate(type_.args))
        return type_.with_args(inner)  # Nullable(Tuple) only where it is asked for by name
    if not field.nullable or type_.name == "Nullable":
        return type_
    if type_.name == "LowCardinality":
        return ChType("LowCardinality", (ChType("Nullable", type_.args),))
    return ChType("Nullable", (type_,))


def _from_ibis(schema: sch.Schema) -> tuple[dict[str, str], dict[str, str]]:
    _check_names(list(schema))
    types = {name: str(_clickhouse(name, dtype)) for name, dtype in schema.items()}
    paths = binary_paths(schema)
    comments = {
        name: binary_comment(inside)
        for name in schema
        if (inside := frozenset(path for path in paths if path[0] == name))
    }
    return types, comments


def _clickhouse(name: str, dtype: dt.DataType) -> ChType:
    """Return the ClickHouse type of an Ibis type; arrays, maps and structs are never Nullable."""
    if dtype.is_array():
        return ChType("Array", (_clickhouse(name, dtype.value_type),))
    if dtype.is_map():
        key = _clickhouse(name, dtype.key_type.copy(nullable=False))
        return ChType("Map", (key, _clickhouse(name, dtype.value_type)))
    if dtype.is_struct():
        args = tuple(_clickhouse(name, inner) for inner in dtype.types)
        return ChType("Tuple", args, tuple(dtype.names) or None)
    if dtype.is_null():
        return ChType("Nullable", (ChType("String"),))
    leaf = _leaf(name, dtype)
    return ChType("Nullable", (leaf,)) if dtype.nullable else leaf


def _leaf(name: str, dtype: dt.DataType) -> ChType:
    if type(dtype) in _LEAVES:
        return parse(_LEAVES[type(dtype)])
    if dtype.is_string():
        return ChType("FixedString", params=(dtype.length,)) if dtype.length else ChType("String")
    if dtype.is_timestamp():
        scale = 6 if dtype.scale is None else dtype.scale
        zone = () if dtype.timezone is None else (clickhouse_zone(dtype.timezone),)
        return ChType("DateTime64", params=(scale, *zone))
    if dtype.is_decimal() and dtype.precision is not None and dtype.scale is not None:
        return ChType("Decimal", params=(dtype.precision, dtype.scale))
    if dtype.is_interval():
        return ChType(_INTERVALS[dtype.unit.short])
    if dtype.is_decimal():
        remedy = "give it precision and scale, as in decimal(18, 4)"
    elif dtype.is_inet():
        remedy = "name the ClickHouse type: {column: 'IPv4'} or 'IPv6'"
    else:
        remedy = "name the ClickHouse type: {column: 'Int256'}"
    raise UnsupportedTypeError(
        f"column {name!r}: the Ibis type {dtype} is no ClickHouse type; {remedy}"
    )
