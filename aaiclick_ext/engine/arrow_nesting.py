"""Nested Arrow arrays with new children, sharing every buffer that stays the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

Step = Callable[[pa.Array], pa.Array]


def rebuilt_list(array: pa.ListArray, target: pa.DataType, step: Step) -> pa.Array:
    """Return a list array whose items went through a step; the array itself if none changed."""
    start, stop = _bounds(array)
    items = array.values.slice(start, stop - start)
    new = step(items)
    if new is items and target == array.type:
        return array
    return pa.ListArray.from_arrays(_offsets(array, start), new, type=target, mask=_mask(array))


def rebuilt_map(
    array: pa.MapArray, target: pa.DataType, key_step: Step | None, value_step: Step | None
) -> pa.Array:
    """Return a map array whose keys and values went through steps."""
    start, stop = _bounds(array)
    keys = _stepped(array.keys.slice(start, stop - start), key_step)
    values = _stepped(array.items.slice(start, stop - start), value_step)
    return pa.MapArray.from_arrays(
        _offsets(array, start), keys, values, type=target, mask=_mask(array)
    )


def rebuilt_struct(
    array: pa.StructArray, target: pa.DataType, steps: Sequence[Step | None]
) -> pa.Array:
    """Return a struct array whose fields went through steps."""
    children = [_stepped(array.field(i), step) for i, step in enumerate(steps)]
    fields = [target.field(i) for i in range(target.num_fields)]
    return pa.StructArray.from_arrays(children, fields=fields, mask=_mask(array))


def rebuilt_union(
    array: pa.UnionArray, target: pa.DataType, steps: Sequence[Step | None]
) -> pa.Array:
    """Return a dense union array whose children went through steps."""
    children = [_stepped(array.field(i), step) for i, step in enumerate(steps)]
    names = [target.field(i).name for i in range(target.num_fields)]
    codes, offsets = union_positions(array)
    return pa.UnionArray.from_dense(codes, offsets, children, names, target.type_codes)


def union_positions(array: pa.UnionArray) -> tuple[pa.Array, pa.Array]:
    """Return which child each value of a dense union is in, and where in it.

    pyarrow's own properties forget that an array may be a slice (pyarrow 26).
    """
    _, codes, offsets, *_ = array.buffers()
    return (
        pa.Array.from_buffers(pa.int8(), len(array), [None, codes], offset=array.offset),
        pa.Array.from_buffers(pa.int32(), len(array), [None, offsets], offset=array.offset),
    )


def _bounds(array: pa.Array) -> tuple[int, int]:
    """Return where the items of a list or map array start and stop in its child."""
    return (array.offsets[0].as_py(), array.offsets[-1].as_py()) if len(array) else (0, 0)


def _offsets(array: pa.Array, start: int) -> pa.Array:
    # Arrow refuses a mask over sliced offsets; arithmetic gives them a buffer of their own.
    fresh = array.offset or start or array.null_count
    return pc.subtract(array.offsets, pa.scalar(start, pa.int32())) if fresh else array.offsets


def _mask(array: pa.Array) -> pa.Array | None:
    return array.is_null() if array.null_count else None


def _stepped(array: pa.Array, step: Step | None) -> pa.Array:
    return array if step is None else step(array)
