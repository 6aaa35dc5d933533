"""What dead kernels left on a server, and who removes it."""

from __future__ import annotations

import datetime as dt
import threading
import time
import uuid

import pytest

import aaiclick_ext as aai
from aaiclick_ext.engine import ClickHouseCreds, Engine
from aaiclick_ext.ids import EPOCH_MS, Snowflake
from aaiclick_ext.lifecycle.names import Scope, TableName
from aaiclick_ext.lifecycle.reaper import Reaper
from aaiclick_ext.oplog import OperationEvent
from aaiclick_ext.oplog.log_table import ensure_log, insert_events
from aaiclick_ext.oplog.pruning import LogPruner

on_sqlite = pytest.mark.parametrize("registry_url", ["sqlite"], indirect=True)
"""The registry's own statements are tested on both; here each test starts several processes."""

LEAVES = """
    context = DataContext({url!r}, settings=settings())
    context._opened.reaping.close()
    made = [context.create_object_from_value([number]) for number in range({count})]
    made.append(context.create_object_from_value({{"a": [1]}}, name="mine", scope="session"))
    made.append(context.create_object_from_value({{"a": [1]}}, name={name!r}))
    context.flush()
    say(context.job_id)
    {more}
    time.sleep(600)
"""


@pytest.fixture
def server(server_address, settings):
    """A database of its own on a server, and a way to look into it."""
    name = f"reaped_{uuid.uuid4().hex}"
    engine = Engine(ClickHouseCreds.from_url(f"{server_address}/default"), settings)
    engine.command(f"CREATE DATABASE {name}")
    engine.close()
    url = f"{server_address}/{name}"
    engine = Engine(ClickHouseCreds.from_url(url), settings)
    engine.url = url
    yield engine
    engine.command(f"DROP DATABASE {name} SYNC")
    engine.close()


def tables(server):
    found = server.query_rows(
        "SELECT name FROM system.tables WHERE database = currentDatabase() ORDER BY name"
    )
    return [name for (name,) in found if name.startswith("aai_")]


def of(job, names):
    return [n for n in names if (t := TableName.parse(n)) is not None and t.job_id == job]


@pytest.fixture
def leave(start, server):
    """Start a kernel that makes tables and waits: return it and its job id."""

    def leave(count=3, name="best", more=""):
        process = start(LEAVES.format(url=server.url, count=count, name=name, more=more))
        return process, int(process.line())

    return leave


def reaped(server, shared, **changes):
    """Open a context, wait until its reaper is done; return what it did."""
    with aai.DataContext(server.url, settings=shared.settings(**changes)) as context:
        assert context._opened.reaping.wait(60)
        assert context._opened.reaping.done is not None
        return context._opened.reaping.done


def removed(done):
    return sorted(fate.table.name for fate in done.fates if fate.is_removed)


def kept(done):
    return {fate.table.name: fate.reason for fate in done.fates if not fate.is_removed}


def test_only_what_a_dead_kernel_left_goes(server, shared, leave):
    dead, dead_job = leave()
    live, live_job = leave(name="theirs")
    stranger = str(TableName(Scope.TEMP, 7, Snowflake(7).next(), Snowflake(7).next()))
    foreign = ["aai_t_1_a_b", "aai_q_1_a_b", "orders"]
    for name in [stranger, *foreign]:
        server.command(f"CREATE TABLE {name} (a UInt8) ENGINE = Memory")
    before = tables(server)
    assert len(of(dead_job, before)) == len(of(live_job, before)) == 5
    dead.kill()
    done = reaped(server, shared)
    after = tables(server)
    assert [TableName.parse(n).scope for n in of(dead_job, after)] == [Scope.GLOBAL]
    assert removed(done) == sorted(set(of(dead_job, before)) - set(after))
    assert of(live_job, after) == of(live_job, before)
    assert stranger in after
    assert set(foreign[:2]) <= set(after)
    assert kept(done)[stranger] == "no kernel of this registry made it"
    assert all("lives" in kept(done)[name] for name in kept(done) if name != stranger)
    assert done.kernels == [dead_job]
    assert [row.session_id for row in shared.rows("SELECT * FROM sessions")] == [live_job]
    assert set(shared.leases().values()) == {live_job}
    registered = {row.table_name for row in shared.rows("SELECT * FROM table_registry")}
    assert registered == {*of(live_job, after), *of(dead_job, after)}
    live.tell()


