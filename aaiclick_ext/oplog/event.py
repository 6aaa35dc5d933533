"""OperationEvent: one operation, as the log keeps it; as JSON and from Arrow."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, Self

from aaiclick_ext.oplog.columns import ColumnEdge

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

Status = Literal["ok", "error"]


@dataclass(frozen=True, slots=True)
class ContentHash:
    """What a table holds, in three numbers that differ where tables do, but for rare accidents.

    Attributes
    ----------
    content
        The sum of the rows' hashes, whatever their order.
    order
        The same of the rows' hashes with their places.
    """

    rows: int
    content: int
    order: int


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
    """The variables that held the result when its cell ended, or when it was written before."""
    rows: int | None = None
    elapsed_s: float | None = None
    status: Status = "ok"
    error: str | None = None
    result_schema: Mapping[str, str] = field(default_factory=dict)
    """The result's columns with their ClickHouse types, in order."""
    read_rows: int | None = None
    read_bytes: int | None = None
    """What the statement read, as ClickHouse counted."""
    written_bytes: int | None = None
    """What it wrote: the bytes of a table's new rows, or those that left the database."""
    user_name: str | None = None
    """Who runs the kernel, as its system knows them."""
    notebook_path: str | None = None
    """As the front end gave it; None where it gives none."""
    columns: tuple[ColumnEdge, ...] = ()
    """What each column of the result depends on; empty where that is not known."""
    content_hash: int | None = None
    order_hash: int | None = None
    """Of a table that ended: of its rows in any order, and of their order; see `ContentHash`."""
    kept_values: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The values that went in, by role, as `take` gives them; `READ_FIELDS` leave them out."""

    @property
    def content(self) -> ContentHash | None:
        """What a table held when it ended; None where that was not found out."""
        if self.rows is None or self.content_hash is None or self.order_hash is None:
            return None
        return ContentHash(self.rows, self.content_hash, self.order_hash)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Return the event of one row of the log, as Arrow gives it."""
        values = {name: row[name] for name in FIELD_NAMES if name in row}
        for name in _MAPPINGS:
            values[name] = dict(values.get(name) or ())
        values["variable_names"] = tuple(values["variable_names"] or ())
        values["columns"] = tuple(ColumnEdge(**edge) for edge in values.get("columns") or ())
        values["created_at"] = values["created_at"].astimezone(dt.UTC)
        return cls(**values)


FIELD_NAMES = tuple(spec.name for spec in fields(OperationEvent))
READ_FIELDS = tuple(name for name in FIELD_NAMES if name != "kept_values")
"""What questions to the log read: values can be large, and are asked for one by one."""

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MAPPINGS = ("kwargs", "params", "result_schema", "kept_values")
_TIME = "%Y-%m-%d %H:%M:%S.%f"


def to_json(event: OperationEvent) -> str:
    """Return the event as one line of JSON, as ClickHouse and `from_json` read it."""
    row: dict[str, Any] = {name: getattr(event, name) for name in FIELD_NAMES}
    row["created_at"] = event.created_at.astimezone(dt.UTC).strftime(_TIME)
    for name in _MAPPINGS:
        row[name] = dict(row[name])
    row["columns"] = [_edge_row(edge) for edge in event.columns]
    text = json.dumps(row, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = json.dumps(_encodable(row), ensure_ascii=False)
    return text


def _edge_row(edge: ColumnEdge) -> dict[str, str]:
    return {
        "output": edge.output,
        "source": edge.source,
        "column": edge.column,
        "use": edge.use,
    }


def from_json(line: str) -> OperationEvent:
    """Return the event of one line of JSON."""
    row = json.loads(line)
    created_at = dt.datetime.strptime(row["created_at"], _TIME).replace(tzinfo=dt.UTC)
    return OperationEvent.from_row(row | {"created_at": created_at})


def _encodable(value: Any) -> Any:
    """Escape lone surrogates, which Python's text may hold and UTF-8 may not."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    return [_encodable(item) for item in value] if isinstance(value, list | tuple) else value


def from_arrow(table: pa.Table) -> list[OperationEvent]:
    """Return the events in an Arrow table with the log's columns.

    Times are taken as numbers: to make Python's of them, Arrow imports pandas, if it is there.
    """
    import pyarrow as pa

    times = table["created_at"].cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_pylist()
    return [
        OperationEvent.from_row(row | {"created_at": _EPOCH + dt.timedelta(microseconds=time)})
        for row, time in zip(table.drop_columns("created_at").to_pylist(), times, strict=True)
    ]
