"""NumPy arrays as Arrow arrays."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aaiclick_ext.objects.refusal import out_of_range, unsupported
from aaiclick_ext.objects.sequences import array_of

_ARROW_UNITS = ("s", "ms", "us", "ns")
_TO_SECONDS = ("h", "m")


def array_of_numpy(values: np.ndarray[Any, Any]) -> pa.Array:
    """Return a one-dimensional array as Arrow; NaN stays NaN, NaT and masked values are null.

    Copies nothing for contiguous numbers in the machine's byte order.

    Raises
    ------
    Refusal
        If the array has more dimensions, or a dtype that has no column type.
    """
    if values.ndim != 1:
        raise unsupported(
            f"an array of {values.ndim} dimensions; name its columns, as in "
            "dict(zip(names, a.T)), or make lists of its rows: a.tolist()"
        )
    if isinstance(values, np.ma.MaskedArray):
        return _masked(values)
    kind = values.dtype.kind
    if kind in "mM":
        values = _in_arrow_units(values)
        if values.dtype == np.dtype("M8[D]"):
            _check_days(values)
    elif kind == "O":
        return array_of(values.tolist())
    elif kind == "V" and values.dtype.names:
        return _structs(values)
    elif kind not in "biufSUT" or values.dtype == np.longdouble:
        raise unsupported(_why_not(values.dtype))
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    return pa.array(values)


def columns_of_structured(values: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Return the fields of a structured array as columns; fields of several values as lists."""
    return {
        name: column if (column := values[name]).ndim == 1 else column.tolist()
        for name in values.dtype.names or ()
    }


def _masked(values: np.ma.MaskedArray[Any, Any]) -> pa.Array:
    array = array_of_numpy(np.asarray(values.data))
    mask = np.ma.getmaskarray(values)
    if not mask.any():
        return array
    return pc.if_else(pa.array(mask), pa.scalar(None, array.type), array)


def _structs(values: np.ndarray[Any, Any]) -> pa.Array:
    columns = columns_of_structured(values)
    children = [
        array_of(column) if isinstance(column, list) else array_of_numpy(column)
        for column in columns.values()
    ]
    return pa.StructArray.from_arrays(children, list(columns))


def _in_arrow_units(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return times in a unit that Arrow has, of the same instants and lengths."""
    unit, step = np.datetime_data(values.dtype)
    kind = values.dtype.kind
    if step == 1 and (unit in _ARROW_UNITS or (kind == "M" and unit == "D")):
        return values
    if unit in (*_ARROW_UNITS, *_TO_SECONDS, "D", "W"):
        target = unit if unit in _ARROW_UNITS else "s"
        if kind == "M" and unit in ("D", "W"):
            target = "D"
        with suppress(OverflowError):  # NumPy before 2.5 wraps instead
            converted = values.astype(f"{kind}8[{target}]")
            if np.array_equal(converted.astype(values.dtype), values, equal_nan=True):
                return converted
    raise unsupported(
        f"{values.dtype} has no column type; convert it with "
        f".astype('{'datetime64[D]' if kind == 'M' else 'timedelta64[s]'}') or a finer unit"
    )


def _check_days(values: np.ndarray[Any, Any]) -> None:
    """Refuse days beyond 32 bits, of which Arrow would keep the lower half."""
    days = values.astype(np.int64)
    wrong = ~np.isnat(values) & (days != days.astype(np.int32))
    if wrong.any():
        row = int(wrong.argmax())
        raise out_of_range("a date outside years 1 to 9999; ClickHouse cannot hold it", row)


def _why_not(dtype: np.dtype[Any]) -> str:
    if dtype.kind == "c":
        return "complex numbers have no column type; make two columns, a.real and a.imag"
    if dtype == np.longdouble:
        return "longdouble has no column type; convert it with .astype('float64')"
    return f"dtype {dtype} has no column type; convert it with .astype"
