"""aaiclick_ext itself."""

from __future__ import annotations

import time
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import aaiclick_ext as aai
from benchmarks import data
from benchmarks.contestants.contestant import TableContestant, Task

if TYPE_CHECKING:
    from pathlib import Path


class Ours(TableContestant):
    """The library under test, in a plain process."""

    name: ClassVar[str] = "aaiclick_ext"

    def __init__(self, rows: int, directory: Path) -> None:
        self.rows = rows
        self.url = f"chdb://{directory / 'chdb'}"
        self.context = aai.DataContext(self.url, settings=aai.Settings(state_dir=directory))
        self.context.__enter__()
        self.facts = aai.create_object_from_value(data.facts(rows))
        self.keys = aai.create_object_from_value(data.keys())
        self.values = aai.create_object_from_value(data.values(rows))
        self.held = self.facts.filter(self.facts.k == 7).limit(10)

    def query_first(self) -> Task:
        t, constant = self.facts, 0.5 + self.step
        return lambda: t.filter(t.k != constant).limit(10).to_pyarrow()

    def query_again(self) -> Task:
        return self.held.to_pyarrow

    def query_rebuilt(self) -> Task:
        t = self.facts
        return lambda: t.filter(t.k == 7).limit(10).to_pyarrow()

    def chain(self) -> Task:
        a = self.values
        return lambda: ((((a + 1) * 2 - 3) / 4) ** 2).mean().data()

    @cached_property
    def large(self) -> aai.Object:
        return aai.concat(*[self.facts] * data.LARGE)

    def _group(self, t: aai.Object) -> Task:
        return lambda: (
            t.group_by("k").agg(n=t.count(), total=t.x.sum(), mean=t.x.mean()).to_pyarrow()
        )

    def _join(self, t: aai.Object) -> Task:
        keys = self.keys
        return lambda: (
            t.join(keys, "k").group_by("region").agg(total=lambda joined: joined.x.sum())
        ).to_pyarrow()

    def create(self) -> Task:
        table = data.facts(self.rows)
        return lambda: aai.create_object_from_value(table)

    def fetch(self) -> Task:
        return self.facts.to_pyarrow

    def make_many(self, count: int) -> list[aai.Object]:
        """Return so many small objects; untimed."""
        made = [aai.create_object_from_value([1, 2, 3]) for _ in range(count)]
        self.settle()
        return made

    def drop_many(self, made: list[aai.Object]) -> float:
        """Delete objects, all that reach them; return the seconds until their tables are gone."""
        worker = self.context.backend.services.worker
        started = time.perf_counter()
        made.clear()
        worker.flush(60)
        elapsed_s = time.perf_counter() - started
        self.settle()
        return elapsed_s

    def settle(self) -> None:
        self.context.flush(timeout_s=60)

    def close(self) -> None:
        self.context.close()
