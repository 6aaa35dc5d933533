"""What an engine does, on the embedded ClickHouse."""

from __future__ import annotations

import gc
import threading
import time
from pathlib import Path

import pyarrow as pa
import pytest

from aaiclick_ext.engine import ClickHouseCreds, ColumnInfo, Engine, Role, get_ch_client
from aaiclick_ext.errors import ConnectError, ContextError, EngineError, UnknownTableError
from aaiclick_ext.settings import Settings


def test_query_arrow(engine):
    table = engine.query_arrow("SELECT number AS n, toString(number) AS s FROM numbers(3)")
    assert table.schema.types == [pa.uint64(), pa.string()]
    assert table.to_pydict() == {"n": [0, 1, 2], "s": ["0", "1", "2"]}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 AS a;",
        "SELECT 1 AS a -- the end",
        "SELECT 1 AS a /* the end */ ;  ",
        "\n\nSELECT 1 AS a\n",
        "SELECT 1 AS a # the end",
        "WITH x AS (SELECT 1 AS a) SELECT a FROM x",
    ],
)
def test_however_a_query_ends(engine, sql):
    assert engine.query_arrow(sql).to_pydict() == {"a": [1]}
    assert engine.query_rows(sql) == [(1,)]
    assert engine.columns_of(sql) == {"a": "UInt8"}
    assert engine.stream_arrow(sql).read_all().to_pydict() == {"a": [1]}


def test_an_empty_result_keeps_its_columns(engine):
    sql = "SELECT 1 AS a, 'x' AS b WHERE 0"
    for table in (engine.query_arrow(sql), engine.stream_arrow(sql).read_all()):
        assert table.schema.names == ["a", "b"]
        assert table.schema.types == [pa.uint8(), pa.string()]
        assert table.num_rows == 0


def test_parameters_are_bound_by_clickhouse(engine):
    values = {"text": "'; DROP TABLE x --", "list": ["a'b", "\\"], "n": -(2**63)}
    sql = "SELECT {text:String} AS t, {list:Array(String)} AS l, {n:Int64} AS n"
    expected = ("'; DROP TABLE x --", ["a'b", "\\"], -(2**63))
    assert engine.query_rows(sql, values) == [expected]
    assert tuple(engine.query_arrow(sql, values).to_pylist()[0].values()) == expected
    assert tuple(engine.stream_arrow(sql, values).read_all().to_pylist()[0].values()) == expected
    with pytest.raises(EngineError, match="nothere"):
        engine.query_arrow("SELECT {nothere:UInt8}")


def test_a_result_outlives_the_next_queries(engine, settings):
    """It shares memory with chdb, which must not be taken back: nor when its handle is closed."""
    other = Engine(ClickHouseCreds(), settings)
    tables = [
        (other if i % 2 else engine).query_arrow(f"SELECT number + {i} AS n FROM numbers(100000)")
        for i in range(6)
    ]
    other.close()
    gc.collect()
    for i in range(5, 50):
        engine.query_arrow(f"SELECT number + {i} AS n FROM numbers(100000)")
    for i, table in enumerate(tables):
        assert table["n"][0].as_py() == i
        assert table["n"].to_numpy().sum() == 100_000 * 99_999 // 2 + 100_000 * i


def test_insert_arrow(engine):
    engine.command(
        "CREATE TABLE ins (a Int64, b Nullable(String) DEFAULT 'd', c UInt8 DEFAULT 9) "
        "ENGINE = MergeTree ORDER BY ()"
    )
    stats = engine.insert_arrow("ins", pa.table({"b": [None, "x"], "a": [1, 2]}))
    assert stats.written_rows == 2
    assert stats.elapsed_s > 0
    stats = engine.insert_arrow("ins", pa.table({"q": [3]}), columns=["a"], database="default")
    assert stats.written_rows == 1
    rows = engine.query_rows("SELECT * FROM ins ORDER BY a")
    assert rows == [(1, None, 9), (2, "x", 9), (3, "d", 9)]
    assert engine.insert_arrow("ins", pa.table({"a": pa.array([], pa.int64())})).written_rows == 0
    for bad in ({"a": [None]}, {"a": [1], "nope": [1]}, {"a": ["x"]}):
        with pytest.raises(EngineError):
            engine.insert_arrow("ins", pa.table(bad))
    with pytest.raises(UnknownTableError):
        engine.insert_arrow("no_such", pa.table({"a": [1]}))
    assert engine.query_rows("SELECT count() FROM ins") == [(3,)]
    engine.command("DROP TABLE ins")


