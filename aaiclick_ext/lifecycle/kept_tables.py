"""The tables that stay though no variable refers to them: pinned, preserved, or under a view."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from aaiclick_ext.lifecycle.keep_plan import with_views
from aaiclick_ext.lifecycle.names import Scope, TableName

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from aaiclick_ext.lifecycle.worker import Hold
    from aaiclick_ext.registry import TableRow
    from aaiclick_ext.registry.keep_store import KeepStore, KeptTable


class KeptTables:
    """Pins and unpins tables, and says of those that are to be dropped which stay.

    A table that this kernel pins is held here as well, so that what it refers to stays with it.
    Thread-safe.

    Parameters
    ----------
    store
        What the registry knows.
    hold
        Holds a table for a pin.
    under_views
        Returns which of some tables, or of all, views read, and which views; runs queries.
    """

    def __init__(
        self,
        store: KeepStore,
        hold: Callable[[str], Hold],
        under_views: Callable[[Collection[str] | None], Mapping[str, Sequence[str]]],
    ) -> None:
        self._store = store
        self._hold = hold
        self._under_views = under_views
        self._lock = threading.Lock()  # held for the two below alone
        self._holds: dict[str, Hold] = {}
        self._noted: set[str] = set()
        self._left_to_views: set[str] = set()

    def note(self, tables: Iterable[str]) -> None:
        """Note that these may be kept: registry and views are asked before they are dropped."""
        with self._lock:
            self._noted.update(tables)

    @property
    def noted(self) -> frozenset[str]:
        """The tables that may be kept, of those that this kernel made or opened."""
        with self._lock:
            return frozenset(self._noted)

    def staying(self, tables: Collection[str]) -> set[str]:
        """Return which of these tables stay, though nothing here refers to them any more.

        Reads the registry, and looks for views, where one was noted, or has a name by which
        another kernel may have opened it.
        """
        with self._lock:
            noted = {t for t in tables if t in self._noted or _is_global(t)}
        kept = self.kept(noted) if noted else {}
        with self._lock:
            self._left_to_views -= noted
            self._left_to_views.update(name for name, table in kept.items() if table.views)
        return set(kept)

    def under_views(self, tables: Collection[str]) -> set[str]:
        """Return which of these tables views read; up to two queries."""
        return set(self._under_views(tables))

    def pin(self, rows: Collection[TableRow], live: Iterable[str]) -> None:
        """Pin tables, and hold those of them that are live here. Writes to the registry."""
        new = {}
        for table in live:
            hold = self._hold(table)
            with self._lock:
                self._noted.add(table)
                if self._holds.setdefault(table, hold) is hold:
                    new[table] = hold
        try:
            self._store.pin(rows)
        except BaseException:
            self._let_go(new)
            raise

    def unpin(self, tables: Collection[str]) -> None:
        """Unpin tables. Writes to the registry."""
        self._store.unpin(tables)
        self._let_go(tables)

    def kept(self, tables: Collection[str]) -> Mapping[str, KeptTable]:
        """Return which of these tables stay. Reads the registry; runs a query."""
        return with_views(self._store.kept(tables), self._under_views(tables))

    def all(self) -> Mapping[str, KeptTable]:
        """Return all tables of the database that stay. Reads the registry; runs two queries."""
        return with_views(self._store.all(), self._under_views(None))

    def left_by_views(self) -> set[str]:
        """Return the tables that stayed for views alone, which are gone. May run a query."""
        with self._lock:
            left = set(self._left_to_views)
        freed = left.difference(self._under_views(left)) if left else set()
        with self._lock:
            self._left_to_views -= freed
        return freed

    def refresh(self) -> None:
        """Let go of what another kernel or context unpinned, or dropped the views of.

        Reads the registry if this one pins, and looks for views if one keeps a table.
        """
        for table in self.left_by_views():
            self._hold(table).release()  # whoever lets go last drops it
        with self._lock:
            held = set(self._holds)
        if held:
            pinned = {name for name, kept in self._store.kept(held).items() if kept.is_pinned}
            self._let_go(held - pinned)

    def _let_go(self, tables: Iterable[str]) -> None:
        for table in tables:
            with self._lock:
                hold = self._holds.pop(table, None)
            if hold is not None:
                hold.release()


def _is_global(table: str) -> bool:
    name = TableName.parse(table)
    return name is not None and name.scope is Scope.GLOBAL
