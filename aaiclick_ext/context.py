"""DataContext: opens, wires and closes everything below; knows no IPython."""

from __future__ import annotations

import atexit
import functools
import logging
import os
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from aaiclick_ext.errors import ContextError
from aaiclick_ext.ids import Snowflake, random_node_id
from aaiclick_ext.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike
    from types import TracebackType

    import ibis.expr.types as ir

    from aaiclick_ext.engine import ClickHouseCreds, Engine
    from aaiclick_ext.lifecycle import Scope
    from aaiclick_ext.objects import Backend, Catalog, Object, ObjectInfo, Services, View
    from aaiclick_ext.objects.files import Kind
    from aaiclick_ext.oplog import OperationEvent, OplogCollector, OplogGraph, Task

logger = logging.getLogger("aaiclick_ext.context")

Direction = Literal["backward", "forward", "both"]

_entered: list[DataContext] = []
"""Open contexts, the current one last. Not a ContextVar: a value set in a notebook cell that
contains ``await`` is gone in the next cell."""


@functools.cache
def _process_ids(_pid: int) -> tuple[int, int]:
    """Return node id and job id of this process: one kernel session is one job."""
    node_id = random_node_id()
    return node_id, Snowflake(node_id).next()


@dataclass(frozen=True, slots=True)
class _Opened:
    """What opening leaves behind."""

    services: Services
    backend: Backend
    catalog: Catalog