@pytest.mark.parametrize("condition", ["1", "a < 3", "0"])
def test_an_insert_into_a_table_with_a_view_is_whole(engine, condition):
    """chdb counts the rows that the view writes too."""
    engine.command("CREATE TABLE viewed (a Int64) ENGINE = MergeTree ORDER BY ()")
    engine.command(
        "CREATE MATERIALIZED VIEW seen ENGINE = MergeTree ORDER BY () "
        f"AS SELECT a FROM viewed WHERE {condition}"
    )
    assert engine.insert_arrow("viewed", pa.table({"a": range(10)})).written_rows >= 10
    assert engine.query_rows("SELECT count() FROM viewed") == [(10,)]
    engine.command("DROP TABLE seen")
    engine.command("DROP TABLE viewed")


def test_a_large_insert_is_whole_and_in_order(engine):
    n = 1_000_000
    engine.command("CREATE TABLE large (a Int64, s String) ENGINE = MergeTree ORDER BY ()")
    data = pa.table({"a": range(n), "s": [str(i) for i in range(n)]})
    assert engine.insert_arrow("large", data).written_rows == n
    back = engine.query_arrow("SELECT * FROM large SETTINGS max_threads = 1")
    assert back["a"].combine_chunks().equals(data["a"].combine_chunks())
    assert back["s"].combine_chunks().equals(data["s"].combine_chunks())
    engine.command("DROP TABLE large")


def test_insert_file(engine, tmp_path):
    file = tmp_path / "it's.csv"
    file.write_text("a,b\n1,x\n2,\\N\n")
    engine.command("CREATE TABLE filed (a Int64, b Nullable(String)) ENGINE = Memory")
    engine.insert_file("filed", file, "CSVWithNames")
    engine.insert_file("filed", file, "CSVWithNames", columns=["a", "b"])
    assert engine.query_rows("SELECT * FROM filed ORDER BY a") == [(1, "x")] * 2 + [(2, None)] * 2
    with pytest.raises(EngineError):
        engine.insert_file("filed", tmp_path / "missing.csv", "CSVWithNames")
    engine.command("DROP TABLE filed")


def test_command_statistics(engine):
    stats = engine.command("CREATE TABLE st ENGINE = Memory AS SELECT number FROM numbers(1000)")
    assert (stats.written_rows, stats.query_id) == (1000, None)
    stats = engine.command("INSERT INTO st SELECT * FROM st")
    assert (stats.read_rows, stats.written_rows) == (1000, 1000)
    engine.command("DROP TABLE st")


@pytest.mark.parametrize(("sql", "read_rows"), [
    ("SELECT number FROM numbers(10000000) WHERE number % 1000000 = 3", 10_000_000),
    ("SELECT number FROM numbers(10) WHERE number < (SELECT max(number) FROM numbers(1000000))",
     1_000_010),
    ("SELECT number FROM numbers(1000000)", 1_000_000),
    ("SELECT number FROM numbers(0)", 0),
])  # fmt: skip
def test_statistics_of_a_result_count_all_that_was_read(engine, sql, read_rows):
    """Also by subqueries, and after the last row of the result."""
    for _ in range(3):
        stats = engine.fetch(sql)[1]
        assert (stats.read_rows, stats.read_bytes) == (read_rows, 8 * read_rows)


@pytest.mark.parametrize("sql", [
    "SELECT number % 3 AS a, count() AS n FROM numbers(9) GROUP BY a WITH TOTALS ORDER BY a",
    "SELECT number AS a, 3 AS n FROM numbers(3) SETTINGS extremes = 1",
])  # fmt: skip
def test_totals_and_extremes_are_not_rows(engine, sql):
    rows = {"a": [0, 1, 2], "n": [3, 3, 3]}
    for _ in range(3):
        assert engine.query_arrow(sql).to_pydict() == rows
        assert engine.stream_arrow(sql).read_all().to_pydict() == rows
    with pytest.raises(EngineError, match="late"):
        engine.query_arrow(
            f"SELECT throwIf(a = 2, 'late') AS n, count() FROM ({sql}) GROUP BY n WITH TOTALS"
        )
    assert engine.query_arrow("SELECT 7 AS a").to_pydict() == {"a": [7]}


def test_streaming_is_lazy_and_gives_its_handle_back(engine):
    handles = engine._handles()
    lent = len(handles._lent)
    reader = engine.stream_arrow("SELECT number FROM numbers(1000000000)")
    first = reader.read_next_batch()
    assert 0 < first.num_rows < 1_000_000
    assert len(handles._lent) == lent + 1
    assert engine.query_rows("SELECT 1") == [(1,)]  # a reader holds nobody up
    del reader
    gc.collect()
    assert len(handles._lent) == lent
    whole = engine.stream_arrow("SELECT number AS n FROM numbers(300000)")
    assert sum(batch.num_rows for batch in whole) == 300_000
    assert len(handles._lent) == lent


