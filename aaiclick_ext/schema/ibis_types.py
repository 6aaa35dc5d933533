"""ClickHouse types as Ibis types, and which parts of an Ibis type a fetch must know about."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING

import ibis.expr.datatypes as dt
import ibis.expr.schema as sch

from aaiclick_ext.engine.arrow_leaves import arrow_zone
from aaiclick_ext.engine.type_paths import below
from aaiclick_ext.engine.type_tree import ChType, parse
from aaiclick_ext.schema.python_objects import PythonObject, object_paths
from aaiclick_ext.schema.shape import BINARY_COMMENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from aaiclick_ext.engine.type_paths import Path

_LEAVES: dict[str, type[dt.DataType]] = {
    "Bool": dt.Boolean,
    "Date": dt.Date,
    "Date32": dt.Date,
    "Enum16": dt.String,
    "Enum8": dt.String,
    "Float32": dt.Float32,
    "Float64": dt.Float64,
    "IPv4": dt.INET,
    "IPv6": dt.INET,
    "Int16": dt.Int16,
    "Int32": dt.Int32,
    "Int64": dt.Int64,
    "Int8": dt.Int8,
    "JSON": dt.JSON,
    "Object": dt.JSON,
    "String": dt.String,
    "Time": dt.Time,
    "Time64": dt.Time,
    "UInt16": dt.UInt16,
    "UInt32": dt.UInt32,
    "UInt64": dt.UInt64,
    "UInt8": dt.UInt8,
    "UUID": dt.UUID,
}
_INTERVALS = {
    "IntervalDay": "D",
    "IntervalHour": "h",
    "IntervalMicrosecond": "us",
    "IntervalMillisecond": "ms",
    "IntervalMinute": "m",
    "IntervalMonth": "M",
    "IntervalNanosecond": "ns",
    "IntervalQuarter": "Q",
    "IntervalSecond": "s",
    "IntervalWeek": "W",
    "IntervalYear": "Y",
}


def ibis_schema(types: Mapping[str, str], comments: Mapping[str, str] | None = None) -> sch.Schema:
    """Return columns of ClickHouse types as an Ibis schema.

    Types that Ibis has no word for (Int256, Dynamic, Variant, BFloat16, aggregate states) are
    ``unknown``: they pass through, and an expression on one is refused.

    Parameters
    ----------
    comments
        Column to comment; one made by `binary_comment` makes its Strings binary, one made by
        `object_comment` its UInt64s references to Python objects.

    Examples
    --------
    >>> ibis_schema({"a": "Nullable(Int8)", "b": "Array(DateTime64(3, 'UTC'))", "c": "Int256"})
    ibis.Schema {
      a  int8
      b  !array<!timestamp('UTC', 3)>
      c  !unknown
    }
    """
    comments = comments or {}
    return sch.Schema(
        {name: ibis_type(text, comments.get(name, "")) for name, text in types.items()}
    )


@lru_cache(maxsize=4096)
def ibis_type(text: str, comment: str = "") -> dt.DataType:
    """Return one ClickHouse type as an Ibis type."""
    paths = frozenset(path[1:] for path in comment_paths("", comment))
    kernels = {path[1:]: kernel for path, kernel in object_paths("", comment).items()}
    found = _type(parse(text), paths)
    return _with_objects(found, (), kernels) if kernels else found


def binary_comment(paths: Iterable[Path]) -> str:
    """Return the comment of a column whose Strings at these paths hold bytes.

    ClickHouse has one type for text and bytes. A path is a column and the steps into its type,
    as `engine.restore` has them; the column alone means every String in it.

    Examples
    --------
    >>> binary_comment([("c",)])
    'aaiclick:binary'
    >>> binary_comment([("c", "value")])
    'aaiclick:binary [["value"]]'
    """
    steps = sorted(path[1:] for path in paths)
    return BINARY_COMMENT if () in steps else f"{BINARY_COMMENT} {json.dumps(steps)}"


def comment_paths(column: str, comment: str) -> frozenset[Path]:
    """Return the paths that a column's comment says hold bytes; none for a comment not ours."""
    found: set[Path] = set()
    for line in comment.splitlines():
        prefix, _, steps = line.partition(" ")
        if prefix == BINARY_COMMENT:
            try:
                found |= {(column, *path) for path in (json.loads(steps) if steps else [()])}
            except (TypeError, ValueError):
                continue  # not ours
    return frozenset(found)