class DataContext:
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
    ) -> None:
        self.settings = Settings.from_env() if settings is None else settings
        node_id, self.job_id = _process_ids(os.getpid())
        self.node_id = node_id if self.settings.node_id is None else self.settings.node_id
        self.snowflake = Snowflake(self.node_id)
        self.run_id = self.snowflake.next()
        self.closed = False
        self._creds = creds
        self._task: Task | None = None
        self._task_lock = threading.Lock()
        self._future: Future[_Opened] = Future()
        self._opener = threading.Thread(target=self._open, name="aai-context", daemon=True)
        self._opener.start()
        atexit.register(self.close)

    # Opening and closing.

    def _open(self) -> None:
        try:
            opened = self._build()
        except BaseException as error:  # noqa: BLE001  raised at the first use
            self._future.set_exception(error)
            return
        with self._task_lock:
            if self._task is not None:
                opened.services.oplog.begin_task(self._task)
            opened.services.settings = self.settings
            self._future.set_result(opened)

    def _build(self) -> _Opened:
        from aaiclick_ext.engine import ClickHouseCreds, Engine

        # The last function registered runs first at exit, and the engine has just registered the
        # one that closes it.
        atexit.unregister(self.close)
        if not self.closed:
            atexit.register(self.close)

        creds = self.settings.ch_url if self._creds is None else self._creds
        if isinstance(creds, str):
            creds = ClickHouseCreds.from_url(creds)
        engine = Engine(creds, self.settings)  # opens in a thread of its own, while we import
        try:
            return self._wire(engine)
        except BaseException:
            engine.close()
            raise

    def _wire(self, engine: Engine) -> _Opened:
        from aaiclick_ext.lifecycle import TableWorker
        from aaiclick_ext.objects import Backend, Catalog, Services
        from aaiclick_ext.objects.making import leaf_from_memtable
        from aaiclick_ext.oplog import OplogCollector
        from aaiclick_ext.registry import Registry
        from aaiclick_ext.schema import SchemaRegistry

        engine.wait_open()
        oplog = OplogCollector(
            engine,
            self.settings,
            self.snowflake,
            job_id=self.job_id,
            run_id=self.run_id,
            node_id=self.node_id,
        )
        registry = Registry(self.settings.sql_url, self.settings.state_path)
        services = Services(
            settings=self.settings,
            engine=engine,
            schemas=SchemaRegistry(engine),
            worker=TableWorker(lambda tables: services.drop(tables), registry.record_tables),
            oplog=oplog,
            registry=registry,
            snowflake=self.snowflake,
            node_id=self.node_id,
            job_id=self.job_id,
            run_id=self.run_id,
        )
        backend = Backend(services)
        backend.ingest = functools.partial(leaf_from_memtable, backend)
        oplog.start()
        return _Opened(services, backend, Catalog(backend))

    @property
    def is_open(self) -> bool:
        """Whether the engine is ready; never waits."""
        return not self.closed and self._future.done() and self._future.exception() is None

    @property
    def _opened(self) -> _Opened:
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
        if self.closed:
            return
        self.closed = True
        atexit.unregister(self.close)
        if self in _entered:
            _entered.remove(self)
        self._opener.join()
        if self._future.exception() is None:
            self._shut(self._future.result().services)

    def _shut(self, services: Services) -> None:
        from aaiclick_ext.lifecycle import Scope, TableName

        timeout_s = self.settings.close_timeout_s
        services.closed = True
        services.engine.cancel()
        services.oplog.close()
        services.worker.close(timeout_s)
        left = [
            table
            for table in services.worker.live_tables() | set(services.worker.undropped)
            if (name := TableName.parse(table)) is not None
            and (name.scope is not Scope.GLOBAL or name in services.deleted)
        ]
        for start in range(0, len(left), 100):
            try:
                services.drop(left[start : start + 100])
            except Exception as error:  # noqa: BLE001  closing goes on; the reaper takes the rest
                logger.warning("tables could not be dropped at close: %s", error)
        services.registry.close()
        services.engine.close()

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
        return f"<DataContext {state}, job {self.job_id}>"

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

    # Making objects.

    def create_object_from_value(
        self,
        value: Any,
        *,
        name: str | None = None,
        scope: Scope | str | None = None,
        if_exists: Literal["replace", "append", "fail"] = "replace",
    ) -> Object:
        """Make a table of a Python value. Runs two statements.

        Parameters
        ----------
        value
            A scalar, list, tuple, range, dict of scalars, dict of lists or arrays, list of dicts
            or dataclasses, NumPy array, pandas DataFrame or Series, polars frame, Arrow table or
            record batches. Nulls stay null and NaN stays NaN, except that a NaN in a pandas
            column of NumPy floats is null: there it marks what is missing. An index that says
            something is refused, not lost.
        name
            A name makes the object outlive its variables: until the kernel session ends with
            ``scope="session"``, until it is deleted with ``scope="global"``, the default.
        if_exists
            What to do where the name is taken. Variables bound to a replaced object keep it.

        Returns
        -------
        Object
            A scalar or an array has one column, ``value``.

        Raises
        ------
        UnsupportedTypeError, ValueRangeError, SchemaError
            For what cannot be kept as it is.
        """
        from aaiclick_ext.objects.making import object_from_value

        opened = self._opened
        return opened.catalog.make(
            name,
            scope,
            if_exists,
            lambda s, n: object_from_value(opened.backend, value, scope=s, name=n),
            value,
        )

    def create_object(
        self,
        schema: Any,
        *,
        name: str | None = None,
        scope: Scope | str | None = None,
        if_exists: Literal["replace", "fail"] = "replace",
    ) -> Object:
        """Make an empty table. Runs one statement.

        Parameters
        ----------
        schema
            An Ibis schema, an Arrow schema, or a mapping of column to ClickHouse type.
        """
        from aaiclick_ext.errors import SettingsError
        from aaiclick_ext.objects.making import object_from_schema

        if if_exists not in ("replace", "fail"):
            raise SettingsError(f"if_exists is {if_exists!r}; it can be replace or fail")
        opened = self._opened
        return opened.catalog.make(
            name,
            scope,
            if_exists,
            lambda s, n: object_from_schema(opened.backend, schema, scope=s, name=n),
            None,
        )

    def read_parquet(
        self,
        path: str | PathLike[str],
        *,
        name: str | None = None,
        scope: Scope | str | None = None,
        if_exists: Literal["replace", "append", "fail"] = "replace",
    ) -> Object:
        """Make a table of Parquet files, with the types that the files have.

        For `path`, `name`, `scope` and `if_exists` see `read_csv`.

        Raises
        ------
        UnsupportedTypeError, ValueRangeError
            For what no ClickHouse type can hold, such as a null list.
        """
        return self._read(path, "parquet", None, name, scope, if_exists)

    def read_csv(
        self,
        path: str | PathLike[str],
        *,
        schema: Mapping[str, str] | None = None,
        delimiter: str | None = None,
        header: bool = True,
        names: Sequence[str] | None = None,
        null_values: Sequence[str] = ("",),
        encoding: str = "utf-8",
        name: str | None = None,
        scope: Scope | str | None = None,
        if_exists: Literal["replace", "append", "fail"] = "replace",
    ) -> Object:
        """Make a table of CSV files. Nothing is left behind where that fails.

        The types of the columns are found from all rows, and no value changes by them: ``007``
        stays text, a date has to exist. Files of one call need the same columns, in any order.

        Parameters
        ----------
        path
            A path of this process's machine, a glob (its files in the order of their names), or an
            http(s) URL. ``.gz``, ``.zst``, ``.bz2`` and ``.xz`` are decompressed, of a ``.zip``
            all members are read. A server gets the rows from here.
        schema
            Column to ClickHouse type, for the columns whose type is not to be found out. Values
            have to fit exactly.
        delimiter
            One character. By default the first of comma, tab, semicolon and ``|`` that the first
            line has.
        header
            Whether the first line names the columns; without, they are ``c1``, ``c2``…
        names
            Names of the columns, in place of the first line's.
        null_values
            Cells that are null. A cell in quotes is text, ``""`` the empty one; in a column of
            numbers or dates it is null all the same.
        encoding
            Of the text, as Python calls it.
        name, scope, if_exists
            As for `create_object_from_value`.

        Raises
        ------
        MissingFileError, FileError, FileContentError
            If there is no such file, it cannot be reached, or is not CSV; a row with too many
            cells, or too few, is not.
        SchemaError
            If names are missing or there twice, or files have different columns.
        ValueRangeError
            If a value is not of the type that `schema` gives.
        """
        options = {
            "delimiter": delimiter,
            "header": header,
            "names": names,
            "null_values": null_values,
            "encoding": encoding,
        }
        return self._read(path, "csv", schema, name, scope, if_exists, options)

    def read_json(
        self,
        path: str | PathLike[str],
        *,
        schema: Mapping[str, str] | None = None,
        name: str | None = None,
        scope: Scope | str | None = None,
        if_exists: Literal["replace", "append", "fail"] = "replace",
    ) -> Object:
        """Make a table of JSON files: an array of objects, or one object after another.

        A key that an object lacks is null. Objects inside become tuples, arrays become arrays;
        texts that all are dates or times become such. For the parameters see `read_csv`.

        Raises
        ------
        UnsupportedTypeError
            If a column has values of several types, or a null or missing array.
        """
        return self._read(path, "json", schema, name, scope, if_exists)

    def _read(
        self,
        path: str | PathLike[str],
        kind: Kind,
        schema: Mapping[str, str] | None,
        name: str | None,
        scope: Scope | str | None,
        if_exists: Literal["replace", "append", "fail"],
        options: Mapping[str, Any] | None = None,
    ) -> Object:
        from aaiclick_ext.objects.files import object_from_file

        opened = self._opened

        def build(scope: Scope, name: str | None) -> Object:
            return object_from_file(
                opened.backend, path, kind, schema=schema, scope=scope, name=name, **(options or {})
            )

        return opened.catalog.make(name, scope, if_exists, build, None)

    def concat(self, *sources: Any) -> Object:
        """Make one table of the rows of several sources. Runs one statement."""
        from aaiclick_ext.objects.making import concat

        listed = sources[0] if len(sources) == 1 and isinstance(sources[0], list) else sources
        return concat(self._opened.backend, list(listed))

    # Reaching what is there.

    def table(self, name: str) -> View:
        """Return a View of a table that is not ours: ``"table"`` or ``"database.table"``.

        Runs a query for its schema. The table is never changed or dropped.
        """
        from aaiclick_ext.objects.adoption import foreign_table

        return foreign_table(self._opened.backend, name)

    def sql(self, query: str) -> View:
        """Return a lazy View of one SELECT statement. Its types are asked for; it does not run.

        Tables of ours are named by `Object.table_name`, named objects by their name. The View
        keeps every table that the text names.

        Raises
        ------
        SQLError
            If the text is not one SELECT, or calls the table function ``Python``.
        """
        from aaiclick_ext.objects.adoption import sql_view

        opened = self._opened
        return sql_view(opened.backend, opened.catalog, query)

    def view(self, expr: ir.Table) -> View:
        """Adopt an Ibis table over our tables, e.g. what `ibis.union` or `ibis.memtable` gave."""
        from aaiclick_ext.objects.adoption import adopt_expression

        return adopt_expression(self._opened.backend, expr)

    def open_object(self, name: str) -> Object:
        """Return a named object, made by this kernel or, if it is global, by any other."""
        return self._opened.catalog.open(name)

    def list_objects(self) -> Sequence[ObjectInfo]:
        """Return the named objects with scope, table, rows and bytes."""
        return self._opened.catalog.list()

    def delete_object(self, name: str) -> None:
        """Take a name away; its table goes once no variable can reach it."""
        self._opened.catalog.delete(name)

    # Lineage.

    def begin_task(self, task: Task) -> None:
        """Say that a cell begins; never waits for the engine."""
        with self._task_lock:
            self._task = task
            if self.is_open:
                self._future.result().services.oplog.begin_task(task)

    def node_name(self, view: ir.Table | str) -> str:
        """Return the name that the operation log has for a view, an object or a table."""
        if isinstance(view, str):
            return self._opened.catalog.resolve(view) or view
        return self._opened.backend.provenance.name_of(self._opened.backend.relation_of(view))

    def backward_oplog(self, table: ir.Table | str, max_depth: int = 10) -> list[OperationEvent]:
        """Return the events that a table was made by, itself first, oldest source last."""
        from aaiclick_ext.oplog import backward_oplog

        name = self._flushed_name(table)
        return backward_oplog(self.engine, name, max_depth)

    def forward_oplog(self, table: ir.Table | str, max_depth: int = 10) -> list[OperationEvent]:
        """Return the events that a table went into."""
        from aaiclick_ext.oplog import forward_oplog

        name = self._flushed_name(table)
        return forward_oplog(self.engine, name, max_depth)

    def oplog_subgraph(
        self, table: ir.Table | str, direction: Direction = "backward", max_depth: int = 10
    ) -> OplogGraph:
        """Return the graph of operations around a table."""
        from aaiclick_ext.oplog import oplog_subgraph

        name = self._flushed_name(table)
        return oplog_subgraph(self.engine, name, direction, max_depth)

    subgraph = oplog_subgraph

    def _flushed_name(self, table: ir.Table | str) -> str:
        name = self.node_name(table)
        self.oplog.flush()
        return name


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
