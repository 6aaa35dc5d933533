"""DataContext: opens, wires and closes everything below; knows no IPython."""

from __future__ import annotations

import atexit
import os
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Self

from aaiclick_ext.errors import ContextError
from aaiclick_ext.keeping import Keeping
from aaiclick_ext.lifecycle import session_scopes
from aaiclick_ext.lifecycle.preservation import PreservationMode
from aaiclick_ext.lineage import Lineage
from aaiclick_ext.object_making import ObjectMaking
from aaiclick_ext.opening import Opened, close_parts, open_parts
from aaiclick_ext.row_lineage import RowLineage
from aaiclick_ext.seeing import Seeing
from aaiclick_ext.settings import Settings
from aaiclick_ext.viewing import Viewing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    import ibis.expr.types as ir

    from aaiclick_ext.engine import ClickHouseCreds, Engine
    from aaiclick_ext.ids import Snowflake
    from aaiclick_ext.lifecycle.lease import Lease
    from aaiclick_ext.lifecycle.roots import Namer
    from aaiclick_ext.lifecycle.sessions import SessionManager
    from aaiclick_ext.objects import Backend, Object, ObjectInfo, View
    from aaiclick_ext.oplog import OplogCollector, Task
    from aaiclick_ext.schema import SchemaRegistry

_entered: list[DataContext] = []
"""Open contexts, the current one last. Not a ContextVar: a value set in a notebook cell that
contains ``await`` is gone in the next cell."""


