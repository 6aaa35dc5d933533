"""What objects need of their context, without the context itself."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from aaiclick_ext.engine import Role
from aaiclick_ext.errors import ContextError, LeaseLostError
from aaiclick_ext.lifecycle.names import Scope, TableName
from aaiclick_ext.objects.ends import hashes_of_small
from aaiclick_ext.objects.freshness import Freshness
from aaiclick_ext.objects.insert_watch import InsertWatch
from aaiclick_ext.objects.making_of import Makings
from aaiclick_ext.objects.owners import contexts_of, held_elsewhere
from aaiclick_ext.objects.table_notes import TableNotes
from aaiclick_ext.oplog.graph import DROP_TABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from aaiclick_ext.engine import Engine
    from aaiclick_ext.ids import Snowflake
    from aaiclick_ext.lifecycle.kept_tables import KeptTables
    from aaiclick_ext.lifecycle.lease import Lease
    from aaiclick_ext.lifecycle.refs import RefRegistry
    from aaiclick_ext.lifecycle.sessions import SessionManager
    from aaiclick_ext.lifecycle.sharing import Sharing
    from aaiclick_ext.lifecycle.worker import Hold, TableWorker
    from aaiclick_ext.live import LiveQueryManager
    from aaiclick_ext.objects.system_store import SystemStore
    from aaiclick_ext.objects.view import View
    from aaiclick_ext.oplog import OplogCollector
    from aaiclick_ext.registry import Registry
    from aaiclick_ext.schema import SchemaRegistry
    from aaiclick_ext.settings import Settings


_CLOCK_SLACK_S = 0.1  # a timer may be early by the clock of the registry


class TableLocks:
    """One lock per table, for as long as somebody uses it."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: WeakValueDictionary[str, threading.Lock] = WeakValueDictionary()

    def lock(self, table: str) -> threading.Lock:
        """Return the lock of a table."""
        with self._guard:
            return self._locks.setdefault(table, threading.Lock())


