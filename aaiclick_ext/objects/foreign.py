"""What SQL text reads that is not ours: tables that others made, and files and URLs."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aaiclick_ext.errors import UnknownTableError
from aaiclick_ext.lifecycle.named_views import VIEW_ENGINES
from aaiclick_ext.lifecycle.names import TableName
from aaiclick_ext.objects.sql_text import tables_by_tokens
from aaiclick_ext.objects.view_problems import tables_under
from aaiclick_ext.oplog.system_names import SYSTEM_DATABASE
from aaiclick_ext.schema.reads import UNKNOWN, Reads, reads_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from aaiclick_ext.objects.backend import Backend
    from aaiclick_ext.objects.leaf import DatabaseTable


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

    Raises
    ------
    UnknownTableError
        If there is no such table.
    """
    if database == SYSTEM_DATABASE:
        backend.services.system.ensure()
    leaf = backend.leaf(table, database)
    schema, freshness = backend.services.schemas.get(table, database), backend.services.freshness
    if database is None and schema.engine in VIEW_ENGINES and not freshness.knows(table, schema):
        freshness.view(table, tables_under(backend.services.engine, table), version=schema)
    return leaf


def foreign_reads(backend: Backend, text: str, *, meant: Collection[str] = ()) -> ForeignReads:
    """Return what a SELECT reads that is not ours; of one that cannot be parsed, its tables.

    Parameters
    ----------
    meant
        Names that the text has for something else.
    """
    reads = reads_of(text)
    if reads is UNKNOWN:  # it cannot be parsed; its tokens say what stands behind FROM
        reads = Reads(tables=tables_by_tokens(text))
    named = reads.named.union(meant)
    leaves: dict[tuple[str | None, str], DatabaseTable] = {}

    def add(table: str, database: str | None) -> None:
        is_other = database is None and (table in named or TableName.parse(table) is not None)
        if not is_other and (database, table) not in leaves:
            with contextlib.suppress(UnknownTableError):
                leaves[database, table] = foreign_leaf(backend, table, database)

    for table, database in reads.tables:
        add(table, database)
    columns = {name for leaf in leaves.values() for name in leaf.schema}
    for found in reads.looked_up:
        database, _, table = found.rpartition(".")
        if found not in columns:
            add(table, database or None)
    return ForeignReads(tuple(leaves.values()), reads.paths)
