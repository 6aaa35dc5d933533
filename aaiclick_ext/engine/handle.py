"""A handle: one clickhouse-connect client with our settings, for one statement at a time."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from aaiclick_ext.engine.arrow_stream import stream_chunks
from aaiclick_ext.engine.http_result import read_result
from aaiclick_ext.engine.limits import within
from aaiclick_ext.engine.sql import quote_identifier, quote_literal
from aaiclick_ext.engine.stats import QueryStats

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa
    from clickhouse_connect.driver.client import Client

Parameters = Mapping[str, Any] | None

SESSION_SETTINGS: dict[str, str | int] = {
    "join_use_nulls": 1,  # an unmatched row of a join is null, not 0 and ''
    "aggregate_functions_null_for_empty": 1,  # so is a reduction of nothing
    "session_timezone": "UTC",
    "output_format_arrow_compression_method": "none",  # twice as fast in one process
    "output_format_arrow_fixed_string_as_fixed_byte_array": 0,
    "input_format_null_as_default": 0,  # a null that a column cannot hold is an error
    "insert_null_as_default": 0,
    "insert_allow_materialized_columns": 1,  # row numbers of arrays are written, not recounted
    "print_pretty_type_names": 0,  # a Tuple in a line, not over several
    "result_overflow_mode": "throw",  # a result past its limit is an error, never a part of it
    "http_max_tries": 1,  # url() to a refused port takes 131 s otherwise
    "database_atomic_wait_for_drop_and_detach_synchronously": 1,  # files go with the table
}
"""Set once on every handle when it is opened, also on one that replaces a broken one."""


class Handle:
    """A client of a ClickHouse server over HTTP.

    Parameters
    ----------
    connect
        Opens a client, given the settings that are the handle's own.
    tag
        Goes into ``log_comment``, so that what runs here can be found and killed.
    """

    can_abandon = True
    """Whether an exception may be raised in the middle of a statement (sockets can be dropped)."""

    def __init__(self, connect: Callable[[dict[str, str]], Client], tag: str) -> None:
        self.tag = tag
        self.lock = threading.Lock()
        self.query_id: str | None = None
        self.cancelled = False
        self._kills: set[object] = set()  # its changes are atomic
        self._broken = False
        self._limits: Mapping[str, int] = {}
        self._numbers = itertools.count(1)
        self._connect = connect
        self.client = connect({"log_comment": tag})

    @property
    def running(self) -> str:
        """The SQL condition that finds what runs here now in ``system.processes``."""
        return f"query_id = {quote_literal(self.query_id or '')}"

    @property
    def is_being_killed(self) -> bool:
        """Whether a KILL is under way that would find what begins here now."""
        return bool(self._kills)

    def begin(self) -> None:
        """Get ready for a statement: a new query id, and a new client if the last one broke."""
        self.query_id = f"{self.tag}-{next(self._numbers)}"
        self.cancelled = bool(self._kills)
        if self._broken:
            self.replace()

    def limit(self, limits: Mapping[str, int]) -> None:
        """Run further statements with these settings of ClickHouse; those before are undone."""
        self._limits = limits

    @property
    def limits(self) -> Mapping[str, int]:
        """The settings that `limit` was given."""
        return self._limits

    def begin_session(self) -> None:
        """Let what SET, USE and temporary tables do hold for the statements that follow."""
        client: Any = self.client
        given = ", ".join(
            f"{name} = {quote_literal(str(value))}" for name, value in SESSION_SETTINGS.items()
        )
        client.set_client_setting("session_id", uuid.uuid4().hex)
        for name in SESSION_SETTINGS:  # what a request sends would win over what was set before
            client.params.pop(name, None)
        database, client.database = client.database, None
        client.command(f"SET {given}")
        if database:
            client.command(f"USE {quote_identifier(database)}")

    @contextlib.contextmanager
    def cancelling(self) -> Iterator[str]:
        """Mark what runs while the block kills it as cancelled; yields the condition to kill by.

        Also what begins meanwhile: the KILL may find that one, and a query that is killed as it
        begins ends empty, without an error.
        """
        kill = object()
        self._kills.add(kill)
        self.cancelled = True
        try:
            yield self.running
        finally:
            self._kills.discard(kill)

    def fetch(self, sql: str, parameters: Parameters = None) -> tuple[pa.Table, QueryStats]:
        """Run a query; return its whole result and what it took, as far as the driver tells.

        Raises
        ------
        EngineError
            If it has more bytes than its limit.
        """
        import pyarrow as pa

        started = time.perf_counter()
        with contextlib.closing(self.batches(sql, parameters)) as items:
            schema = next(items)
            table = pa.Table.from_batches(within(self._limits, items), schema)
        return table, self._fetched(started)

    def query_rows(self, sql: str, parameters: Parameters = None) -> list[tuple[Any, ...]]:
        """Run a query and return its rows as Python values."""
        result = self.client.query(sql, _bound(parameters), settings=self._named())
        return [tuple(row) for row in result.result_rows]

    def command(self, sql: str, parameters: Parameters = None) -> QueryStats:
        """Run a statement whose result, if it has one, is of no interest."""
        started = time.perf_counter()
        done = self.client.command(sql, _bound(parameters), settings=self._named())
        return self._stats(getattr(done, "summary", {}), started)

    def insert_arrow(self, table: str, columns: list[str], data: pa.Table) -> QueryStats:
        """Send a table of Arrow to an (already quoted) table."""
        started = time.perf_counter()
        summary = self.client.raw_insert(
            table,
            columns,
            # A generator: the driver repeats an insert of bytes after a lost connection, and the
            # first one may have arrived.
            insert_block=stream_chunks(data),
            settings=self._named(),
            fmt="ArrowStream",
        )
        return self._stats(summary.summary, started)

    def batches(
        self, sql: str, parameters: Parameters = None
    ) -> Generator[pa.RecordBatch | pa.Schema, None, None]:
        """Run a query; yield its schema, then its batches as they come."""
        yield from read_result(
            self.client.raw_stream(
                sql, _bound(parameters), settings=self._named(), fmt="ArrowStream"
            )
        )

    def insert_file(
        self, table: str, columns: list[str] | None, path: Path, file_format: str
    ) -> QueryStats:
        """Send a local file, in a ClickHouse format, to an (already quoted) table."""
        started = time.perf_counter()
        with path.open("rb") as file:
            summary = self.client.raw_insert(
                table, columns, insert_block=file, settings=self._named(), fmt=file_format
            )
        return self._stats(summary.summary, started)

    def recover(self) -> None:
        """Make the next result right after a failure. HTTP requests share no state."""

    def replace(self) -> None:
        """Open a new client, with the same settings, in place of this one.

        Where that fails, the handle tries again before its next statement.
        """
        self._broken = True
        old, self.client = self.client, self._connect({"log_comment": self.tag})
        self._broken = False
        self._discard(old)

    def close(self) -> None:
        """Close the client."""
        self.client.close()

    def _discard(self, client: Client) -> None:
        client.close()

    def _fetched(self, started: float) -> QueryStats:
        return self._stats({}, started)

    def _named(self) -> dict[str, Any]:
        return {**self._limits, "query_id": self.query_id} if self.query_id else {**self._limits}

    def _stats(self, summary: Mapping[str, object], started: float) -> QueryStats:
        return QueryStats.from_summary(summary, self.query_id, time.perf_counter() - started)


def _bound(parameters: Parameters) -> dict[str, Any] | None:
    return dict(parameters) if parameters else None


def insert_statement(table: str, columns: list[str] | None) -> str:
    """Return the INSERT for an (already quoted) table and column names."""
    if not columns:
        return f"INSERT INTO {table}"
    return f"INSERT INTO {table} ({', '.join(map(quote_identifier, columns))})"
