"""What dead kernels left in one database: found, put into quarantine, dropped and forgotten."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from aaiclick_ext.engine import Role, quote_identifier, quote_literal
from aaiclick_ext.errors import AaiclickError, EngineError, UnknownTableError
from aaiclick_ext.ids import to_base36
from aaiclick_ext.lifecycle.comment_marks import deleted_by, is_preserved, pinned_at_of
from aaiclick_ext.lifecycle.liveness import ProcessIdentity
from aaiclick_ext.lifecycle.names import TableName
from aaiclick_ext.lifecycle.quarantine import QuarantineName
from aaiclick_ext.lifecycle.reap_plan import Fate, TableFound, maker_of
from aaiclick_ext.logs import logger_of

if TYPE_CHECKING:
    import datetime as dt
    import threading
    from collections.abc import Iterable, Sequence

    from aaiclick_ext.engine import Engine
    from aaiclick_ext.lifecycle.kernels import JudgedKernel
    from aaiclick_ext.registry.reap_store import KernelRecord, ReapStore

logger = logger_of("lifecycle")

Farewell = Callable[[Mapping[str, Fate]], Callable[[Collection[str]], object]]
"""Looks at tables that are about to go, by their names in quarantine; returns what is to be called
with those that went."""

_AT_ONCE = 20
"""Tables in one DROP: this kernel's own drops wait for it."""
_ENDS_WITHIN_S = 5.0
_POLL_S = 0.1
_EMBEDDED = "chdb://"


def tables_of(engine: Engine) -> list[TableFound]:
    """Return the tables of a database that may be ours. Runs one query as `Role.WORKER`."""
    rows = engine.query_rows(
        "SELECT name, total_rows, total_bytes, comment FROM system.tables "
        "WHERE database = currentDatabase() AND startsWith(name, 'aai_')",
        role=Role.WORKER,
    )
    return [
        TableFound(
            name, count, size, deleted_by(comment), pinned_at_of(comment), is_preserved(comment)
        )
        for name, count, size, comment in rows
    ]


