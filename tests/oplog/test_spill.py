"""Events that could not be written outlive the process in a file, and are written once."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import stat
import subprocess
import sys

import pytest

from aaiclick_ext.errors import OplogError
from aaiclick_ext.oplog import OperationEvent
from aaiclick_ext.oplog.spill import SpillDirectory

WHEN = dt.datetime(2026, 1, 1, 2, 3, 4, 567891, tzinfo=dt.UTC)
EVENTS = [
    OperationEvent(
        2**64 - 1, "t\n'\"", "copy", {"source": "a"}, {"x": "é\n日本"}, None, 5, 6, 7, 8, WHEN,
        variable_names=("x", "y"), rows=0, elapsed_s=0.1, result_schema={"b": "Int8", "a": "Int8"},
    ),
    OperationEvent(
        1, "t", "copy", {}, {}, "SELECT 1", None, 6, 7, 8, WHEN, status="error", error="e"
    ),
]  # fmt: skip


@pytest.fixture
def directory(tmp_path):
    return SpillDirectory(tmp_path, "chdb:///a")


def test_events_come_back_as_they_went(directory, tmp_path):
    path = directory.write(EVENTS, "1-2")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert all(json.loads(line) for line in path.read_text().splitlines())
    found = []
    assert directory.replay(found.extend) == 2
    assert found == EVENTS
    assert list((tmp_path / "spill").iterdir()) == []
    assert directory.replay(found.extend) == 0


def test_files_of_other_databases_stay(directory, tmp_path):
    path = SpillDirectory(tmp_path, "chdb:///b").write(EVENTS, "1-2")
    assert directory.replay(pytest.fail) == 0
    assert path.exists()


def test_a_file_stays_when_it_cannot_be_written_now(directory):
    path = directory.write(EVENTS, "1-2")

    def write(events):
        raise OplogError("no")

    with pytest.raises(OplogError):
        directory.replay(write)
    assert path.exists()


@pytest.mark.parametrize("content", ["", "null\n", "{}\n", "no json", '{"version": 2}\n'])
def test_a_file_that_cannot_be_read_stays(directory, content):
    path = directory.write(EVENTS, "1-2")
    path.write_text(content)
    assert directory.replay(pytest.fail) == 0
    assert path.exists()


def test_a_file_cut_short_stays(directory, caplog):
    path = directory.write(EVENTS, "1-2")
    path.write_text(path.read_text()[:-20])
    assert directory.replay(pytest.fail) == 0
    assert path.exists()
    assert "cannot be read" in caplog.text


def test_where_nothing_can_be_kept_the_error_says_where(tmp_path):
    (tmp_path / "spill").touch()
    with pytest.raises(OplogError, match=r"2 events .*AAICLICK_STATE_DIR"):
        SpillDirectory(tmp_path, "x").write(EVENTS, "1-2")


def test_a_missing_directory_has_nothing_to_replay(directory):
    assert directory.replay(pytest.fail) == 0


SESSION = """
import logging, pathlib, sys
from aaiclick_ext.engine import ClickHouseCreds, Engine
from aaiclick_ext.ids import Snowflake
from aaiclick_ext.oplog import OplogCollector, Task
from aaiclick_ext.oplog.log_table import LOG_TABLE, ensure_log
from aaiclick_ext.settings import Settings

logging.disable()
base, step = pathlib.Path(sys.argv[1]), sys.argv[2]
settings = Settings(state_dir=base / "state", scratch_dir=base / "scratch", oplog_interval_s=0.05)
engine = Engine(ClickHouseCreds.from_url(f"chdb://{base / 'data'}"), settings)
collector = OplogCollector(engine, settings, Snowflake(1), job_id=1, run_id=2, node_id=3)
if step == "fail":
    ensure_log(engine)
    engine.command(f"ALTER TABLE {LOG_TABLE} ADD CONSTRAINT refuse CHECK id = 0")
    collector.begin_task(Task(1, source="password = 'hunter2Secret'"))
    for number in range(3):
        collector.record("a", result_table=f"t{number}")
    collector.close()
    engine.command(f"ALTER TABLE {LOG_TABLE} DROP CONSTRAINT refuse")
else:
    collector.start()
    collector.record("b", result_table="t3")
    collector.close()
    columns = "operation, result_table, cell_source"
    print(engine.query_rows(f"SELECT {columns} FROM {LOG_TABLE} ORDER BY id"))
engine.close()
"""


def run_session(base, step):
    done = subprocess.run(
        [sys.executable, "-c", SESSION, str(base), step],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_what_a_session_could_not_write_the_next_one_writes_once(tmp_path):
    run_session(tmp_path, "fail")
    (path,) = (tmp_path / "state" / "spill").iterdir()
    assert "hunter2" not in path.read_text()
    copy = tmp_path / "copy"
    shutil.copy(path, copy)
    masked = "password = '***'"
    expected = [("a", f"t{n}", masked) for n in range(3)] + [("b", "t3", None)]
    assert run_session(tmp_path, "replay") == str(expected)
    assert not path.exists()
    shutil.copy(copy, path)  # as after a crash between the insert and the removal
    assert run_session(tmp_path, "replay") == str([*expected, ("b", "t3", None)])
    assert not path.exists()
