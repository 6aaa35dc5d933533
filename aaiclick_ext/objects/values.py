"""Python values as columns: what `create_object_from_value` and `insert` take."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from aaiclick_ext.errors import AaiclickError, SchemaError, UnsupportedTypeError
from aaiclick_ext.objects.arrow_columns import Declared, declare
from aaiclick_ext.objects.conforming import conform_columns
from aaiclick_ext.objects.numpy_values import array_of_numpy, columns_of_structured
from aaiclick_ext.objects.object_values import (
    HINT,
    Keeping,
    has_python_values,
    python_values,
)
from aaiclick_ext.objects.refusal import Refusal
from aaiclick_ext.objects.schemas import types_from_schema
from aaiclick_ext.objects.sequences import array_of, check_name, columns_of, is_record
from aaiclick_ext.schema.ibis_types import binary_comment
from aaiclick_ext.schema.shape import Shape

__all__ = ["VALUE", "Columnar", "Shape", "conform", "to_columnar", "types_from_schema"]

VALUE = "value"
"""The column of scalars and arrays."""


@dataclass(frozen=True)
class Columnar:
    """A value as columns.

    Attributes
    ----------
    data
        The rows, in Arrow types that ClickHouse reads as `types`.
    types
        Column to ClickHouse type; Nullable only where a null occurs.
    comments
        Column to comment, for columns that hold bytes.
    source
        What it was made from, as in ``pandas.DataFrame``.
    objects
        Column to values, for columns that are to refer to Python objects; `data` has nulls there.
    """

    data: pa.Table
    types: dict[str, str]
    comments: dict[str, str]
    shape: Shape
    source: str
    objects: Mapping[str, Sequence[Any]] = field(default_factory=dict)


def to_columnar(value: Any, keeping: Keeping | None = None) -> Columnar:
    """Return a Python value as columns with a ClickHouse type each.

    Runs no query. Numbers of Arrow, NumPy, pandas and polars are not copied.

    A value that no list, table or row can be made of is a scalar: one row, column ``value``. A
    list, tuple, range, one-dimensional array or Series is an array: one column, ``value``. Rows
    (dicts, dataclasses, named tuples, in a list or one alone), a dict of lists or of scalars,
    a frame or an Arrow table is a table.

    Parameters
    ----------
    keeping
        Which columns are to be Python objects; None: none, what has no type is refused.

    Raises
    ------
    UnsupportedTypeError
        If a type has no ClickHouse type that keeps its values, or a column has several.
    ValueRangeError
        If a value is out of its type's range.
    SchemaError
        If columns are unequal, unnamed or none.

    Examples
    --------
    >>> to_columnar([1, None]).types
    {'value': 'Nullable(Int64)'}
    >>> to_columnar({"a": [1, 2], "b": ["x", "y"]}).types
    {'a': 'Int64', 'b': 'String'}
    """
    source = _source(value)
    columns, shape = _columns(value, keeping)
    return _columnar(columns, shape, source, keeping)


def conform(
    columnar: Columnar, target: Mapping[str, str], comments: Mapping[str, str] | None = None
) -> pa.Table:
    """Return the rows of a value in the types of a table to insert into, or refuse.

    Casts only without loss; columns that the value lacks are left out, for their defaults.

    Parameters
    ----------
    target, comments
        Column to ClickHouse type, and to comment: those say where Strings are bytes, which text
        is not put among, nor the other way.

    Raises
    ------
    SchemaError
        If the target has no such column, or values of another kind in it.
    ValueRangeError
        If a value does not fit; it names the first row.

    Examples
    --------
    >>> conform(to_columnar([1, 2]), {"value": "UInt8"}).schema.types
    [DataType(uint8)]
    """
    return conform_columns(columnar.data, target, comments)


def _columns(value: Any, keeping: Keeping | None) -> tuple[Mapping[Any, Any], Shape]:
    """Return a value's columns, not yet Arrow, and its shape."""
    _refuse_known(value, keeping)
    if keeping is not None and VALUE in keeping.columns and isinstance(value, (list, tuple)):
        return {VALUE: value}, Shape.ARRAY
    if _is(value, "pandas", "DataFrame"):
        from aaiclick_ext.objects.pandas_values import columns_of_frame

        return columns_of_frame(value), Shape.TABLE
    if _is(value, "polars", "DataFrame"):
        return {series.name: series for series in value.get_columns()}, Shape.TABLE
    if isinstance(value, Mapping):
        return _columns_of_dict(value), Shape.TABLE
    if is_record(type(value)) and not isinstance(value, type):
        return _rows([value]), Shape.TABLE
    if isinstance(value, list) and value:
        if all(isinstance(v, pa.RecordBatch) for v in value):
            return _columns_of_table(pa.Table.from_batches(value)), Shape.TABLE
        if isinstance(value[0], Mapping) or is_record(type(value[0])):
            return _rows(value), Shape.TABLE
    if isinstance(value, np.ndarray) and value.dtype.names and value.ndim == 1:
        return columns_of_structured(value), Shape.TABLE
    if isinstance(value, pa.Scalar):
        return {VALUE: pa.array([value.as_py()], value.type)}, Shape.SCALAR
    if _is_column(value):
        return {VALUE: value}, Shape.ARRAY
    if (streamed := _from_protocol(value)) is not None:
        if isinstance(streamed, pa.ChunkedArray):
            return {VALUE: streamed}, Shape.ARRAY
        return _columns_of_table(streamed), Shape.TABLE
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return {VALUE: value.reshape(1)}, Shape.SCALAR
    return {VALUE: [value]}, Shape.SCALAR