def test_a_stream_that_fails_in_the_middle(engine):
    handles = engine._handles()
    lent = len(handles._lent)
    reader = engine.stream_arrow("SELECT throwIf(number = 900000, 'late') FROM numbers(1000000)")
    with pytest.raises(EngineError, match="late"):
        list(reader)
    assert len(handles._lent) == lent
    with pytest.raises(EngineError, match="no_such"):
        engine.stream_arrow("SELECT no_such")
    assert len(handles._lent) == lent


def test_threads_do_not_wait_for_each_other(engine):
    done = []

    def slow() -> None:
        engine.query_rows("SELECT sleep(1.5)")
        done.append("slow")

    threads = [threading.Thread(target=slow) for _ in range(5)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    started = time.monotonic()
    for role in Role:
        assert engine.query_rows("SELECT 1", role=role) == [(1,)]
    assert time.monotonic() - started < 10
    assert done == []
    for thread in threads:
        thread.join()
    assert time.monotonic() - started < 20
    assert len(engine._handles()._idle) <= 8


def test_columns_of_runs_nothing(engine):
    engine.command("CREATE TABLE cols (a Int64, b Nullable(String)) ENGINE = Memory")
    failing = "SELECT a, (SELECT throwIf(1)) AS s, (SELECT max(b) FROM cols) AS m FROM cols"
    assert engine.columns_of(failing) == {
        "a": "Int64",
        "s": "Nullable(UInt8)",
        "m": "Nullable(String)",
    }
    assert engine.columns_of("SELECT throwIf(1) AS s, * FROM cols;") == {
        "s": "UInt8", "a": "Int64", "b": "Nullable(String)"
    }  # fmt: skip
    with pytest.raises(EngineError, match="no_such"):
        engine.columns_of("SELECT no_such, (SELECT 1)")
    for text in [
        "(SELECT a FROM cols) UNION ALL (SELECT (SELECT throwIf(1) + 1))",
        "-- first\nSELECT a, (SELECT throwIf(1)) AS s FROM cols -- last",
        "/* one */ WITH (SELECT throwIf(1)) AS s SELECT s, a FROM cols;",
        "FROM cols SELECT a, (SELECT throwIf(1)) AS s",
    ]:
        assert "a" in engine.columns_of(text)
    engine.command("DROP TABLE cols")


def test_columns_of_takes_one_statement(engine):
    sent = []
    engine.tell_of_statements(sent.append)
    try:
        engine.columns_of("SELECT (SELECT 1) AS a")
        engine.columns_of("SELECT 1 AS a")
    finally:
        engine.tell_of_statements(lambda _: None)
    assert len(sent) == 2


def test_columns_of_table(engine):
    engine.command(
        "CREATE TABLE described (a Int64 COMMENT 'it''s', b String DEFAULT 'x', "
        "r UInt64 MATERIALIZED rowNumberInAllBlocks()) ENGINE = MergeTree ORDER BY ()"
    )
    assert engine.columns_of_table("described", "default") == [
        ColumnInfo("a", "Int64", "", "", "it's"),
        ColumnInfo("b", "String", "DEFAULT", "'x'", ""),
        ColumnInfo("r", "UInt64", "MATERIALIZED", "rowNumberInAllBlocks()", ""),
    ]
    engine.command("DROP TABLE described")
    with pytest.raises(UnknownTableError, match="described"):
        engine.columns_of_table("described")


def test_a_dropped_table_leaves_the_disk_at_once(engine):
    """Trap 9: files of a drop without SYNC stayed for eight minutes."""
    engine.command(
        "CREATE TABLE fat ENGINE = MergeTree ORDER BY () AS "
        "SELECT rand64() AS a FROM numbers(1000000)"
    )
    paths = engine.query_rows("SELECT arrayJoin(data_paths) FROM system.tables WHERE name = 'fat'")
    folders = [Path(path) for (path,) in paths]
    written = [path for folder in folders for path in folder.rglob("*.bin")]
    assert sum(path.stat().st_size for path in written) > 7_000_000
    engine.command("DROP TABLE fat", role=Role.WORKER)
    assert not [path for path in [*folders, *written] if path.exists()]


def test_a_refused_url_fails_at_once(engine):
    """Trap 10: the default retries took 131 s."""
    started = time.monotonic()
    with pytest.raises(EngineError):
        engine.query_rows("SELECT * FROM url('http://127.0.0.1:1/x.csv', 'CSV', 'a Int8')")
    assert time.monotonic() - started < 20


def test_opening_returns_at_once_and_closing_leaves_no_thread(engine, settings):
    engine.wait_open()
    before = {thread.name for thread in threading.enumerate()}
    started = time.monotonic()
    other = Engine(ClickHouseCreds(), settings)
    assert time.monotonic() - started < 10
    assert other.identity == engine.identity
    assert other.query_rows("SELECT 1") == [(1,)]
    assert other.version.startswith("2")
    other.close()
    other.close()
    assert {thread.name for thread in threading.enumerate()} == before
    uses = (
        lambda: other.query_arrow("SELECT 1"), lambda: other.query_rows("SELECT 1"),
        lambda: other.command("SELECT 1"), lambda: other.stream_arrow("SELECT 1"),
        lambda: other.insert_arrow("t", pa.table({"a": [1]})), lambda: other.columns_of("SELECT 1"),
        lambda: other.columns_of_table("t"), lambda: other.version, other.wait_open,
    )  # fmt: skip
    for use in uses:
        with pytest.raises(ContextError, match="closed"):
            use()
    other.cancel()
    assert engine.query_rows("SELECT 1") == [(1,)]


def test_closing_ends_queries_and_streams(settings):
    other = Engine(ClickHouseCreds(), settings)
    reader = other.stream_arrow("SELECT number FROM numbers(10000000000)")
    reader.read_next_batch()
    errors = []

    def work() -> None:
        try:
            other.query_arrow("SELECT sum(cityHash64(number)) FROM numbers(100000000000)")
        except ContextError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.3)
    started = time.monotonic()
    other.close()
    assert time.monotonic() - started < 10
    thread.join()
    assert len(errors) == 1
    with pytest.raises(ContextError, match="closed"):
        list(reader)


