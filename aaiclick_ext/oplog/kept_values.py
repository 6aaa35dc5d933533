"""Values typed in Python, kept in the log, so that a table made of them can be made again."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from aaiclick_ext.oplog.log_table import LOG_TABLE

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import pyarrow as pa

    from aaiclick_ext.engine import Engine

_VALUES = f"""
SELECT kept_values FROM {LOG_TABLE}
WHERE result_table = {{table:String}} AND id = {{id:UInt64}} LIMIT 1
"""


def take(values: Mapping[str, pa.Table], most_bytes: int) -> dict[str, pa.Buffer]:
    """Return copies of the values that have no more than so many bytes, as Arrow IPC streams.

    Copies, since the caller may change the arrays that an Arrow table was made of.
    """
    return {role: _stream(data) for role, data in values.items() if data.nbytes <= most_bytes}


def _stream(data: pa.Table) -> pa.Buffer:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, data.schema) as writer:
        writer.write_table(data)
    return sink.getvalue()


def encoded(taken: Mapping[str, pa.Buffer], secrets: Collection[str]) -> dict[str, str]:
    """Return values as the log keeps them, in Base64, without those that hold a secret as text."""
    hidden = [secret.encode("utf-8", "surrogatepass") for secret in secrets]
    return {
        role: base64.b64encode(stream).decode()
        for role, stream in taken.items()
        if not any(secret in stream.to_pybytes() for secret in hidden)
    }


def decoded(text: str) -> pa.Table:
    """Return a value as the log keeps it."""
    import pyarrow as pa

    with pa.ipc.open_stream(base64.b64decode(text)) as reader:
        return reader.read_all()


def values_of(engine: Engine, table: str, event_id: int) -> dict[str, pa.Table]:
    """Return the values that an event kept, by role. One query."""
    rows = engine.query_rows(_VALUES, {"table": table, "id": event_id})
    return {role: decoded(text) for role, text in rows[0][0].items()} if rows else {}
