"""A `table_registry` that an older program made in ClickHouse."""

from __future__ import annotations

import datetime as dt
import threading
import uuid

import pytest

import aaiclick_ext as aai
from aaiclick_ext.engine import ClickHouseCreds, Engine
from aaiclick_ext.errors import RegistryError
from aaiclick_ext.ids import Snowflake
from aaiclick_ext.lifecycle.old_registry import OLD_TABLE, copy_old_registry

# As aaiclick 0.0.10 made it.
DDL = f"""
CREATE TABLE {OLD_TABLE} (
    table_name   String,
    job_id       Nullable(UInt64),
    task_id      Nullable(UInt64),
    run_id       Nullable(UInt64),
    created_at   DateTime64(3)
) ENGINE = MergeTree() ORDER BY (created_at,)
"""
ROWS = f"""
INSERT INTO {OLD_TABLE} VALUES
    ('t_1', 7, NULL, 8, '2025-01-02 03:04:05.678'), ('p_best', NULL, NULL, NULL, '2025-01-03')
"""
COPIED = [
    ("t_1", 7, None, 8, dt.datetime(2025, 1, 2, 3, 4, 5, 678_000, dt.UTC)),
    ("p_best", None, None, None, dt.datetime(2025, 1, 3, tzinfo=dt.UTC)),
]


@pytest.fixture
def server(server_address, settings):
    """A database of its own on a server."""
    name = f"old_{uuid.uuid4().hex}"
    engine = Engine(ClickHouseCreds.from_url(f"{server_address}/default"), settings)
    engine.command(f"CREATE DATABASE {name}")
    engine.close()
    url = f"{server_address}/{name}"
    engine = Engine(ClickHouseCreds.from_url(url), settings)
    engine.url = url
    yield engine
    engine.command(f"DROP DATABASE {name} SYNC")
    engine.close()


def copy(engine, shared):
    return copy_old_registry(engine, shared.registry, Snowflake(3).next)


def recorded(shared):
    return [
        (row.table_name, row.job_id, row.task_id, row.run_id, row.created_at)
        for row in shared.registry.tables()
    ]


def old_tables(engine):
    rows = engine.query_rows(
        "SELECT name FROM system.tables WHERE database = currentDatabase() "
        f"AND startsWith(name, '{OLD_TABLE}')"
    )
    return [name for (name,) in rows]


def test_it_is_copied_and_dropped_when_a_kernel_opens(server, shared):
    server.command(DDL)
    server.command(ROWS)
    with aai.DataContext(server.url, settings=shared.settings()) as context:
        context.engine.wait_open()
        assert recorded(shared) == COPIED
        assert old_tables(server) == []
        assert context._opened.reaping.wait(60)
        assert recorded(shared) == []  # their tables are not there, and their time is over


def test_a_row_stays_while_its_table_is_there(server, shared):
    server.command(DDL)
    server.command(ROWS)
    server.command("CREATE TABLE t_1 (a UInt8) ENGINE = Memory")
    with aai.DataContext(server.url, settings=shared.settings()) as context:
        assert context._opened.reaping.wait(60)
    assert recorded(shared) == COPIED[:1]
    assert server.query_rows("EXISTS TABLE t_1") == [(1,)]


@pytest.mark.parametrize(
    ("columns", "wrong"),
    [
        ("table_name String, created_at DateTime, owner String", "owner String is unknown"),
        ("table_name String, job_id UInt64", "created_at is missing"),
        ("table_name String, created_at DateTime, job_id String", "job_id is String"),
    ],
)
def test_what_is_not_an_old_registry_is_left(server, shared, caplog, columns, wrong):
    server.command(f"CREATE TABLE {OLD_TABLE} ({columns}) ENGINE = Memory")
    with pytest.raises(RegistryError, match=f"not the registry of an older version: {wrong}"):
        copy(server, shared)
    with aai.DataContext(server.url, settings=shared.settings()) as context:
        assert context.create_object_from_value([1]).data() == [1]
    assert wrong in caplog.text
    assert old_tables(server) == [OLD_TABLE]
    assert recorded(shared) == []


def test_earlier_columns_and_times_with_a_zone(server, shared):
    server.command(f"CREATE TABLE {OLD_TABLE} (created_at DateTime64(3, 'UTC'), table_name String) "
                   "ENGINE = Memory")  # fmt: skip
    server.command(f"INSERT INTO {OLD_TABLE} VALUES ('2025-01-03 00:00:00', 'p_best')")
    assert copy(server, shared) == 1
    assert recorded(shared) == COPIED[1:]
    assert copy(server, shared) == 0


def test_what_is_recorded_already_stays_as_it_is(server, shared):
    server.command(DDL)
    server.command(ROWS)
    shared.registry.record_table(
        "t_1", server.identity, job_id=9, task_id=9, run_id=9, created_at=COPIED[0][-1]
    )
    assert copy(server, shared) == 2
    assert recorded(shared)[0][:4] == ("t_1", 9, 9, 9)
    assert len(recorded(shared)) == 2


def test_by_many_kernels_at_once(server, shared, settings):
    server.command(DDL)
    server.command(f"INSERT INTO {OLD_TABLE} SELECT concat('t_', toString(number)), number, NULL, "
                   "1, now64(3) FROM numbers(5000)")  # fmt: skip
    engines = [Engine(ClickHouseCreds.from_url(server.url), settings) for _ in range(4)]
    begin, failed = threading.Barrier(4), []

    def open_it(engine):
        begin.wait()
        try:
            copy(engine, shared)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=open_it, args=(engine,)) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for engine in engines:
        engine.close()
    assert failed == []
    assert old_tables(server) == []
    assert len(recorded(shared)) == 5000


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("registry_url", ["sqlite"], indirect=True)
def test_a_kill_in_between_loses_and_doubles_nothing(server, shared, start, steps):
    server.command(DDL)
    server.command(ROWS)
    killed = start(f"""
        from aaiclick_ext.engine import ClickHouseCreds, Engine
        from aaiclick_ext.ids import Snowflake
        from aaiclick_ext.lifecycle import old_registry
        from aaiclick_ext.registry import Registry

        done = []
        def dies(home, name):
            step = getattr(home, name)
            def wrapped(*arguments):
                step(*arguments)
                done.append(name)
                if len(done) == {steps}:
                    os.kill(os.getpid(), 9)
            setattr(home, name, wrapped)

        dies(old_registry, "_run")
        dies(Registry, "add_tables")
        engine = Engine(ClickHouseCreds.from_url({server.url!r}), settings())
        registry = Registry(URL, FOLDER / "state")
        old_registry.copy_old_registry(engine, registry, Snowflake(4).next)
    """)
    status, _, errors = killed.end()
    assert status == -9, errors
    assert copy(server, shared) == (0 if steps == 3 else 2)
    assert recorded(shared) == COPIED
    assert old_tables(server) == []
