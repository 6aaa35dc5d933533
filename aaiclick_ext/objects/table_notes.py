"""Notes on tables: which cell made them, and when they were last used."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class TableNotes:
    """What this kernel remembers of its tables, in memory; a note costs under a microsecond.

    Examples
    --------
    >>> notes = TableNotes()
    >>> notes.made("t", execution_count=3)
    >>> notes.cell_of("t"), notes.cell_of("another")
    (3, None)
    """

    def __init__(self) -> None:
        self._cells: dict[str, int | None] = {}
        self._used: dict[str, float] = {}
        self._seen: dict[str, float] = {}
        self._parts: set[str] = set()
        self._kept: set[str] = set()

    def made(self, table: str, execution_count: int | None) -> None:
        """Note that a cell has made a table."""
        self._cells[table] = execution_count
        self._used[table] = time.time()

    def made_in_passing(self, table: str) -> None:
        """Note that a table is made for a moment only, or was never finished: it has no history."""
        self._parts.add(table)

    def has_history(self, table: str) -> bool:
        """Say whether the log tells of a table, so that it has to tell its end."""
        return table not in self._parts

    def kept(self, table: str) -> None:
        """Note that the log has all rows of a table, until others are appended."""
        self._kept.add(table)

    def appended(self, table: str) -> None:
        """Note that a table has other rows than those that it was made of."""
        self._kept.discard(table)

    def is_kept(self, table: str) -> bool:
        """Say whether the log has all rows of a table."""
        return table in self._kept

    def used(self, tables: Iterable[str]) -> None:
        """Note that tables are read or written now."""
        now = time.time()
        for table in tables:
            self._used[table] = now

    def seen(self, views: Iterable[str]) -> None:
        """Note that views have just been read, or found to be as they should be."""
        now = time.time()
        for view in views:
            self._seen[view] = now

    def last_seen(self, view: str) -> float | None:
        """Return when a view was last read or found well, in seconds since 1970."""
        return self._seen.get(view)

    def forget(self, tables: Iterable[str]) -> None:
        """Drop what is known of tables that are gone."""
        for table in tables:
            self._cells.pop(table, None)
            self._used.pop(table, None)
            self._parts.discard(table)
            self._kept.discard(table)

    def cell_of(self, table: str) -> int | None:
        """Return the execution count of the cell that made a table, where one did."""
        return self._cells.get(table)

    def last_used(self, table: str) -> float | None:
        """Return when a table was last read or written, in seconds since 1970."""
        return self._used.get(table)