def binary_paths(schema: sch.Schema) -> frozenset[Path]:
    """Return the paths that an Ibis schema calls binary: `restore` needs them.

    Examples
    --------
    >>> sorted(binary_paths(sch.schema({"a": "binary", "b": "array<binary>", "c": "string"})))
    [('a',), ('b', '[]')]
    """
    return frozenset(
        path
        for name, dtype in schema.items()
        for path, leaf in _walk((name,), dtype)
        if leaf.is_binary()
    )


def boolean_paths(schema: sch.Schema, types: Mapping[str, str]) -> frozenset[Path]:
    """Return the paths that an Ibis schema calls boolean, of columns that have a UInt8.

    ClickHouse's comparisons are UInt8; `restore` makes them boolean.
    """
    return frozenset(
        path
        for name, dtype in schema.items()
        if any(t.name == "UInt8" for t in parse(types.get(name, "Nothing")).walk())
        for path, leaf in _walk((name,), dtype)
        if leaf.is_boolean()
    )


def _walk(path: Path, dtype: dt.DataType) -> Iterator[tuple[Path, dt.DataType]]:
    if dtype.is_array():
        yield from _walk((*path, "[]"), dtype.value_type)
    elif dtype.is_map():
        yield from _walk((*path, "key"), dtype.key_type)
        yield from _walk((*path, "value"), dtype.value_type)
    elif dtype.is_struct():
        for name, inner in dtype.items():
            yield from _walk((*path, name), inner)
    else:
        yield path, dtype


def _with_objects(dtype: dt.DataType, at: Path, kernels: Mapping[Path, str]) -> dt.DataType:
    """Return a type with its integers at some paths as references to Python objects."""
    if at in kernels and dtype.is_integer():
        return PythonObject(kernel=kernels[at], nullable=dtype.nullable)
    if dtype.is_array():
        return dtype.copy(value_type=_with_objects(dtype.value_type, (*at, "[]"), kernels))
    if dtype.is_map():
        return dtype.copy(
            key_type=_with_objects(dtype.key_type, (*at, "key"), kernels),
            value_type=_with_objects(dtype.value_type, (*at, "value"), kernels),
        )
    if dtype.is_struct():
        inner = {name: _with_objects(of, (*at, name), kernels) for name, of in dtype.items()}
        return dt.Struct(inner, nullable=dtype.nullable)
    return dtype


def _type(type_: ChType, binary: frozenset[Path]) -> dt.DataType:
    nullable = type_.nullable
    type_ = type_.inner
    name = type_.name
    if name == "String" and () in binary:
        return dt.Binary(nullable=nullable)
    if name == "FixedString":
        return (
            dt.Binary(nullable=nullable)
            if () in binary
            else dt.String(length=int(type_.params[0]), nullable=nullable)
        )
    if name in _LEAVES:
        return _LEAVES[name](nullable=nullable)
    if name in _INTERVALS:
        return dt.Interval(_INTERVALS[name], nullable=nullable)
    if name in ("DateTime", "DateTime64"):
        return _timestamp(type_, nullable=nullable)
    if name == "Decimal":
        precision, scale = (int(p) for p in type_.params)
        return dt.Decimal(precision, scale, nullable=nullable)
    if name in ("Int128", "UInt128"):
        return dt.Decimal(39, 0, nullable=nullable)
    if name == "Nothing":
        return dt.null
    return _nested(type_, binary, nullable=nullable)


def _timestamp(type_: ChType, *, nullable: bool) -> dt.Timestamp:
    params = list(type_.params)
    scale = int(params.pop(0)) if type_.name == "DateTime64" else 0
    zone = arrow_zone(str(params[0])) if params else None
    return dt.Timestamp(timezone=zone, scale=scale, nullable=nullable)


def _nested(type_: ChType, binary: frozenset[Path], *, nullable: bool) -> dt.DataType:
    if type_.name == "Array":
        return dt.Array(_type(type_.args[0], below(binary, "[]")), nullable=nullable)
    if type_.name == "Map":
        key, value = type_.args
        return dt.Map(
            _type(key, below(binary, "key")),
            _type(value, below(binary, "value")),
            nullable=nullable,
        )
    if type_.name == "Tuple":
        names = type_.names or tuple(str(i + 1) for i in range(len(type_.args)))
        return dt.Struct(
            {
                name: _type(arg, below(binary, name))
                for name, arg in zip(names, type_.args, strict=True)
            },
            nullable=nullable,
        )
    return dt.Unknown(nullable=nullable)
