"""Freshness: which tables of this kernel were made of what changed since, in memory."""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aaiclick_ext.oplog.file_changes import FilesRead


class Freshness:
    """Knows, without asking the log, what a display has to call stale.

    Named views are seen through to what they read.

    Each table knows all tables below it that can still change, at any distance, so that a change is
    told to whom it concerns when it happens. `aaiclick_ext.oplog.staleness` says the same from the
    log, and of other kernels.

    Examples
    --------
    >>> freshness = Freshness()
    >>> freshness.made("copy", ["source"])
    >>> freshness.changed("source", "cell [7]")
    >>> freshness.changes_below(["copy", "source"])
    ['cell [7]']
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sources: defaultdict[str, set[str]] = defaultdict(set)
        self._results: defaultdict[str, set[str]] = defaultdict(set)
        self._changes: dict[str, dict[str, None]] = {}
        self._files: dict[str, dict[FilesRead, None]] = {}
        self._views: dict[str, tuple[str, ...]] = {}
        self._versions: dict[str, object] = {}

    def view(self, name: str, tables: Iterable[str], *, version: object = None) -> None:
        """Note that a named view reads tables, at any distance: it has no rows of its own."""
        with self._lock:
            self._views[name] = tuple(tables)
            self._versions[name] = version

    def knows(self, view: str, version: object) -> bool:
        """Say whether what a named view reads was noted of this very version of it."""
        return self._versions.get(view) is version

    def _through_views(self, names: Iterable[str]) -> set[str]:
        return {table for name in names for table in self._views.get(name, (name,))}

    def made(self, table: str, sources: Iterable[str]) -> None:
        """Note that a table has just been made, or got more rows, of others."""
        with self._lock:
            below = self._through_views(sources)
            for source in list(below):
                below |= self._sources.get(source, set())
                self._note(table, self._changes.get(source, ()))
                if files := self._files.get(source):
                    self._files[table] = self._files.get(table, {}) | files
            for result in [table, *self._results.get(table, ())]:
                for source in below - {result}:
                    self._sources[result].add(source)
                    self._results[source].add(result)

    def changed(self, table: str, when: str) -> None:
        """Note that a table has changed, after it was read; `when` is for people."""
        with self._lock:
            for result in self._results.get(table, ()):
                self._note(result, [when])

    def read(self, table: str, files: FilesRead) -> None:
        """Note that a table has just been made of files."""
        with self._lock:
            self._files[table] = {files: None}

    def stale(self, table: str, changes: Iterable[str]) -> None:
        """Note that a table was made of others as they were before these changes."""
        with self._lock:
            self._note(table, changes)

    def files_changed_below(self, tables: Iterable[str]) -> list[str]:
        """Return the files, as they were given, that these tables were made of and that changed.

        Looks at each file, of which a read has few, and runs no query.
        """
        if not self._files:
            return []
        with self._lock:
            files = dict.fromkeys(read for t in tables for read in self._files.get(t, ()))
        return list(dict.fromkeys(read.name for read in files if read.have_changed))

    def changes_below(self, tables: Iterable[str]) -> list[str]:
        """Return when something changed that these tables were made of; empty: they are fresh."""
        if not self._changes:
            return []
        with self._lock:
            read = [t for name in tables for t in self._views.get(name, (name,))]
            return list(dict.fromkeys(w for t in read for w in self._changes.get(t, ())))

    def forget(self, tables: Iterable[str]) -> None:
        """Drop what is known of tables that are gone, which cannot change any more."""
        with self._lock:
            for table in tables:
                self._changes.pop(table, None)
                self._files.pop(table, None)
                for source in self._sources.pop(table, ()):
                    self._unlink(self._results, source, table)
                for result in self._results.pop(table, ()):
                    self._unlink(self._sources, result, table)

    def _note(self, table: str, changes: Iterable[str]) -> None:
        for when in changes:
            self._changes.setdefault(table, {})[when] = None

    @staticmethod
    def _unlink(links: dict[str, set[str]], end: str, other: str) -> None:
        if end in links:
            links[end].discard(other)
            if not links[end]:
                del links[end]


def when(execution_count: int | None) -> str:
    """Return when something changed, for people."""
    return "outside a numbered cell" if execution_count is None else f"in cell [{execution_count}]"
