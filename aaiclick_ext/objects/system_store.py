"""System tables in ClickHouse: a database of its own, which brings itself up to date.

What ClickHouse knows is a view. Rows whose home is in memory or in the registry are mirrored before
a query that names them, where they have changed. A mirror has parts, each replaced as a whole by
one atomic statement: one for what all kernels see alike, and one for each kernel that has rows of
its own. A constraint refuses what others would insert.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aaiclick_ext.engine import quote_identifier, quote_literal
from aaiclick_ext.engine.sql import inline_json
from aaiclick_ext.engine.versioned_table import VersionedTable
from aaiclick_ext.errors import SystemTableError
from aaiclick_ext.oplog.system_names import SYSTEM_DATABASE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterable, Mapping

    from aaiclick_ext.engine import Engine

Row = tuple[Any, ...]

_PART = "part"
_OWN = "kernel/"
_TITLE = "system table"
_MIRROR_LAYOUT = (
    f"ENGINE = MergeTree PARTITION BY {_PART} ORDER BY tuple() SETTINGS old_parts_lifetime = 1"
)
_TIME = "%Y-%m-%d %H:%M:%S.%f"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a system table: its ClickHouse type, and what it says."""

    type: str
    doc: str


@dataclass(frozen=True, slots=True)
class SystemTable:
    """The definition of a system table.

    Attributes
    ----------
    doc
        What a row is.
    rows
        Gives the rows of each part; None where ClickHouse has them.
    select
        Gives them in ClickHouse, where that is their home.
    sync
        Brings to ClickHouse what is on the way there.
    version, since
        As in `VersionedTable`.
    """

    name: str
    doc: str
    columns: Mapping[str, Column]
    rows: Callable[[], Mapping[str, Iterable[Row]]] | None = None
    select: str | None = None
    sync: Callable[[], object] | None = None
    version: int = 1
    since: Mapping[int, tuple[str, ...]] = field(default_factory=dict)

    @property
    def mirror(self) -> VersionedTable:
        """The table that has its rows; of a view, what names it and its version."""
        return self._mirror(self.name, ("CONSTRAINT only_aaiclick_ext_writes_this CHECK 0",))

    def staging(self, name: str) -> VersionedTable:
        """Return a table from which a part of the mirror is replaced."""
        return self._mirror(name)

    def _mirror(self, name: str, constraints: tuple[str, ...] = ()) -> VersionedTable:
        columns = {name: column.type for name, column in self.columns.items()}
        return VersionedTable(
            name=name,
            title=f"{_TITLE} {self.name}",
            columns={_PART: "String"} | columns,
            layout=_MIRROR_LAYOUT,
            error=SystemTableError,
            version=self.version,
            since=self.since,
            defaults={_PART: "MATERIALIZED ''"},  # which no SELECT * shows
            comments={name: column.doc for name, column in self.columns.items()},
            constraints=constraints,
            database=SYSTEM_DATABASE,
        )

    def view_statement(self) -> str:
        """Return the statement that makes the view, in the place of one that is there."""
        columns = ", ".join(
            f"{quote_identifier(name)} {column.type} COMMENT {quote_literal(column.doc)}"
            for name, column in self.columns.items()
        )
        return (
            f"CREATE OR REPLACE VIEW {self.mirror.shown} ({columns}) AS {self.select} "
            f"COMMENT {quote_literal(self.mirror.comment)}"
        )


def own_part(job_id: int, run_id: int) -> str:
    """Return the part of the rows that one context alone has."""
    return f"{_OWN}{job_id}/{run_id}"


