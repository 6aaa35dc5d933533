"""The data that every contestant starts from, the same in every run."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from numpy.typing import NDArray

KEYS = 1_000
LARGE = 10


@cache
def facts(rows: int) -> pa.Table:
    """Return rows of (id, k, x, label): an integer, a key of 1,000, a float and a short text."""
    random = np.random.default_rng(13)
    keys = random.integers(0, KEYS, rows)
    names = np.array([f"label {key % 26:02d}" for key in range(KEYS)])
    return pa.table(
        {
            "id": pa.array(np.arange(rows)),
            "k": pa.array(keys),
            "x": pa.array(random.normal(size=rows)),
            "label": pa.array(names[keys]),
        }
    )


@cache
def large(rows: int) -> pa.Table:
    """Return the facts ten times over."""
    return pa.concat_tables([facts(rows)] * LARGE)


@cache
def keys() -> pa.Table:
    """Return the other side of the join: (k, region)."""
    numbers = np.arange(KEYS)
    regions = [f"region {key % 7}" for key in range(KEYS)]
    return pa.table({"k": pa.array(numbers), "region": pa.array(regions)})


@cache
def values(rows: int) -> NDArray[np.float64]:
    """Return the array of the chained operations."""
    return np.random.default_rng(31).normal(size=rows)