@on_sqlite
def test_a_context_that_closes_at_once_leaves_no_thread(server, shared):
    with aai.DataContext(server.url, settings=shared.settings()) as context:
        context.engine.wait_open()
    names = [thread.name for thread in threading.enumerate()]
    assert "aai-reaper" not in names
    assert shared.sessions() == {}


@on_sqlite
def test_two_reapers_at_once(server, shared, leave, start):
    leavers = [leave(count=30, name=f"best{n}") for n in range(2)]
    for process, _ in leavers:
        process.kill()
    code = f"""
        context = DataContext({server.url!r}, settings=settings())
        reaping = context._opened.reaping
        say(reaping.wait(120), reaping.done is not None and reaping.done.is_complete)
        say(*reaping.done.kernels)
        say(sum(fate.has_failed for fate in reaping.done.fates))
        context.close()
    """
    reapers = [start(code) for _ in range(3)]
    ends = [reaper.end(120) for reaper in reapers]
    assert [status for status, _, _ in ends] == [0] * 3, ends
    said = [out.splitlines() for _, out, _ in ends]
    assert [lines[0] for lines in said] == ["True True"] * 3
    assert sorted(job for lines in said for job in lines[1].split()) == sorted(
        str(job) for _, job in leavers
    )
    assert [lines[2] for lines in said] == ["0"] * 3
    assert [TableName.parse(n).scope for n in tables(server)] == [Scope.GLOBAL] * 2
    assert shared.sessions() == {}


DIES = """
    from aaiclick_ext.lifecycle import leftovers, reaper
    from aaiclick_ext.registry.reap_store import ReapStore

    def dies(home, name, after, times=1):
        method, calls = getattr(home, name), []
        def wrapped(self, *arguments, **options):
            calls.append(1)
            result = method(self, *arguments, **options) if after else None
            if len(calls) == times:
                os.kill(os.getpid(), 9)
            return method(self, *arguments, **options) if not after else result
        setattr(home, name, wrapped)

    dies({where})
    context = DataContext({url!r}, settings=settings())
    context._opened.reaping.wait()
"""


@on_sqlite
@pytest.mark.parametrize(
    "where",
    [
        "ReapStore, 'claim', True",
        "leftovers.Leftovers, '_quarantine', True, 2",
        "leftovers.Leftovers, '_drop', False",
        "leftovers.Leftovers, '_drop', True",
        "ReapStore, 'forget', True",
        "ReapStore, 'finish', False",
        "ReapStore, 'finish', True",
    ],
)
def test_what_a_killed_reaper_began_the_next_one_finishes(server, shared, leave, start, where):
    dead, dead_job = leave()
    dead.kill()
    reaper = start(DIES.format(where=where, url=server.url))
    status, _, errors = reaper.end(120)
    assert status == -9, errors
    done = reaped(server, shared)
    assert done.is_complete
    assert [TableName.parse(n).scope for n in tables(server)] == [Scope.GLOBAL]
    assert shared.sessions() == {}
    assert shared.leases() == {}
    assert [row.job_id for row in shared.rows("SELECT * FROM table_registry")] == [dead_job]


@on_sqlite
@pytest.mark.parametrize(
    ("change", "goes", "why"),
    [
        ("host_id = 'another'", False, "lives"),
        ("host_id = 'another', heartbeat_at = '2026-01-01 00:00:00.000000'", True, "is dead"),
        ("host_id = NULL", False, "cannot be told from here"),
        ("pid_namespace = 'another'", False, "lives"),
        ("boot_id = 'another'", False, "lives"),
        ("boot_id = 'another', heartbeat_at = '2026-01-01 00:00:00.000000'", True, "is dead"),
        ("process_started = process_started + 7, pid = :own", True, "is dead"),
    ],
    ids=["elsewhere", "silent", "nameless", "container", "copy", "power", "pid given again"],
)
def test_who_cannot_be_judged_keeps_its_tables(server, shared, leave, change, goes, why):
    import os

    dead, job = leave()
    before = of(job, tables(server))
    dead.kill()
    own = {"own": os.getpid()} if ":own" in change else {}
    shared.change(f"UPDATE sessions SET {change} WHERE session_id = :job", job=job, **own)
    done = reaped(server, shared)
    assert len(of(job, tables(server))) == (1 if goes else len(before))
    reasons = [fate.reason for fate in done.fates if fate.job_id == job]
    assert len(reasons) == len(before) - 1
    assert all(why in reason for reason in reasons)
    assert (job in shared.sessions()) is not goes


