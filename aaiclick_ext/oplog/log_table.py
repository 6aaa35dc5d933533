"""The `operation_log` table in ClickHouse: its definition, and how an older one is upgraded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aaiclick_ext.engine import Role
from aaiclick_ext.engine.sql import inline_json
from aaiclick_ext.engine.versioned_table import VersionedTable
from aaiclick_ext.errors import OplogError, UnknownTableError
from aaiclick_ext.oplog.event import OperationEvent, to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from aaiclick_ext.engine import Engine

LOG_TABLE = "operation_log"
LOG_VERSION = 3

_ROWS_PER_INSERT = 1000
_CHARACTERS_PER_INSERT = 16 << 20

# A cell's few rows are written in 2.6 ms by one thread, and in 3.2 ms by all of them.
_INSERT_SETTINGS = "max_threads = 1, input_format_parallel_parsing = 0"

COLUMNS: Mapping[str, str] = {
    "id": "UInt64",
    "result_table": "String",
    "operation": "LowCardinality(String)",
    "kwargs": "Map(String, String)",
    "params": "Map(String, String)",
    "sql_template": "Nullable(String)",
    "task_id": "Nullable(UInt64)",
    "job_id": "UInt64",
    "run_id": "UInt64",
    "node_id": "UInt16",
    "created_at": "DateTime64(6, 'UTC')",
    "cell_id": "LowCardinality(Nullable(String))",
    "execution_count": "Nullable(UInt32)",
    "cell_source": "Nullable(String)",
    "cell_source_hash": "Nullable(String)",
    "variable_names": "Array(String)",
    "rows": "Nullable(UInt64)",
    "elapsed_s": "Nullable(Float64)",
    "status": "LowCardinality(String)",
    "error": "Nullable(String)",
    "result_schema": "Map(String, String)",
    "read_rows": "Nullable(UInt64)",
    "read_bytes": "Nullable(UInt64)",
    "written_bytes": "Nullable(UInt64)",
    "user_name": "LowCardinality(Nullable(String))",
    "notebook_path": "LowCardinality(Nullable(String))",
    "columns": (
        "Array(Tuple(output String, source String, column String, use LowCardinality(String)))"
    ),
    "content_hash": "Nullable(UInt64)",
    "order_hash": "Nullable(UInt64)",
    "kept_values": "Map(String, String)",
}
"""The columns with their types, in order: later versions add at the end, and change none."""

_SINCE = {
    2: ("read_rows", "read_bytes", "written_bytes", "user_name", "notebook_path", "columns"),
    3: ("content_hash", "order_hash", "kept_values"),
}
"""By version, the columns that it added."""

# Long and alike from row to row: a cell's text repeats for each of its events.
_CODECS = dict.fromkeys(
    (
        "kwargs",
        "params",
        "sql_template",
        "cell_source",
        "cell_source_hash",
        "error",
        "result_schema",
        "columns",
        "kept_values",
    ),
    "ZSTD(3)",
)

LOG = VersionedTable(
    name=LOG_TABLE,
    title="operation log",
    columns=COLUMNS,
    # What a question reads of a wide column is at least a granule. Those of 8192 rows, which logs
    # of earlier releases have and keep, take twice as long to read fifty events of one session, or
    # of fifty; smaller ones than these are no faster.
    layout=(
        "ENGINE = MergeTree ORDER BY (result_table, created_at) SETTINGS index_granularity = 1024"
    ),
    error=OplogError,
    version=LOG_VERSION,
    since=_SINCE,
    codecs=_CODECS,
)


def ensure_log(engine: Engine) -> None:
    """Create the log unless it exists; upgrade one of an older version.

    ClickHouse keeps what it has merged for eight minutes more, in case the power fails: about 15 KB
    of memory for each cell. A scratch database ends with the kernel and needs none of it.

    Raises
    ------
    OplogError
        If it is of a newer version, or its columns are not those of its version.
    """
    settings = ", old_parts_lifetime = 1" if engine.creds.is_scratch else ""
    LOG.ensure(engine, role=Role.LOG, settings=settings)


def insert_events(engine: Engine, events: Sequence[OperationEvent]) -> None:
    """Append events, up to a thousand in one insert that lands whole or not at all.

    As JSON in the statement, not as Arrow: chdb's streaming insert reports rows as written that
    the table itself refused (a constraint, too many parts), and is no faster for a cell's events.
    """
    for lines in _parts([to_json(event) for event in events]):
        rows = inline_json("\n".join(lines))
        statement = f"INSERT INTO {LOG_TABLE} SETTINGS {_INSERT_SETTINGS} FORMAT JSONEachRow"
        engine.command(f"{statement}\n{rows}", role=Role.LOG)


def _parts(lines: Iterable[str]) -> Iterator[list[str]]:
    """Yield lines in parts for one statement each: values that are kept make some long."""
    part: list[str] = []
    size = 0
    for line in lines:
        if part and (len(part) == _ROWS_PER_INSERT or size + len(line) > _CHARACTERS_PER_INSERT):
            yield part
            part, size = [], 0
        part.append(line)
        size += len(line)
    if part:
        yield part


def written_ids(engine: Engine, ids: Iterable[int]) -> set[int]:
    """Return which of these events the log already holds."""
    sql = f"SELECT DISTINCT id FROM {LOG_TABLE} WHERE id IN {{ids:Array(UInt64)}}"
    try:
        rows = engine.query_rows(sql, {"ids": list(ids)}, role=Role.LOG)
    except UnknownTableError:
        return set()
    return {row[0] for row in rows}
