"""Fetched Arrow tables with the types that ClickHouse said they have."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import pyarrow as pa

from aaiclick_ext.engine import arrow_leaves as leaves
from aaiclick_ext.engine.arrow_nesting import (
    rebuilt_list,
    rebuilt_map,
    rebuilt_struct,
    rebuilt_union,
)
from aaiclick_ext.engine.type_paths import Path, below, paths_of
from aaiclick_ext.engine.type_tree import ChType, parse
from aaiclick_ext.errors import UnsupportedTypeError, ValueRangeError

Step = Callable[[pa.Array], pa.Array]


def restore(
    data: pa.Table,
    columns: Mapping[str, str],
    *,
    binary: Collection[str | Path] = (),
    booleans: Collection[str | Path] = (),
) -> pa.Table:
    """Return what ClickHouse sent, with the exact Arrow type of every column.

    Runs no query. What already has its type is passed on without a copy; strings are checked to
    be UTF-8, at memory speed while they are ASCII.

    Parameters
    ----------
    columns
        Column to ClickHouse type, before any cast of `wrap_fetch`; columns it does not name are
        left alone.
    binary
        Columns, or paths into them, whose Strings are bytes.
    booleans
        Columns, or paths into them, whose UInt8 are booleans: what comparisons give.

    Raises
    ------
    ValueRangeError
        If a String that is not in `binary` is not UTF-8.
    UnsupportedTypeError
        If the server sends a type in a form that is not known.

    Examples
    --------
    >>> data = pa.table({"t": pa.array([0, 86400], pa.uint32())})
    >>> print(restore(data, {"t": "DateTime('Asia/Kolkata')"}).schema)
    t: timestamp[s, tz=Asia/Kolkata]
    """
    plans = _plans(data.schema, columns, binary, booleans)
    if all(plan is None or plan.step is None for plan in plans):
        return data
    fields, arrays = [], []
    for field, column, plan in zip(data.schema, data.columns, plans, strict=True):
        if plan is None or plan.step is None:
            fields.append(field)
            arrays.append(column)
        else:
            fields.append(_field(field, plan))
            arrays.append(_restored(field.name, column, plan.type, plan.step))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def restored_schema(
    schema: pa.Schema,
    columns: Mapping[str, str],
    *,
    binary: Collection[str | Path] = (),
    booleans: Collection[str | Path] = (),
) -> pa.Schema:
    """Return the schema that `restore` gives to data of a schema, for streams without data yet."""
    plans = _plans(schema, columns, binary, booleans)
    return pa.schema(
        [
            field if plan is None else _field(field, plan)
            for field, plan in zip(schema, plans, strict=True)
        ]
    )


def _plans(
    schema: pa.Schema,
    columns: Mapping[str, str],
    binary: Collection[str | Path],
    booleans: Collection[str | Path],
) -> list[_Plan | None]:
    flags = _Flags(paths_of(binary), paths_of(booleans))
    return [
        _plan(field.type, parse(columns[field.name]), flags.at(field.name), field.name)
        if field.name in columns
        else None
        for field in schema
    ]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What one column becomes: its type, and how each chunk gets it (None: it has it)."""

    type: pa.DataType
    step: Step | None = None
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class _Flags:
    """Which Strings are bytes and which UInt8 booleans, seen from one place in a type."""

    binary: frozenset[Path]
    booleans: frozenset[Path]

    def at(self, step: str) -> _Flags:
        return _Flags(below(self.binary, step), below(self.booleans, step))


def _restored(
    name: str, column: pa.ChunkedArray, target: pa.DataType, step: Step
) -> pa.ChunkedArray:
    chunks, start = [], 0
    for chunk in column.chunks:
        try:
            chunks.append(step(chunk))
        except leaves.NotUtf8Error as error:
            raise _not_utf8(name, start + _first_bad(chunk, step)) from error
        start += len(chunk)
    return pa.chunked_array(chunks, target)


