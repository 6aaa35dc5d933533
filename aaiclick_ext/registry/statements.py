"""SQL text for the registry: what every kernel needs, without SQLAlchemy.

Importing SQLAlchemy takes 0.2 s, and no object can be made before its kernel has a node id. So
what leases one, and what notes each table, is written as SQL that both databases understand, with
``:name`` for parameters.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Protocol

from aaiclick_ext.errors import RegistryError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from sqlalchemy.engine import Connection

_AT_ONCE = 500


class Statements(Protocol):
    """One transaction of the registry."""

    now: str
    """SQL for the time, by the registry's own clock."""

    def rows(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Run a query and return its rows."""

    def change(self, sql: str, **parameters: Any) -> int:
        """Run a statement and return how many rows it changed."""

    def change_all(self, sql: str, parameters: Sequence[Mapping[str, Any]]) -> None:
        """Run a statement once for each set of parameters."""

    def time(self, value: dt.datetime) -> Any:
        """Return a point in time as a parameter."""

    def age_s(self, column: str) -> str:
        """Return SQL for the seconds that have passed since a column's time."""


def _in_utc(value: dt.datetime) -> dt.datetime:
    if value.tzinfo is None:
        raise RegistryError(f"a time without a zone cannot be recorded: {value}")
    return value.astimezone(dt.UTC)


class SQLiteStatements:
    """Statements on a connection of the standard library."""

    # As SQLAlchemy writes times: six digits after the point.
    now = "strftime('%Y-%m-%d %H:%M:%f000', 'now')"

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Run a query and return its rows."""
        return self._connection.execute(sql, parameters).fetchall()

    def change(self, sql: str, **parameters: Any) -> int:
        """Run a statement and return how many rows it changed."""
        return self._connection.execute(sql, parameters).rowcount

    def change_all(self, sql: str, parameters: Sequence[Mapping[str, Any]]) -> None:
        """Run a statement once for each set of parameters."""
        self._connection.executemany(sql, parameters)

    def time(self, value: dt.datetime) -> str:
        """Return a point in time as a parameter."""
        return _in_utc(value).strftime("%Y-%m-%d %H:%M:%S.%f")

    def age_s(self, column: str) -> str:
        """Return SQL for the seconds that have passed since a column's time."""
        return f"((julianday('now') - julianday({column})) * 86400.0)"


class SQLAlchemyStatements:
    """Statements on a connection of SQLAlchemy, to PostgreSQL."""

    now = "clock_timestamp()"

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def rows(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Run a query and return its rows."""
        from sqlalchemy import text

        return [tuple(row) for row in self._connection.execute(text(sql), parameters)]

    def change(self, sql: str, **parameters: Any) -> int:
        """Run a statement and return how many rows it changed."""
        from sqlalchemy import text

        return self._connection.execute(text(sql), parameters).rowcount

    def change_all(self, sql: str, parameters: Sequence[Mapping[str, Any]]) -> None:
        """Run a statement once for each set of parameters."""
        from sqlalchemy import text

        self._connection.execute(text(sql), parameters)

    def time(self, value: dt.datetime) -> dt.datetime:
        """Return a point in time as a parameter."""
        return _in_utc(value)

    def age_s(self, column: str) -> str:
        """Return SQL for the seconds that have passed since a column's time."""
        return f"CAST(EXTRACT(EPOCH FROM clock_timestamp() - {column}) AS double precision)"


def stored_time(value: Any) -> Any:
    """Return a stored time, or None; SQLite gives it as text of UTC."""
    if value is None:
        return None
    if isinstance(value, str):
        return dt.datetime.fromisoformat(value).replace(tzinfo=dt.UTC)
    return value.astimezone(dt.UTC)


def rows_in(
    statements: Statements, sql: str, values: Collection[Any], **parameters: Any
) -> list[tuple[Any, ...]]:
    """Run a query with an IN list, in as many parts as it needs."""
    return [
        row
        for names, part in _parts(values)
        for row in statements.rows(sql.format(names), **part, **parameters)
    ]


def change_in(statements: Statements, sql: str, values: Collection[Any], **parameters: Any) -> None:
    """Run a statement with an IN list, in as many parts as it needs."""
    for names, part in _parts(values):
        statements.change(sql.format(names), **part, **parameters)


def _parts(values: Collection[Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield placeholders and their values, a number at a time that every database takes."""
    ordered = sorted(values)
    for start in range(0, len(ordered), _AT_ONCE):
        part = {f"v{n}": value for n, value in enumerate(ordered[start : start + _AT_ONCE])}
        yield ", ".join(f":{name}" for name in part), part
