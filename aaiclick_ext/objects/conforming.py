"""Columns brought into the types of a table that exists, without loss or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from aaiclick_ext.engine.arrow_nesting import rebuilt_list, rebuilt_map
from aaiclick_ext.engine.type_paths import Path, below
from aaiclick_ext.engine.type_tree import ChType, parse
from aaiclick_ext.errors import SchemaError
from aaiclick_ext.objects.arrow_columns import is_bytes, is_list, is_text, readable
from aaiclick_ext.objects.fitting import fit_leaf, json_text, leaf_type
from aaiclick_ext.objects.refusal import Refusal, first_refused, out_of_range
from aaiclick_ext.schema.ibis_types import comment_paths

if TYPE_CHECKING:
    from collections.abc import Mapping


def conform_columns(
    data: pa.Table, target: Mapping[str, str], comments: Mapping[str, str] | None = None
) -> pa.Table:
    """Return a table's columns as the columns of the same names of another, or refuse.

    Parameters
    ----------
    comments
        Comments of the target's columns, which say where its Strings are bytes; without them text
        and bytes are not told apart.

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
    columns = {}
    for name, column in zip(data.column_names, data.columns, strict=True):
        binary = (
            None if comments is None else below(comment_paths(name, comments.get(name, "")), name)
        )
        columns[name] = _conformed(name, column, _Target(parse(target[name]), binary))
    return pa.table(columns)


@dataclass(frozen=True, slots=True)
class _Target:
    """A type to fit values into, and which Strings in it are bytes (None: it does not matter)."""

    type: ChType
    binary: frozenset[Path] | None

    def at(self, arg: int, step: str) -> _Target:
        """Return the target of what is one step inside."""
        inside = None if self.binary is None else below(self.binary, step)
        return _Target(self.type.inner.args[arg], inside)

    def or_null(self) -> _Target:
        """Return the target of the same values or null."""
        if self.type.nullable:
            return self
        return _Target(ChType("Nullable", (self.type,)), self.binary)


def _conformed(name: str, column: pa.ChunkedArray, target: _Target) -> pa.ChunkedArray:
    def conform(part: pa.ChunkedArray) -> pa.ChunkedArray:
        part = readable(part)
        if pa.types.is_dictionary(part.type):  # only of text, after `readable`
            part = part.cast(part.type.value_type)
        chunks = part.chunks or [pa.nulls(0, part.type)]
        return pa.chunked_array([_fit(chunk, target) for chunk in chunks])

    try:
        return conform(column)
    except Refusal as refusal:
        refusal.row = first_refused(column, conform)
        raise refusal.error(name) from refusal.__cause__


def _fit(array: pa.Array, target: _Target) -> pa.Array:
    """Return an array in the Arrow type that ClickHouse reads as the target's, or refuse."""
    inner = target.type.inner
    if array.null_count and not target.type.nullable:
        raise out_of_range(
            f"null, and {target.type} has no null; leave the row out or give a value"
        )
    if array.type == pa.null():
        return pa.nulls(len(array), _type_of_nulls(inner))
    if inner.name == "Array" and is_list(array.type):
        return _fit_list(array, target)
    if inner.name == "Map" and pa.types.is_map(array.type):
        return _fit_map(array, target)
    if pa.types.is_struct(array.type):
        if inner.name == "Tuple":
            return _fit_struct(array, target)
        if inner.name == "Map":
            return _fit(_struct_as_map(array), target)
        if inner.name == "JSON":
            return json_text(array)
    if inner.name in ("String", "FixedString") and target.binary is not None:
        _check_text_or_bytes(array, target)
    return fit_leaf(array, inner)


def _check_text_or_bytes(array: pa.Array, target: _Target) -> None:
    wants_bytes = () in (target.binary or ())
    if wants_bytes and is_text(array.type):
        raise Refusal(SchemaError, "the column holds bytes and this is text; use .encode()")
    given_bytes = is_bytes(array.type) or pa.types.is_fixed_size_binary(array.type)
    if not wants_bytes and given_bytes:
        raise Refusal(SchemaError, "the column holds text and these are bytes; use .decode()")


