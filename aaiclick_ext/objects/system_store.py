"""System tables in ClickHouse: views over what is there, and over mirrors of what is elsewhere.

Rows whose home is in memory or in the registry are mirrored before a query that names them, where
they have changed. Each table is a view, so that nobody can write to it; a mirror has parts that are
replaced as a whole, by one atomic statement: one for what all kernels see alike, and one for each
kernel that has rows of its own.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aaiclick_ext.engine import quote_identifier, quote_literal
from aaiclick_ext.engine.versioned_table import VersionedTable
from aaiclick_ext.errors import SystemTableError
from aaiclick_ext.oplog.system_names import SYSTEM_DATABASE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterable, Mapping

    from aaiclick_ext.engine import Engine

Row = tuple[Any, ...]

_PART = "part"
_OWN = "kernel/"
_TITLE = "system view"
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
        """The table that its rows are mirrored in."""
        columns = {name: column.type for name, column in self.columns.items()}
        return VersionedTable(
            name=f"_{self.name}",
            title=f"mirror of {self.name}",
            columns={_PART: "String"} | columns,
            layout=_MIRROR_LAYOUT,
            error=SystemTableError,
            version=self.version,
            since=self.since,
            database=SYSTEM_DATABASE,
        )

    @property
    def comment(self) -> str:
        """What the view's comment says."""
        return f"{self.doc} (aaiclick_ext {_TITLE}, version {self.version})"

    def view_statement(self) -> str:
        """Return the statement that makes the view, in the place of one that is there."""
        columns = ", ".join(
            f"{quote_identifier(name)} {column.type} COMMENT {quote_literal(column.doc)}"
            for name, column in self.columns.items()
        )
        names = ", ".join(map(quote_identifier, self.columns))
        select = self.select or f"SELECT {names} FROM {self.mirror.shown}"
        return (
            f"CREATE OR REPLACE VIEW {self.shown} ({columns}) AS {select} "
            f"COMMENT {quote_literal(self.comment)}"
        )

    @property
    def shown(self) -> str:
        """The name as it stands in SQL."""
        return f"{quote_identifier(SYSTEM_DATABASE)}.{quote_identifier(self.name)}"


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
        found = {
            name: (kind, comment)
            for name, kind, comment in engine.query_rows(
                "SELECT name, engine, comment FROM system.tables WHERE database = {name:String}",
                {"name": SYSTEM_DATABASE},
            )
        }
        for table in self.tables.values():
            self._check(table, *found.get(table.name, ("View", None)))
        for table in self.tables.values():
            is_known = found.get(table.name) == ("View", table.comment)
            if table.rows is not None and table.mirror.name not in found:
                engine.command(table.mirror.create_statement())
            elif table.rows is not None and not is_known:
                table.mirror.ensure(engine)
            if not is_known:  # last: a view of this version says that all is there
                engine.command(table.view_statement())
        self._forget_dead_kernels(found)
        self._is_ready = True

    def _check(self, table: SystemTable, kind: str, comment: str | None) -> None:
        if comment is None:
            return
        _head, mark, number = comment.rstrip(")").rpartition(f"(aaiclick_ext {_TITLE}, version ")
        if kind != "View" or not mark or not number.isdecimal():
            raise SystemTableError(
                f"{table.shown} in {self._engine.identity} is not a system table of aaiclick_ext, "
                f"which keeps its own in the database {SYSTEM_DATABASE}: rename it, "
                f"RENAME TABLE {table.shown} TO …"
            )
        if int(number) > table.version:
            raise SystemTableError(
                f"system table {table.shown} in {self._engine.identity} is of version {number}, "
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
            if table is None or table.rows is None:
                continue
            parts = {self._part: ()} | dict(table.rows())
            for part, given in parts.items():
                rows = [_as_json(table, part, row) for row in given]
                version = hash(tuple(rows))
                if self._mirrored.get((name, part)) != version:
                    self._replace(table, part, rows)
                    self._mirrored[name, part] = version

    def _replace(self, table: SystemTable, part: str, rows: Collection[str]) -> None:
        """Put rows in the place of a part, in one step."""
        target = table.mirror.shown
        if not rows:
            self._engine.command(f"ALTER TABLE {target} DROP PARTITION {quote_literal(part)}")
            return
        own = self._part.removeprefix(_OWN).replace("/", "_")
        staging = f"{quote_identifier(SYSTEM_DATABASE)}.{quote_identifier(self._staging(own))}"
        try:
            self._engine.command(f"CREATE TABLE {staging} AS {target}")
            lines = "\n".join(rows)
            self._engine.command(f"INSERT INTO {staging} FORMAT JSONEachRow\n{lines}")
            self._engine.command(
                f"ALTER TABLE {target} REPLACE PARTITION {quote_literal(part)} FROM {staging}"
            )
        finally:
            self._engine.command(f"DROP TABLE IF EXISTS {staging}")

    def _staging(self, own: str) -> str:
        return f"_staging_{own}_{next(self._numbers)}"

    def _forget_dead_kernels(self, found: Collection[str]) -> None:
        """Drop what is left of kernels that are dead: their own rows, and staging tables."""
        living = {str(job) for job in self._living_jobs()}
        for name in found:
            if name.startswith("_staging_") and name.split("_")[2] not in living:
                shown = f"{quote_identifier(SYSTEM_DATABASE)}.{quote_identifier(name)}"
                self._engine.command(f"DROP TABLE IF EXISTS {shown}")
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
            shown = f"{quote_identifier(SYSTEM_DATABASE)}.{quote_identifier(name)}"
            drops = ", ".join(f"DROP PARTITION {quote_literal(part)}" for part in gone)
            self._engine.command(f"ALTER TABLE {shown} {drops}")


def _as_json(table: SystemTable, part: str, row: Row) -> str:
    values = dict(zip(table.columns, row, strict=True))
    return json.dumps({_PART: part} | values, ensure_ascii=False, default=_text)


def _text(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).strftime(_TIME)
    return str(value)
