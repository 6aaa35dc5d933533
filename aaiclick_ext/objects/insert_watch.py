"""Who wants to know of rows that are appended to a table, as they are."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


class Watcher(Protocol):
    """What watches tables. Neither method may wait, or raise: an insert is in progress."""

    def begun(self, table: str) -> None:
        """Rows are about to be moved into a table."""

    def ended(self, table: str, staging: str | None, rows: int) -> None:
        """They were, and the table `staging` has them alone; None where it failed."""


class InsertWatch:
    """The watchers of tables, by table. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watchers: dict[str, tuple[Watcher, ...]] = {}

    def add(self, table: str, watcher: Watcher) -> None:
        """Tell a watcher of a table from now on."""
        with self._lock:
            self._watchers[table] = (*self._watchers.get(table, ()), watcher)

    def remove(self, table: str, watcher: Watcher) -> None:
        """Tell it no more."""
        with self._lock:
            left = tuple(w for w in self._watchers.get(table, ()) if w is not watcher)
            if left:
                self._watchers[table] = left
            else:
                self._watchers.pop(table, None)

    @contextlib.contextmanager
    def moving(self, table: str, staging: str, rows: int) -> Iterator[None]:
        """Tell the watchers of a table that the block moves rows into it."""
        watchers = self._watchers.get(table, ())
        for watcher in watchers:
            watcher.begun(table)
        moved: str | None = None
        try:
            yield
            moved = staging
        finally:
            for watcher in watchers:
                watcher.ended(table, moved, rows if moved else 0)
