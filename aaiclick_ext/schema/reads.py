"""What a SELECT reads, as its text says."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import sqlglot
import sqlglot.errors
from sqlglot import exp

from aaiclick_ext.schema.dialect import ClickHouse
from aaiclick_ext.schema.lookups import tables_looked_up

if TYPE_CHECKING:
    from collections.abc import Iterator

_READERS = frozenset(
    {"file", "url", "s3", "gcs", "hdfs", "azureblobstorage", "deltalake", "iceberg", "hudi"}
)
"""Table functions whose first argument says where the data is."""

_OF_THEMSELVES = frozenset(
    {"generaterandom", "generate_series", "generateseries", "null", "numbers", "numbers_mt"}
    | {"values", "zeros", "zeros_mt"}
)
"""Table functions whose columns depend on nothing but their arguments."""

_LOOKING_UP = ("dict", "joinget")
"""How the functions begin whose type depends on a dictionary or table that is named in a text."""


@dataclass(frozen=True, slots=True)
class Reads:
    """What a SELECT reads.

    Attributes
    ----------
    tables
        Table and, where the text says it, database.
    named
        Names that the text gives to queries of its own; where one of them stands for a table of
        the database, it is among the tables.
    looked_up
        What is named outside FROM, right of IN or by ``dictGet`` and its kind, and is no name that
        the text gives to something: tables, dictionaries, and columns that hold arrays.
    paths
        Of files and URLs, as the text has them.
    is_all
        Whether its columns depend on these tables alone.
    """

    tables: tuple[tuple[str, str | None], ...] = ()
    named: frozenset[str] = frozenset()
    looked_up: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    is_all: bool = False


UNKNOWN = Reads()


@lru_cache(maxsize=64)
def reads_of(text: str) -> Reads:
    """Return what a SELECT reads; `UNKNOWN` where it cannot be parsed. Runs nothing.

    Examples
    --------
    >>> reads = reads_of("WITH a AS (SELECT * FROM db.t) SELECT * FROM a JOIN file('b.csv') b")
    >>> reads.tables, reads.named, reads.paths, reads.is_all
    ((('a', None), ('t', 'db')), frozenset({'a'}), ('b.csv',), False)
    """
    try:
        query = sqlglot.parse_one(text, dialect=ClickHouse)
    except (sqlglot.errors.SqlglotError, RecursionError):
        return UNKNOWN
    tables: dict[tuple[str, str | None], None] = {}
    paths: dict[str, None] = {}
    is_all = not any(_looks_up(query))
    for table in query.find_all(exp.Table):
        function = table.this
        if isinstance(function, exp.Identifier):
            tables[table.name, table.db or None] = None
            continue
        name = _name(function)
        is_all = is_all and name in _OF_THEMSELVES
        first = next(iter(function.expressions), None)
        if name in _READERS and isinstance(first, exp.Literal) and first.is_string:
            paths[first.this] = None
    named = frozenset(common.alias for common in query.find_all(exp.CTE))
    given = {alias.alias for alias in query.find_all(exp.Alias, exp.Table, exp.Subquery)}
    looked_up = dict.fromkeys(
        name for name in tables_looked_up(query) if name.partition(".")[0] not in given
    )
    return Reads(tuple(tables), named, tuple(looked_up), tuple(paths), is_all)


def _looks_up(query: exp.Expr) -> Iterator[bool]:
    for function in query.find_all(exp.Func):
        yield _name(function).startswith(_LOOKING_UP)


def _name(function: exp.Expr) -> str:
    return (function.name if isinstance(function, exp.Anonymous) else function.key).lower()
