"""polars Series and frames as Arrow columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from aaiclick_ext.objects.refusal import unsupported

if TYPE_CHECKING:
    import polars as pl


def array_of_polars(series: pl.Series) -> pa.Array:
    """Return the values of a Series, sharing its memory where both know the type.

    Raises
    ------
    Refusal
        If the dtype has no Arrow type: Arrow would carry the addresses of objects.
    """
    import polars as pl

    wrong = [
        dtype
        for dtype in _dtypes(series.dtype)
        if dtype in (pl.Object, pl.Int128, getattr(pl, "UInt128", pl.Int128))
    ]
    if pl.Object in wrong:
        raise unsupported("polars Objects have no column type; convert them to str or a struct")
    if wrong:
        raise unsupported(f"{wrong[0]} has no Arrow type; cast it to pl.Decimal or pl.String")
    try:
        return series.to_arrow()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise unsupported(f"{series.dtype} has no Arrow type ({error})") from error


def _dtypes(dtype: pl.DataType) -> list[pl.DataType]:
    """Return a dtype and those inside it."""
    inner = [field.dtype for field in getattr(dtype, "fields", ())]
    if getattr(dtype, "inner", None) is not None:
        inner.append(dtype.inner)  # type: ignore[attr-defined]
    return [dtype, *(found for one in inner for found in _dtypes(one))]
