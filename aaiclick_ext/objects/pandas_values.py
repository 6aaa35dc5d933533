"""pandas Series and frames as Arrow columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from aaiclick_ext.errors import SchemaError
from aaiclick_ext.objects.numpy_values import array_of_numpy
from aaiclick_ext.objects.refusal import unsupported
from aaiclick_ext.objects.sequences import array_of

if TYPE_CHECKING:
    import pandas as pd


def columns_of_frame(frame: pd.DataFrame) -> dict[Any, pd.Series[Any]]:
    """Return the columns of a frame by their labels.

    Raises
    ------
    SchemaError
        If the index or the columns say something that a table would lose.
    """
    check_index(frame)
    if frame.columns.nlevels > 1:
        raise SchemaError(
            "a frame with several levels of columns; flatten them first: "
            'df.columns = ["_".join(map(str, c)) for c in df.columns]'
        )
    if not frame.columns.is_unique:
        twice = list(dict.fromkeys(frame.columns[frame.columns.duplicated()]))
        raise SchemaError(f"the frame has columns of the same name, {twice}; rename them")
    return {label: frame[label] for label in frame.columns}


def check_index(data: pd.DataFrame | pd.Series[Any]) -> None:
    """Refuse an index that says something: a table has no place for it.

    An unnamed index of integers only numbers the rows, as 0, 1, 2… or as a filter or a sort left
    them; it is left out.

    Raises
    ------
    SchemaError
        If there is one.
    """
    import pandas as pd

    index = data.index
    if index.nlevels == 1 and index.name is None:
        numbers = pd.api.types.is_integer_dtype(index.dtype)
        if numbers or len(index) == 0:
            return
    names = [name for name in index.names if name is not None]
    shown = f"the index {', '.join(map(str, names))}" if names else "its index"
    raise SchemaError(
        f"{type(data).__name__}: {shown} would be lost; keep it as a column with reset_index(), "
        "or drop it with reset_index(drop=True)"
    )


def array_of_series(series: pd.Series[Any]) -> pa.Array | pa.ChunkedArray:
    """Return the values of a Series; NA, NaT, None and NaN are null.

    NaN is how pandas marks what is missing in a column of NumPy's floats, so it becomes null, as it
    does in Arrow, polars and DuckDB. A NaN in one of pandas' nullable or Arrow dtypes, which have a
    null of their own, stays NaN.

    Raises
    ------
    Refusal
        If the dtype has no column type.
    """
    import numpy as np
    import pandas as pd

    dtype = series.dtype
    if isinstance(dtype, pd.PeriodDtype):
        raise unsupported("periods have no column type; use .dt.to_timestamp() or .astype(str)")
    if isinstance(dtype, pd.IntervalDtype):
        raise unsupported("intervals have no column type; make two columns, left and right")
    if isinstance(dtype, pd.SparseDtype):
        raise unsupported("sparse values have no column type; use .sparse.to_dense()")
    if dtype == np.dtype(object):
        return array_of([None if isinstance(v, float) and v != v else v for v in series.tolist()])
    if isinstance(dtype, np.dtype) and dtype.kind == "f":
        values = series.to_numpy()
        return array_of_numpy(np.ma.masked_array(values, np.isnan(values)))
    if isinstance(dtype, np.dtype):
        return array_of_numpy(series.to_numpy())
    try:
        return pa.array(series, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise unsupported(f"dtype {dtype} has no column type ({error})") from error
