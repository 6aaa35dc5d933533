"""Columns of Python objects: a UInt64 refers to an object that lives in one kernel.

ClickHouse has no type for them, so the column's comment says so and whose they are, and Ibis has a
type of ours, which follows the column through every expression.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import ibis.expr.datatypes as dt

from aaiclick_ext.engine.type_tree import ChType, parse
from aaiclick_ext.schema.shape import OBJECT_COMMENT

if TYPE_CHECKING:
    from collections.abc import Iterable

    import ibis.expr.schema as sch

    from aaiclick_ext.engine.type_paths import Path


class PythonObject(dt.Unknown):  # type: ignore[misc]
    """References to Python objects; an unknown type for all of Ibis, so nothing computes on it.

    Attributes
    ----------
    kernel
        Of which kernel: references of two kernels are of two types and never compared.
    """

    kernel: str = ""


_CONTAINERS = (dt.Array, dt.Map, dt.Struct)


def object_columns(schema: sch.Schema) -> dict[str, dt.DataType]:
    """Return the columns of a schema that refer to objects, anywhere inside, with their types."""
    return {
        name: dtype
        for name, dtype in schema.items()
        if isinstance(dtype, (PythonObject, *_CONTAINERS)) and objects_in((), dtype)
    }


def object_comment(kernel: str, paths: Iterable[Path]) -> str:
    """Return the comment of a column whose UInt64s at these paths refer to objects of a kernel.

    A path is a column and the steps into its type, as for `binary_comment`.

    Examples
    --------
    >>> object_comment("2x.9f", [("c",)])
    'aaiclick:object 2x.9f'
    >>> object_comment("2x.9f", [("c", "[]")])
    'aaiclick:object 2x.9f [["[]"]]'
    """
    steps = sorted(path[1:] for path in paths)
    return f"{OBJECT_COMMENT} {kernel}" + ("" if steps == [()] else f" {json.dumps(steps)}")


def object_comments(column: str, dtype: dt.DataType, type_: str) -> list[str]:
    """Return the comments, one for each kernel, of a column to be made.

    Parameters
    ----------
    type_
        The column's ClickHouse type: a tuple in it may lack the names that Ibis has.
    """
    paths = {
        _as_stored(path, dtype, parse(type_)): kernel
        for path, kernel in objects_in((column,), dtype).items()
    }
    return [
        object_comment(kernel, [path for path in paths if paths[path] == kernel])
        for kernel in dict.fromkeys(paths.values())
    ]


def object_paths(column: str, comment: str) -> dict[Path, str]:
    """Return the paths that a column's comment says refer to objects, each with their kernel.

    Examples
    --------
    >>> object_paths("c", 'aaiclick:object 2x.9f [["[]"]]')
    {('c', '[]'): '2x.9f'}
    """
    found: dict[Path, str] = {}
    for line in comment.splitlines():
        prefix, _, rest = line.partition(" ")
        kernel, _, steps = rest.partition(" ")
        if prefix != OBJECT_COMMENT or not kernel:
            continue
        try:
            paths = json.loads(steps) if steps else [()]
            found |= {(column, *path): kernel for path in paths}
        except (TypeError, ValueError):
            continue  # not ours
    return found


def _as_stored(path: Path, dtype: dt.DataType, type_: ChType) -> Path:
    """Return a path into an Ibis type as one into the ClickHouse type that it has."""
    column, *steps = path
    stored = [column]
    for step in steps:
        type_ = type_.inner
        if dtype.is_struct():
            number = dtype.names.index(step)
            stored.append(type_.names[number] if type_.names else str(number + 1))
            dtype, type_ = dtype.types[number], type_.args[number]
        elif dtype.is_map():
            stored.append(step)
            is_key = step == "key"
            dtype = dtype.key_type if is_key else dtype.value_type
            type_ = type_.args[0 if is_key else 1]
        else:
            stored.append(step)
            dtype, type_ = dtype.value_type, type_.args[0]
    return tuple(stored)


def objects_in(path: Path, dtype: dt.DataType) -> dict[Path, str]:
    """Return where inside a type there are references, each with their kernel.

    Examples
    --------
    >>> objects_in(("c",), dt.Array(PythonObject(kernel="2x.9f")))
    {('c', '[]'): '2x.9f'}
    """
    if isinstance(dtype, PythonObject):
        return {path: dtype.kernel}
    if not isinstance(dtype, _CONTAINERS):
        return {}
    if dtype.is_array():
        return objects_in((*path, "[]"), dtype.value_type)
    if dtype.is_map():
        keys = objects_in((*path, "key"), dtype.key_type)
        return keys | objects_in((*path, "value"), dtype.value_type)
    found: dict[Path, str] = {}
    if dtype.is_struct():
        for name, inner in dtype.items():
            found |= objects_in((*path, name), inner)
    return found
