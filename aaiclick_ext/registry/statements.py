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
    from collections.abc import Mapping, Sequence

    from sqlalchemy.engine import Connection


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
