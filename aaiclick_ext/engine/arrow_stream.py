"""A table as an Arrow IPC stream, in pieces, never whole in memory twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    import pyarrow as pa

ROWS_PER_BATCH = 65_536
_CHUNK_BYTES = 1 << 22


def push_stream(data: pa.Table, push: Callable[[bytes], object]) -> None:
    """Call `push` with one piece of the stream after the other."""
    import pyarrow as pa

    sink = pa.BufferedOutputStream(pa.PythonFile(_Sink(push), "w"), _CHUNK_BYTES)
    with pa.ipc.new_stream(sink, data.schema) as writer:
        writer.write_table(data, max_chunksize=ROWS_PER_BATCH)
    sink.flush()


def stream_chunks(data: pa.Table) -> Generator[bytes, None, None]:
    """Yield one piece of the stream after the other."""
    import pyarrow as pa

    pieces: list[bytes] = []
    with pa.ipc.new_stream(pa.PythonFile(_Sink(pieces.append), "w"), data.schema) as writer:
        for batch in data.to_batches(max_chunksize=ROWS_PER_BATCH):
            writer.write_batch(batch)
            yield b"".join(pieces)
            pieces.clear()
    yield b"".join(pieces)


class _Sink:
    """A writable file that hands on what is written."""

    closed = False

    def __init__(self, push: Callable[[bytes], object]) -> None:
        self._push = push

    def write(self, data: bytes | memoryview) -> int:
        self._push(bytes(data))
        return len(data)

    def writable(self) -> bool:
        return True

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True