@dataclass(slots=True, weakref_slot=True)
class Services:
    """The parts of one `DataContext` that its objects use.

    Attributes
    ----------
    names
        Session-scoped names of this context and the tables they stand for now.
    deleted
        Named tables that were replaced or deleted and live on only for variables.
    inserting
        Taken while rows are appended to a table.
    inserts
        Who is told of rows that are appended.
    holds
        The claims of names, by table.
    notes
        Which cell made a table, and when it was last used.
    freshness
        Which tables were made of tables that changed since.
    makings
        The expressions that tables were made of.
    show
        Opens the browser of a view; what can do that is set by a notebook.
    system, live
        The system tables, and who watches results; set when all other parts are there.
    closed
        Set once by the context; every use of an object raises from then on.
    """

    settings: Settings
    engine: Engine
    schemas: SchemaRegistry
    worker: TableWorker
    oplog: OplogCollector
    registry: Registry
    lease: Lease
    sharing: Sharing
    kept: KeptTables
    sessions: SessionManager
    snowflake: Snowflake
    node_id: int
    job_id: int
    run_id: int
    names: dict[str, str] = field(default_factory=dict)
    deleted: set[TableName] = field(default_factory=set)
    holds: dict[str, Hold] = field(default_factory=dict)
    notes: TableNotes = field(default_factory=TableNotes)
    freshness: Freshness = field(default_factory=Freshness)
    makings: Makings = field(default_factory=Makings)
    inserting: TableLocks = field(default_factory=TableLocks)
    inserts: InsertWatch = field(default_factory=InsertWatch)
    show: Callable[[View], Any] = field(default=lambda _: None)
    closed: bool = False
    system: SystemStore = field(init=False)
    live: LiveQueryManager = field(init=False)
    _dropped: deque[str] = field(default_factory=deque)

    def check_open(self) -> None:
        """Raise where this process may not use its tables.

        Runs no query, unless the kernel has been silent for so long that it has to see whether it
        was taken for dead.

        Raises
        ------
        ContextError
            If the context was closed, or this is a forked child.
        LeaseLostError
            If the kernel was taken for dead.
        """
        if self.closed:
            raise ContextError(
                "the DataContext of this object was closed and its tables are gone; "
                "run %load_ext aaiclick_ext (or open a DataContext) and make it again"
            )

        self.lease.verify(self._mortal_tables)

    def is_ours_alone(self, table: str) -> bool:
        """Say whether nobody but this kernel changes a table of the current database."""
        name = TableName.parse(table)
        if name is None or self.engine.creds.is_embedded:
            return name is not None
        is_of_job = name.job_id == self.job_id and name.scope is not Scope.GLOBAL
        return is_of_job and not self.sharing.is_shared(table)

    def _mortal_tables(self) -> list[str]:
        """Return the tables that go with the kernel."""
        names = ((table, TableName.parse(table)) for table in self.worker.live_tables())
        return [table for table, name in names if name and name.scope is not Scope.GLOBAL]

    @property
    def refs(self) -> RefRegistry:
        """Where everything is counted that something else holds; the worker counts tables there."""
        return self.worker.refs

    def new_table_name(self, scope: Scope = Scope.TEMP, name: str | None = None) -> TableName:
        """Return a name that no table has had."""
        return TableName(scope, self.node_id, self.job_id, self.snowflake.next(), name)

    def drop(self, tables: Sequence[str]) -> None:
        """Drop tables and wait until their files are gone; `forget_dropped` ends it.

        What another kernel, or another context of this one, holds stays, for the last one to drop;
        so does what is pinned, or preserved until the job expires. Runs one statement on the
        worker's client. Called by `TableWorker` on its drop thread. A kernel that lost its lease
        drops nothing: the tables are whoever's who took over.
        """
        try:
            self.lease.verify()
        except LeaseLostError:
            return
        tables = self.sessions.tables.still_there(tables, self.worker.is_live)
        elsewhere = held_elsewhere(self, tables)
        stay = elsewhere | self._staying([table for table in tables if table not in elsewhere])
        is_told = not (self.closed and self.engine.creds.is_scratch)  # whose log ends as well
        told = [t for t in tables if is_told and t not in stay and self.notes.has_history(t)]
        ends = {table: self._end_of(table) for table in told}
        held = self.sharing.give_up([table for table in tables if table not in elsewhere])
        later = {
            table: holding.expires_in_s + _CLOCK_SLACK_S
            for table, holding in held.items()
            if holding.expires_in_s is not None and not holding.sessions
        }
        for table, delay_s in later.items():
            self.worker.drop_later(table, delay_s)
        gone = [table for table in tables if table not in held and table not in stay]
        kept = [table for table in tables if table in held or table in stay]
        self.schemas.forget(kept)
        self.notes.forget(kept)
        if gone:
            self._remove(gone, ends)
            self._dropped.extend(gone)
        done = [table for table in tables if table not in later]
        self.sessions.tables.dropped(done, self.worker.is_live)

    def drop_unheld(self, table: str, reason: str) -> None:
        """Drop a table that nothing here holds, and tell the log and the registry of its end.

        Raises
        ------
        UnknownTableError
            If it is not there.
        """
        self.schemas.get(table)
        self._remove([table], {table: {**self._end_of(table), "params": {"reason": reason}}})
        self.registry.forget_tables(self.engine.identity, [table])

    def _remove(self, tables: Sequence[str], ends: Mapping[str, dict[str, Any]]) -> None:
        """Drop tables with their files, forget them, and tell the log the ends of some."""
        from aaiclick_ext.engine import quote_identifier

        hashed = {
            table: schema
            for table in tables
            if table in ends
            and not self.notes.is_kept(table)
            and (schema := self.schemas.known(table)) is not None
        }
        contents = hashes_of_small(self.engine, self.settings, hashed)
        names = ", ".join(quote_identifier(table) for table in tables)
        self.engine.command(f"DROP TABLE IF EXISTS {names} SYNC", role=Role.WORKER)
        for memory in (self.schemas, self.notes, self.freshness, self.makings):
            memory.forget(tables)
        for table in tables:
            if table in ends:
                self.oplog.record(DROP_TABLE, **ends[table], content=contents.get(table))

    def _staying(self, tables: Sequence[str]) -> set[str]:
        """Return which tables stay in the database though nothing here refers to them."""
        if self.closed and self.engine.creds.is_scratch:
            return self._left_to_others(tables)
        stay = {
            table
            for table in self.sessions.tables.preserved(tables)
            if self.notes.has_history(table) and TableName.parse(table) not in self.deleted
        }
        stay |= self.kept.staying([table for table in tables if table not in stay])
        self.kept.note(stay)
        return stay

    def _left_to_others(self, tables: Sequence[str]) -> set[str]:
        """Return which tables stay though their database ends with the process, under views.

        They end with the last context of the process.
        """
        others = contexts_of(self)[1:]
        stay = self.kept.under_views(tables) if others else set()
        for other in others:
            other.kept.note(stay)
        return stay

    def _end_of(self, table: str) -> dict[str, Any]:
        """Return what the log is told of a table's end: what it was by then, and why it goes."""
        known = self.schemas.known(table)
        return {
            "result_table": table,
            "params": {"reason": self._reason_of_end(table)},
            "rows": None if known is None else known.rows,
            "result_schema": None if known is None else known.types,
        }

    def _reason_of_end(self, table: str) -> str:
        session = self.sessions.tables.released_by(table)
        if session is not None:
            return f"{session} ended"
        if TableName.parse(table) in self.deleted:
            return "its name was deleted or given to another table"
        return "its kernel ended" if self.closed else "nothing referred to it any more"

    def forget_dropped(self) -> None:
        """Delete the registry rows of the tables that were dropped: one transaction for all."""
        gone = list(self._dropped)
        self.registry.forget_tables(self.engine.identity, gone)
        for _ in gone:
            self._dropped.popleft()
