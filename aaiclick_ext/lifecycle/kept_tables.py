"""The tables that stay though nothing in the kernel refers to them: pinned, or preserved."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

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
    """

    def __init__(self, store: KeepStore, hold: Callable[[str], Hold]) -> None:
        self._store = store
        self._hold = hold
        self._lock = threading.Lock()  # held for the two below alone
        self._holds: dict[str, Hold] = {}
        self._noted: set[str] = set()

    def note(self, tables: Iterable[str]) -> None:
        """Note that these may be kept: the registry is asked before they are dropped."""
        with self._lock:
            self._noted.update(tables)

    @property
    def noted(self) -> frozenset[str]:
        """The tables that may be kept, of those that this kernel made or opened."""
        with self._lock:
            return frozenset(self._noted)

    def staying(self, tables: Collection[str]) -> set[str]:
        """Return which of these tables stay. Reads the registry where one was noted."""
        with self._lock:
            noted = self._noted.intersection(tables)
        return set(self._store.kept(noted)) if noted else set()

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
        """Return which of these tables stay. Reads the registry."""
        return self._store.kept(tables)

    def all(self) -> Mapping[str, KeptTable]:
        """Return all tables of the database that stay. Reads the registry."""
        return self._store.all()

    def refresh(self) -> None:
        """Let go of what another kernel, or context, unpinned. Reads the registry if it pins."""
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
