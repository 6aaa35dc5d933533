"""Which Python values are kept as objects: what ClickHouse has no type for, and what is asked to.

An object is not turned into text. It stays in the kernel, and the column refers to it.
"""

from __future__ import annotations

import enum
import ipaddress
import numbers
import os
import sys
from collections.abc import Collection, Iterator, MappingView, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from aaiclick_ext.errors import SchemaError, SettingsError
from aaiclick_ext.objects.refusal import Refusal
from aaiclick_ext.objects.sequences import kind_of

HINT = "or pass objects=True to keep such values as the Python objects that they are"

_CONVERTIBLE = (
    numbers.Number,
    enum.Enum,
    os.PathLike,
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
    Iterator,
    Sequence,
    MappingView,
)
"""What is more likely meant as values than as objects, and easily made such."""

_DATA_PROTOCOLS = ("__array__", "__array_interface__", "__arrow_c_array__", "__arrow_c_stream__")


@dataclass(frozen=True, slots=True)
class Keeping:
    """Which columns of a value are to be kept as objects.

    Attributes
    ----------
    all_refused
        Every column that no ClickHouse type holds. Without, only those all of whose values are of
        types that have none: sets, functions, instances of any class.
    columns
        These, whatever they hold.
    is_of_target
        Whether `columns` are those of a table to insert into: not all need be there, and the others
        hold no objects.
    """

    all_refused: bool = False
    columns: frozenset[str] = frozenset()
    is_of_target: bool = False

    @classmethod
    def of(cls, objects: bool | Collection[str]) -> Keeping:
        """Return what the argument ``objects`` of `create_object_from_value` says.

        Raises
        ------
        SettingsError
            If it is neither True, False nor names of columns.
        """
        if isinstance(objects, bool):
            return cls(objects)
        if isinstance(objects, Collection) and not isinstance(objects, (str, bytes)):
            names = list(objects)
            if all(isinstance(name, str) for name in names):
                return cls(columns=frozenset(names))
        raise SettingsError(
            f"objects is {objects!r}; it can be True, False or a list of names of columns"
        )

    def check_names(self, columns: Collection[Any]) -> None:
        """Refuse names of columns that are not there."""
        unknown = [] if self.is_of_target else sorted(self.columns - set(columns))
        if unknown:
            raise SchemaError(
                f"objects names {', '.join(unknown)}; the columns are {', '.join(columns)}"
            )

    def takes(self, values: Any) -> bool:
        """Say whether a column that no type holds is to be kept as objects."""
        if self.is_of_target or not has_python_values(values):
            return False
        return self.all_refused or is_of_objects(python_values(values))


def has_python_values(values: Any) -> bool:
    """Say whether a column is of Python objects rather than of a library's own data."""
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        return False
    if isinstance(values, np.ndarray):
        return values.dtype == np.dtype(object) and values.ndim == 1
    if _is_polars(values):
        import polars as pl

        return bool(values.dtype == pl.Object)
    return getattr(values, "dtype", np.dtype(object)) == np.dtype(object)


def is_of_objects(values: Sequence[Any]) -> bool:
    """Say whether every value that is not null is of a type for which ClickHouse has none.

    Examples
    --------
    >>> is_of_objects([{1, 2}, None]), is_of_objects([{1, 2}, "a"]), is_of_objects([1j])
    (True, False, False)
    """
    types = {type(value) for value in values if value is not None}
    return bool(types) and all(map(_has_no_type, types))


def python_values(values: Any) -> list[Any]:
    """Return a column as a list of its Python objects; None, NA, NaT and pandas' NaN are None."""
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        found = values.to_pylist()
    elif isinstance(values, np.ndarray):
        found = list(values) if values.dtype == np.dtype(object) else values.tolist()
    elif _is_polars(values):
        found = values.to_list()
    elif isinstance(values, (list, tuple, range)):
        found = list(values)
    else:
        import pandas as pd

        from aaiclick_ext.objects.pandas_values import check_index

        if isinstance(values, pd.Series):
            check_index(values)
        found = [None if isinstance(v, float) and v != v else v for v in pd.Series(values).tolist()]
    return [None if type(v).__name__ in ("NAType", "NaTType") else v for v in found]


def _has_no_type(type_: type) -> bool:
    if issubclass(type_, _CONVERTIBLE) or type_.__module__.split(".")[0] == "ibis":
        return False
    if any(hasattr(type_, name) for name in _DATA_PROTOCOLS):
        return False
    try:
        kind_of(type_)
    except Refusal:
        return True
    return False


def _is_polars(values: Any) -> bool:
    loaded = sys.modules.get("polars")
    return loaded is not None and isinstance(values, loaded.Series)
