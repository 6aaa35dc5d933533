"""A subset of ClickHouse's HTTP interface over the embedded engine, to test the way to a server.

``python tests/gateway.py DIRECTORY USER PASSWORD`` prints its port and serves until its standard
input ends. There: queries and inserts, chunked and compressed bodies, basic authentication,
settings and parameters of a request, sessions, error codes, query ids, KILL by query id, a query's
end when its client goes away, results of ArrowStream sent as they are made, with what fails then
written into them. Not there: multipart bodies, tokens, other streamed responses.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import io
import json
import queue
import re
import socket
import sys
import threading
import uuid
import zlib
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import chdb
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Generator

# Parameters of the HTTP interface itself; every other one is a setting, or a query's parameter.
INTERFACE = {
    "buffer_size", "cancel_http_readonly_queries_on_client_close", "client_protocol_version",
    "compress", "database", "decompress", "default_format", "enable_http_compression",
    "http_headers_progress_interval_ms", "password", "query", "query_id", "quota_key", "readonly",
    "role", "send_progress_in_http_headers", "session_check", "session_id", "session_timeout",
    "user", "wait_end_of_query",
}  # fmt: skip
STATUS = {62: 400, 47: 404, 60: 404, 81: 404, 516: 403, 497: 403, 159: 408, 394: 499}
FORMAT = re.compile(rb"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
INSERT = re.compile(
    rb"\s*(?P<insert>INSERT\s+INTO\s.*?)\s+FORMAT\s+(?P<format>\w+)[ \t]*;?[ \t]*(?:\r?\n|$)",
    re.IGNORECASE | re.DOTALL,
)
BY_QUERY_ID = re.compile(
    rb"^\s*KILL\s+QUERY\s|\bsystem\.processes\s+WHERE\s+query_id\b", re.IGNORECASE
)
CODE = re.compile(r"Code: (\d+)")
STREAMED = re.compile(rb"\s+FORMAT\s+ArrowStream\s*$")
NO_SELECT = "Streaming query is not supported"
TOTALS = "Invalid number of rows in Chunk"  # come last, and are no rows
HELD_BYTES = 1 << 20  # of a result before its first byte is sent: what fails then has a status
POLL_S = 0.1


class Server(ThreadingHTTPServer):
    """One thread per connection; clients may go away."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


class Session:
    """A connection with the settings of its requests: one per session id, or per request."""

    def __init__(self, path: str) -> None:
        self.connection = chdb.connect(path)
        self.lock = threading.Lock()
        self._applied: dict[str, str] = {}

    def apply(self, settings: dict[str, str], database: str | None) -> None:
        for name in [name for name in self._applied if name not in settings]:
            self.connection.query(f"SET {name} = DEFAULT", "Null")
            del self._applied[name]
        for name, value in settings.items():
            if self._applied.get(name) != value:
                if not name.isidentifier():
                    raise RuntimeError(f"Code: 115. DB::Exception: Unknown setting '{name}'")
                self.connection.query(f"SET {name} = {quoted(value)}", "Null")
                self._applied[name] = value
        if database:
            self.connection.query(f"USE `{database}`", "Null")

    def run(self, request: Request) -> tuple[bytes, dict[str, str]]:
        try:
            if request.data is not None:
                return b"", self._insert(request)
            result = self.connection.query(
                request.sql.decode("utf-8", "surrogateescape"),
                request.format,
                params=request.parameters,
            )
            return result.bytes() or b"", {
                "read_rows": str(result.storage_rows_read()),
                "read_bytes": str(result.storage_bytes_read()),
                "written_rows": str(result.rows_written()),
                "written_bytes": str(result.bytes_written()),
                "result_rows": str(result.rows_read()),
            }
        except BaseException:
            with contextlib.suppress(Exception):  # what a failed query left in the connection
                self.connection.query("SELECT 1", "Null")
            raise

    def stream(self, request: Request) -> Generator[bytes, None, None]:
        """Yield a result in ArrowStream in pieces; chdb makes a file of Arrow of each."""
        sql = STREAMED.sub(b"", request.sql).decode("utf-8", "surrogateescape")
        connection, sink, writer = self.connection._conn, io.BytesIO(), None
        try:
            result = connection.send_query(sql, "Arrow", params=request.parameters)
        except RuntimeError as error:
            if NO_SELECT not in str(error):
                raise
            yield self.run(request)[0]
            return
        try:
            while (part := connection.streaming_fetch_result(result)).size():
                file = pa.ipc.open_file(part.bytes())
                writer = writer or pa.ipc.new_stream(sink, file.schema)
                for number in range(file.num_record_batches):
                    writer.write_batch(file.get_batch(number))
                yield sink.getvalue()
                sink.seek(0)
                sink.truncate()
        except RuntimeError as error:
            if TOTALS not in str(error):
                raise
        finally:
            connection.streaming_cancel_query(result)
        writer.close()
        yield sink.getvalue()

    def _insert(self, request: Request) -> dict[str, str]:
        sql = request.sql.decode("utf-8", "surrogateescape")
        with self.connection.send_insert(sql, request.format) as push:
            for start in range(0, len(request.data), 1 << 20):
                push.append(request.data[start : start + (1 << 20)])
            done = push.finish()
        return {"written_rows": str(done.rows_written), "written_bytes": str(done.bytes_written)}