def _refuse_known(value: Any, keeping: Keeping | None) -> None:
    if _is(value, "polars", "LazyFrame"):
        raise UnsupportedTypeError("a polars LazyFrame has no rows yet; use .collect()")
    if _is(value, "ibis.expr.types", "Expr"):
        raise UnsupportedTypeError(
            "an Ibis expression is not a value; use it as a View, or its .to_pyarrow()"
        )
    if keeping is not None and (keeping.all_refused or VALUE in keeping.columns):
        return
    hint = "" if keeping is None or keeping.is_of_target else f"; {HINT}"
    if isinstance(value, Iterator) and not hasattr(value, "__arrow_c_stream__"):
        raise UnsupportedTypeError(
            f"a {type(value).__name__} can be read only once; make it a list: list(value){hint}"
        )
    if isinstance(value, type):
        raise UnsupportedTypeError(
            f"{value.__name__} is a class, not a value; use an instance{hint}"
        )


def _rows(values: list[Any]) -> dict[str, Any]:
    for row, value in enumerate(values):
        if not isinstance(value, Mapping) and not is_record(type(value)):
            raise UnsupportedTypeError(
                f"row {row} is of type {type(value).__name__}, the first is a "
                f"{type(values[0]).__name__}; make every row a dict, dataclass or named tuple"
            )
    try:
        return columns_of(values)
    except Refusal as refusal:
        raise SchemaError(f"row {refusal.row}: a column cannot have {refusal.reason}") from refusal


def _columns_of_dict(value: Mapping[Any, Any]) -> Mapping[Any, Any]:
    nested = [name for name, v in value.items() if isinstance(v, Mapping) or is_record(type(v))]
    if nested:
        raise SchemaError(
            f"columns {nested} are dicts or records; for one row wrap each in a list, as in "
            "{'a': [{'x': 1}]}, for several rows give a list of dicts"
        )
    lists = [name for name, v in value.items() if _is_column(v)]
    if not lists:
        return {name: [v] for name, v in value.items()}
    if len(lists) < len(value):
        scalars = [name for name in value if name not in lists]
        raise SchemaError(
            f"columns {lists} are lists and columns {scalars} single values; give each column a "
            "list, as in [v] * n"
        )
    return value


def _columns_of_table(table: pa.Table) -> dict[str, Any]:
    names = table.column_names
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise SchemaError(f"the table has columns of the same name, {twice}; rename them")
    return dict(zip(names, table.columns, strict=True))


def _from_protocol(value: Any) -> pa.Table | pa.ChunkedArray | None:
    """Return what a value hands out by the Arrow PyCapsule interface, if it has that."""
    if hasattr(value, "__arrow_c_stream__"):
        column = pa.chunked_array(value)
    elif hasattr(value, "__arrow_c_array__"):
        column = pa.chunked_array([pa.array(value)])
    else:
        return None
    if not pa.types.is_struct(column.type):
        return column
    batches = [pa.RecordBatch.from_struct_array(chunk) for chunk in column.chunks]
    return pa.Table.from_batches(batches, schema=pa.schema(list(column.type)))


