"""The raw engine: clickhouse-connect on chdb, SQL written by hand.

It asks the very tables that `Ours` made, in the same process, so that the ratio of the two is
what the library adds and nothing else.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

import clickhouse_connect

from benchmarks import data
from benchmarks.contestants.contestant import TableContestant, Task

if TYPE_CHECKING:
    import aaiclick_ext as aai
    from benchmarks.contestants.ours import Ours


class Raw(TableContestant):
    """The driver and nothing else."""

    name: ClassVar[str] = "raw engine"

    def __init__(self, rows: int, ours: Ours) -> None:
        self.rows = rows
        self.ours = ours
        self.facts, self.keys, self.values = (
            o.table_name for o in (ours.facts, ours.keys, ours.values)
        )
        self.client = clickhouse_connect.get_client(dsn=ours.url)
        self.client.set_client_setting("output_format_arrow_compression_method", "none")
        self.client.set_client_setting("join_use_nulls", 1)
        self.client.set_client_setting("aggregate_functions_null_for_empty", 1)

    def _fetch(self, sql: str) -> Task:
        return lambda: self.client.query_arrow(sql)

    def query_first(self) -> Task:
        return self._fetch(f"SELECT * FROM {self.facts} WHERE k != {0.5 + self.step} LIMIT 10")

    def query_again(self) -> Task:
        return self._fetch(f"SELECT * FROM {self.facts} WHERE k = 7 LIMIT 10")

    query_rebuilt = query_again

    def chain(self) -> Task:
        sql = f"SELECT avg(pow(((value + 1) * 2 - 3) / 4, 2)) FROM {self.values}"
        return lambda: self.client.query_arrow(sql).column(0)[0].as_py()

    @property
    def large(self) -> str:
        return self.ours.large.table_name

    def _group(self, table: str) -> Task:
        return self._fetch(
            f"SELECT k, count() AS n, sum(x) AS total, avg(x) AS mean FROM {table} GROUP BY k"
        )

    def _join(self, table: str) -> Task:
        return self._fetch(
            f"SELECT region, sum(x) AS total FROM {table} INNER JOIN {self.keys} USING (k) "
            "GROUP BY region"
        )

    def create(self) -> Task:
        table, name = data.facts(self.rows), "raw_made"

        def task() -> str:
            self.client.command(
                f"CREATE TABLE {name} (id Int64, k Int64, x Float64, label String) "
                "ENGINE = MergeTree ORDER BY tuple()"
            )
            self.client.insert_arrow(name, table)
            return name

        return task

    def fetch(self) -> Task:
        return self._fetch(f"SELECT * FROM {self.facts}")

    def make_many(self, count: int) -> list[aai.Object]:
        """Return so many of the tables that `Ours` is timed with; untimed."""
        return self.ours.make_many(count)

    def drop_many(self, made: list[aai.Object], batch: int) -> float:
        """Drop tables, so many in a statement; return the seconds."""
        names = [o.table_name for o in made]
        started = time.perf_counter()
        for start in range(0, len(names), batch):
            self.client.command(f"DROP TABLE {', '.join(names[start : start + batch])} SYNC")
        elapsed_s = time.perf_counter() - started
        made.clear()
        self.ours.settle()
        return elapsed_s

    def settle(self) -> None:
        names = self.client.query("SELECT name FROM system.tables WHERE name LIKE 'raw_%'")
        for (name,) in names.result_rows:
            self.client.command(f"DROP TABLE {name} SYNC")

    def close(self) -> None:
        self.client.close()
