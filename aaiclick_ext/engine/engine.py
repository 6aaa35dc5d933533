"""The engine: SQL and Arrow in, Arrow out, for the embedded ClickHouse and for servers alike."""

from __future__ import annotations

import contextlib
import os
import threading
import uuid
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from aaiclick_ext.engine.client import connect_embedded, connect_server, secrets_of
from aaiclick_ext.engine.describe import Describing
from aaiclick_ext.engine.embedded import embedded_process, forked_from
from aaiclick_ext.engine.embedded_handle import EmbeddedHandle
from aaiclick_ext.engine.handle import Handle
from aaiclick_ext.engine.handles import CLOSED, Handles, Role
from aaiclick_ext.engine.interrupt import READ_PATIENCE_S, Guard, InterruptWatch
from aaiclick_ext.engine.limited_writing import LimitedWriting
from aaiclick_ext.engine.limits import Limits, limit_error
from aaiclick_ext.engine.progress import ProgressWatch
from aaiclick_ext.engine.sql import qualified_name
from aaiclick_ext.engine.stream import BatchStream
from aaiclick_ext.engine.translate import QUERY_WAS_CANCELLED, translate
from aaiclick_ext.errors import AaiclickError, ConnectError, ContextError, EngineError
from aaiclick_ext.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from aaiclick_ext.engine.creds import ClickHouseCreds
    from aaiclick_ext.engine.stats import QueryStats
    from aaiclick_ext.settings import Settings

T = TypeVar("T")
Parameters = Mapping[str, Any] | None
_KILLER_ANSWERS_WITHIN_S = 3
_KILL_EVERY_S = 0.1
_KILLED_ENDS_WITHIN_S = 5.0


