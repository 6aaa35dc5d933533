"""Node ids: each held by one live kernel, given back at its end, taken over from the dead."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import asdict

import pytest

from aaiclick_ext.errors import LeaseLostError, NodeTakenError, SettingsError
from aaiclick_ext.ids import MAX_NODE, node_of
from aaiclick_ext.lifecycle.lease import Lease
from aaiclick_ext.lifecycle.liveness import ProcessIdentity
from aaiclick_ext.lifecycle.process_leases import ProcessLeases

QUICK = {"heartbeat_s": 0.1, "lease_grace_s": 1.0}
ELSEWHERE = "UPDATE sessions SET host_id = 'elsewhere' WHERE session_id = :job_id"
"""What makes a process of this host one that can only be judged by its heartbeat."""

HOLD = """
lease = Lease.take(settings(**{settings!r}))
say(lease.node_id, lease.job_id)
input()
lease.end()
"""


def hold(start, **settings):
    """Start a process that leases a node id; return it with node and job id."""
    process = start(HOLD.format(settings=settings))
    node_id, job_id = map(int, process.line().split())
    return process, node_id, job_id


@pytest.fixture
def take(shared):
    leases = []

    def take(**changes):
        leases.append(Lease.take(shared.settings(**changes)))
        return leases[-1]

    yield take
    for lease in leases:
        lease.end()


def heartbeats():
    return [t for t in threading.enumerate() if t.name == "aai-heartbeat"]


def test_a_lease_is_in_the_registry_until_it_ends(shared, take):
    lease = take()
    assert 0 <= lease.node_id <= MAX_NODE
    assert node_of(lease.job_id) == lease.node_id
    assert node_of(lease.snowflake.next()) == lease.node_id
    assert shared.leases() == {lease.node_id: lease.job_id}
    row = shared.sessions()[lease.job_id]
    assert {name: getattr(row, name) for name in asdict(ProcessIdentity.current())} == asdict(
        ProcessIdentity.current()
    )
    assert (row.state, row.parent_id, row.node_id) == ("live", None, lease.node_id)
    assert (row.max_refs, row.max_bytes, row.ttl_seconds) == (10_000, None, 3600)
    tags = row.tags
    assert (json.loads(tags) if isinstance(tags, str) else tags) == {}
    lease.end()
    lease.end()
    assert shared.leases() == {}
    assert shared.sessions() == {}
    assert heartbeats() == []


def test_a_kernel_that_leaves_tables_leaves_its_session(shared, take):
    lease = take()
    shared.change(
        "INSERT INTO table_registry (database_identity, table_name, job_id, run_id, created_at) "
        "VALUES ('d', 't', :job_id, 1, CURRENT_TIMESTAMP)",
        job_id=lease.job_id,
    )
    lease.end()
    assert shared.leases() == {}
    row = shared.sessions()[lease.job_id]
    assert row.state == "dead"
    assert row.ended_at is not None


def test_two_kernels_have_two_node_ids(take):
    first, second = take(), take()
    assert first.node_id != second.node_id
    assert first.job_id != second.job_id


def test_a_node_id_that_is_set_is_taken(shared, take):
    assert take(node_id=7).node_id == 7
    assert set(shared.leases()) == {7}


def test_a_node_id_that_a_live_kernel_holds_is_refused(shared, start, take):
    process, _, job_id = hold(start, node_id=7)
    with pytest.raises(NodeTakenError) as caught:
        take(node_id=7)
    said = str(caught.value)
    for part in ("node 7", str(job_id), f"process {process.pid}", "lives", "AAICLICK_NODE_ID"):
        assert part in said
    assert ProcessIdentity.current().host_name in said
    assert shared.leases() == {7: job_id}
    assert take().node_id != 7
    process.tell()
    assert process.end() == (0, "", "")
    assert take(node_id=7).node_id == 7


def test_a_killed_kernels_node_id_is_taken_over(shared, start, take):
    process, _, job_id = hold(start, node_id=7)
    process.kill()
    lease = take(node_id=7)
    assert shared.leases() == {7: lease.job_id}
    dead = shared.sessions()[job_id]
    assert dead.state == "dead"
    assert dead.fence == 2
    assert shared.sessions()[lease.job_id].state == "live"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE sessions SET host_id = NULL",
        "UPDATE sessions SET host_id = 'elsewhere'",
        "UPDATE sessions SET pid_namespace = 'pid:[1]'",
    ],
)
def test_a_kernel_that_cannot_be_judged_keeps_its_node_id(shared, start, take, change):
    process, _, job_id = hold(start, node_id=7)
    process.kill()
    shared.change(change)
    with pytest.raises(NodeTakenError, match=r"node 7 and (lives|cannot be judged)"):
        take(node_id=7)
    assert shared.leases() == {7: job_id}


def test_a_kernel_elsewhere_is_judged_by_its_heartbeat(shared, start, take):
    process, _, job_id = hold(start, node_id=7, **QUICK)
    shared.change(ELSEWHERE, job_id=job_id)
    time.sleep(1.5)  # more than the grace, and it goes on beating
    with pytest.raises(NodeTakenError, match="last heard of 0 s ago"):
        take(node_id=7, **QUICK)
    process.kill()
    deadline = time.monotonic() + 30
    while True:
        try:
            lease = take(node_id=7, **QUICK)
        except NodeTakenError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            break
    assert shared.leases() == {7: lease.job_id}


def fill(shared, lease):
    """Lease every other node id to kernels of the same process as a lease."""
    for node_id in set(range(MAX_NODE + 1)) - {lease.node_id}:
        shared.change(
            "INSERT INTO node_leases VALUES (:node_id, :job_id, CURRENT_TIMESTAMP)",
            node_id=node_id,
            job_id=node_id + 1,
        )
    columns = sorted(set(vars(shared.sessions()[lease.job_id])) - {"session_id", "node_id"})
    copied = ", ".join(f"s.{name}" for name in columns)
    shared.change(
        f"INSERT INTO sessions (session_id, node_id, {', '.join(columns)}) "
        f"SELECT l.job_id, l.node_id, {copied} FROM node_leases l, sessions s "
        "WHERE l.job_id <> :job_id",
        job_id=lease.job_id,
    )


def test_when_all_are_taken_one_of_a_dead_kernel_is(shared, take):
    fill(shared, take())
    with pytest.raises(NodeTakenError, match=r"all 1024 node ids .*AAICLICK_SQL_URL"):
        take()
    shared.change("UPDATE sessions SET process_started = 1 WHERE session_id = 500")
    assert take().node_id == 499


REGISTER = """
import psycopg
from aaiclick_ext.registry import store
say("ready")
input()
lease = Lease.take(settings())
say(lease.node_id, lease.job_id)
input()
lease.end()
"""


def register_at_once(start, shared, count):
    processes = [start(REGISTER) for _ in range(count)]
    assert [process.line() for process in processes] == ["ready"] * count
    started = time.monotonic()
    for process in processes:
        process.tell()
    got = [tuple(map(int, process.line().split())) for process in processes]
    took_s = time.monotonic() - started
    print(f"{count} kernels registered at once in {took_s:.1f} s")  # noqa: T201  soak reports it
    assert len({node_id for node_id, _ in got}) == count
    assert len({job_id for _, job_id in got}) == count
    assert shared.leases() == dict(got)
    for process in processes:  # one after another: only the beginning has to be at once
        process.tell()
        assert process.end() == (0, "", "")
    assert shared.leases() == {}


def test_processes_that_register_at_once_get_different_node_ids(start, shared):
    register_at_once(start, shared, 12)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_hundred_processes_that_register_at_once_get_different_node_ids(start, shared):
    register_at_once(start, shared, 100)


def test_the_heartbeat_goes_on_and_ends_with_the_lease(shared, take):
    lease = take(**QUICK)
    assert len(heartbeats()) == 1

    def heartbeat():
        return shared.sessions()[lease.job_id].heartbeat_at

    first, deadline = heartbeat(), time.monotonic() + 30
    while heartbeat() == first:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    lease.verify()
    lease.end()
    assert heartbeats() == []


def test_a_taken_lease_is_noticed_and_stays_lost(shared, take, caplog):
    lease = take(**QUICK)
    shared.change(ELSEWHERE, job_id=lease.job_id)
    shared.change(
        "UPDATE sessions SET state = 'dead', fence = fence + 1 WHERE session_id = :job_id",
        job_id=lease.job_id,
    )
    successor = take(node_id=lease.node_id, **QUICK)
    deadline = time.monotonic() + 30
    while not lease.is_lost:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with pytest.raises(LeaseLostError) as caught:
        lease.verify(lambda: ["aai_t_1_2_3"])
    assert caught.value.node_id == lease.node_id
    assert caught.value.tables == ("aai_t_1_2_3",)
    for part in (f"node {lease.node_id}", str(successor.job_id), "aai_t_1_2_3", "%reload_ext"):
        assert part in str(caught.value)
    assert [r.levelname for r in caplog.records if "lost its lease" in r.message] == ["ERROR"]
    lease.end()  # what is the successor's stays
    assert shared.leases() == {successor.node_id: successor.job_id}
    assert shared.sessions()[successor.job_id].state == "live"


def test_a_registry_that_cannot_be_reached_is_no_loss_at_once(shared, take, caplog):
    lease = take(heartbeat_s=0.1, lease_grace_s=60)
    shared.change("ALTER TABLE sessions RENAME TO hidden")
    deadline = time.monotonic() + 30
    while "no heartbeat could be written" not in caplog.text:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    lease.verify()
    shared.change("ALTER TABLE hidden RENAME TO sessions")
    assert lease.beat()
    assert not lease.is_lost


class TestContextsOfOneProcess:
    def test_share_a_lease_that_ends_with_the_last(self, shared):
        leases = ProcessLeases()
        first, second = leases.acquire(shared.settings()), leases.acquire(shared.settings())
        assert first is second
        leases.release(first)
        assert shared.leases() == {first.node_id: first.job_id}
        leases.release(second)
        assert shared.leases() == {}
        third = leases.acquire(shared.settings())
        assert third is not first
        leases.release(third)

    def test_cannot_have_two_node_ids(self, shared):
        leases = ProcessLeases()
        lease = leases.acquire(shared.settings(node_id=3))
        with pytest.raises(SettingsError, match="holds node 3"):
            leases.acquire(shared.settings(node_id=4))
        assert leases.acquire(shared.settings(node_id=3)) is lease
        leases.release(lease)
        leases.release(lease)
        assert shared.leases() == {}

    def test_may_come_after_one_that_failed(self, shared, start):
        process, _, _ = hold(start, node_id=7)
        leases = ProcessLeases()
        with pytest.raises(NodeTakenError):
            leases.acquire(shared.settings(node_id=7))
        process.kill()
        lease = leases.acquire(shared.settings(node_id=7))
        leases.release(lease)

    def test_do_not_share_a_lost_one(self, shared):
        leases = ProcessLeases()
        lost = leases.acquire(shared.settings())
        shared.change("UPDATE sessions SET state = 'dead'")
        assert not lost.beat()
        other = leases.acquire(shared.settings())
        assert other is not lost
        leases.release(lost)
        assert shared.leases()[other.node_id] == other.job_id
        leases.release(other)

    def test_that_open_at_once_share_one(self, shared):
        leases, got = ProcessLeases(), []
        threads = [
            threading.Thread(target=lambda: got.append(leases.acquire(shared.settings())))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(map(id, got))) == 1
        assert len(shared.leases()) == 1
        for lease in got:
            leases.release(lease)
        assert shared.leases() == {}
