"""Arrow tables as pandas frames without losing an integer, a boolean or a null."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from aaiclick_ext.objects.frame_columns import pandas_objects

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd


def to_pandas_frame(
    data: pa.Table, types: Mapping[str, str], objects: Mapping[str, list[Any]]
) -> pd.DataFrame:
    """Return a frame with numpy dtypes, and pandas' nullable ones where a column has nulls.

    NumPy's integers and booleans have no null: pandas would turn such a column into float64 or
    object, and an Int64 above 2**53 into another number.

    Parameters
    ----------
    objects
        Values of the columns of Python objects, in place of what `data` has of them.
    """
    import pandas as pd

    nullable = {
        pa.int8(): pd.Int8Dtype(),
        pa.int16(): pd.Int16Dtype(),
        pa.int32(): pd.Int32Dtype(),
        pa.int64(): pd.Int64Dtype(),
        pa.uint8(): pd.UInt8Dtype(),
        pa.uint16(): pd.UInt16Dtype(),
        pa.uint32(): pd.UInt32Dtype(),
        pa.uint64(): pd.UInt64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
    }
    with_nulls = [
        field.name
        for field, column in zip(data.schema, data.columns, strict=True)
        if field.type in nullable and column.null_count and field.name not in objects
    ]
    objects = pandas_objects(data.drop_columns(list(objects)), types) | dict(objects)
    frame: pd.DataFrame = data.drop_columns([*with_nulls, *objects]).to_pandas()
    for name in with_nulls:
        frame[name] = data.column(name).to_pandas(types_mapper=nullable.get)
    for name, values in objects.items():
        frame[name] = pd.Series(values, dtype=object)
    return frame[data.column_names] if with_nulls or objects else frame
