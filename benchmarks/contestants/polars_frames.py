"""polars, in memory."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

import polars as pl

from benchmarks import data
from benchmarks.contestants.contestant import TableContestant, Task


class Polars(TableContestant):
    """polars with its lazy API where it has one."""

    name: ClassVar[str] = "polars"

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.facts = pl.from_arrow(data.facts(rows))
        self.keys = pl.from_arrow(data.keys())
        self.values = pl.DataFrame({"value": data.values(rows)})

    def query_first(self) -> Task:
        t = self.facts.lazy()
        return lambda: t.filter(pl.col("k") != 0.5 + self.step).limit(10).collect().to_arrow()

    def query_again(self) -> Task:
        t = self.facts.lazy()
        return lambda: t.filter(pl.col("k") == 7).limit(10).collect().to_arrow()

    query_rebuilt = query_again

    def chain(self) -> Task:
        a, value = self.values.lazy(), pl.col("value")
        return lambda: a.select(((((value + 1) * 2 - 3) / 4) ** 2).mean()).collect().item()

    @cached_property
    def large(self) -> pl.DataFrame:
        return pl.from_arrow(data.large(self.rows))

    def _group(self, frame: pl.DataFrame) -> Task:
        t, x = frame.lazy(), pl.col("x")
        return lambda: (
            t.group_by("k").agg(n=pl.len(), total=x.sum(), mean=x.mean()).collect().to_arrow()
        )

    def _join(self, frame: pl.DataFrame) -> Task:
        t, keys = frame.lazy(), self.keys.lazy()
        return lambda: (
            t.join(keys, on="k").group_by("region").agg(total=pl.col("x").sum()).collect()
        ).to_arrow()

    def create(self) -> Task:
        table = data.facts(self.rows)
        return lambda: pl.from_arrow(table)

    def fetch(self) -> Task:
        return self.facts.to_arrow
