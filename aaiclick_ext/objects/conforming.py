"""Columns brought into the types of a table that exists, without loss or not at all."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from aaiclick_ext.engine.arrow_nesting import rebuilt_list, rebuilt_map
from aaiclick_ext.engine.type_tree import ChType, parse
from aaiclick_ext.errors import SchemaError
from aaiclick_ext.objects.arrow_columns import is_list, readable
from aaiclick_ext.objects.fitting import fit_leaf, json_text
from aaiclick_ext.objects.refusal import Refusal, first_refused, out_of_range

if TYPE_CHECKING:
    from collections.abc import Mapping


def conform_columns(data: pa.Table, target: Mapping[str, str]) -> pa.Table:
    """Return a table's columns as the columns of the same names of another, or refuse.

    Raises
    ------
    SchemaError
        If the target lacks a column, or has one of another kind.
    ValueRangeError
        If a value does not fit; it names the first row.
    """
    unknown = [name for name in data.column_names if name not in target]
    if unknown:
        raise SchemaError(
            f"the target has no column {', '.join(map(repr, unknown))}; it has {', '.join(target)}"
        )
    columns = {
        name: _conformed(name, column, parse(target[name]))
        for name, column in zip(data.column_names, data.columns, strict=True)
    }
    return pa.table(columns)


def _conformed(name: str, column: pa.ChunkedArray, type_: ChType) -> pa.ChunkedArray:
    def conform(part: pa.ChunkedArray) -> pa.ChunkedArray:
        part = readable(part)
        if pa.types.is_dictionary(part.type):
            part = part.cast(part.type.value_type)
        chunks = part.chunks or [pa.array([], part.type)]
        return pa.chunked_array([_fit(chunk, type_) for chunk in chunks])

    try:
        return conform(column)
    except Refusal as refusal:
        refusal.row = first_refused(column, conform)
        raise refusal.error(name) from refusal.__cause__


def _fit(array: pa.Array, type_: ChType) -> pa.Array:
    """Return an array in the Arrow type that ClickHouse reads as `type_`, or refuse."""
    inner = type_.inner
    if array.null_count and not type_.nullable:
        raise out_of_range(f"null, and {type_} has no null; leave the row out or give a value")
    if array.type == pa.null():
        return array
    if inner.name == "Array" and is_list(array.type):
        return _fit_list(array, inner)
    if inner.name == "Map" and pa.types.is_map(array.type):
        return _fit_map(array, inner)
    if pa.types.is_struct(array.type):
        if inner.name == "Tuple":
            return _fit_struct(array, inner)
        if inner.name == "Map":
            return _fit(_struct_as_map(array), type_)
        if inner.name == "JSON":
            return json_text(array)
    return fit_leaf(array, inner)


def _fit_list(array: pa.Array, type_: ChType) -> pa.Array:
    plain = array if pa.types.is_list(array.type) else array.cast(pa.list_(array.type.value_type))
    try:
        item = _fit(plain.flatten(), type_.args[0])
        return rebuilt_list(plain, pa.list_(item.type), partial(_fit, type_=type_.args[0]))
    except Refusal as refusal:
        raise refusal.inside("[]") from refusal.__cause__


def _fit_map(array: pa.MapArray, type_: ChType) -> pa.Array:
    key, value = (partial(_fit, type_=arg) for arg in type_.args)
    try:
        empty = array.slice(0, 0)
        target = pa.map_(key(empty.keys.slice(0, 0)).type, value(empty.items.slice(0, 0)).type)
        return rebuilt_map(array, target, key, value)
    except Refusal as refusal:
        raise refusal.inside("{}") from refusal.__cause__


def _fit_struct(array: pa.StructArray, type_: ChType) -> pa.Array:
    names = type_.names or tuple(str(i + 1) for i in range(len(type_.args)))
    given = [array.type.field(i).name for i in range(array.type.num_fields)]
    if unknown := [name for name in given if name not in names]:
        raise Refusal(
            SchemaError, f"{type_} has no field {', '.join(unknown)}; it has {', '.join(names)}"
        )
    valid = array.is_valid() if array.null_count else None
    children = []
    for name, arg in zip(names, type_.args, strict=True):
        child = array.field(name) if name in given else pa.nulls(len(array))
        try:
            if valid is not None:
                # What stands under a null struct is not a value: it is checked without those.
                _fit(child.filter(valid), arg)
                arg = arg if arg.nullable else ChType("Nullable", (arg,))
            children.append(_fit(child, arg))
        except Refusal as refusal:
            raise refusal.inside(f".{name}") from refusal.__cause__
    mask = array.is_null() if array.null_count else None
    if not children:
        return array
    return pa.StructArray.from_arrays(children, list(names), mask=mask)


def _struct_as_map(array: pa.StructArray) -> pa.MapArray:
    """Return dicts of Python, which arrive as structs, as maps."""
    names = [array.type.field(i).name for i in range(array.type.num_fields)]
    fields = [array.field(name) for name in names]
    if array.null_count or any(field.null_count for field in fields):
        raise out_of_range(
            "dicts with different keys, or null values, could mean two things in a Map; give "
            "pyarrow.array(items, pyarrow.map_(key_type, value_type))"
        )
    keys = pa.array(names * len(array), pa.string())
    rows = len(array)
    if not fields:
        raise out_of_range("dicts without keys; give pyarrow maps")
    values = pa.concat_arrays(fields).take(
        pa.array([column * rows + row for row in range(rows) for column in range(len(names))])
    )
    offsets = pa.array(range(0, rows * len(names) + 1, len(names)), pa.int32())
    return pa.MapArray.from_arrays(offsets, keys, values)