@on_sqlite
def test_a_kernel_without_a_row_keeps_its_tables(server, shared, leave):
    dead, job = leave()
    before = of(job, tables(server))
    dead.kill()
    shared.change("DELETE FROM sessions WHERE session_id = :job", job=job)
    done = reaped(server, shared)
    assert of(job, tables(server)) == before
    assert set(kept(done).values()) == {"no kernel of this registry made it"}


@on_sqlite
def test_a_paused_kernel_is_not_dead(server, shared, leave):
    process, job = leave()
    before = of(job, tables(server))
    process.pause()
    reaped(server, shared)
    assert of(job, tables(server)) == before
    process.resume()


def test_what_another_kernel_holds_stays_until_it_lets_go(server, shared, leave):
    dead, job = leave(more="say(made[0].share()); say(made[1].share())")
    redeemed, given = dead.line(), dead.line()
    with aai.DataContext(server.url, settings=shared.settings()) as context:
        held = context.open_ref(redeemed)
        dead.kill()
        done = reaped(server, shared)
        assert kept(done)[held.table_name] == f"kernel session {context.job_id} holds it"
        assert "a token for it has not expired" in kept(done).values()
        assert len(of(job, tables(server))) == 3
        assert held.data() == [0]
        shared.change("UPDATE share_tokens SET expires_at = '2026-01-01 00:00:00.000000'")
        assert held.table_name in kept(reaped(server, shared))
        assert len(of(job, tables(server))) == 2
        assert job in shared.sessions()
        del held
        context.flush()
        assert len(of(job, tables(server))) == 1
    assert reaped(server, shared).kernels == [job]
    assert given != redeemed
    assert shared.rows("SELECT * FROM table_claims") == []
    assert shared.rows("SELECT * FROM share_tokens") == []


@on_sqlite
def test_the_last_holders_death_ends_a_table_whose_maker_lives(server, shared, start):
    with aai.DataContext(server.url, settings=shared.settings()) as context:
        made = context.create_object_from_value([1, 2])
        holder = start(f"""
            context = DataContext({server.url!r}, settings=settings())
            context._opened.reaping.close()
            held = context.open_ref(sys.stdin.readline().strip())
            say(held.data())
            time.sleep(600)
        """)
        holder.tell(made.share())
        assert holder.line() == "[1, 2]"
        name = made.table_name
        del made
        context.flush()
        assert tables(server) == [name]
        holder.kill()
        assert removed(reaped(server, shared)) == [name]
        assert tables(server) == []


@on_sqlite
def test_a_replaced_global_table_goes_with_the_kernel_that_held_it(server, shared, leave):
    again = 'context.create_object_from_value({"a": [2]}, name="best"); say("replaced")'
    dead, job = leave(more=again)
    assert dead.line() == "replaced"
    assert len(of(job, tables(server))) == 6
    dead.kill()
    reaped(server, shared)
    (left,) = of(job, tables(server))
    assert server.query_rows(f"SELECT a FROM `{left}`") == [(2,)]


@on_sqlite
def test_a_deleted_name_does_not_come_back(server, shared, leave):
    """A variable still reached the table when its kernel was killed."""
    again = 'context.delete_object("best"); context.flush(); say(made[-1].to_pyarrow().num_rows)'
    dead, job = leave(more=again)
    assert dead.line() == "1"
    assert len(of(job, tables(server))) == 5
    with aai.DataContext(server.url, settings=shared.settings()) as context:
        assert context.list_objects() == []
        context.create_object_from_value({"a": [2]}, name="best")
        dead.kill()
    reaped(server, shared)
    assert of(job, tables(server)) == []
    with aai.DataContext(server.url, settings=shared.settings()) as context:
        assert context.open_object("best").to_pyarrow()["a"].to_pylist() == [2]


@on_sqlite
def test_the_row_of_a_table_that_somebody_else_dropped_goes(server, shared, leave):
    """Who replaces a global object of an earlier kernel was killed before it forgot the old one."""
    dead, job = leave()
    dead.kill()
    reaped(server, shared)
    (left,) = of(job, tables(server))
    assert [row.table_name for row in shared.rows("SELECT * FROM table_registry")] == [left]
    reaped(server, shared)
    assert len(shared.rows("SELECT * FROM table_registry")) == 1
    server.command(f"DROP TABLE `{left}` SYNC")
    reaped(server, shared)
    assert shared.rows("SELECT * FROM table_registry") == []