class Leftovers:
    """The tables of ours in the database of an engine. Statements run as `Role.WORKER`."""

    def __init__(self, engine: Engine, store: ReapStore, farewell: Farewell | None = None) -> None:
        self._engine = engine
        self._store = store
        self._farewell = farewell

    def tables(self) -> list[TableFound]:
        """Return the tables that may be ours. Runs one query."""
        return tables_of(self._engine)

    def concern(self, kernel: KernelRecord, tables: Iterable[TableFound]) -> bool:
        """Say whether a dead kernel may have left something here, or nothing anywhere."""
        return (
            not kernel.databases
            or self._engine.identity in kernel.databases
            or any(_is_vanished(kernel, place) for place in kernel.databases)
            or any(maker_of(table.name) == kernel.session_id for table in tables)
        )

    def end_statements(self, kernels: Sequence[JudgedKernel]) -> bool:
        """Let a server end what it still runs for dead kernels; say whether that has ended.

        A server finishes a statement whose client is gone, and a table that it makes would come
        after everything was looked through. What makes a table is killed; what writes into one is
        waited for, as another kernel that shares the table may have asked for it.
        """
        if self._engine.creds.is_embedded or not kernels:
            return True
        jobs = "|".join(to_base36(kernel.record.session_id) for kernel in kernels)
        makes = rf"^\s*CREATE TABLE [`\"]?aai_[a-z]_\d+_({jobs})_"
        writes = rf"^\s*(CREATE|INSERT|ALTER|RENAME|EXCHANGE)\b[^(]*\baai_[a-z]_\d+_({jobs})_"
        deadline = time.monotonic() + _ENDS_WITHIN_S
        while True:
            (running,) = self._engine.query_rows(
                "SELECT count() FROM system.processes WHERE match(query, {writes:String})",
                {"writes": writes},
                role=Role.WORKER,
            )
            if not running[0] or time.monotonic() > deadline:
                return not running[0]
            self._engine.command(
                f"KILL QUERY WHERE match(query, {quote_literal(makes)}) ASYNC", role=Role.WORKER
            )
            time.sleep(_POLL_S)

    def remove(self, fates: Sequence[Fate], stop: threading.Event) -> list[Fate]:
        """Remove what is to go; return what became of all.

        What cannot be removed is kept, with the reason, and so is what was not reached before it
        was told to stop.
        """
        doomed: dict[str, Fate] = {}
        done: list[Fate] = []
        for fate in fates:
            if not fate.is_removed:
                done.append(fate)
                continue
            name, problem = (None, "stopped") if stop.is_set() else self._quarantine(fate)
            if problem:
                done.append(_failed(fate, problem))
            elif name is None:
                done.append(fate)  # it is gone already
            else:
                doomed[name] = fate
        names = list(doomed)
        for start in range(0, len(names), _AT_ONCE):
            part = names[start : start + _AT_ONCE]
            told = self._looked_at({name: doomed[name] for name in part})
            problems = dict.fromkeys(part, "stopped") if stop.is_set() else self._drop(part)
            told([name for name in part if name not in problems])
            for name in part:
                fate, problem = doomed[name], problems.get(name)
                done.append(fate if problem is None else _failed(fate, problem))
        gone = [fate.table.name for fate in done if fate.is_removed]
        if gone:
            self._store.forget(gone)
        return done

    def forget_stale(self, living: Collection[int], before: dt.datetime) -> None:
        """Forget the registry's rows of tables that are not in the database. Runs one query.

        Whoever drops a table, also one that another kernel made, may be killed before it forgets
        it.

        Parameters
        ----------
        living
            Kernels that may be about to make a table whose row is there already.
        before
            Rows of an old registry, whose tables have names of another kind, go when they are
            older.
        """
        recorded = self._store.tables_in(self._engine.identity)  # before the tables are looked at
        there = {
            name
            for (name,) in self._engine.query_rows(
                "SELECT name FROM system.tables WHERE database = currentDatabase()",
                role=Role.WORKER,
            )
        }
        stale = [
            row.table_name
            for row in recorded
            if row.table_name not in there
            and row.job_id not in living
            and (TableName.parse(row.table_name) is not None or row.created_at < before)
        ]
        if stale:
            self._store.forget(stale)

    def note(self, kernel: KernelRecord) -> None:
        """Let the registry know that something of a kernel is left in this database."""
        if self._engine.identity not in kernel.databases:
            self._store.note_database(kernel.session_id, self._engine.identity)

    def emptied(self, kernel: KernelRecord, *, here: bool) -> list[str]:
        """Return the databases in which nothing of a kernel is left.

        What the registry has of directories that are gone is forgotten. Where one was moved, what
        stays is known at its new place (`kept_elsewhere`).

        Parameters
        ----------
        here
            Whether nothing is left in this one.
        """
        gone = [place for place in kernel.databases if _is_vanished(kernel, place)]
        for place in gone:
            self._store.forget_place(kernel.session_id, place)
        return [*gone, self._engine.identity] if here else gone

    def _quarantine(self, fate: Fate) -> tuple[str | None, str | None]:
        """Rename a table; return its new name, None where it is gone, or what went wrong."""
        name = fate.table.name
        parsed = TableName.parse(name)
        if parsed is None:
            return name, None  # it is in quarantine
        target = str(QuarantineName.of(parsed))
        try:
            self._engine.command(
                f"RENAME TABLE {quote_identifier(name)} TO {quote_identifier(target)}",
                role=Role.WORKER,
            )
        except UnknownTableError:
            return None, None
        except EngineError as error:
            return None, f"it cannot be renamed: {error}"
        return target, None

    def _looked_at(self, part: Mapping[str, Fate]) -> Callable[[Collection[str]], object]:
        """Return what tells the log which of these went; what cannot be told of goes as well."""
        try:
            return (lambda _: None) if self._farewell is None else self._farewell(part)
        except AaiclickError as error:
            logger.debug("the end of %d tables is not told: %s", len(part), error)
            return lambda _: None

    def _drop(self, names: Sequence[str]) -> dict[str, str]:
        """Drop tables with their files; return what went wrong with which."""
        listed = ", ".join(quote_identifier(name) for name in names)
        try:
            self._engine.command(f"DROP TABLE IF EXISTS {listed} SYNC", role=Role.WORKER)
        except EngineError as error:
            if len(names) == 1:
                return {names[0]: f"it cannot be dropped: {error}"}
            problems: dict[str, str] = {}
            for name in names:  # one bad table must not keep the others
                problems |= self._drop([name])
            return problems
        return {}


def _failed(fate: Fate, problem: str) -> Fate:
    return replace(fate, is_removed=False, reason=problem, has_failed=True)


def _is_vanished(kernel: KernelRecord, place: str) -> bool:
    """Say whether a database was a directory of this host that is gone."""
    if not place.startswith(_EMBEDDED) or kernel.host_id != ProcessIdentity.current().host_id:
        return False
    return not Path(place.removeprefix(_EMBEDDED)).exists()