def test_closing_lets_the_worker_finish(settings, engine):
    other = Engine(ClickHouseCreds(), settings)
    other.command("CREATE TABLE last_words (a UInt8) ENGINE = Memory")
    thread = threading.Thread(
        target=other.command,
        args=("INSERT INTO last_words SELECT sleepEachRow(0.1) FROM numbers(8)",),
        kwargs={"role": Role.LOG},
    )
    thread.start()
    time.sleep(0.2)
    other.close()
    thread.join()
    assert engine.query_rows("SELECT count() FROM last_words") == [(8,)]
    engine.command("DROP TABLE last_words")


def test_a_failure_to_open_surfaces_at_every_use(settings, tmp_path):
    (tmp_path / "file").write_text("in the way")
    other = Engine(ClickHouseCreds(path=tmp_path / "file" / "db"), settings)
    for _ in range(2):
        with pytest.raises(ConnectError, match="cannot be made"):
            other.query_rows("SELECT 1")
    other.close()
    unwritable = Settings(state_dir=tmp_path, scratch_dir=tmp_path / "file")
    assert unwritable.scratch_path == tmp_path / "file"


def test_without_chdb_one_sentence_says_what_to_do(script):
    status, out, _ = script("""
        import importlib.util
        find = importlib.util.find_spec
        importlib.util.find_spec = lambda name, *a: None if name == "chdb" else find(name, *a)
        for platform in ("linux", "win32"):
            sys.platform = platform
            engine = Engine(ClickHouseCreds(), SETTINGS)
            try:
                engine.wait_open()
            except PlatformError as error:
                say(error)
            sys.platform = "linux"
            engine.close()
    """).end()
    assert status == 0
    missing, windows = out.splitlines()
    assert "pip install chdb" in missing
    assert "WSL" in windows
    assert windows.count("clickhouse://user:password@host:8123/database") == 1


def test_importing_the_engine_loads_no_engine(script):
    status, out, _ = script("""
        heavy = {"chdb", "clickhouse_connect", "pyarrow", "numpy", "pandas", "ibis", "sqlalchemy"}
        say(sorted(heavy & set(sys.modules)))
    """).end()
    assert (status, out) == (0, "[]\n")


def test_the_raw_client(engine):
    engine.wait_open()
    client = get_ch_client(ClickHouseCreds(), max_threads=3)
    row = client.query("SELECT getSetting('join_use_nulls'), getSetting('max_threads')").result_rows
    assert row == [(True, 3)]
    client.close()


def test_an_engine_works_without_the_main_thread(engine):
    """A kernel's subshell, a server's worker."""
    results = []
    thread = threading.Thread(target=lambda: results.append(engine.query_rows("SELECT 1")))
    thread.start()
    thread.join()
    assert results == [[(1,)]]
