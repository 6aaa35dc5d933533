"""One row for each table, through threads, processes and reopenings."""

from __future__ import annotations

import datetime as dt
import sqlite3
import stat
import subprocess
import sys
import threading
import uuid
from functools import partial

import pytest
from sqlalchemy import create_engine, text

from aaiclick_ext.errors import RegistryError
from aaiclick_ext.registry import Registry, TableRow
from aaiclick_ext.registry.address import address_of, default_path
from aaiclick_ext.registry.generation import VERSION_TABLE
from aaiclick_ext.registry.models import Base
from aaiclick_ext.registry.store import _alembic_config, open_store

WHEN = dt.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=dt.UTC)


@pytest.fixture
def registry(registry_url, tmp_path):
    registry = Registry(registry_url, tmp_path / "state")
    yield registry
    registry.close()


def change(url, statement, **parameters):
    """Run a statement in a registry from outside."""
    engine = create_engine(address_of(url, None))
    with engine.begin() as connection:
        connection.execute(text(statement), parameters)
    engine.dispose()


def found(url, query):
    engine = create_engine(address_of(url, None))
    with engine.begin() as connection:
        rows = connection.execute(text(query)).all()
    engine.dispose()
    return [tuple(row) for row in rows]


def row(name, identity="chdb:///a", **changes):
    values = {"job_id": 1, "task_id": 2, "run_id": 3, "created_at": WHEN} | changes
    return TableRow(name, identity, **values)


def test_making_one_touches_no_file(tmp_path):
    Registry(None, tmp_path / "state")
    assert not (tmp_path / "state").exists()


def test_rows_come_back_as_they_went(registry):
    rows = [
        row("b", job_id=2**63 - 1, task_id=None),
        row("a", created_at=WHEN + dt.timedelta(microseconds=1)),
        row("a", "clickhouse://h:8123/d"),
    ]
    for each in rows:
        registry.record_table(
            each.table_name,
            each.database_identity,
            job_id=each.job_id,
            task_id=each.task_id,
            run_id=each.run_id,
            created_at=each.created_at,
        )
    assert registry.tables("chdb:///a") == [rows[0], rows[1]]
    assert registry.tables("clickhouse://h:8123/d") == [rows[2]]
    assert sorted(registry.tables(), key=str) == sorted(rows, key=str)


def test_a_time_of_another_zone_comes_back_in_utc(registry):
    there = WHEN.astimezone(dt.timezone(dt.timedelta(hours=5, minutes=30)))
    registry.record_tables([row("a", created_at=there)])
    (found,) = registry.tables()
    assert found.created_at == WHEN
    assert found.created_at.tzinfo is dt.UTC


def test_a_time_without_zone_is_refused(registry):
    with pytest.raises(RegistryError, match="without a zone"):
        registry.record_tables([row("a", created_at=WHEN.replace(tzinfo=None))])


def test_recording_again_replaces_the_row(registry):
    registry.record_tables([row("a"), row("b")])
    registry.record_tables([row("a", job_id=7)])
    assert [(r.table_name, r.job_id) for r in registry.tables()] == [("a", 7), ("b", 1)]


def test_forgetting_takes_the_named_rows_of_one_database(registry):
    names = [f"t{number}" for number in range(1201)]
    registry.record_tables([row(name) for name in names])
    registry.record_tables([row("t0", "other")])
    registry.forget_tables("chdb:///a", [*names[1:], "never recorded"])
    assert {(r.table_name, r.database_identity) for r in registry.tables()} == {
        ("t0", "chdb:///a"),
        ("t0", "other"),
    }
    registry.forget_tables("chdb:///a", [])
    registry.record_tables([])


def test_the_identity_stays(registry, registry_url, tmp_path):
    other = Registry(registry_url, tmp_path)
    identity = other.identity()
    other.close()
    assert uuid.UUID(identity).version == 4
    assert registry.identity() == identity


def test_names_are_values_and_no_sql(registry):
    hostile = "x'; DROP TABLE table_registry; --"
    registry.record_tables([row(hostile)])
    registry.forget_tables("chdb:///a", [hostile])
    assert registry.tables() == []


def test_rows_outlive_the_registry_that_wrote_them(registry_url, tmp_path):
    first = Registry(registry_url, tmp_path)
    first.record_tables([row("a")])
    first.close()
    first.close()
    second = Registry(registry_url, tmp_path)
    assert second.tables() == [row("a")]
    second.close()
    with pytest.raises(RegistryError, match="closed"):
        second.tables()


def test_the_file_is_private(tmp_path):
    registry = Registry(None, tmp_path / "state")
    registry.tables()
    registry.close()
    path = default_path(tmp_path / "state")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_threads_share_one_registry(registry):
    errors = []

    def work(thread):
        try:
            for number in range(20):
                name = f"{thread}-{number}"
                registry.record_tables([row(name)])
                registry.tables()
                if number % 2:
                    registry.forget_tables("chdb:///a", [name])
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(registry.tables()) == 6 * 10


