"""Named views of a database: what each says of its making, and which tables of ours it reads.

All of it is in ClickHouse, in the view's own statement and comment: a view and what is known of it
come and go in one step, whichever kernel, program or registry does it. A table that a view reads is
claimed by that alone.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aaiclick_ext.engine import Role, quote_identifier
from aaiclick_ext.errors import EngineError
from aaiclick_ext.lifecycle.names import TableName
from aaiclick_ext.logs import logger_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from aaiclick_ext.engine import Engine

logger = logger_of("lifecycle")

_MARK = "aaiclick:view "
HIDDEN = "[HIDDEN]"
"""What ClickHouse shows in place of a credential in a view's statement."""

VIEW_ENGINES = ("View", "MaterializedView")
_VIEWS = f"engine IN {VIEW_ENGINES}"
_TABLE = re.compile(r"aai_[tsg]_\d+_[0-9a-z]+_[0-9a-z]+")


@dataclass(frozen=True, slots=True)
class ViewDefinition:
    """A view of the database, made by us or by others.

    Attributes
    ----------
    sql
        Its SELECT, as ClickHouse writes it.
    sources
        What it reads, by name: tables, ours and others', and views; each with the columns that it
        uses and their ClickHouse types when it was made. Empty where others made it.
    created_at, created_by
        None where others made it.
    parameters
        The parameters that it is called with, and their ClickHouse types.
    target
        The table that holds the rows of a materialized view of ours; it ends with the view.
    """

    name: str
    sql: str
    sources: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    created_at: dt.datetime | None = None
    created_by: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    target: str | None = None

    @property
    def is_ours(self) -> bool:
        """Whether `create_view` made it."""
        return self.created_at is not None

    @property
    def comment(self) -> str:
        """What the view's comment says of its making; `parsed` is the way back."""
        assert self.created_at is not None
        made: dict[str, object] = {
            "created_at": self.created_at.isoformat(timespec="milliseconds"),
            "created_by": self.created_by,
            "sources": {name: dict(columns) for name, columns in self.sources.items()},
        }
        if self.parameters:
            made["parameters"] = dict(self.parameters)
        if self.target is not None:
            made["target"] = self.target
        return _MARK + json.dumps(made, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def parsed(cls, name: str, sql: str, comment: str) -> ViewDefinition:
        """Return the view of a name, a SELECT and a comment, which may be anybody's.

        Examples
        --------
        >>> made = ViewDefinition("late", "SELECT 1", {}, dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
        >>> ViewDefinition.parsed("late", "SELECT 1", made.comment) == made
        True
        >>> ViewDefinition.parsed("other", "SELECT 1", "by hand").is_ours
        False
        """
        try:
            made = json.loads(comment.removeprefix(_MARK)) if comment.startswith(_MARK) else {}
            return cls(
                name,
                sql,
                made.get("sources", {}),
                dt.datetime.fromisoformat(made["created_at"]) if "created_at" in made else None,
                made.get("created_by"),
                made.get("parameters", {}),
                made.get("target"),
            )
        except (ValueError, TypeError, AttributeError):  # somebody changed it
            return cls(name, sql)


def kept_by(view: ViewDefinition) -> list[str]:
    """Return the tables of ours that a view keeps: what it reads, and its own."""
    tables = [*view.sources, *([] if view.target is None else [view.target])]
    return [table for table in tables if TableName.parse(table) is not None]


def views_of(engine: Engine, *, role: Role = Role.USER) -> dict[str, ViewDefinition]:
    """Return the views of the current database, by name. Runs one query."""
    rows = engine.query_rows(
        "SELECT name, as_select, comment FROM system.tables "
        f"WHERE database = currentDatabase() AND {_VIEWS} ORDER BY name",
        role=role,
    )
    return {
        name: ViewDefinition.parsed(name, sql, comment)
        for name, sql, comment in rows
        if TableName.parse(name) is None  # older versions asked one for types
    }


def drop_own_views(engine: Engine) -> None:
    """Drop the views of the current database that `create_view` made; one or two statements."""
    try:
        names = [name for name, view in views_of(engine, role=Role.WORKER).items() if view.is_ours]
        if names:
            listed = ", ".join(map(quote_identifier, names))
            engine.command(f"DROP TABLE IF EXISTS {listed}", role=Role.WORKER)
    except EngineError as error:  # closing goes on
        logger.warning("views could not be dropped at close: %s", error)


def tables_under_views(
    engine: Engine, tables: Collection[str] | None = None
) -> dict[str, tuple[str, ...]]:
    """Return the tables of ours that views read, each with the views; one or two queries.

    Views of all databases count, also those that others made. Whatever could be the name of a
    table in a view's statement is taken for one.

    Parameters
    ----------
    tables
        The only ones that are asked about; all of the current database by default.
    """
    views = engine.query_rows(
        "SELECT if(database = currentDatabase(), name, database || '.' || name), name, "
        f"create_table_query FROM system.tables WHERE {_VIEWS} "
        "AND position(create_table_query, 'aai_') > 0",
        role=Role.WORKER,
    )
    texts = [(shown, text) for shown, name, text in views if TableName.parse(name) is None]
    if not texts or (tables is not None and not tables):
        return {}
    known = _tables_there(engine) if tables is None else tables
    by_beginning = defaultdict(list)
    for table in known:
        by_beginning[_beginning(table)].append(table)
    found: defaultdict[str, list[str]] = defaultdict(list)
    for view, text in texts:
        for beginning in dict.fromkeys(_TABLE.findall(text)):
            for table in by_beginning.get(beginning, ()):
                found[table].append(view)
    return {table: tuple(sorted(over)) for table, over in found.items()}


def _tables_there(engine: Engine) -> list[str]:
    rows = engine.query_rows(
        "SELECT name FROM system.tables WHERE database = currentDatabase() "
        f"AND startsWith(name, 'aai_') AND NOT {_VIEWS}",
        role=Role.WORKER,
    )
    return [name for (name,) in rows if TableName.parse(name) is not None]


def _beginning(table: str) -> str | None:
    match = _TABLE.match(table)
    return None if match is None else match[0]


def in_words(views: Iterable[str]) -> str:
    """Return what is to be said of a table that views read, with the way to let go of it."""
    listed = list(views)
    commands = ", ".join(f"aai.drop_view({view!r})" for view in listed)
    return f"view{'s' if len(listed) > 1 else ''} {', '.join(listed)} read it: {commands}"
