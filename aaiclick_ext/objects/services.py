"""What objects need of their context, without the context itself."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from aaiclick_ext.engine import Role
from aaiclick_ext.errors import ContextError
from aaiclick_ext.lifecycle.names import Scope, TableName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aaiclick_ext.engine import Engine
    from aaiclick_ext.ids import Snowflake
    from aaiclick_ext.lifecycle.worker import Hold, TableWorker
    from aaiclick_ext.oplog import OplogCollector
    from aaiclick_ext.registry import Registry
    from aaiclick_ext.schema import SchemaRegistry
    from aaiclick_ext.settings import Settings


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
    holds
        The claims of names, by table.
    closed
        Set once by the context; every use of an object raises from then on.
    """

    settings: Settings
    engine: Engine
    schemas: SchemaRegistry
    worker: TableWorker
    oplog: OplogCollector
    registry: Registry
    snowflake: Snowflake
    node_id: int
    job_id: int
    run_id: int
    names: dict[str, str] = field(default_factory=dict)
    deleted: set[TableName] = field(default_factory=set)
    holds: dict[str, Hold] = field(default_factory=dict)
    inserting: TableLocks = field(default_factory=TableLocks)
    closed: bool = False

    def check_open(self) -> None:
        """Raise ContextError where the context was closed."""
        if self.closed:
            raise ContextError(
                "the DataContext of this object was closed and its tables are gone; "
                "run %load_ext aaiclick_ext (or open a DataContext) and make it again"
            )

    def new_table_name(self, scope: Scope = Scope.TEMP, name: str | None = None) -> TableName:
        """Return a name that no table has had."""
        return TableName(scope, self.node_id, self.job_id, self.snowflake.next(), name)

    def drop(self, tables: Sequence[str]) -> None:
        """Drop tables, wait until their files are gone, and forget their registry rows.

        Runs one statement on the worker's client. Called by `TableWorker` on its drop thread.
        """
        from aaiclick_ext.engine import quote_identifier

        names = ", ".join(quote_identifier(table) for table in tables)
        self.engine.command(f"DROP TABLE IF EXISTS {names} SYNC", role=Role.WORKER)
        self.schemas.forget(tables)
        self.registry.forget_tables(self.engine.identity, list(tables))
