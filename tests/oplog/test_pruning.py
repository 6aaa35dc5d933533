"""Events of expired jobs: which go, which explain something, and what a kill leaves."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from aaiclick_ext.errors import OplogError
from aaiclick_ext.oplog import pruning
from aaiclick_ext.oplog.event import OperationEvent
from aaiclick_ext.oplog.graph import DROP_TABLE
from aaiclick_ext.oplog.log_table import LOG_TABLE, ensure_log, insert_events
from aaiclick_ext.oplog.pruning import LogPruner

NOW = dt.datetime(2026, 11, 21, tzinfo=dt.UTC)
OLD, BEFORE = NOW - dt.timedelta(days=100), NOW - dt.timedelta(days=90)


class Log:
    """A log that is written event by event."""

    def __init__(self, engine):
        self.engine, self.number = engine, 0

    def made(self, result, *inputs, job=1, at=OLD, operation="copy"):
        self.number += 1
        return OperationEvent(
            id=self.number, result_table=result, operation=operation,
            kwargs={f"source_{n}": name for n, name in enumerate(inputs)}, params={},
            sql_template=None, task_id=None, job_id=job, run_id=1, node_id=1, created_at=at,
        )  # fmt: skip

    def write(self, *events):
        insert_events(self.engine, events)

    def left(self):
        rows = self.engine.query_rows(f"SELECT result_table FROM {LOG_TABLE} ORDER BY id")
        return [name for (name,) in rows]


@pytest.fixture
def log(engine, no_log):
    ensure_log(engine)
    return Log(engine)


@pytest.fixture
def table(engine):
    """Return a function that makes a table, which goes at the end."""
    made = []

    def table(name):
        engine.command(f"CREATE TABLE {name} (a UInt8) ENGINE = Memory")
        made.append(name)
        return name

    yield table
    for name in made:
        engine.command(f"DROP TABLE IF EXISTS {name}")


def prune(engine, spared=()):
    return LogPruner(engine).prune(BEFORE, spared, threading.Event())


def test_nothing_expired_and_no_log(engine, no_log):
    assert LogPruner(engine).expired(BEFORE, ()) == []
    engine.command(f"CREATE TABLE {LOG_TABLE} (job_id UInt64, created_at DateTime) ENGINE = Log")
    engine.command(f"INSERT INTO {LOG_TABLE} VALUES (1, 0)")
    assert prune(engine) == []  # not a log of ours
    assert engine.query_rows(f"SELECT count() FROM {LOG_TABLE}") == [(1,)]


def test_what_explains_a_living_table_stays_also_through_other_jobs(engine, log, table):
    alive = table("alive_one")
    log.write(
        log.made("raw", job=1, operation="create_from_value"),
        log.made("raw", "more", job=2, operation="insert"),
        log.made("more", job=2),
        log.made("unused", "raw", job=2),
        log.made("view", "raw", job=3, operation="filter"),
        log.made(alive, "view", job=4),
        log.made("elsewhere", "extra", job=5, at=NOW),
        log.made("extra", job=1),
        log.made("lost", "unused", job=6),
        log.made("spared", job=7),
        log.made("recent", "remembered", job=8, at=NOW),
        log.made("remembered", job=9),
        log.made("raw", job=1, operation="drop"),
    )
    jobs = LogPruner(engine).expired(BEFORE, [7])
    assert [(job.job_id, job.events, job.kept_events) for job in jobs] == [(2, 1, 2), (6, 1, 0)]
    assert jobs[0].last_event_at == OLD
    before = log.left()
    assert len(before) == 13  # that changed nothing
    assert prune(engine, [7]) == jobs
    assert log.left() == [name for name in before if name not in ("unused", "lost")]
    assert prune(engine, [7]) == []
    engine.command(f"DROP TABLE {alive}")
    assert sum(job.events for job in prune(engine)) == 7
    assert log.left() == ["elsewhere", "extra", "recent", "remembered"]


def test_what_is_about_to_go_and_what_was_dropped_explain_nothing(engine, log, table):
    doomed = table("doomed_one")
    log.write(
        log.made("raw", job=1),
        log.made(doomed, "raw", job=1),
        log.made("ended", "raw", job=1),
        log.made("ended", job=2, at=NOW, operation=DROP_TABLE),
        log.made("used", job=1),
        log.made("used", job=2, at=NOW, operation="insert"),
    )
    (kept,) = LogPruner(engine).expired(BEFORE, ())
    assert (kept.events, kept.kept_events) == (1, 3)
    going = LogPruner(engine).expired(BEFORE, (), [doomed])
    assert [(job.events, job.kept_events) for job in going] == [(3, 1)]
    engine.command(f"DROP TABLE {doomed}")
    assert prune(engine) == going
    assert log.left() == ["ended", "used", "used"]


def test_an_event_of_a_job_that_goes_on_spares_the_whole_job(engine, log):
    log.write(log.made("a", job=1), log.made("b", job=1, at=BEFORE))
    assert prune(engine) == []
    assert log.left() == ["a", "b"]


def test_told_to_stop_it_leaves_the_rest(engine, log):
    log.write(log.made("a", job=1))
    stop = threading.Event()
    stop.set()
    assert LogPruner(engine).prune(BEFORE, (), stop) == []
    assert log.left() == ["a"]


def test_more_events_than_one_statement_can_name(engine, log, table):
    alive = table("alive_one")
    log.write(*(log.made(alive, operation="insert") for _ in range(6000)))
    log.write(*(log.made(f"t{n}", "source") for n in range(6000)))
    log.write(log.made(alive, "source", job=2), log.made("t", job=2), log.made("u", job=3))
    jobs = sorted((job.job_id, job.events, job.kept_events) for job in prune(engine))
    assert jobs == [(1, 6000, 6000), (2, 1, 1), (3, 1, 0)]
    assert log.left() == [alive] * 6001


def test_a_delete_that_fails_is_told_and_not_tried_for_ever(engine, log, monkeypatch):
    monkeypatch.setattr(pruning, "conditions", lambda _: iter(["throwIf(id > 0) = 1"]))
    log.write(log.made("a", job=1))
    with pytest.raises(OplogError, match="events of expired jobs could not be removed"):
        prune(engine)
    undone = "SELECT count() FROM system.mutations WHERE NOT is_done"
    assert engine.query_rows(undone) == [(0,)]
    assert log.left() == ["a"]


names = st.sampled_from(["a", "b", "c", "d", "e", "f"])
events = st.lists(
    st.tuples(names, st.lists(names, max_size=2), st.integers(1, 4), st.booleans()), max_size=14
)


@given(events=events, alive=st.sets(names, max_size=2))
@hypothesis_settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_against_a_model(engine, log, events, alive):
    """What stays: unexpired jobs, and the events of all that is behind them and what lives."""
    engine.command(f"TRUNCATE TABLE {LOG_TABLE}")
    tag = f"m{uuid.uuid4().hex[:8]}_"
    recent = {job for *_, job, is_new in events if is_new}
    written = [
        log.made(tag + result, *(tag + name for name in inputs), job=job, at=NOW if new else OLD)
        for result, inputs, job, new in events
    ]
    log.write(*written)
    for name in alive:
        engine.command(f"CREATE TABLE {tag}{name} (a UInt8) ENGINE = Memory")
    behind = {tag + name for name in alive}
    behind |= {e.result_table for e in written if e.job_id in recent}
    behind |= {name for e in written if e.job_id in recent for name in e.kwargs.values()}
    while True:
        more = {n for e in written if e.result_table in behind for n in e.kwargs.values()} - behind
        if not more:
            break
        behind |= more
    stays = [e.result_table for e in written if e.job_id in recent or e.result_table in behind]
    jobs = prune(engine)
    assert log.left() == stays
    assert sum(job.events for job in jobs) == len(written) - len(stays)
    for name in alive:
        engine.command(f"DROP TABLE {tag}{name}")


OPEN = """
import datetime as dt, os, sys, threading
from pathlib import Path
from aaiclick_ext.engine import ClickHouseCreds, Engine
from aaiclick_ext.oplog import pruning
from aaiclick_ext.settings import Settings
from tests.oplog.test_pruning import BEFORE, Log, ensure_log
folder = Path(sys.argv[1])
engine = Engine(ClickHouseCreds.from_url(f"chdb://{folder}/db"), Settings(state_dir=folder))
ensure_log(engine)
log = Log(engine)
pruner = pruning.LogPruner(engine)
"""
WRITE = """
engine.command("CREATE TABLE alive_one (a UInt8) ENGINE = MergeTree ORDER BY a")
log.write(*(log.made(f"t{n}", "source") for n in range(7000)))
log.write(log.made("alive_one", "source"), log.made("source"), log.made("other", job=2))
"""
DIES = """
run = engine.command
def command(sql, *rest, **more):
    run(sql, *rest, **more)
    os.kill(os.getpid(), 9)
engine.command = command
pruner.prune(BEFORE, (), threading.Event())
"""


GOES_ON = """
print(len(log.left()))
pruner.prune(BEFORE, (), threading.Event())
print(*log.left())
engine.close()
"""


def test_a_killed_prune_is_finished_by_the_next_and_takes_no_more(tmp_path):
    dead = run(OPEN + WRITE + DIES, tmp_path)
    assert dead.returncode == -9, dead.stderr
    next_one = run(OPEN + GOES_ON, tmp_path)
    left, names = next_one.stdout.splitlines()
    assert int(left) >= 2, next_one.stderr
    assert names.split() == ["alive_one", "source"]


def run(code, folder):
    return subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120,
    )  # fmt: skip
