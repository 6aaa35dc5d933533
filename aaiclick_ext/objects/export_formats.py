"""Writers of the formats that an export can have, each fed with one batch after another."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator
from typing import IO, TYPE_CHECKING

import pyarrow as pa

from aaiclick_ext.errors import UnsupportedTypeError
from aaiclick_ext.objects.rendering import check_cells, check_values, csv_lines, json_lines

if TYPE_CHECKING:
    from collections.abc import Iterable

Writer = Callable[["IO[bytes]", pa.Schema, "Iterable[pa.RecordBatch]"], int]
"""Writes batches of a schema to a file; returns the number of rows."""

_GROUP_ROWS = 1 << 20
_GROUP_BYTES = 1 << 27
_TEXT_BYTES = 1 << 26


def write_parquet(file: IO[bytes], schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    """Write Parquet, compressed with Zstandard, in row groups of up to a million rows."""
    from pyarrow import parquet as pq

    rows = 0
    options = {"compression": "zstd"}
    with _explained(schema, "Parquet"), pq.ParquetWriter(file, schema, **options) as writer:
        for table in _grouped(batches):
            writer.write_table(table, row_group_size=table.num_rows)
            rows += table.num_rows
    return rows


def write_arrow(file: IO[bytes], schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    """Write the file format of Arrow IPC, which is also Feather."""
    rows = 0
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with _explained(schema, "Arrow"), pa.ipc.new_file(file, schema, options=options) as writer:
        for batch in batches:
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows


def csv_writer(delimiter: str, name: str) -> Writer:
    """Return the writer of a text format with delimiters and a line of names."""

    def write(file: IO[bytes], schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
        check_cells(schema, name)
        names = ['"' + column.replace('"', '""') + '"' for column in schema.names]
        file.write(f"{delimiter.join(names)}\n".encode())
        rows = 0
        for batch in _sliced(batches):
            file.write(_bytes(csv_lines(batch, delimiter)))
            rows += batch.num_rows
        return rows

    return write


def write_json_lines(file: IO[bytes], schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    """Write one JSON object per line."""
    check_values(schema)
    rows = 0
    for batch in _sliced(batches):
        file.write(_bytes(json_lines(batch, "\n")))
        rows += batch.num_rows
    return rows


def write_json(file: IO[bytes], schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    """Write an array of JSON objects, each on a line of its own."""
    check_values(schema)
    rows = 0
    for batch in _sliced(batches):
        file.write(b",\n" if rows else b"[\n")
        text = _bytes(json_lines(batch, ",\n"))
        file.write(text[: len(text) - 2])
        rows += batch.num_rows
    file.write(b"\n]\n" if rows else b"[]\n")
    return rows


def _grouped(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yield batches put together to what a row group should be."""
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
        if rows >= _GROUP_ROWS or size >= _GROUP_BYTES:
            yield pa.Table.from_batches(held)
            held, rows, size = [], 0, 0
    if rows:
        yield pa.Table.from_batches(held)


def _sliced(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield batches without empty ones, cut to what is well held as text."""
    for batch in batches:
        parts = 1 + batch.nbytes // _TEXT_BYTES
        rows = max(1, -(-batch.num_rows // parts))
        for start in range(0, batch.num_rows, rows):
            yield batch.slice(start, rows)


def _bytes(lines: pa.Array) -> memoryview:
    """Return the characters of a large string array, as they stand in memory."""
    _, offsets, data = lines.buffers()
    ends = memoryview(offsets).cast("q")
    first, last = ends[lines.offset], ends[lines.offset + len(lines)]
    return memoryview(data or b"").cast("b")[first:last].cast("B")


@contextlib.contextmanager
def _explained(schema: pa.Schema, name: str) -> Generator[None, None, None]:
    try:
        yield
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid, pa.ArrowTypeError) as error:
        types = ", ".join(f"{field.name} {field.type}" for field in schema)
        raise UnsupportedTypeError(
            f"{name} cannot hold a column of this view: {error}. Its columns: {types[:500]}"
        ) from error
