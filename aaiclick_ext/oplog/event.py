"""OperationEvent: one operation, as the log keeps it; and batches of them as Arrow."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, Self

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Status = Literal["ok", "error"]


@dataclass(frozen=True, slots=True)
class OperationEvent:
    """One operation that made, changed or read out data.

    What is not known is None, never 0. Texts hold no secrets: they are masked before an event
    exists.
    """

    id: int
    """A Snowflake: events sort by it in the order in which they were recorded."""
    result_table: str
    """The table, lazy view (``view_…``) or sink (``fetch_…``) that came out."""
    operation: str
    kwargs: Mapping[str, str]
    """The tables and views that went in, by role; nothing else."""
    params: Mapping[str, str]
    """Literals, filters, keys and columns, as text."""
    sql_template: str | None
    task_id: int | None
    """The cell execution, or None outside cells."""
    job_id: int
    """The kernel session."""
    run_id: int
    node_id: int
    created_at: dt.datetime
    """In UTC, to the microsecond."""
    cell_id: str | None = None
    execution_count: int | None = None
    cell_source: str | None = None
    cell_source_hash: str | None = None
    """SHA-256 of the masked source; of the typed one where it could not be masked."""
    variable_names: tuple[str, ...] = ()
    """The variables that held the result when its cell ended."""
    rows: int | None = None
    elapsed_s: float | None = None
    status: Status = "ok"
    error: str | None = None
    result_schema: Mapping[str, str] = field(default_factory=dict)
    """The result's columns with their ClickHouse types, in order."""

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Return the event of one row of the log, as Arrow or JSON gives it."""
        values = {name: row[name] for name in FIELD_NAMES}
        for name in ("kwargs", "params", "result_schema"):
            values[name] = dict(values[name] or ())
        values["variable_names"] = tuple(values["variable_names"] or ())
        if isinstance(values["created_at"], str):
            values["created_at"] = dt.datetime.fromisoformat(values["created_at"])
        values["created_at"] = values["created_at"].astimezone(dt.UTC)
        return cls(**values)


FIELD_NAMES = tuple(spec.name for spec in fields(OperationEvent))

_MAP = pa.map_(pa.string(), pa.string())
ARROW_SCHEMA = pa.schema(
    [
        pa.field("id", pa.uint64(), nullable=False),
        pa.field("result_table", pa.string(), nullable=False),
        pa.field("operation", pa.string(), nullable=False),
        pa.field("kwargs", _MAP, nullable=False),
        pa.field("params", _MAP, nullable=False),
        pa.field("sql_template", pa.string()),
        pa.field("task_id", pa.uint64()),
        pa.field("job_id", pa.uint64(), nullable=False),
        pa.field("run_id", pa.uint64(), nullable=False),
        pa.field("node_id", pa.uint16(), nullable=False),
        pa.field("created_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("cell_id", pa.string()),
        pa.field("execution_count", pa.uint32()),
        pa.field("cell_source", pa.string()),
        pa.field("cell_source_hash", pa.string()),
        pa.field("variable_names", pa.list_(pa.string()), nullable=False),
        pa.field("rows", pa.uint64()),
        pa.field("elapsed_s", pa.float64()),
        pa.field("status", pa.string(), nullable=False),
        pa.field("error", pa.string()),
        pa.field("result_schema", _MAP, nullable=False),
    ]
)


def to_arrow(events: Iterable[OperationEvent]) -> pa.Table:
    """Return events as one Arrow table, a row each, in order."""
    events = list(events)
    columns = [
        _column([getattr(event, spec.name) for event in events], spec.type) for spec in ARROW_SCHEMA
    ]
    return pa.Table.from_arrays(columns, schema=ARROW_SCHEMA)


def from_arrow(table: pa.Table) -> list[OperationEvent]:
    """Return the events in an Arrow table with the log's columns."""
    return [OperationEvent.from_row(row) for row in table.to_pylist()]


def _column(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_map(kind):
        values = [list(value.items()) for value in values]
    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:  # a lone surrogate, which Python's text may hold and UTF-8 may not
        return pa.array([_encodable(value) for value in values], kind)


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, (list, tuple)):
        return type(value)(_encodable(item) for item in value)
    return value
