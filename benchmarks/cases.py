"""The cases: what is asked of every contestant, and how often."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One thing to do. `key` names the contestant's method."""

    key: str
    title: str
    repeats: int


CASES = (
    Case("query_first", "10 rows of 1M, a query not seen before", 21),
    Case("query_again", "10 rows of 1M, the same view again", 41),
    Case("query_rebuilt", "10 rows of 1M, the same code again", 41),
    Case("chain", "five chained operations on 1M rows, and a mean", 11),
    Case("group", "group 1M rows by 1,000 keys", 31),
    Case("group_large", "group 10M rows by 1,000 keys", 21),
    Case("join", "join 1M rows with 1,000, and sum by region", 31),
    Case("join_large", "join 10M rows with 1,000, and sum by region", 21),
    Case("create", "create from 1M rows of Arrow", 7),
    Case("fetch", "fetch 1M rows to Arrow", 31),
)