@on_sqlite
def test_a_table_that_cannot_be_dropped_keeps_no_other(server, shared, leave):
    dead, job = leave()
    first = of(job, tables(server))[-1]
    dead.kill()
    name = TableName.parse(first)
    server.command(f"CREATE DICTIONARY d (value Int64) PRIMARY KEY value "
                   f"SOURCE(CLICKHOUSE(TABLE '{first}')) LAYOUT(DIRECT())")  # fmt: skip
    done = reaped(server, shared)
    assert len(removed(done)) + sum(fate.has_failed for fate in done.fates) == 4
    assert name.job_id == job
    server.command("DROP DICTIONARY d")
    reaped(server, shared)
    assert len(of(job, tables(server))) == 1
    assert shared.sessions() == {}


@on_sqlite
def test_a_stopped_reaper_leaves_the_rest_to_the_next(server, shared, leave):
    dead, job = leave()
    dead.kill()
    with aai.DataContext(server.url, settings=shared.settings()) as context:
        services = context.backend.services
        stop = threading.Event()
        stop.set()
        context._opened.reaping.close()
        reaper = Reaper(
            services.engine, services.registry, job_id=context.job_id, settings=context.settings
        )
        done = reaper.reap(stop)
        assert not done.is_complete
        assert removed(done) == done.kernels == []
        assert shared.sessions()[job].reaper_id is None
        started = time.monotonic()
        done = reaper.reap()
        assert done.kernels == [job]
        assert time.monotonic() - started < 20


@on_sqlite
def test_a_survey_changes_nothing(server, shared, leave):
    dead, job = leave()
    dead.kill()
    before = tables(server), shared.rows("SELECT * FROM sessions"), shared.leases()
    survey = Reaper(server, shared.registry, job_id=None, settings=shared.settings()).survey()
    assert sorted(f.table.name for f in survey.fates if f.is_removed) == sorted(
        name for name in before[0] if TableName.parse(name).scope is not Scope.GLOBAL
    )
    assert [(k.record.session_id, k.verdict) for k in survey.kernels] == [(job, "dead")]
    assert (tables(server), shared.rows("SELECT * FROM sessions"), shared.leases()) == before


@on_sqlite
def test_a_survey_says_of_events_what_reaping_does(server, shared):
    old = dt.datetime.now(dt.UTC) - dt.timedelta(days=100)
    job = int(old.timestamp() * 1000 - EPOCH_MS) << 22
    orphan = str(TableName(Scope.TEMP, 7, job, job | 7 << 12))
    server.command(f"CREATE TABLE {orphan} (a UInt8) ENGINE = Memory")
    ensure_log(server)
    made = OperationEvent(
        id=1, result_table=orphan, operation="copy", kwargs={}, params={}, sql_template=None,
        task_id=None, job_id=job, run_id=1, node_id=7, created_at=old,
    )  # fmt: skip
    insert_events(server, [made])
    settings, log = shared.settings(), LogPruner(server)
    survey = Reaper(server, shared.registry, job_id=None, settings=settings, log=log).survey()
    assert [(each.events, each.kept_events) for each in survey.jobs] == [(1, 0)]
    assert reaped(server, shared).jobs == list(survey.jobs)


@on_sqlite
def test_a_table_that_a_server_still_makes_for_a_dead_kernel_does_not_come_late(
    server, shared, leave
):
    """A server goes on with a statement when its client is gone."""
    dead, job = leave()
    name = TableName.parse(of(job, tables(server))[0])
    late = str(TableName(Scope.TEMP, name.node_id, job, name.id + 1))
    ended = []

    def make():
        try:
            server.command(
                f"CREATE TABLE `{late}` ENGINE = Memory AS SELECT sleepEachRow(0.5) AS a "
                "FROM numbers(1200) SETTINGS max_block_size = 1"
            )
        except aai.AaiclickError as error:
            ended.append(error.code)

    thread = threading.Thread(target=make)
    thread.start()
    dead.kill()
    done = reaped(server, shared)
    thread.join(30)
    assert ended == [394]  # QUERY_WAS_CANCELLED
    assert (done.is_complete, done.kernels) == (True, [job])
    assert len(of(job, tables(server))) == 1
