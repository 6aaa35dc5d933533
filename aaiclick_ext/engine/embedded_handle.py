"""A handle of the embedded engine, which has no HTTP between us and chdb's own connection."""

from __future__ import annotations

import contextlib
import re
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from aaiclick_ext.engine.arrow_stream import push_stream
from aaiclick_ext.engine.embedded import driver_of
from aaiclick_ext.engine.handle import Handle, Parameters, insert_statement
from aaiclick_ext.engine.sql import quote_literal
from aaiclick_ext.engine.stats import QueryStats
from aaiclick_ext.engine.translate import QUERY_WAS_CANCELLED
from aaiclick_ext.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from pathlib import Path

    import pyarrow as pa
    from clickhouse_connect.driver.client import Client

_LOCK_TIMEOUT_S = 1
_IS_NO_SELECT = "Streaming query is not supported"  # SHOW, DESCRIBE, EXPLAIN and their like
_ARE_TOTALS = re.compile(
    r"(?:Code: 49\. DB::Exception: )+Invalid number of rows in Chunk .*: expected 0, got"
)


class EmbeddedHandle(Handle):
    """A clickhouse-connect client over chdb; statements go straight to its connection.

    That saves the driver's copy of every result and its temporary file per insert (1M rows
    insert in a third of the time).
    """

    can_abandon = False

    def __init__(self, connect: Callable[[dict[str, str]], Client], tag: str) -> None:
        super().__init__(connect, tag)
        self._progress: deque[dict[str, int]] = deque(maxlen=1)  # the last of a fetched result

    def query_rows(self, sql: str, parameters: Parameters = None) -> list[tuple[Any, ...]]:
        """Run a query and return its rows as Python values."""
        result = self.client.query(sql, dict(parameters) if parameters else None)
        return [tuple(row) for row in result.result_rows]

    def command(self, sql: str, parameters: Parameters = None) -> QueryStats:
        """Run a statement whose result, if it has one, is of no interest."""
        started = time.perf_counter()
        statement, bound = self._bind(sql, parameters)
        result = self._connection.query(statement, "Null", params=bound)
        return _stats(result, started)

    def insert_arrow(self, table: str, columns: list[str], data: pa.Table) -> QueryStats:
        """Push a table of Arrow into an (already quoted) table, in constant memory."""
        started = time.perf_counter()
        with self._connection.send_insert(insert_statement(table, columns), "ArrowStream") as push:
            push_stream(data, push.append)
            written = push.finish()
        if written.rows_written < data.num_rows:
            # chdb says nothing when such an insert is killed; it only stops writing. It counts
            # what materialized views write too, and rows that the table then refuses.
            raise EngineError(
                f"The insert was cancelled after {written.rows_written} of {data.num_rows} rows.",
                code=QUERY_WAS_CANCELLED,
            )
        return QueryStats(
            query_id=None,
            read_rows=None,
            read_bytes=None,
            written_rows=written.rows_written,
            written_bytes=written.bytes_written,
            elapsed_s=time.perf_counter() - started,
        )

    def batches(
        self, sql: str, parameters: Parameters = None
    ) -> Generator[pa.RecordBatch | pa.Schema, None, None]:
        """Run a query; yield its schema, then its batches as they come, without a copy."""
        import pyarrow as pa

        has_schema = False
        with contextlib.closing(self._parts(*self._bind(sql, parameters))) as parts:
            for part in parts:
                file = pa.ipc.open_file(_shared(part))
                if not has_schema:
                    has_schema = True
                    yield file.schema
                yield from (file.get_batch(i) for i in range(file.num_record_batches))
        if not has_schema:  # a statement without a result
            yield pa.schema([])

    def limit(self, limits: Mapping[str, int]) -> None:
        """Run further statements with these settings; runs one of its own only to change them."""
        changed = dict.fromkeys(self._limits, 0) | dict(limits)
        if changed != self._limits:
            values = ", ".join(f"{name} = {value:d}" for name, value in changed.items())
            self._connection.query(f"SET {values}", "Null")
            self._limits = changed

    def replace(self) -> None:
        """Open a new client in place of this one."""
        super().replace()
        self._limits = {}

    def recover(self) -> None:
        """Flush what a failed statement left, or replace the client.

        An embedded query that fails after it has emitted rows leaves them in the handle, and
        they come back at the head of the next result.
        """
        if not self._flushed():
            with contextlib.suppress(Exception):  # then `begin` tries again, and says why not
                self.replace()

    def _flushed(self) -> bool:
        # A KeyboardInterrupt inside the driver can leave its lock held for ever.
        lock = self._driver.lock
        if not lock.acquire(timeout=_LOCK_TIMEOUT_S):
            return False
        try:
            self._connection.query("SELECT 1", "Null")
        except Exception:  # noqa: BLE001 -- whatever it is, this connection is of no more use
            return False
        else:
            return True
        finally:
            lock.release()

    def _discard(self, client: Client) -> None:
        driver = driver_of(client)
        if driver.lock.acquire(blocking=False):
            driver.lock.release()
            client.close()
        else:
            with contextlib.suppress(Exception):  # closing the client would wait for the lock
                driver.conn.close()

    @property
    def running(self) -> str:
        """The SQL condition that finds what runs here now in ``system.processes``."""
        return f"Settings['log_comment'] = '{self.tag}'"

    def begin_session(self) -> None:
        """Do nothing: a connection of the embedded engine is a session."""

    def begin(self) -> None:
        """Get ready for a statement: a new client if the last one broke. There are no query ids."""
        self.cancelled = bool(self._kills)
        if self._broken:
            self.replace()

    def insert_file(
        self, table: str, columns: list[str] | None, path: Path, file_format: str
    ) -> QueryStats:
        """Read a local file, in a ClickHouse format, into an (already quoted) table."""
        source = f"FROM INFILE {quote_literal(str(path))} FORMAT {file_format}"
        return self.command(f"{insert_statement(table, columns)} {source}")

    @property
    def _driver(self) -> Any:
        return driver_of(self.client)

    @property
    def _connection(self) -> Any:
        return self._driver.conn

    def _parts(self, statement: str | bytes, bound: dict[str, Any]) -> Generator[Any, None, None]:
        """Yield a result in parts, each a file of Arrow, as the query makes them.

        One without rows, which tells the columns, where there are none. chdb's own iterator leaves
        that out. A whole result could not be stopped once the query has ended: chdb copies it.
        """
        connection = self._connection._conn  # noqa: SLF001
        self._progress.clear()
        connection.set_progress_callback(self._progress.append)  # the parts tell less than was read
        try:
            try:
                stream = connection.send_query(statement, "Arrow", params=bound)
            except RuntimeError as error:
                if _IS_NO_SELECT not in str(error):
                    raise
                whole = connection.query(statement, "Arrow", params=bound)
                yield from [whole] if whole.size() else []
                return
            try:
                while (part := connection.streaming_fetch_result(stream)).size():
                    yield part
            except RuntimeError as error:  # totals and extremes come last, and Arrow has none
                if not _ARE_TOTALS.match(str(error)):
                    raise
            finally:
                connection.streaming_cancel_query(stream)
        finally:
            connection.set_progress_callback(None)

    def _fetched(self, started: float) -> QueryStats:
        last = self._progress[-1] if self._progress else {}
        return QueryStats(
            query_id=None,
            read_rows=last.get("read_rows", 0),
            read_bytes=last.get("read_bytes", 0),
            written_rows=0,
            written_bytes=0,
            elapsed_s=time.perf_counter() - started,
        )

    def _bind(self, sql: str, parameters: Parameters) -> tuple[str | bytes, dict[str, Any]]:
        from clickhouse_connect.driver.binding import bind_query

        statement, bound = bind_query(sql, dict(parameters) if parameters else None)
        return statement, {name.removeprefix("param_"): value for name, value in bound.items()}


def _stats(result: Any, started: float) -> QueryStats:
    return QueryStats(
        query_id=None,
        read_rows=result.storage_rows_read(),
        read_bytes=result.storage_bytes_read(),
        written_rows=result.rows_written(),
        written_bytes=result.bytes_written(),
        elapsed_s=time.perf_counter() - started,
    )


def _shared(result: Any) -> pa.Buffer:
    """Return the bytes of a chdb result without a copy; they keep the result alive.

    chdb's own view of them does not: its memory is taken back with the result.
    """
    import pyarrow as pa

    seen = pa.py_buffer(result.get_memview().view())
    return pa.foreign_buffer(seen.address, seen.size, base=result)