class Engine(Describing, LimitedWriting):
    """One ClickHouse, embedded or a server. Opens in the background; the first use waits.

    Threads never wait for each other's statements. After a failed statement the next result is
    right. Ctrl-C on the main thread ends the running statement of `Role.USER` in well under a
    second; a statement of another role is finished first. Every failure is one of
    `aaiclick_ext.errors`, with the code, the SQL and, from a server, the query id.

    Parameters
    ----------
    creds
        The database.
    settings
        Where scratch databases live, and how long closing waits.

    Attributes
    ----------
    progress
        Tells how far the statements of `Role.USER` are.
    limits
        What those may do.

    Examples
    --------
    >>> engine = Engine(ClickHouseCreds(), Settings())  # doctest: +SKIP
    >>> engine.query_rows("SELECT 1 + 1")  # doctest: +SKIP
    [(2,)]
    """

    def __init__(self, creds: ClickHouseCreds, settings: Settings) -> None:
        self.creds = creds
        self._tell: Callable[[str], None] = lambda _: None
        self._explain: Callable[[EngineError], EngineError | None] = lambda _: None
        self._settings = settings
        self._pid = os.getpid()
        self._tag = f"aai-{uuid.uuid4().hex[:16]}"
        self._secrets = secrets_of(creds)
        self._path: Path | None = None
        super().__init__()
        self.limits = Limits()
        self.progress = ProgressWatch(lambda: self._handles().open_beside())
        self._streams: weakref.WeakSet[BatchStream] = weakref.WeakSet()
        self._closed = False
        self._close_lock = threading.Lock()
        self._opened: Outcome[Handles] = Outcome()
        self._watch: InterruptWatch
        embedded_process.close_at_exit(self)
        self._opener = threading.Thread(target=self._open, name="aai-open", daemon=True)
        self._opener.start()

    @property
    def identity(self) -> str:
        """What names the database, the same for all who use it; waits where it is scratch."""
        if not self.creds.is_scratch:
            return self.creds.identity
        self.wait_open()
        return f"chdb://{self._path}"

    @property
    def version(self) -> str:
        """ClickHouse's version; waits for the opening."""
        return str(self._handles().client.server_version)

    def wait_open(self, timeout_s: float | None = None) -> None:
        """Return when the engine is open.

        Raises
        ------
        ConnectError
            If it could not be opened, or not in time.
        ContextError
            If it was closed.
        """
        self._handles(timeout_s)

    def belong_to(self, kernel_session: int) -> None:
        """Write down in a scratch database whose it is, should the process die."""
        if self.creds.is_scratch:
            self.wait_open()
            embedded_process.mark_scratch(kernel_session)

    def tell_of_statements(self, tell: Callable[[str], None]) -> None:
        """Give this the SQL of each statement once it ended, before who sent it goes on.

        Also where it failed; it must not raise.
        """
        self._tell = tell

    def explain_with(self, explain: Callable[[EngineError], EngineError | None]) -> None:
        """Ask this, where a statement of `Role.USER` failed, for an error that says more.

        It may run statements of other roles.
        """
        self._explain = explain

    def query_arrow(
        self, sql: str, parameters: Parameters = None, *, role: Role = Role.USER
    ) -> pa.Table:
        """Run a query and return its result as ClickHouse's Arrow output gives it.

        Parameters
        ----------
        sql
            One statement. ``{name:Type}`` stands for a parameter.
        parameters
            Values, bound by ClickHouse.
        """
        return self.fetch(sql, parameters, role=role)[0]

    def fetch(
        self, sql: str, parameters: Parameters = None, *, role: Role = Role.USER
    ) -> tuple[pa.Table, QueryStats]:
        """Do what `query_arrow` does; return also what the query took."""
        return self._run(role, sql, lambda handle: handle.fetch(sql, parameters))

    def stream_arrow(self, sql: str, parameters: Parameters = None) -> pa.RecordBatchReader:
        """Run a query and return a reader of its batches, which come as they are read.

        The reader has a handle of its own until it is exhausted or collected. The first batch is
        awaited here, for its schema.
        """
        import pyarrow as pa

        stream = BatchStream(self._step, self._handles(), self.progress, sql, parameters)
        self._streams.add(stream)
        return pa.RecordBatchReader.from_batches(stream.schema, stream)

    def query_rows(
        self, sql: str, parameters: Parameters = None, *, role: Role = Role.USER
    ) -> list[tuple[Any, ...]]:
        """Run a small query and return its rows as Python values."""
        return self._run(role, sql, lambda handle: handle.query_rows(sql, parameters))

    def command(
        self, sql: str, parameters: Parameters = None, *, role: Role = Role.USER
    ) -> QueryStats:
        """Run a statement for its effect.

        Where Ctrl-C comes too late to stop it, KeyboardInterrupt is raised after it was done.
        """
        return self._write(role, sql, lambda handle: handle.command(sql, parameters))

    def insert_arrow(
        self,
        table: str,
        data: pa.Table,
        *,
        role: Role = Role.USER,
        columns: list[str] | None = None,
        database: str | None = None,
    ) -> QueryStats:
        """Append a table of Arrow; its columns go to the columns of their names.

        A null that its column cannot hold is an error, and so is an unknown column. What fails
        in the middle may leave the rows before it.

        The embedded engine reports as written what materialized views write, and rows that the
        table then refuses by a constraint or for too many partitions: where that can be, count
        the table's rows afterwards. Of a killed insert it only tells that fewer rows were written
        than given, which views can make up for.

        Parameters
        ----------
        table, database
            Bare names, not yet quoted.
        columns
            Names of the target columns, in the order of `data`, where its own are others.
        """
        if columns is not None:
            data = data.rename_columns(columns)
        target = qualified_name(table, database)
        names = list(data.schema.names)
        return self._write(
            role,
            f"INSERT INTO {target}",
            lambda handle: handle.insert_arrow(target, names, data),
            size_bytes=data.nbytes,
        )

    def insert_file(
        self,
        table: str,
        path: Path,
        file_format: str,
        *,
        columns: list[str] | None = None,
        database: str | None = None,
    ) -> QueryStats:
        """Append a local file, written in one of ClickHouse's formats; a server gets its bytes."""
        target = qualified_name(table, database)
        return self._write(
            Role.USER,
            f"INSERT INTO {target} FORMAT {file_format}",
            lambda handle: handle.insert_file(target, columns, path, file_format),
        )

    @contextlib.contextmanager
    def session(self) -> Iterator[None]:
        """Run the statements of `Role.USER` that this thread sends in the block in one session.

        ``SET``, ``USE`` and temporary tables hold until the block ends; others do not see them.
        """
        with self._handles().session():
            yield

    def cancel(self, thread: int | None = None) -> None:
        """Kill what users run on this engine now; drops and log inserts go on.

        Streams that nobody is reading are ended: a query that waits to be read hears no KILL, and
        the drop of a table waits for it.

        Parameters
        ----------
        thread
            Identifier of a thread: kills what that one runs alone, and ends no stream.
        """
        if os.getpid() == self._pid and self._opened.done() and not self._opened.exception():
            for stream in list(self._streams) if thread is None else ():
                stream.cut_if_idle()
            for handle in self._opened.result().of_users(thread):
                with handle.cancelling() as running:
                    self._kill(running)

    def kill(self, sql: str) -> pa.Table:
        """Run a KILL of the user's own and return what it found.

        What users run on the embedded engine at that time counts as cancelled: a query that a KILL
        finds may end there as if it were done, with a part of its rows.
        """
        with contextlib.ExitStack() as marked:
            for handle in self._handles().of_users() if self.creds.is_embedded else ():
                marked.enter_context(handle.cancelling())
            return self.query_arrow(sql)

    def close(self) -> None:
        """Kill what users run, wait for its end, and close. Twice is fine.

        The worker's and the log's statements may finish, as long as settings allow. A scratch
        database goes at the end of the process.
        """
        if os.getpid() != self._pid:
            return  # a forked child owns none of this
        with self._close_lock:
            if self._closed:
                return
            self._closed = True
            self._opener.join()
            self.progress.close()
            if self._opened.exception() is None:
                self._close_handles(self._opened.result())
                self._watch.close()

    def abandon(self) -> None:
        """Leave everything as it is: this is a forked child."""
        for stream in list(self._streams):
            stream.abandon(forked_from(self._pid))

    def _run(
        self,
        role: Role,
        sql: str,
        work: Callable[[Handle], T],
        *,
        patience_s: float = READ_PATIENCE_S,
    ) -> T:
        if role is not Role.USER:
            return self._run_plainly(role, sql, work, patience_s)
        return self._explaining(lambda: self._run_plainly(role, sql, work, patience_s))

    def _explaining(self, run: Callable[[], T]) -> T:
        try:
            return run()
        except EngineError as error:
            explained = self._explain(error)
            if explained is None:
                raise
            try:
                raise explained from error
            finally:
                del explained  # as below

    def _run_plainly(
        self, role: Role, sql: str, work: Callable[[Handle], T], patience_s: float
    ) -> T:
        handles = self._handles()
        with self._watch.guard(patience_s) as guard:
            handle = handles.take(role)
            try:
                handle.begin()
                if role is not Role.USER:
                    return self._attempt(None, handle, sql, partial(self.limits.lift, work=work))
                limited = partial(self.limits.keep, work=work)
                return self.progress.run(handle, lambda: self._attempt(guard, handle, sql, limited))
            finally:
                handles.give_back(handle)
                self._tell(sql)

    def _step(self, handle: Handle, sql: str, work: Callable[[Handle], T]) -> T:
        """Run a part of a statement on a handle that is already lent."""
        return self._explaining(lambda: self._step_plainly(handle, sql, work))

    def _step_plainly(self, handle: Handle, sql: str, work: Callable[[Handle], T]) -> T:
        self._check()
        with self._watch.guard() as guard:
            try:
                return self._attempt(guard, handle, sql, work)
            finally:
                self._tell(sql)

    def _attempt(
        self, guard: Guard | None, handle: Handle, sql: str, work: Callable[[Handle], T]
    ) -> T:
        try:
            if guard is not None:
                guard.aim(handle.running, may_abandon=handle.can_abandon)
            try:
                result = work(handle)
            finally:
                if guard is not None:
                    guard.disarm()  # a KILL must hit neither the flush nor what follows
            if handle.cancelled:  # killed as it begins it ends empty, not with an error
                raise EngineError("Query was cancelled.", code=QUERY_WAS_CANCELLED)  # noqa: TRY301
        except Exception as error:  # noqa: BLE001 -- all of them are translated
            handle.recover()
            failure = self._translated(error, sql, handle)
        except BaseException:
            handle.recover()
            raise
        else:
            return result
        try:
            raise failure  # outside the handler, so that nothing unseen becomes its context
        finally:
            del failure  # or it would keep this frame, and that all callers with their tables

    def _translated(self, error: Exception, sql: str, handle: Handle) -> AaiclickError:
        if self._closed:
            return ContextError(CLOSED)
        failure = translate(error, sql=sql, query_id=handle.query_id, secrets=self._secrets)
        return limit_error(failure, handle.limits) or failure

    def _check(self) -> None:
        if os.getpid() != self._pid:
            raise ContextError(forked_from(self._pid))
        if self._closed:
            raise ContextError(CLOSED)

    def _handles(self, timeout_s: float | None = None) -> Handles:
        self._check()
        if not self._opened.wait(timeout_s):
            raise ConnectError(f"{self.creds.url} is not open after {timeout_s} s.")
        return self._opened.result()

    def _open(self) -> None:
        try:
            handles = self._open_handles()
            self._watch = InterruptWatch(self._kill)
        except AaiclickError as error:
            self._opened.set_exception(error)
        except BaseException as error:  # noqa: BLE001 -- it surfaces at the first use
            failure = ConnectError(f"{self.creds.url} cannot be opened: {error}")
            failure.__cause__ = None if self._secrets else error
            self._opened.set_exception(failure)
        else:
            self._opened.set_result(handles)
            import pyarrow as pa  # noqa: F401 -- paid for here, not by the first query

    def _open_handles(self) -> Handles:
        if not self.creds.is_embedded:
            connect = partial(connect_server, self.creds)
            killer = partial(connect, answer_within_s=_KILLER_ANSWERS_WITHIN_S)
            return Handles(Handle, connect, killer, self._tag)
        path = embedded_process.acquire(self.creds.path, self._settings.scratch_path)
        try:
            connect = partial(connect_embedded, path)
            handles = Handles(EmbeddedHandle, connect, connect, self._tag)
        except BaseException:
            embedded_process.release()
            raise
        self._path = self.limits.path = path
        return handles

    def _kill(self, condition: str) -> None:
        killer = self._opened.result().killer
        with killer.lock:
            killer.command(f"KILL QUERY WHERE {condition} ASYNC")

    def _close_handles(self, handles: Handles) -> None:
        handles.lend_no_more()
        patience_s = self._settings.close_timeout_s
        while not self._is_idle(handles) and patience_s > -_KILLED_ENDS_WITHIN_S:
            patience_s -= _KILL_EVERY_S
            targets = handles.user_conditions() if patience_s > 0 else handles.conditions()
            for condition in targets:
                with contextlib.suppress(Exception):  # it may have ended by itself
                    self._kill(condition)
        handles.close()
        if self.creds.is_embedded:
            embedded_process.release()

    def _is_idle(self, handles: Handles) -> bool:
        for stream in list(self._streams):
            stream.cut_if_idle()
        return handles.wait_until_idle(_KILL_EVERY_S)