def _type_of_nulls(type_: ChType) -> pa.DataType:
    """Return an Arrow type of the shape of a type, for arrays without a value in them."""
    args = [_type_of_nulls(arg.inner) for arg in type_.args]
    if type_.name == "Array":
        return pa.list_(args[0])
    if type_.name == "Map":
        return pa.map_(*args)
    if type_.name == "Tuple":
        return pa.struct(list(zip(_field_names(type_), args, strict=True)))
    return leaf_type(type_)


def _field_names(type_: ChType) -> tuple[str, ...]:
    return type_.names or tuple(str(i + 1) for i in range(len(type_.args)))


def _fit_list(array: pa.Array, target: _Target) -> pa.Array:
    plain = array if pa.types.is_list(array.type) else array.cast(pa.list_(array.type.value_type))
    item = target.at(0, "[]")
    try:
        item_type = _fit(plain.values.slice(0, 0), item).type
        return rebuilt_list(plain, pa.list_(item_type), lambda a: _fit(a, item))
    except Refusal as refusal:
        raise refusal.inside("[]") from refusal.__cause__


def _fit_map(array: pa.MapArray, target: _Target) -> pa.Array:
    key, value = target.at(0, "key"), target.at(1, "value")
    try:
        key_type = _fit(array.keys.slice(0, 0), key).type
        value_type = _fit(array.items.slice(0, 0), value).type
        fitted = pa.map_(key_type, value_type)
        return rebuilt_map(array, fitted, lambda a: _fit(a, key), lambda a: _fit(a, value))
    except Refusal as refusal:
        raise refusal.inside("{}") from refusal.__cause__


def _fit_struct(array: pa.StructArray, target: _Target) -> pa.Array:
    type_ = target.type.inner
    names = _field_names(type_)
    given = [array.type.field(i).name for i in range(array.type.num_fields)]
    if unknown := [name for name in given if name not in names]:
        raise Refusal(
            SchemaError, f"{type_} has no field {', '.join(unknown)}; it has {', '.join(names)}"
        )
    valid = array.is_valid() if array.null_count else None
    children = []
    for index, name in enumerate(names):
        child = array.field(name) if name in given else pa.nulls(len(array))
        field = target.at(index, name)
        try:
            if valid is not None:
                # What stands under a null struct is not a value: checked without, kept with it.
                _fit(child.filter(valid), field)
                field = field.or_null()
            children.append(_fit(child, field))
        except Refusal as refusal:
            raise refusal.inside(f".{name}") from refusal.__cause__
    if not children:
        return array
    mask = array.is_null() if array.null_count else None
    return pa.StructArray.from_arrays(children, list(names), mask=mask)


def _struct_as_map(array: pa.StructArray) -> pa.MapArray:
    """Return dicts of Python, which arrive as structs, as maps."""
    names = [array.type.field(i).name for i in range(array.type.num_fields)]
    fields = [array.field(name) for name in names]
    remedy = "give pyarrow.array(items, pyarrow.map_(key_type, value_type))"
    if not fields or array.null_count or any(field.null_count for field in fields):
        raise out_of_range(
            f"dicts of different keys, or with nulls, could mean two things in a Map; {remedy}"
        )
    if len({field.type for field in fields}) > 1:
        raise out_of_range(f"dicts with values of several types; {remedy}")
    rows, width = len(array), len(names)
    keys = pa.array(names * rows, pa.string())
    by_row = np.arange(rows * width, dtype=np.int64).reshape(width, rows).T.ravel()
    values = pa.concat_arrays(fields).take(pa.array(by_row))
    offsets = pa.array(np.arange(rows + 1, dtype=np.int32) * width)
    return pa.MapArray.from_arrays(offsets, keys, values)
