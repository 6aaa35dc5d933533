"""DataContext: opens, wires and closes everything below; knows no IPython."""

from __future__ import annotations

import atexit
import os
import threading
from typing import TYPE_CHECKING, Any, Self

from aaiclick_ext.configuring import Configuring
from aaiclick_ext.errors import ContextError
from aaiclick_ext.keeping import Keeping
from aaiclick_ext.lifecycle.preservation import PreservationMode
from aaiclick_ext.lifecycle.process import process
from aaiclick_ext.lineage import Lineage
from aaiclick_ext.object_making import ObjectMaking
from aaiclick_ext.opening import Opened, close_parts, open_parts
from aaiclick_ext.outcome import Outcome
from aaiclick_ext.querying import Querying
from aaiclick_ext.row_lineage import RowLineage
from aaiclick_ext.seeing import Seeing
from aaiclick_ext.settings import Settings
from aaiclick_ext.viewing import Viewing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from aaiclick_ext.engine import ClickHouseCreds, Engine
    from aaiclick_ext.engine.progress import Progress
    from aaiclick_ext.ids import Snowflake
    from aaiclick_ext.lifecycle.lease import Lease
    from aaiclick_ext.lifecycle.roots import Namer
    from aaiclick_ext.lifecycle.sessions import SessionManager
    from aaiclick_ext.objects import Backend, Object, ObjectInfo, View
    from aaiclick_ext.oplog import OplogCollector, Task
    from aaiclick_ext.schema import SchemaRegistry


class DataContext(
    Configuring, ObjectMaking, Querying, Viewing, Seeing, Keeping, Lineage, RowLineage
):
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
    show
        Opens the browser of a table, for `View.show`; the notebook sets it.
    variable_names
        Says, by the name of a result in the log, which variables hold it; the notebook sets it.
    settings_changed, moved
        Told of what `change_settings` changed, and what `connect` does; the notebook sets them.
    show_progress
        Is told how far statements are that take long, or None; the notebook sets it.

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
        self._leased: Outcome[tuple[Lease, int]] = Outcome()
        self._creds = creds
        self._task: Task | None = None
        self._task_lock = threading.Lock()
        self._outcome: Outcome[Opened] = Outcome()
        self.imported: Outcome[None] = Outcome()
        self.roots: Callable[[], Mapping[int, Namer]] = dict
        self.show: Callable[[View], Any] = no_page
        self.variable_names: Callable[[], Mapping[str, Sequence[str]]] = dict
        self.settings_changed: Callable[[Mapping[str, Any]], None] = lambda _: None
        self.moved: Callable[[str, bool], DataContext] | None = None
        self.show_progress: Callable[[Progress], object] | None = None
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
            self._outcome.set_exception(error)
            return
        finally:
            self.imported.set_result(None)
        with self._task_lock:
            if self._task is not None:
                self._number(self._task)
                opened.services.oplog.begin_task(self._task)
            opened.services.settings = self.settings
            self._outcome.set_result(opened)

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
        return not self.closed and self._outcome.done() and self._outcome.exception() is None

    @property
    def _opened(self) -> Opened:
        if self.closed:
            raise ContextError(
                "this DataContext was closed; run %load_ext aaiclick_ext or open another"
            )
        return self._outcome.result()

    def close(self) -> None:
        """Write the log, drop temp and session tables, end every thread. Idempotent.

        Queries that still run are killed first. Objects of this context raise from now on;
        deleting them is silent.
        """
        if self.closed or os.getpid() != self._pid:  # a forked child owns none of this
            return
        self.closed = True
        atexit.unregister(self.close)
        if self in process.contexts:
            process.contexts.remove(self)
        self._opener.join()
        if self._outcome.exception() is None:
            close_parts(self._outcome.result())

    def use_settings(self, settings: Settings) -> None:
        """Use settings from now on, as far as they are read when used."""
        with self._task_lock:
            self.settings = settings
            if self.is_open:
                self._outcome.result().services.settings = settings

    def __enter__(self) -> Self:
        """Make this the current context."""
        if self.closed:
            raise ContextError("this DataContext was closed; open another")
        process.contexts.append(self)
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

    # Reaching what is there.

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
                oplog = self._outcome.result().services.oplog
                oplog.begin_task(task, this_thread_only=this_thread_only)

    def _number(self, task: Task) -> None:
        if task.task_id is None:
            task.task_id = self.snowflake.next()

    def end_task(self, task: Task) -> None:
        """Say that a cell has ended: what it registered and nobody claimed is let go of."""
        if self.is_open:
            services = self._outcome.result().services
            services.worker.end_cell(task.task_id)
            services.live.look()


def context() -> DataContext:
    """Return the current DataContext: the kernel's, or the innermost ``with DataContext()``.

    Raises
    ------
    ContextError
        If none is open.
    """
    if not process.contexts:
        raise ContextError(
            "no DataContext is open: run %load_ext aaiclick_ext in a notebook, or use "
            "`with aaiclick_ext.DataContext():` in a script"
        )
    current: DataContext = process.contexts[-1]
    return current


def no_page(_: View) -> Any:
    """Raise ContextError: there is no page in which a table could be shown."""
    raise ContextError(
        "show() opens a table in a notebook's page: run %load_ext aaiclick_ext there; "
        "print(x.head().to_pandas()) and x.data() work everywhere"
    )


def wait_for_imports() -> None:
    """Return when no context of this process is importing any more."""
    for opening in tuple(process.contexts):
        opening.imported.wait()
