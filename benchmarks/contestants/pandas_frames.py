"""pandas, in memory."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

import pandas as pd
import pyarrow as pa

from benchmarks import data
from benchmarks.contestants.contestant import TableContestant, Task


class Pandas(TableContestant):
    """pandas as people use it: NumPy-backed frames."""

    name: ClassVar[str] = "pandas"

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.facts = data.facts(rows).to_pandas()
        self.keys = data.keys().to_pandas()
        self.values = pd.Series(data.values(rows))

    def query_first(self) -> Task:
        t = self.facts
        return lambda: pa.Table.from_pandas(t[t.k != 0.5 + self.step].head(10))

    def query_again(self) -> Task:
        t = self.facts
        return lambda: pa.Table.from_pandas(t[t.k == 7].head(10))

    query_rebuilt = query_again

    def chain(self) -> Task:
        a = self.values
        return lambda: ((((a + 1) * 2 - 3) / 4) ** 2).mean()

    @cached_property
    def large(self) -> pd.DataFrame:
        return data.large(self.rows).to_pandas()

    def _group(self, t: pd.DataFrame) -> Task:
        def task() -> pa.Table:
            made = t.groupby("k").agg(n=("x", "size"), total=("x", "sum"), mean=("x", "mean"))
            return pa.Table.from_pandas(made)

        return task

    def _join(self, t: pd.DataFrame) -> Task:
        keys = self.keys

        def task() -> pa.Table:
            made = t.merge(keys, on="k").groupby("region").agg(total=("x", "sum"))
            return pa.Table.from_pandas(made)

        return task

    def create(self) -> Task:
        return data.facts(self.rows).to_pandas

    def fetch(self) -> Task:
        return lambda: pa.Table.from_pandas(self.facts)