class DataContext(ObjectMaking, Viewing, Seeing, Keeping, Lineage, RowLineage):
    """One engine with everything that objects need, for the life of a kernel or a ``with`` block.

    Returns at once: the engine opens in a background thread. The first use waits for it, and a
    failure to open is raised there.

    Parameters
    ----------
    creds
        Where ClickHouse is: `ClickHouseCreds` or a URL. By default the setting `ch_url`, which
        ``AAICLICK_CH_URL`` sets, else a scratch database on disk that ends with the process.
    settings
        By default `Settings.from_env()`.
    preservation
        What becomes of tables that nothing refers to: ``"NONE"`` drops them, ``"FULL"`` keeps them
        until the job expires. By default the setting `default_preservation_mode`.

    Attributes
    ----------
    imported
        Set once the thread that opens has imported what is heavy. Two threads that import parts of
        Ibis at once, which imports in circles, can find each other's modules half made; who is
        about to run code of others waits for this.
    roots
        Says what a shell calls what it holds, for `why`; the notebook sets it.
    variable_names
        Says, by the name of a result in the log, which variables hold it; the notebook sets it.

    Examples
    --------
    >>> with DataContext() as ctx:
    ...     prices = ctx.create_object_from_value([3, 1, 2])
    ...     (prices * 2).data()
    [6, 2, 4]
    """

    def __init__(
        self,
        creds: ClickHouseCreds | str | None = None,
        *,
        settings: Settings | None = None,
        preservation: PreservationMode | str | None = None,
    ) -> None:
        self.settings = Settings.from_env() if settings is None else settings
        if preservation is not None:
            mode = str(PreservationMode.of(preservation))
            self.settings = self.settings.replace(default_preservation_mode=mode)
        self.closed = False
        self._pid = os.getpid()
        self._leased: Future[tuple[Lease, int]] = Future()
        self._creds = creds
        self._task: Task | None = None
        self._task_lock = threading.Lock()
        self._future: Future[Opened] = Future()
        self.imported = threading.Event()
        self.roots: Callable[[], Mapping[int, Namer]] = dict
        self.variable_names: Callable[[], Mapping[str, Sequence[str]]] = dict
        self._opener = threading.Thread(target=self._open, name="aai-context", daemon=True)
        self._opener.start()
        atexit.register(self.close)

    # Opening and closing.

    def _open(self) -> None:
        try:
            opened = self._build()
        except BaseException as error:  # noqa: BLE001  raised at the first use
            if not self._leased.done():
                self._leased.set_exception(error)
            self._future.set_exception(error)
            return
        finally:
            self.imported.set()
        with self._task_lock:
            if self._task is not None:
                self._number(self._task)
                opened.services.oplog.begin_task(self._task)
            opened.services.settings = self.settings
            self._future.set_result(opened)

    def _build(self) -> Opened:
        opened = open_parts(self, self._creds)
        # The last function registered runs first at exit, and the engine has just registered the
        # one that closes it.
        atexit.unregister(self.close)
        if not self.closed:
            atexit.register(self.close)
        return opened

    @property
    def is_open(self) -> bool:
        """Whether the engine is ready; never waits."""
        return not self.closed and self._future.done() and self._future.exception() is None

    @property
    def _opened(self) -> Opened:
        if self.closed:
            raise ContextError(
                "this DataContext was closed; run %load_ext aaiclick_ext or open another"
            )
        return self._future.result()

    def close(self) -> None:
        """Write the log, drop temp and session tables, end every thread. Idempotent.

        Queries that still run are killed first. Objects of this context raise from now on;
        deleting them is silent.
        """
        if self.closed or os.getpid() != self._pid:  # a forked child owns none of this
            return
        self.closed = True
        atexit.unregister(self.close)
        if self in _entered:
            _entered.remove(self)
        if self._get_sessions in session_scopes.contexts:
            session_scopes.contexts.remove(self._get_sessions)
        self._opener.join()
        if self._future.exception() is None:
            close_parts(self._future.result())

    def change_settings(self, settings: Settings) -> None:
        """Use other settings from now on, as far as they are read when used.

        Those are `display_rows`, `display_columns` and `memory_table_bytes`.
        """
        with self._task_lock:
            self.settings = settings
            if self.is_open:
                self._future.result().services.settings = settings

    def __enter__(self) -> Self:
        """Make this the current context."""
        if self.closed:
            raise ContextError("this DataContext was closed; open another")
        _entered.append(self)
        session_scopes.contexts.append(self._get_sessions)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open" if self.is_open else "opening"
        is_leased = self._leased.done() and self._leased.exception() is None
        return f"<DataContext {state}{f', job {self.job_id}' if is_leased else ''}>"

    def flush(self, timeout_s: float = 30.0) -> None:
        """Wait until everything queued before this call is done, drops and log included.

        Raises
        ------
        TimeoutError
            If `timeout_s` passed first.
        """
        services = self._opened.services
        if not services.worker.flush(timeout_s):
            raise TimeoutError(f"the table worker was still busy after {timeout_s} s")
        services.oplog.flush()

    # Whose it is.

    def set_lease(self, lease: Lease) -> None:
        """Let ids be made: the process has its node id. Called once, by the thread that opens."""
        self._leased.set_result((lease, lease.snowflake.next()))

    @property
    def lease(self) -> Lease:
        """The process's lease of a node id; waits until it has one, not for the engine."""
        return self._leased.result()[0]

    @property
    def node_id(self) -> int:
        """The node id, 0 to 1023; waits for the lease."""
        return self.lease.node_id

    @property
    def job_id(self) -> int:
        """The kernel session, shared by the process's contexts of one registry; waits."""
        return self.lease.job_id

    @property
    def run_id(self) -> int:
        """What happens between opening and closing this context; waits for the lease."""
        return self._leased.result()[1]

    @property
    def snowflake(self) -> Snowflake:
        """The process's source of ids; waits for the lease."""
        return self.lease.snowflake

    # The parts.

    @property
    def engine(self) -> Engine:
        """The engine; waits until it is open."""
        return self._opened.services.engine

    @property
    def oplog(self) -> OplogCollector:
        """The collector of operation events; waits until the engine is open."""
        return self._opened.services.oplog

    @property
    def backend(self) -> Backend:
        """The Ibis backend of this context's expressions; waits until the engine is open."""
        return self._opened.backend

    @property
    def schemas(self) -> SchemaRegistry:
        """What the columns of tables and queries are; waits until the engine is open.

        Examples
        --------
        >>> with DataContext() as ctx:
        ...     x = ctx.create_object_from_value({"a": [1], "b": ["x"]})
        ...     ctx.schemas.get(x.table_name).types
        {'a': 'Int64', 'b': 'String'}
        """
        return self._opened.services.schemas

    @property
    def sessions(self) -> SessionManager:
        """The sessions inside this kernel; waits until the engine is open."""
        return self._opened.services.sessions

    def _get_sessions(self) -> SessionManager:
        return self.sessions

    # Reaching what is there.

    def table(self, name: str, /, **parameters: Any) -> View:
        """Return a View of a table or view that is not ours, or that `create_view` made.

        Runs a query for its schema. It is never changed or dropped.

        Parameters
        ----------
        name
            ``"table"`` or ``"database.table"``.
        **parameters
            Values for a view that takes parameters.

        Raises
        ------
        UnknownTableError
            If there is no such table or view.
        ViewError
            If the parameters are not those that the view takes.
        """
        opened = self._opened  # waits for what is imported below
        from aaiclick_ext.objects.named_views import open_table

        return open_table(opened.backend, name, parameters)

    def sql(self, query: str, /, **tables: Any) -> View:
        """Return a lazy View of one SELECT statement. Its types are asked for; it does not run.

        Parameters
        ----------
        query
            ``{name}`` stands for a table that is given by that name, ``{name:Type}`` for a value;
            named objects stand under their own. The View keeps every table that the text names.
        **tables
            Objects, views, or what `create_object_from_value` makes a table of; values.

        Raises
        ------
        SQLError
            If the text is not one SELECT, calls the table function ``Python``, or its names and
            `tables` are not the same.
        DroppedTableError
            If it has the name of a table of this kernel that was dropped: text keeps none.

        Examples
        --------
        >>> with DataContext() as ctx:
        ...     sales = ctx.create_object_from_value({"item": ["a", "b"], "n": [1, 2]})
        ...     large = sales.filter(sales.n > 1)
        ...     ctx.sql("SELECT item, n * 10 AS n FROM {large}", large=large).data()
        {'item': ['b'], 'n': [20]}
        """
        opened = self._opened  # waits for what is imported below
        from aaiclick_ext.objects.sql_references import sql_of

        return sql_of(opened.backend, opened.catalog, query, tables)

    def view(self, expr: ir.Table) -> View:
        """Adopt an Ibis table over our tables, e.g. what `ibis.union` or `ibis.memtable` gave."""
        opened = self._opened  # waits for what is imported below
        from aaiclick_ext.objects.adoption import adopt_expression

        return adopt_expression(opened.backend, expr)

    def open_object(self, name: str) -> Object:
        """Return a named object, made by this kernel or, if it is global, by any other."""
        return self._opened.catalog.open(name)

    def open_ref(self, token: str) -> Object:
        """Return the object that another kernel shared; the token is spent by that.

        Raises
        ------
        ShareError
            If the token was redeemed before, has expired, or is of another registry or database.
        """
        opened = self._opened  # waits for what is imported below
        from aaiclick_ext.objects.shared import open_shared

        return open_shared(opened.backend, token)

    def list_objects(self) -> Sequence[ObjectInfo]:
        """Return the named objects with scope, table, rows and bytes."""
        return self._opened.catalog.list()

    def delete_object(self, name: str) -> None:
        """Take a name away; its table goes once no variable can reach it."""
        self._opened.catalog.delete(name)

    # Cells.

    def begin_task(self, task: Task, *, this_thread_only: bool = False) -> None:
        """Say that a cell begins; never waits for the engine. The task gets its id here."""
        with self._task_lock:
            if not this_thread_only:
                self._task = task
            if self.is_open:
                self._number(task)
                oplog = self._future.result().services.oplog
                oplog.begin_task(task, this_thread_only=this_thread_only)

    def _number(self, task: Task) -> None:
        if task.task_id is None:
            task.task_id = self.snowflake.next()

    def end_task(self, task: Task) -> None:
        """Say that a cell has ended: what it registered and nobody claimed is let go of."""
        if self.is_open:
            services = self._future.result().services
            services.worker.end_cell(task.task_id)
            services.live.look()


def context() -> DataContext:
    """Return the current DataContext: the kernel's, or the innermost ``with DataContext()``.

    Raises
    ------
    ContextError
        If none is open.
    """
    if not _entered:
        raise ContextError(
            "no DataContext is open: run %load_ext aaiclick_ext in a notebook, or use "
            "`with aaiclick_ext.DataContext():` in a script"
        )
    return _entered[-1]


def wait_for_imports() -> None:
    """Return when no context of this process is importing any more."""
    for opening in tuple(_entered):
        opening.imported.wait()
