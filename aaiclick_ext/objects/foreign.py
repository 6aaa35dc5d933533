"""What SQL text reads that is not ours: tables that others made, and files and URLs."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlglot
import sqlglot.errors
from sqlglot import exp

from aaiclick_ext.errors import UnknownTableError
from aaiclick_ext.lifecycle.named_views import VIEW_ENGINES
from aaiclick_ext.lifecycle.names import TableName
from aaiclick_ext.objects.view_problems import tables_under
from aaiclick_ext.oplog.system_names import SYSTEM_DATABASE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from aaiclick_ext.objects.backend import Backend
    from aaiclick_ext.objects.leaf import DatabaseTable

_READERS = frozenset(
    {"file", "url", "s3", "gcs", "hdfs", "azureblobstorage", "deltalake", "iceberg", "hudi"}
)
"""Table functions whose first argument says where the data is."""


@dataclass(frozen=True, slots=True)
class ForeignReads:
    """What a text reads that is not ours.

    Attributes
    ----------
    leaves
        Tables that exist. They are never claimed and never dropped.
    paths
        Of files and URLs, as the text has them.
    """

    leaves: tuple[DatabaseTable, ...] = ()
    paths: tuple[str, ...] = ()


def foreign_leaf(backend: Backend, table: str, database: str | None) -> DatabaseTable:
    """Return a leaf of a table as its columns are now.

    Runs two queries where it is not ours, three where it is a view.

    Raises
    ------
    UnknownTableError
        If there is no such table.
    """
    if database == SYSTEM_DATABASE:
        backend.services.system.ensure()
    if TableName.parse(table) is None and backend.services.schemas.refresh(table, database):
        backend.planner.cache.clear()  # plans know the columns' ClickHouse types
    leaf = backend.leaf(table, database)
    if database is None and backend.services.schemas.get(table).engine in VIEW_ENGINES:
        backend.services.freshness.view(table, tables_under(backend.services.engine, table))
    return leaf


def foreign_reads(backend: Backend, text: str, *, meant: Collection[str] = ()) -> ForeignReads:
    """Return what a SELECT reads that is not ours; nothing where it cannot be parsed.

    Runs two queries for each table.

    Parameters
    ----------
    meant
        Names that the text has for something else.
    """
    try:
        query = sqlglot.parse_one(text, dialect="clickhouse")
    except (sqlglot.errors.SqlglotError, RecursionError):
        return ForeignReads()
    named = {common.alias for common in query.find_all(exp.CTE)}.union(meant)
    leaves = {}
    for table, database in dict.fromkeys(_tables(query)):
        is_other = database is None and (table in named or TableName.parse(table) is not None)
        if not is_other:
            with contextlib.suppress(UnknownTableError):
                leaves[database, table] = foreign_leaf(backend, table, database)
    return ForeignReads(tuple(leaves.values()), tuple(dict.fromkeys(_paths(query))))


def _tables(query: exp.Expr) -> Iterator[tuple[str, str | None]]:
    for table in query.find_all(exp.Table):
        if isinstance(table.this, exp.Identifier):
            yield table.name, table.db or None


def _paths(query: exp.Expr) -> Iterator[str]:
    for table in query.find_all(exp.Table):
        function = table.this
        if not isinstance(function, exp.Identifier) and function.name.lower() in _READERS:
            first = next(iter(function.expressions), None)
            if isinstance(first, exp.Literal) and first.is_string:
                yield first.this