def _first_bad(chunk: pa.Array, step: Step) -> int:
    """Return the first row that a step refuses, by halving."""
    low, high = 0, len(chunk)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            step(chunk.slice(low, middle - low))
        except leaves.NotUtf8Error:
            high = middle
        else:
            low = middle
    return low


def _not_utf8(column: str, row: int) -> ValueRangeError:
    return ValueRangeError(
        f"column {column!r}, row {row}: the String is not UTF-8 text; fetch it as bytes with "
        f'.mutate({column}=_[{column!r}].cast("binary")), or as text with '
        "toValidUTF8, hex or base64Encode in SQL"
    )


def _plan(arrow: pa.DataType, type_: ChType, flags: _Flags, column: str) -> _Plan:
    type_ = type_.inner
    nested = _NESTED.get(type_.name)
    if nested is not None:
        return nested(arrow, type_, flags, column)
    leaf = leaves.leaf(arrow, type_, binary=() in flags.binary, boolean=() in flags.booleans)
    if leaf is None:
        raise UnsupportedTypeError(
            f"column {column!r}: this server sends {type_} as Arrow {arrow}, which is not known "
            f"here; cast the column in the query, as in toString(`{column}`)"
        )
    return _Plan(leaf.type, leaf.step, leaf.nullable)


def _array(arrow: pa.DataType, type_: ChType, flags: _Flags, column: str) -> _Plan:
    if not pa.types.is_list(arrow):
        return _Plan(arrow)
    old = arrow.value_field
    item = _plan(old.type, type_.args[0], flags.at("[]"), column)
    if item.step is None:
        return _Plan(arrow)
    target = pa.list_(_field(old, item))
    step = item.step
    return _Plan(target, lambda a: rebuilt_list(a, target, step))


def _map(arrow: pa.DataType, type_: ChType, flags: _Flags, column: str) -> _Plan:
    key = _plan(arrow.key_type, type_.args[0], flags.at("key"), column)
    value = _plan(arrow.item_type, type_.args[1], flags.at("value"), column)
    if key.step is None and value.step is None:
        return _Plan(arrow)
    target = pa.map_(_field(arrow.key_field, key), _field(arrow.item_field, value))
    return _Plan(target, lambda a: rebuilt_map(a, target, key.step, value.step))


def _tuple(arrow: pa.DataType, type_: ChType, flags: _Flags, column: str) -> _Plan:
    old = [arrow.field(i) for i in range(arrow.num_fields)]
    plans = [
        _plan(field.type, arg, flags.at(field.name), column)
        for field, arg in zip(old, type_.args, strict=True)
    ]
    if all(plan.step is None for plan in plans):
        return _Plan(arrow)
    target = pa.struct([_field(f, p) for f, p in zip(old, plans, strict=True)])
    steps = [plan.step for plan in plans]
    return _Plan(target, lambda a: rebuilt_struct(a, target, steps))


def _variant(arrow: pa.DataType, type_: ChType, flags: _Flags, column: str) -> _Plan:
    if not pa.types.is_union(arrow):
        return _Plan(arrow)
    # ClickHouse sends the types in its own order, and NULL last.
    old = [arrow.field(i) for i in range(arrow.num_fields)]
    plans = [
        _plan(field.type, arg, flags, column) for field, arg in zip(old, type_.args, strict=False)
    ] + [_Plan(field.type) for field in old[len(type_.args) :]]
    # Arrow's builder of unions makes every field nullable; so they are, whatever is inside.
    fields = [pa.field(field.name, p.type) for field, p in zip(old, plans, strict=True)]
    target = pa.dense_union(fields, arrow.type_codes)
    steps = [plan.step for plan in plans]
    return _Plan(target, lambda a: rebuilt_union(a, target, steps))


def _field(old: pa.Field, plan: _Plan) -> pa.Field:
    return old.with_type(plan.type).with_nullable(old.nullable or plan.nullable)


_NESTED: dict[str, Callable[[pa.DataType, ChType, _Flags, str], _Plan]] = {
    "Array": _array,
    "Map": _map,
    "Tuple": _tuple,
    "Variant": _variant,
}