class SystemStore:
    """Makes and upgrades the system tables, and mirrors what they show. Any thread may call it.

    Nothing is made before it is asked for.

    Parameters
    ----------
    part
        Of this context's own rows.
    living_jobs
        Gives the kernels whose own rows stay.
    before
        Makes what the views are over.
    """

    def __init__(
        self,
        engine: Engine,
        tables: Iterable[SystemTable],
        part: str,
        living_jobs: Callable[[], Collection[int]],
        before: Callable[[], object],
    ) -> None:
        self._engine = engine
        self.tables = {table.name: table for table in tables}
        self._part = part
        self._living_jobs = living_jobs
        self._before = before
        self._mirroring = {name: threading.Lock() for name in self.tables}
        self._numbers = itertools.count(1)
        self._mirrored: dict[tuple[str, str], Hashable] = {}
        self._is_ready = False

    def ensure(self) -> None:
        """Create the tables that are missing, and upgrade older ones; once in a context's life.

        Raises
        ------
        SystemTableError
            If one is of a newer version, or the database has something else under its name.
        """
        if self._is_ready:
            return
        engine = self._engine
        self._before()
        engine.command(f"CREATE DATABASE IF NOT EXISTS {quote_identifier(SYSTEM_DATABASE)}")
        found = dict(
            engine.query_rows(
                "SELECT name, comment FROM system.tables WHERE database = {name:String}",
                {"name": SYSTEM_DATABASE},
            )
        )
        for table in self.tables.values():
            if table.name in found:
                self._check(table, found[table.name])
        for table in self.tables.values():
            if found.get(table.name) == table.mirror.comment:
                continue
            if table.rows is None:
                engine.command(table.view_statement())
            elif table.name in found:
                table.mirror.ensure(engine)
            else:
                engine.command(table.mirror.create_statement())
        self._forget_dead_kernels(found)
        self._is_ready = True

    def _check(self, table: SystemTable, comment: str) -> None:
        """Raise where what is there under a table's name cannot be used."""
        shown, version = table.mirror.shown, table.mirror.version_of(comment)
        if version is None:
            raise SystemTableError(
                f"{shown} in {self._engine.identity} is not a system table of aaiclick_ext, "
                f"which keeps its own in the database {SYSTEM_DATABASE}: rename it, "
                f"RENAME TABLE {shown} TO …"
            )
        if version > table.version:
            raise SystemTableError(
                f"system table {shown} in {self._engine.identity} is of version {version}, "
                f"made by a newer aaiclick-ext; this one knows version {table.version}. It is left "
                "as it is: upgrade aaiclick-ext, or open another database."
            )

    def refresh(self, names: Iterable[str]) -> None:
        """Mirror what has changed of some tables since this context mirrored it.

        Runs what their rows take, a query or two each; four statements more for a part that has
        changed.
        """
        self.ensure()
        for name in names:
            table = self.tables.get(name)
            if table is not None and table.sync is not None:
                table.sync()
            if table is not None and table.rows is not None:
                with self._mirroring[name]:  # or older rows could take the place of newer ones
                    self._mirror(table, table.rows)

    def _mirror(
        self, table: SystemTable, rows_of: Callable[[], Mapping[str, Iterable[Row]]]
    ) -> None:
        for part, given in ({self._part: ()} | dict(rows_of())).items():
            rows = [_as_json(table, part, row) for row in given]
            version = hash(tuple(rows))
            if self._mirrored.get((table.name, part)) != version:
                self._replace(table, part, rows)
                self._mirrored[table.name, part] = version

    def _replace(self, table: SystemTable, part: str, rows: Collection[str]) -> None:
        """Put rows in the place of a part, in one step."""
        target = table.mirror.shown
        if not rows:
            self._engine.command(f"ALTER TABLE {target} DROP PARTITION {quote_literal(part)}")
            return
        staging = table.staging(self._staging())
        names = ", ".join(map(quote_identifier, staging.columns))
        lines = inline_json("\n".join(rows))
        try:
            self._engine.command(staging.create_statement())
            self._engine.command(
                f"INSERT INTO {staging.shown} ({names}) SETTINGS "
                f"insert_allow_materialized_columns = 1 FORMAT JSONEachRow\n{lines}"
            )
            self._engine.command(
                f"ALTER TABLE {target} REPLACE PARTITION {quote_literal(part)} FROM {staging.shown}"
            )
        finally:
            self._engine.command(f"DROP TABLE IF EXISTS {staging.shown}")

    def _staging(self) -> str:
        own = self._part.removeprefix(_OWN).replace("/", "_")
        return f"_staging_{own}_{next(self._numbers)}"

    def _forget_dead_kernels(self, found: Collection[str]) -> None:
        """Drop what is left of kernels that are dead: their own rows, and staging tables."""
        living = {str(job) for job in self._living_jobs()}
        for name in found:
            if name.startswith("_staging_") and name.split("_")[2] not in living:
                self._engine.command(f"DROP TABLE IF EXISTS {_shown(name)}")
        rows = self._engine.query_rows(
            "SELECT DISTINCT table, partition FROM system.parts WHERE active "
            "AND database = {name:String} AND startsWith(partition, {own:String})",
            {"name": SYSTEM_DATABASE, "own": _OWN},
        )
        parts = defaultdict(list)
        for name, part in rows:
            if part.split("/")[1] not in living:
                parts[name].append(part)
        for name, gone in parts.items():
            drops = ", ".join(f"DROP PARTITION {quote_literal(part)}" for part in gone)
            self._engine.command(f"ALTER TABLE {_shown(name)} {drops}")


def _shown(name: str) -> str:
    return f"{quote_identifier(SYSTEM_DATABASE)}.{quote_identifier(name)}"


def _as_json(table: SystemTable, part: str, row: Row) -> str:
    values = dict(zip(table.columns, row, strict=True))
    return json.dumps({_PART: part} | values, ensure_ascii=False, default=_text)


def _text(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).strftime(_TIME)
    return str(value)
