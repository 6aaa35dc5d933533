"""A result of ArrowStream over HTTP, in whose body ClickHouse also says what failed on the way."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator

    import pyarrow as pa

_KEPT_BYTES = 1 << 15  # an error has up to half of that
_TAG = "X-ClickHouse-Exception-Tag"
_TAGGED_ERROR = rb"__exception__\s+%b\s+(.*)\s\d+ %b\s+__exception__"
_ERROR = rb"(Code: \d+\. DB::.*)"  # before ClickHouse 25.11
_CUT = "The server ended its answer in the middle of the result."
_END = b"\xff\xff\xff\xff\0\0\0\0"


def read_result(response: Any) -> Generator[pa.RecordBatch | pa.Schema, None, None]:
    """Yield the schema, then the batches; read to the end, so that the connection is used again.

    Raises
    ------
    DatabaseError
        With what ClickHouse wrote where it failed after the head was sent.
    ConnectionError
        If the end is missing, which Arrow does not ask for.
    """
    import pyarrow as pa
    from clickhouse_connect.driver.exceptions import DatabaseError

    body = _Body(response)
    try:
        reader = pa.ipc.open_stream(pa.PythonFile(body, "r"))
        yield reader.schema
        yield from reader
        body.end()
    except Exception as error:
        told = body.error()
        if told is None:
            raise
        raise DatabaseError(told) from error
    finally:
        response.close()


class _Body:
    """The body of a response, whose last bytes are kept."""

    closed = False

    def __init__(self, response: Any) -> None:
        self._last = b""
        self._response = response

    def read(self, size: int | None = None) -> bytes:
        """Read that many bytes, or all that are left."""
        from urllib3.exceptions import ProtocolError

        try:
            data: bytes = self._response.read(size)
        except ProtocolError as error:  # after an error, ClickHouse leaves the last chunk out
            self._keep(getattr(error.args[-1], "partial", b""))
            raise ConnectionError(_CUT) from error
        self._keep(data)
        return data

    def end(self) -> None:
        """Read what is left; raise where the stream has no end."""
        self.read()
        if not self._last.endswith(_END):
            raise ConnectionError(_CUT)

    def error(self) -> str | None:
        """Return what ClickHouse wrote last, if that is an error."""
        with contextlib.suppress(Exception):  # Arrow may have stopped in its middle
            self.read(_KEPT_BYTES)
        tag = getattr(self._response, "headers", {}).get(_TAG, "").encode()
        found = re.search(_TAGGED_ERROR % (tag, tag) if tag else _ERROR, self._last, re.DOTALL)
        return None if found is None else found[1].decode("utf-8", "replace")

    def _keep(self, data: bytes) -> None:
        self._last = (self._last + data[-_KEPT_BYTES:])[-_KEPT_BYTES:]

    def close(self) -> None:
        """Do nothing more: who opened the response closes it."""
        self.closed = True
