"""Sources of live results: whether something else than an insert of ours has changed them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aaiclick_ext.lifecycle.named_views import views_of
from aaiclick_ext.lifecycle.names import TableName
from aaiclick_ext.objects.leaf import is_owned, tables_below
from aaiclick_ext.objects.view_problems import below_view

if TYPE_CHECKING:
    from collections.abc import Mapping

    import ibis.expr.operations as ops

    from aaiclick_ext.engine import Engine
    from aaiclick_ext.lifecycle.worker import Hold
    from aaiclick_ext.objects.backend import Backend

Source = tuple[str, str]
"""Database and table."""


@dataclass(frozen=True, slots=True)
class Version:
    """What is known of a table's content without reading it.

    Attributes
    ----------
    rows
        None where ClickHouse does not know it.
    state
        Changes with what is not an insert; of tables of others, with inserts, too.
    """

    rows: int | None
    state: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Insert:
    """Rows that were added, held in a table of their own until everybody has seen them.

    Attributes
    ----------
    number
        Of the insert, among those into its table.
    """

    source: Source
    number: int
    staging: str
    hold: Hold


class WatchedSource:
    """One table, and what of its changes came from inserts of this process."""

    def __init__(self, source: Source, *, is_ours: bool) -> None:
        self.source = source
        self.is_ours = is_ours
        self.watchers = 0
        self.inserts = 0
        self.moving = 0
        self._seen: Version | None = None

    def inserted(self, rows: int) -> None:
        """Expect rows that an insert of this process has added."""
        self.inserts += 1
        if self._seen is not None and self._seen.rows is not None:
            self._seen = Version(self._seen.rows + rows, self._seen.state)

    def has_changed(self, found: Version | None) -> bool:
        """Take what was found; say whether something else has changed the table since."""
        before, self._seen = self._seen, found
        return before is not None and before != found

    @property
    def is_quiet(self) -> bool:
        """Whether no insert of this process is in progress."""
        return not self.moving


def sources_of(backend: Backend, op: ops.Relation) -> dict[Source, bool]:
    """Return the tables that a view reads, those under named views too; whether each is ours.

    Runs up to two queries.
    """
    here = backend.current_database
    found: dict[Source, bool] = {}
    views = None
    for leaf in tables_below(op):
        database = leaf.namespace.database or here
        found[database, leaf.name] = is_owned(leaf)
        if not is_owned(leaf) and database == here:
            views = views_of(backend.services.engine) if views is None else views
            if leaf.name in views:
                del found[database, leaf.name]
                for view in (leaf.name, *below_view(leaf.name, views)):
                    for name in views[view].sources:
                        if name not in views:
                            found[_qualified(name, here)] = TableName.parse(name) is not None
    return found


def _qualified(name: str, here: str) -> Source:
    database, dot, table = name.partition(".")
    return (database, table) if dot else (here, name)


def versions_of(engine: Engine, sources: Mapping[Source, bool]) -> dict[Source, Version]:
    """Return what is known of tables; of those that are there. Runs two queries.

    Parameters
    ----------
    sources
        Whether each is ours: then inserts, and a move from memory to the disk, change its rows and
        nothing else here.
    """
    databases = sorted({database for database, _ in sources})
    tables = sorted({table for _, table in sources})
    given = {"databases": databases, "tables": tables}
    which = "IN {databases:Array(String)}"
    names = "IN {tables:Array(String)}"
    parts = {
        (database, table): (rows, version, block)
        for database, table, rows, version, block in engine.query_rows(
            "SELECT database, table, sum(rows), "
            # The number of the last mutation; without one it is that of the part's first block.
            "max(if(data_version > max_block_number, data_version, 0)), max(max_block_number) "
            f"FROM system.parts WHERE active AND database {which} AND table {names} "
            "GROUP BY database, table",
            given,
        )
    }
    found = {}
    for database, table, kind, rows, size, changed in engine.query_rows(
        "SELECT database, name, engine, total_rows, total_bytes, "
        "toUnixTimestamp(metadata_modification_time) "
        f"FROM system.tables WHERE database {which} AND name {names}",
        given,
    ):
        source = (database, table)
        if source not in sources:
            continue
        if kind.endswith("MergeTree"):
            count, mutation, block = parts.get(source, (0, 0, 0))
            state = (mutation,) if sources[source] else (mutation, block, changed)
            found[source] = Version(int(count), state)
        else:
            found[source] = Version(rows, (0,) if sources[source] else (size, changed))
    return found
