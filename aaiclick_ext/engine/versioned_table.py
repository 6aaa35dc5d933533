"""Tables of our own in ClickHouse whose definition has a version: created, upgraded, or refused.

A table's comment says which version it is of. Later versions add columns at the end and change
none, so that every upgrade is a few statements that can be run again, and none rewrites data.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aaiclick_ext.engine.handles import Role
from aaiclick_ext.engine.sql import quote_identifier, quote_literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aaiclick_ext.engine.engine import Engine
    from aaiclick_ext.errors import AaiclickError


@dataclass(frozen=True, slots=True)
class VersionedTable:
    """The definition of a table, in the version that this code writes.

    Attributes
    ----------
    title
        What the comment calls it, before the version.
    columns
        With their types, in order.
    layout
        What stands behind them in CREATE TABLE: the engine and its clauses.
    since
        By version, the columns that it added.
    codecs
        Of the columns that have one.
    defaults, comments
        Of columns that have one: ``MATERIALIZED ''`` and the like; and what each says.
    constraints
        What stands behind the columns in CREATE TABLE.
    database
        None is the current one.
    error
        Raised where the table that is there cannot be used.
    """

    name: str
    title: str
    columns: Mapping[str, str]
    layout: str
    error: type[AaiclickError]
    version: int = 1
    since: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    codecs: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    comments: Mapping[str, str] = field(default_factory=dict)
    constraints: tuple[str, ...] = ()
    database: str | None = None

    @property
    def comment(self) -> str:
        """What its comment says in the version that this code writes; `version_of` reads it."""
        return self._comment_of(self.version)

    @property
    def shown(self) -> str:
        """The name as it stands in SQL."""
        name = quote_identifier(self.name)
        return name if self.database is None else f"{quote_identifier(self.database)}.{name}"

    def create_statement(self, *, settings: str = "") -> str:
        """Return the statement that creates the table unless it exists."""
        inside = ", ".join([*map(self._definition, self.columns), *self.constraints])
        return (
            f"CREATE TABLE IF NOT EXISTS {self.shown} ({inside}) {self.layout}{settings} "
            f"COMMENT {quote_literal(self.comment)}"
        )

    def upgrade_statements(self, version: int) -> list[str]:
        """Return what makes a table of an older version ours, in order.

        Each can be run again, the version is noted after the columns it stands for, and none
        rewrites data: an upgrade that was killed, or that another kernel does at the same time, is
        finished by whoever opens the table next.
        """
        statements = []
        for newer in range(version + 1, self.version + 1):
            added = ", ".join(
                f"ADD COLUMN IF NOT EXISTS {self._definition(name)}" for name in self.since[newer]
            )
            statements += [
                f"ALTER TABLE {self.shown} {added}",
                f"ALTER TABLE {self.shown} MODIFY COMMENT {quote_literal(self._comment_of(newer))}",
            ]
        return statements

    def version_of(self, comment: str) -> int | None:
        """Return the version that a comment tells, or None."""
        number = comment.removeprefix(self._comment_of(""))
        return int(number) if number != comment and number.isdecimal() else None

    def differences(self, found: Mapping[str, str], version: int | None = None) -> list[str]:
        """Return how the columns of an existing table differ from ours, as phrases for a message.

        Parameters
        ----------
        version
            The table's; columns of later ones may be there, from an upgrade that was not finished.
        """
        of = self.version if version is None else version
        later = {name for newer in range(of + 1, self.version + 1) for name in self.since[newer]}
        said = [
            f"{name} is missing" for name in self.columns if name not in found and name not in later
        ]
        said += [
            f"{name} {kind} is not ours" for name, kind in found.items() if name not in self.columns
        ]
        said += [
            f"{name} is {found[name]} instead of {kind}"
            for name, kind in self.columns.items()
            if name in found and found[name] != kind
        ]
        return said

    def ensure(self, engine: Engine, *, role: Role = Role.USER, settings: str = "") -> None:
        """Create the table unless it exists; upgrade one of an older version.

        Raises
        ------
        AaiclickError
            `error`, if it is of a newer version, or its columns are not those of its version.
        """
        found, comment = self._found(engine, role)
        if not found:
            engine.command(self.create_statement(settings=settings), role=role)
            found, comment = self._found(engine, role)
        version = self.version_of(comment) or self.version
        if version > self.version:
            raise self.error(
                f"table {self.name} in {engine.identity} is of version {version}, made by a newer "
                f"aaiclick-ext; this one writes version {self.version}. It is left as it is: "
                "upgrade aaiclick-ext, or open another database."
            )
        wrong = self.differences(found, version)
        if wrong:
            raise self.error(
                f"table {self.name} in {engine.identity} is not the {self.title} that this version "
                f"writes: {'; '.join(wrong)}. Rename it (RENAME TABLE {self.name} TO "
                f"{self.name}_old) and a new one is made, or open another database."
            )
        for statement in self.upgrade_statements(version):
            engine.command(statement, role=role)

    def is_there(self, engine: Engine, *, role: Role = Role.USER) -> bool:
        """Say whether there is one of this version or an older one, not that of something else."""
        found, comment = self._found(engine, role)
        version = (self.version_of(comment) or self.version) if found else 0
        return 0 < version <= self.version and not self.differences(found, version)

    def _found(self, engine: Engine, role: Role) -> tuple[dict[str, str], str]:
        """Return the columns and the comment of the table that is there; none and none."""
        where = "database = if({database:String} = '', currentDatabase(), {database:String}) AND "
        parameters = {"table": self.name, "database": self.database or ""}
        columns = engine.query_rows(
            f"SELECT name, type FROM system.columns WHERE {where} table = {{table:String}} "
            "ORDER BY position",
            parameters,
            role=role,
        )
        comments = engine.query_rows(
            f"SELECT comment FROM system.tables WHERE {where} name = {{table:String}}",
            parameters,
            role=role,
        )
        return dict(columns), str(comments[0][0]) if comments else ""

    def _definition(self, name: str) -> str:
        parts = [quote_identifier(name), self.columns[name]]
        if name in self.defaults:
            parts.append(self.defaults[name])
        if name in self.comments:
            parts.append(f"COMMENT {quote_literal(self.comments[name])}")
        if name in self.codecs:
            parts.append(f"CODEC({self.codecs[name]})")
        return " ".join(parts)

    def _comment_of(self, version: int | str) -> str:
        return f"aaiclick_ext {self.title}, version {version}"
