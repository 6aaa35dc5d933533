"""DuckDB, tables in its own format in memory."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

import duckdb

from benchmarks import data
from benchmarks.contestants.contestant import TableContestant, Task


class DuckDB(TableContestant):
    """DuckDB with SQL written by hand."""

    name: ClassVar[str] = "DuckDB"
    facts = "facts"

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.connection = duckdb.connect()
        self.connection.register("arrow_facts", data.facts(rows))
        self.connection.register("arrow_keys", data.keys())
        self.connection.register("numpy_values", {"value": data.values(rows)})
        for made, source in (
            ("facts", "arrow_facts"),
            ("keys", "arrow_keys"),
            ("numbers", "numpy_values"),
        ):
            self.connection.execute(f"CREATE TABLE {made} AS SELECT * FROM {source}").fetchall()

    def _fetch(self, sql: str) -> Task:
        return lambda: self.connection.sql(sql).to_arrow_table()

    def query_first(self) -> Task:
        return self._fetch(f"SELECT * FROM facts WHERE k != {0.5 + self.step} LIMIT 10")

    def query_again(self) -> Task:
        return self._fetch("SELECT * FROM facts WHERE k = 7 LIMIT 10")

    query_rebuilt = query_again

    def chain(self) -> Task:
        sql = "SELECT avg(pow(((value + 1) * 2 - 3) / 4, 2)) FROM numbers"
        return lambda: self.connection.sql(sql).fetchall()[0][0]

    @cached_property
    def large(self) -> str:
        self.connection.register("arrow_large", data.large(self.rows))
        self.connection.execute("CREATE TABLE large AS SELECT * FROM arrow_large").fetchall()
        return "large"

    def _group(self, table: str) -> Task:
        return self._fetch(
            f"SELECT k, count(*) AS n, sum(x) AS total, avg(x) AS mean FROM {table} GROUP BY k"
        )

    def _join(self, table: str) -> Task:
        return self._fetch(
            f"SELECT region, sum(x) AS total FROM {table} JOIN keys USING (k) GROUP BY region"
        )

    def create(self) -> Task:
        sql = "CREATE OR REPLACE TABLE made AS SELECT * FROM arrow_facts"
        return lambda: self.connection.execute(sql).fetchall()

    def fetch(self) -> Task:
        return self._fetch("SELECT * FROM facts")

    def close(self) -> None:
        self.connection.close()
