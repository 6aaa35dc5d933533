"""The same engine on a server, over real HTTP."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from aaiclick_ext.engine import ClickHouseCreds, Engine, Role, get_ch_client
from aaiclick_ext.engine.handle import SESSION_SETTINGS
from aaiclick_ext.engine.http_result import read_result
from aaiclick_ext.errors import (
    ConnectError,
    ContextError,
    EngineError,
    LimitError,
    QueryTimeoutError,
    UnknownColumnError,
    UnknownTableError,
)

pytestmark = pytest.mark.usefixtures("stray_presses")

SLOW = "SELECT sum(cityHash64(number)) FROM numbers(100000000000)"
PASSWORD = "s3cret/@w:rd"


@pytest.fixture(scope="module")
def server(server_url, settings):
    engine = Engine(ClickHouseCreds.from_url(server_url), settings)
    yield engine
    engine.close()


def test_query_and_parameters(server):
    table = server.query_arrow(
        "SELECT number AS n, {text:String} AS t FROM numbers({n:UInt8})",
        {"text": "it's \\ 😀", "n": 2},
    )
    assert table.to_pydict() == {"n": [0, 1], "t": ["it's \\ 😀"] * 2}
    assert server.query_rows("SELECT 1, 'x', NULL") == [(1, "x", None)]
    assert server.version.count(".") >= 2


def test_the_settings_are_in_force_on_every_handle(server):
    names = ", ".join(f"'{name}'" for name in SESSION_SETTINGS)
    sql = f"SELECT name, value FROM system.settings WHERE name IN ({names})"
    expected = {name: str(value) for name, value in SESSION_SETTINGS.items()}
    for role in Role:
        assert dict(server.query_rows(sql, role=role)) == expected
    joined = "SELECT b FROM (SELECT 1 AS a) AS l LEFT JOIN (SELECT 2 AS a, 3 AS b) AS r USING a"
    assert server.query_rows(joined) == [(None,)]
    assert server.query_rows("SELECT sum(number) FROM numbers(0)") == [(None,)]


FAILS_LATE = "SELECT number, throwIf(number = {}, 'late') FROM numbers(5000000)"


@pytest.mark.parametrize("sql", [
    "SELECT throwIf(number = 3, 'late') FROM numbers(5)",
    FAILS_LATE.format(3_000_000),
    FAILS_LATE.format(4_999_999),
    f"SELECT * FROM ({FAILS_LATE.format(10)}) UNION ALL {FAILS_LATE.format(3_000_000)}",
])  # fmt: skip
@pytest.mark.parametrize("is_stream", [False, True])
def test_what_fails_in_the_middle_of_a_result_is_told(server, is_stream, sql):
    """The status is sent then; the error is in the body, after rows."""
    with pytest.raises(EngineError, match=r"^late\.") as raised:
        server.stream_arrow(sql).read_all() if is_stream else server.query_arrow(sql)
    assert raised.value.code == 395
    assert server.query_arrow("SELECT 7 AS a FROM numbers(3)").to_pydict() == {"a": [7] * 3}


class Answer(io.BytesIO):
    """What a server sends of a result of one text, and then an error."""

    def __init__(self, sent: int, error: bytes, tag: str = "") -> None:
        self.headers = {"X-ClickHouse-Exception-Tag": tag} if tag else {}
        sink = io.BytesIO()
        data = pa.table({"a": ["Code: 47. DB::Exception: an older one." * 5]})
        with pa.ipc.new_stream(sink, data.schema) as writer:
            writer.write_table(data)
        super().__init__(sink.getvalue()[:sent] + error)


def test_an_error_in_a_result_is_told_wherever_it_comes():
    error = b"Code: 395. DB::Exception: It failed.\nIn two lines."
    tagged = b"\r\n__exception__\r\nabc\r\n%b\n%d abc\r\n__exception__\r\n" % (error, len(error))
    size = len(Answer(1 << 20, b"").getvalue())
    for sent in range(size - 8):
        with pytest.raises(DatabaseError) as raised:
            list(read_result(Answer(sent, tagged, "abc")))
        assert str(raised.value) == error.decode()
        with pytest.raises(DatabaseError, match="It failed"):  # a server before 25.11
            list(read_result(Answer(sent, error)))
        with pytest.raises((ConnectionError, OSError, pa.ArrowInvalid)):  # the text is a row's
            list(read_result(Answer(sent, b"", "abc")))


def test_a_server_that_goes_away_in_the_middle_of_a_result(tmp_path, settings):
    gateway = Path(__file__).parents[1] / "gateway.py"
    with subprocess.Popen(
        [sys.executable, str(gateway), str(tmp_path), "alice", PASSWORD],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        url = f"clickhouse://alice:{quote(PASSWORD, safe='')}@127.0.0.1:{process.stdout.readline()}"
        engine = Engine(ClickHouseCreds.from_url(f"{url.strip()}/default"), settings)
        batches = engine.stream_arrow("SELECT number FROM numbers(100000000)")
        batches.read_next_batch()
        process.kill()
        with pytest.raises(ConnectError, match=r"in the middle of the result|does not answer"):
            batches.read_all()
        engine.close()


def test_a_limit_that_is_passed_in_the_middle_of_a_result_is_told(server, monkeypatch):
    monkeypatch.setattr(server.limits, "given", lambda: {"max_result_bytes": 5_000_000})
    for sql in (
        "SELECT toString(number) FROM numbers(5000000)",
        "SELECT 'a' FROM numbers(5000000)",
    ):
        with pytest.raises(LimitError, match="max_fetch_bytes"):
            server.query_arrow(sql)


def test_a_result_leaves_its_connection_for_the_next(server, monkeypatch):
    server.query_arrow("SELECT 1")
    server.stream_arrow("SELECT 1").read_all()
    monkeypatch.setattr("urllib3.connection.HTTPConnection.connect", None)
    for rows in (0, 1, 1_000_000):
        assert server.query_arrow(f"SELECT number FROM numbers({rows})").num_rows == rows
        assert (
            server.stream_arrow(f"SELECT number FROM numbers({rows})").read_all().num_rows == rows
        )


@pytest.mark.parametrize("missing", [0, 1, 8, 9, 5000])
def test_a_result_that_lacks_its_end_is_an_error(missing):
    """Arrow takes it for complete after any batch; a proxy may hide that the server went away."""
    sink = io.BytesIO()
    data = pa.table({"a": range(3000)})
    with pa.ipc.new_stream(sink, data.schema) as writer:
        writer.write_table(data, max_chunksize=1000)
    body = io.BytesIO(sink.getvalue()[: sink.tell() - missing])
    if missing:
        with pytest.raises((ConnectionError, pa.ArrowInvalid, OSError)):
            list(read_result(body))
    else:
        schema, *batches = read_result(body)
        assert pa.Table.from_batches(batches, schema) == data
    assert body.closed


def test_insert_and_statistics(server, tmp_path):
    server.command(
        "CREATE TABLE remote_t (a Int64, b Nullable(String)) ENGINE = MergeTree ORDER BY a"
    )
    data = pa.table({"a": range(200_000), "b": [None, "x"] * 100_000})
    stats = server.insert_arrow("remote_t", data)
    assert stats.written_rows == 200_000
    assert stats.query_id.startswith("aai-")
    assert stats.elapsed_s > 0
    assert server.query_rows("SELECT count(), countIf(b IS NULL) FROM remote_t") == [
        (200_000, 100_000)
    ]
    file = tmp_path / "rows.csv"
    file.write_text("a,b\n-1,y\n")
    assert server.insert_file("remote_t", file, "CSVWithNames").written_rows == 1
    assert server.query_rows("SELECT b FROM remote_t WHERE a = -1") == [("y",)]
    with pytest.raises(EngineError):
        server.insert_arrow("remote_t", pa.table({"a": [None]}, pa.schema({"a": pa.int64()})))
    with pytest.raises(UnknownColumnError, match="nope"):
        server.insert_arrow("remote_t", pa.table({"nope": [1]}))
    assert server.query_rows("SELECT count() FROM remote_t") == [(200_001,)]
    assert [c.name for c in server.columns_of_table("remote_t")] == ["a", "b"]
    assert server.columns_of("SELECT a, (SELECT max(b) FROM remote_t) AS m FROM remote_t") == {
        "a": "Int64", "m": "Nullable(String)"
    }  # fmt: skip
    server.command("DROP TABLE remote_t")


def test_a_stream(server):
    reader = server.stream_arrow("SELECT number AS n FROM numbers(300000)")
    assert reader.schema.names == ["n"]
    assert sum(batch.num_rows for batch in reader) == 300_000
    empty = server.stream_arrow("SELECT number AS n FROM numbers(0)")
    assert empty.schema.names == ["n"]
    assert empty.read_all().num_rows == 0


@pytest.mark.parametrize(("sql", "kind", "code"), [
    ("SELECT nope", UnknownColumnError, 47),
    ("SELECT * FROM nope", UnknownTableError, 60),
    ("SELEC 1", EngineError, 62),
    ("SELECT sleepEachRow(1) FROM numbers(9) SETTINGS max_block_size = 1, max_execution_time = 1",
     QueryTimeoutError, 159),
])  # fmt: skip
def test_errors(server, sql, kind, code):
    with pytest.raises(kind) as raised:
        server.query_arrow(sql)
    error = raised.value
    assert (error.code, error.sql) == (code, sql)
    assert error.query_id.startswith("aai-")
    assert "http://" not in str(error)
    assert "version" not in str(error)


def test_threads_never_collide(server):
    """No session id: ClickHouse refuses a second request in a session."""
    results = []

    def work(number: int) -> None:
        results.extend(server.query_rows(f"SELECT {number}, sleep(0.2)"))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [(n, 0) for n in range(6)]
    assert time.monotonic() - started < 20


def test_cancel(server):
    server.wait_open()
    timer = threading.Timer(0.5, server.cancel)
    timer.start()
    with pytest.raises(EngineError) as raised:
        server.query_arrow(SLOW)
    timer.join()
    assert raised.value.code == 394
    assert server.query_rows("SELECT 1") == [(1,)]


def test_ctrl_c(server):
    server.wait_open()
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    started = time.monotonic()
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        server.query_arrow(SLOW)
    timer.join()
    assert time.monotonic() - started < 20
    assert server.query_rows("SELECT 1") == [(1,)]


def test_ctrl_c_when_the_server_hangs(settings, tmp_path):
    """A KILL that has no effect is not waited for for ever."""
    command = [sys.executable, str(Path(__file__).parents[1] / "gateway.py")]
    with subprocess.Popen(
        [*command, str(tmp_path), "default", ""],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as hanging:  # fmt: skip
        port = int(hanging.stdout.readline())
        engine = Engine(ClickHouseCreds.from_url(f"clickhouse://127.0.0.1:{port}"), settings)
        engine.wait_open()
        hanging.send_signal(signal.SIGSTOP)
        timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            engine.query_arrow("SELECT 1")
        assert time.monotonic() - started < 10
        hanging.send_signal(signal.SIGCONT)
        assert engine.query_rows("SELECT 1") == [(1,)]
        engine.close()
        hanging.stdin.close()


def test_opening_a_server_that_does_not_answer(settings):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        creds = ClickHouseCreds(scheme="clickhouse", host="127.0.0.1", port=port)
        engine = Engine(creds, settings)
        started = time.monotonic()
        with pytest.raises(ConnectError, match=r"is not open after 0\.3 s"):
            engine.wait_open(0.3)
        assert time.monotonic() - started < 10
    with pytest.raises(ConnectError, match=f"127.0.0.1:{port} cannot be opened"):
        engine.wait_open()
    engine.close()


def test_close_ends_what_runs(server_url, settings):
    engine = Engine(ClickHouseCreds.from_url(server_url), settings)
    ended = []

    def work() -> None:
        try:
            engine.query_arrow(SLOW)
        except ContextError as error:
            ended.append(error)

    engine.wait_open()
    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    started = time.monotonic()
    engine.close()
    assert time.monotonic() - started < 30
    for thread in threads:
        thread.join()
    assert len(ended) == 2
    with pytest.raises(ContextError):
        engine.query_rows("SELECT 1")


def test_the_raw_client(server_url):
    client = get_ch_client(ClickHouseCreds.from_url(server_url), max_threads=3)
    assert client.query(
        "SELECT getSetting('join_use_nulls'), getSetting('max_threads')"
    ).result_rows == [(True, 3)]
    client.close()


@pytest.mark.parametrize("change", [
    {"password": "wr0ng-passw0rd"},
    {"user": "mallory", "password": "wr0ng-passw0rd"},
    {"port": 1, "password": "wr0ng-passw0rd"},
    {"host": "no-such-host.invalid", "password": "wr0ng-passw0rd"},
    {"database": "no_such_database", "password": PASSWORD},
    {"scheme": "clickhouses", "password": PASSWORD},
])  # fmt: skip
def test_what_cannot_be_opened_says_so_without_the_password(server_url, settings, change):
    from dataclasses import replace

    creds = replace(ClickHouseCreds.from_url(server_url), **change)
    engine = Engine(creds, settings)
    with pytest.raises(ConnectError) as raised:
        engine.query_rows("SELECT 1")
    error = raised.value
    error.__traceback__ = error.__traceback__.tb_next  # the first frame is this test's
    assert creds.host in str(error)
    assert "\n" not in str(error)
    assert len(str(error)) < 400
    shown = "".join(
        traceback.TracebackException.from_exception(error, capture_locals=True).format()
    )
    for text in (
        str(error),
        repr(error),
        repr(error.args),
        shown,
        repr(creds),
        str(creds),
        creds.url,
    ):
        assert creds.password not in text
        assert PASSWORD not in text
    engine.close()


def test_a_failing_statement_shows_no_password(server):
    with pytest.raises(EngineError) as raised:
        server.query_rows(
            f"SELECT * FROM remote('127.0.0.1:1', 'system', 'one', 'bob', '{PASSWORD}')"
        )
    error = raised.value
    shown = "".join(traceback.TracebackException.from_exception(error).format())
    for text in (str(error), repr(error), error.sql, shown):
        assert PASSWORD not in text