OPEN_AT_ONCE = """
import datetime, pathlib, sys, time
from aaiclick_ext.registry import Registry
import aaiclick_ext.registry.store
url, name, start = sys.argv[1], sys.argv[2], float(sys.argv[3])
time.sleep(max(0, start - time.time()))
registry = Registry(url, pathlib.Path())
for number in range(5):
    registry.record_table(f"{name}-{number}", "x", job_id=1, task_id=None, run_id=1,
                          created_at=datetime.datetime.now(datetime.UTC))
registry.close()
"""


def test_processes_may_open_a_new_registry_at_once(registry_url, tmp_path):
    start = str(dt.datetime.now().timestamp() + 1.5)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN_AT_ONCE, registry_url, str(number), start],
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(6)
    ]
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert errors == [""] * 6
    registry = Registry(registry_url, tmp_path)
    assert len(registry.tables("x")) == 6 * 5
    registry.close()


def test_migrations_make_the_schema_of_the_models(registry_url):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    engine = open_store(address_of(registry_url, None))
    with engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_the_named_head_is_the_newest_migration():
    from alembic.script import ScriptDirectory

    from aaiclick_ext.registry.generation import HEAD_REVISION

    assert ScriptDirectory.from_config(_alembic_config()).get_heads() == [HEAD_REVISION]


def test_migrations_go_down_and_up_again(registry_url, tmp_path):
    from alembic import command

    engine = open_store(address_of(registry_url, None))
    with engine.begin() as connection:
        command.downgrade(_alembic_config(connection), "base")
    with engine.begin() as connection:
        command.upgrade(_alembic_config(connection), "head")
    engine.dispose()
    registry = Registry(registry_url, tmp_path)
    assert registry.tables() == []
    registry.close()


def test_a_registry_of_the_first_revision_keeps_its_rows_and_gets_an_identity(
    registry_url, tmp_path
):
    from alembic import command

    engine = open_store(address_of(registry_url, None))
    with engine.begin() as connection:
        command.downgrade(_alembic_config(connection), "0001")
    engine.dispose()
    zone = "+00:00" if registry_url.startswith("postgresql") else ""
    change(
        registry_url,
        "INSERT INTO table_registry VALUES ('chdb:///a', 'a', 1, 2, 3, :at)",
        at=f"2026-01-02 03:04:05.678901{zone}",
    )
    registry = Registry(registry_url, tmp_path)
    assert registry.tables() == [row("a")]
    registry.close()
    ((identity,),) = found(registry_url, "SELECT uuid FROM registry_info")
    assert uuid.UUID(identity).version == 4


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE registry_info SET generation = 2", "newer version.*generation 2.*upgrade"),
        ("UPDATE registry_info SET generation = 0", "older version.*generation 0"),
        (f"UPDATE {VERSION_TABLE} SET version_num = '9999'", "newer version.*9999.*upgrade"),
    ],
)
def test_another_generation_or_a_newer_revision_is_refused_and_left(
    registry_url, tmp_path, statement, said
):
    first = Registry(registry_url, tmp_path)
    first.tables()
    first.close()
    change(registry_url, statement)
    registry = Registry(registry_url, tmp_path)
    with pytest.raises(RegistryError, match=f"(?s){said}.*AAICLICK_SQL_URL"):
        registry.record_tables([row("a")])
    assert found(registry_url, "SELECT count(*) FROM table_registry") == [(0,)]


def test_a_file_that_is_no_database_is_named(tmp_path):
    path = default_path(tmp_path)
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(
        RegistryError, match=r"registry-1\.db cannot be used: file is not a database"
    ):
        Registry(None, tmp_path).tables()


def test_a_directory_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RegistryError, match=r"file/registry-1\.db cannot be used"):
        Registry(None, tmp_path / "file").tables()


@pytest.mark.parametrize("module", ["sqlite3", "sqlite3.dbapi2"])  # our own use, SQLAlchemy's
def test_a_cursor_that_something_sees_blocks_no_commit(tmp_path, monkeypatch, module):
    """%why sees every object that Python knows, a cursor of the background's transaction too."""
    seen = []

    class Connection(sqlite3.Connection):
        def execute(self, *args):
            seen.append(super().execute(*args))
            return seen[-1]

    monkeypatch.setattr(f"{module}.connect", partial(sqlite3.connect, factory=Connection))
    path = tmp_path / "state"
    registry = Registry(None if module == "sqlite3" else f"sqlite:///{path / 'r.db'}", path)
    registry.record_tables([row("a")])
    registry.record_tables([row("b")])
    assert [found.table_name for found in registry.tables()] == ["a", "b"]
    registry.close()
    assert seen
