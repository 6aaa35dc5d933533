"""The columns of tables and of queries, as ClickHouse describes them."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from aaiclick_ext.engine.handles import Role
from aaiclick_ext.engine.sql import qualified_name
from aaiclick_ext.engine.stats import ColumnInfo
from aaiclick_ext.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping

_DENIED = (164, 497)  # READONLY, ACCESS_DENIED
_SELECT = re.compile(r"\bselect\b", re.IGNORECASE)


def runs_when_described(sql: str) -> bool:
    """Return whether ``DESCRIBE`` of a query may compute a part of it.

    It computes scalar subqueries, so any second SELECT counts, also one inside a text or comment:
    the way around costs next to nothing.

    Examples
    --------
    >>> runs_when_described("SELECT a FROM t"), runs_when_described("SELECT (SELECT max(a) FROM t)")
    (False, True)
    """
    return len(_SELECT.findall(sql)) > 1


def describe_statement(sql: str) -> str:
    """Return the statement that describes a query, and may compute scalar subqueries of it."""
    return f"DESCRIBE TABLE (\n{sql.rstrip().rstrip(';')}\n)"


def describe_unrun_statement(sql: str) -> str:
    """Return the statement that describes a query as a view's, which computes no part of it."""
    text = sql.strip().rstrip(";")
    if not text[:1].isalpha():  # the function takes no query in parentheses, nor after a comment
        text = f"SELECT * FROM (\n{text}\n)"
    return f"DESCRIBE TABLE view({text}\n)"


class Describing(ABC):
    """Says what columns tables and queries have."""

    def columns_of(self, sql: str, *, reads_view: bool = False) -> dict[str, str]:
        """Return the ClickHouse types of a query's columns, without running any part of it.

        Runs one statement. ``DESCRIBE`` computes scalar subqueries; a query that may have one is
        described as a view, which does not.

        Parameters
        ----------
        reads_view
            Whether it reads a view, which may have one.
        """
        if not (reads_view or runs_when_described(sql)):
            return self._types(describe_statement(sql))
        try:
            return self._types(describe_unrun_statement(sql))
        except EngineError as error:
            if error.code not in _DENIED:
                raise
            return self._types(describe_statement(sql))  # no right to use table functions

    def columns_of_table(self, table: str, database: str | None = None) -> list[ColumnInfo]:
        """Return the columns of a table or view, hidden ones too. Runs one statement.

        Raises
        ------
        UnknownTableError
            If there is none of that name.
        """
        rows = self.query_rows(f"DESCRIBE TABLE {qualified_name(table, database)}")
        return [ColumnInfo(*row[:5]) for row in rows]

    @abstractmethod
    def query_rows(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, role: Role = Role.USER
    ) -> list[tuple[Any, ...]]:
        """Run a small query and return its rows as Python values."""

    def _types(self, statement: str) -> dict[str, str]:
        return {name: type_ for name, type_, *_ in self.query_rows(statement)}