def _is_column(value: Any) -> bool:
    """Whether a value is a column of values rather than one."""
    if isinstance(value, (list, tuple, range, pa.Array, pa.ChunkedArray)):
        return not is_record(type(value))
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return (
        _is(value, "polars", "Series")
        or any(_is(value, "pandas", name) for name in ("Series", "Index"))
        or _is(value, "pandas.api.extensions", "ExtensionArray")
    )


def _columnar(
    columns: Mapping[Any, Any], shape: Shape, source: str, keeping: Keeping | None
) -> Columnar:
    if not columns:
        raise SchemaError(f"{source}: there are no columns; give at least one")
    if keeping is not None:
        keeping.check_names(columns)
    types, comments, data, objects = {}, {}, {}, {}
    for name, values in columns.items():
        _check_name(name)
        declared = _declared(name, values, keeping)
        if declared is None:
            objects[name] = kept = python_values(values)
            types[name] = _reference_type(kept)
            data[name] = pa.chunked_array([pa.nulls(len(kept), pa.uint64())])
            continue
        types[name] = str(declared.type)
        data[name] = declared.data
        if declared.binary:
            comments[name] = binary_comment(declared.binary)
    lengths = {name: len(column) for name, column in data.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise SchemaError(f"columns of unequal lengths: {shown}")
    return Columnar(pa.table(data), types, comments, shape, source, objects)


def _reference_type(values: list[Any]) -> str:
    return "Nullable(UInt64)" if any(value is None for value in values) else "UInt64"


def _declared(name: str, values: Any, keeping: Keeping | None) -> Declared | None:
    """Return a column with its type, or None where it is to be one of Python objects."""
    if keeping is None:
        return declare(name, _chunked(name, values))
    if name in keeping.columns:
        return None
    try:
        return declare(name, _chunked(name, values))
    except AaiclickError as error:
        if keeping.takes(values):
            return None
        if keeping.is_of_target or not isinstance(error, UnsupportedTypeError):
            raise
        hint = f"; {HINT}" if has_python_values(values) else ""
        raise UnsupportedTypeError(f"{error}{hint}") from error.__cause__


def _check_name(name: Any) -> None:
    try:
        check_name(name)
    except Refusal as refusal:
        hint = "" if isinstance(name, str) else " (for a frame, df.rename(columns=str))"
        raise SchemaError(f"a column cannot have {refusal.reason}{hint}") from refusal


def _chunked(name: str, values: Any) -> pa.ChunkedArray:
    try:
        array = _array(values)
    except Refusal as refusal:
        raise refusal.error(name) from refusal.__cause__
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])


def _array(values: Any) -> pa.Array | pa.ChunkedArray:
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        return values
    if isinstance(values, np.ndarray):
        return array_of_numpy(values)
    if _is(values, "polars", "Series"):
        from aaiclick_ext.objects.polars_values import array_of_polars

        return array_of_polars(values)
    if "pandas" in sys.modules and not isinstance(values, (list, tuple, range)):
        import pandas as pd

        from aaiclick_ext.objects.pandas_values import array_of_series, check_index

        if isinstance(values, pd.Series):
            check_index(values)
        return array_of_series(pd.Series(values))
    if isinstance(values, range):
        if min(values.start, values.stop) >= -(2**63) and max(values.start, values.stop) < 2**63:
            return pa.array(np.arange(values.start, values.stop, values.step, dtype=np.int64))
        values = list(values)
    return array_of(values)


def _is(value: Any, module: str, name: str) -> bool:
    """Whether a value is of a class of a library, which is not imported to find out."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(value, getattr(loaded, name, ()))


def _source(value: Any) -> str:
    type_ = type(value)
    root = type_.__module__.split(".")[0]
    name = (
        type_.__qualname__ if root in ("builtins", "__main__") else f"{root}.{type_.__qualname__}"
    )
    if isinstance(value, list) and value:
        return f"list of {_source(value[0])}"
    return name