@dataclass
class Request:
    """What a request asks for."""

    sql: bytes
    data: bytes | None
    format: str
    query_id: str
    settings: dict[str, str]
    parameters: dict[str, str]
    database: str | None
    session_id: str | None
    is_streamed: bool

    @classmethod
    def read(cls, arguments: dict[str, str], body: bytes) -> Request:
        sql, data = arguments.get("query", "").encode(), None
        form = arguments.get("default_format", "TabSeparated")
        insert = INSERT.match(sql or body)
        if insert and (body if sql else insert.end() < len(body)):
            data = body if sql else body[insert.end() :]
            sql, form = insert["insert"], insert["format"].decode()
        elif sql and body:
            sql += b"\n" + body
        else:
            sql = sql or body
        if BY_QUERY_ID.search(
            sql
        ):  # embedded queries have ids of their own; ours is in the comment
            sql = sql.replace(b"query_id", b"Settings['log_comment']")
        query_id = arguments.get("query_id") or str(uuid.uuid4())
        given = {name: value for name, value in arguments.items() if name not in INTERFACE}
        return cls(
            sql=sql,
            data=data,
            format=form,
            query_id=query_id,
            settings={
                **{name: value for name, value in given.items() if not name.startswith("param_")},
                "log_comment": query_id,
            },
            parameters={
                name[6:]: value for name, value in given.items() if name.startswith("param_")
            },
            database=arguments.get("database"),
            session_id=arguments.get("session_id"),
            is_streamed=bool(STREAMED.search(sql)) and not arguments.get("wait_end_of_query"),
        )


@dataclass
class Gateway:
    """What all requests share."""

    path: str
    users: dict[str, str]
    sessions: dict[tuple[str, str], Session] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.control = chdb.connect(self.path)  # keeps the engine alive, and kills
        self.control_lock = threading.Lock()

    def session(self, user: str, session_id: str | None) -> Session:
        if session_id is None:
            return Session(self.path)
        with self.lock:
            key = (user, session_id)
            if key not in self.sessions:
                self.sessions[key] = Session(self.path)
            return self.sessions[key]

    def kill(self, query_id: str) -> None:
        with self.control_lock:
            self.control.query(
                f"KILL QUERY WHERE Settings['log_comment'] = {quoted(query_id)} ASYNC", "Null"
            )


class Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # 48 ms a query otherwise
    wbufsize = 1 << 16
    gateway: Gateway

    def log_message(self, *arguments: Any) -> None:
        pass

    def do_POST(self) -> None:
        url = urlsplit(self.path)
        arguments = {
            name: values[-1] for name, values in parse_qs(url.query, keep_blank_values=True).items()
        }
        body = self._body()
        if url.path.rstrip("/").endswith("/ping"):
            self._reply(200, b"Ok.\n")
            return
        user, password = self._user(arguments)
        if self.gateway.users.get(user) != password:
            self._refuse(
                f"Code: 516. DB::Exception: {user}: Authentication failed: password is incorrect, "
                "or there is no user with such name. (AUTHENTICATION_FAILED)"
            )
            return
        self._serve(user, Request.read(arguments, body))

    do_GET = do_HEAD = do_POST

    def _serve(self, user: str, request: Request) -> None:
        session = self.gateway.session(user, request.session_id)
        if not session.lock.acquire(blocking=False):
            self._refuse("Code: 373. DB::Exception: Session is locked. (SESSION_IS_LOCKED)")
            return
        try:
            if request.is_streamed:
                self._stream(session, request)
                return
            answer, error = self._run(session, request)
        finally:
            session.lock.release()
            if request.session_id is None:
                session.connection.close()
        if error is not None:
            self._refuse(error[max(error.find("Code: "), 0) :])
            return
        body, summary = answer
        form = FORMAT.search(request.sql)
        headers = {
            "X-ClickHouse-Query-Id": request.query_id,
            "X-ClickHouse-Summary": json.dumps(summary),
            "X-ClickHouse-Timezone": "UTC",
        }
        if form or body:
            headers["X-ClickHouse-Format"] = form.group(1).decode() if form else request.format
        self._reply(200, body, headers)

    def _run(self, session: Session, request: Request) -> tuple[Any, str | None]:
        """Run a request in a thread, and kill it when the client goes away."""
        answer: list[Any] = []
        errors: list[str] = []

        def work() -> None:
            try:
                session.apply(request.settings, request.database)
                answer.append(session.run(request))
            except BaseException as error:
                errors.append(str(error))

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(POLL_S)
        while thread.is_alive():
            if self._is_gone():
                self.gateway.kill(request.query_id)
            thread.join(POLL_S)
        return (None, errors[0]) if errors else (answer[0], None)

    def _stream(self, session: Session, request: Request) -> None:
        """Send a result while it is made, in chunks; a failure after the first ends in it."""
        pieces: queue.Queue[Any] = queue.Queue(4)

        def work() -> None:
            try:
                session.apply(request.settings, request.database)
                for piece in session.stream(request):
                    pieces.put(piece)
                pieces.put(None)
            except BaseException as error:
                pieces.put(str(error))
                with contextlib.suppress(Exception):
                    session.connection.query("SELECT 1", "Null")

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        held, is_sent, is_gone, tag = b"", False, False, uuid.uuid4().hex[:16]
        while not isinstance(piece := self._next(pieces, request), str | None):
            held += b"" if is_gone else piece
            if len(held) >= HELD_BYTES:
                is_gone = not self._send(held, None if is_sent else tag, request)
                held, is_sent = b"", True
                if is_gone:
                    self.gateway.kill(request.query_id)
        thread.join()
        if isinstance(piece, str):
            message = piece[max(piece.find("Code: "), 0) :]
            if not is_sent:
                self._refuse(message)
                return
            size = len(message.encode())
            told = f"__exception__\r\n{tag}\r\n{message}\n{size} {tag}\r\n__exception__\r\n"
            self._send(f"\r\n{told}".encode(), None, request)
            self.close_connection = True  # without the last chunk, as ClickHouse does
        else:
            self._send(held, None if is_sent else tag, request)
            self._write(b"0\r\n\r\n")

    def _next(self, pieces: queue.Queue[Any], request: Request) -> Any:
        while True:
            with contextlib.suppress(queue.Empty):
                return pieces.get(timeout=POLL_S)
            if self._is_gone():
                self.gateway.kill(request.query_id)

    def _send(self, data: bytes, tag: str | None, request: Request) -> bool:
        """Send a chunk, and the head before it where a tag is given; return whether that went."""
        if tag is not None:
            self.send_response(200)
            self.send_header("X-ClickHouse-Query-Id", request.query_id)
            self.send_header("X-ClickHouse-Format", "ArrowStream")
            self.send_header("X-ClickHouse-Timezone", "UTC")
            self.send_header("X-ClickHouse-Exception-Tag", tag)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
        return self._write(b"%x\r\n%b\r\n" % (len(data), data)) if data else True

    def _write(self, data: bytes) -> bool:
        try:
            self.wfile.write(data)
            self.wfile.flush()
        except OSError:  # the client is gone
            self.close_connection = True
            return False
        return True

    def _is_gone(self) -> bool:
        try:
            return self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _user(self, arguments: dict[str, str]) -> tuple[str, str]:
        authorization = self.headers.get("Authorization", "")
        if authorization.startswith("Basic "):
            user, _, password = base64.b64decode(authorization[6:]).decode().partition(":")
            return user, password
        return (
            self.headers.get("X-ClickHouse-User", arguments.get("user", "default")),
            self.headers.get("X-ClickHouse-Key", arguments.get("password", "")),
        )

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            pieces = []
            while length := int(self.rfile.readline().split(b";")[0], 16):
                pieces.append(self.rfile.read(length))
                self.rfile.readline()
            self.rfile.readline()
            raw = b"".join(pieces)
        else:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return decompressed(raw, self.headers.get("Content-Encoding", "identity"))

    def _refuse(self, message: str) -> None:
        found = CODE.search(message)
        code = int(found.group(1)) if found else 1002
        headers = {"X-ClickHouse-Exception-Code": str(code), "Content-Type": "text/plain"}
        self._reply(STATUS.get(code, 500), message.encode(), headers)

    def _reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        try:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body if self.command != "HEAD" else b"")
            self.wfile.flush()
        except OSError:  # the client is gone
            self.close_connection = True


def decompressed(raw: bytes, encoding: str) -> bytes:
    if encoding == "lz4":  # the client sends one frame per block
        import lz4.frame

        out = []
        while raw:
            frame = lz4.frame.LZ4FrameDecompressor()
            out.append(frame.decompress(raw))
            raw = frame.unused_data
        return b"".join(out)
    if encoding == "zstd":
        try:
            from compression import zstd  # Python 3.14
        except ImportError:
            from backports import zstd
        return zstd.decompress(raw)
    return {"gzip": gzip.decompress, "deflate": zlib.decompress}.get(encoding, bytes)(raw)


def main(path: str, user: str, password: str) -> None:
    Handler.gateway = Gateway(path, {user: password})
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)  # noqa: T201
    sys.stdin.read()
    sys.stdout.flush()
    import os

    os._exit(0)  # threads may be inside the engine


if __name__ == "__main__":
    main(*sys.argv[1:])
