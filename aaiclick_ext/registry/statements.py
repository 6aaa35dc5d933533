"""SQL text for the registry: what a kernel needs before its first id, without SQLAlchemy.

Importing SQLAlchemy takes 0.2 s, and no object can be made before its kernel has a node id. So
what leases one is written as SQL that both databases understand, with ``:name`` for parameters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import sqlite3

    from sqlalchemy.engine import Connection


class Statements(Protocol):
    """One transaction of the registry."""

    now: str
    """SQL for the time, by the registry's own clock."""

    def rows(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Run a query and return its rows."""

    def change(self, sql: str, **parameters: Any) -> int:
        """Run a statement and return how many rows it changed."""

    def age_s(self, column: str) -> str:
        """Return SQL for the seconds that have passed since a column's time."""


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

    def age_s(self, column: str) -> str:
        """Return SQL for the seconds that have passed since a column's time."""
        return f"CAST(EXTRACT(EPOCH FROM clock_timestamp() - {column}) AS double precision)"
