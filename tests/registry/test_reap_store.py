"""What the reaper asks of the registry, on SQLite and on PostgreSQL."""

from __future__ import annotations

import datetime as dt
import threading

import pytest

from aaiclick_ext.registry import Registry, TableRow
from aaiclick_ext.registry.claim_store import ClaimStore
from aaiclick_ext.registry.kernel_store import IDENTITY_COLUMNS, KernelStore
from aaiclick_ext.registry.reap_store import ReapStore, Unheld

DATABASE = "clickhouse://h:8123/d"
IDENTITY = dict.fromkeys(IDENTITY_COLUMNS, "x") | {"pid": 12, "process_started": 1.5}


@pytest.fixture
def registry(registry_url, tmp_path):
    registry = Registry(registry_url, tmp_path / "state")
    yield registry
    registry.close()


@pytest.fixture
def store(registry):
    return ReapStore(registry)


@pytest.fixture
def add(registry):
    """Add a kernel, and sessions inside it: ``add(job, *children)``."""

    def add(job, *children, databases=(DATABASE,)):
        assert KernelStore(registry).register(job % 1024, job, IDENTITY) == 1
        for child in children:
            add_inside(registry, child, job)
        for database in databases:
            ReapStore(registry).note_database(job, database)
            ReapStore(registry).note_database(job, database)

    return add


def add_inside(registry, session, parent):
    """Add a session inside another."""
    with registry.statements() as statements:
        statements.change(
            "INSERT INTO sessions (session_id, parent_id, node_id, tags, fence, started_at, "
            "heartbeat_at, state, ttl_seconds, max_refs) VALUES (:session, :parent, 1, '{}', 0, "
            f"{statements.now}, {statements.now}, 'live', 1, 1)",
            session=session,
            parent=parent,
        )


def kernel(store, job):
    return next(record for record in store.kernels() if record.session_id == job)


def leases(registry):
    with registry.statements() as statements:
        return [job for (job,) in statements.rows("SELECT job_id FROM node_leases ORDER BY job_id")]


def rows(registry, table):
    with registry.statements() as statements:
        return statements.rows(f"SELECT * FROM {table}")


def expire(registry):
    with registry.statements() as statements:
        statements.change("UPDATE share_tokens SET expires_at = '2020-01-01 00:00:00.000000'")


def test_kernels_come_with_their_sessions_and_databases(add, store, registry):
    add(1, 11, 12, databases=["chdb:///a", DATABASE])
    add(2, databases=[])
    add_inside(registry, 111, 11)
    first, second = store.kernels()
    assert first.sessions == {1, 11, 12, 111}
    assert sorted(first.databases) == ["chdb:///a", DATABASE]
    assert (second.sessions, second.databases) == ({2}, ())
    assert (first.host_id, first.pid, first.process_started) == ("x", 12, 1.5)
    assert (first.state, first.reaper_id, dict(first.tags)) == ("live", None, {})
    assert first.started_at.tzinfo is dt.UTC
    assert abs(first.heartbeat_age_s) < 60


def test_a_claim_takes_the_node_id_and_ends_the_lease(add, store, registry):
    add(1)
    add(2)
    assert store.claim(kernel(store, 1), 2)
    claimed = kernel(store, 1)
    assert (claimed.state, claimed.reaper_id, claimed.fence) == ("dead", 2, 2)
    assert claimed.ended_at is not None
    assert leases(registry) == [2]
    assert not KernelStore(registry).beat(1, 1)


def test_of_two_claims_one_counts(add, store):
    add(1)
    seen = kernel(store, 1)
    assert store.claim(seen, 2)
    assert not store.claim(seen, 3)
    assert kernel(store, 1).reaper_id == 2


def test_of_many_claims_at_once_one_counts(add, store):
    add(1)
    seen, won, start = kernel(store, 1), [], threading.Barrier(8)

    def claim(reaper):
        start.wait()
        if store.claim(seen, reaper):
            won.append(reaper)

    threads = [threading.Thread(target=claim, args=(n,)) for n in range(100, 108)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == [kernel(store, 1).reaper_id]


def test_a_kernel_that_gave_a_sign_of_life_is_not_claimed(add, store, registry):
    add(1)
    with registry.statements() as statements:
        statements.change("UPDATE sessions SET heartbeat_at = '2026-01-01 00:00:00.000000'")
    seen = kernel(store, 1)
    assert KernelStore(registry).beat(1, 1)
    assert not store.claim(seen, 2)
    assert kernel(store, 1).state == "live"
    assert leases(registry) == [1]


def test_a_dead_reapers_claim_is_taken_over(add, store):
    add(1)
    store.claim(kernel(store, 1), 2)
    seen = kernel(store, 1)
    assert store.claim(seen, 3)
    assert kernel(store, 1).reaper_id == 3
    assert not store.finish(seen, 2, [DATABASE])
    assert kernel(store, 1).reaper_id == 3


def test_a_kernel_goes_when_nothing_is_left_of_it_anywhere(add, store, registry):
    add(1, 11, databases=["chdb:///a", DATABASE])
    add(3)
    store.claim(kernel(store, 1), 2)
    assert not store.finish(kernel(store, 1), 2, [DATABASE])
    again = kernel(store, 1)
    assert (again.state, again.reaper_id, again.databases) == ("dead", None, ("chdb:///a",))
    store.claim(again, 2)
    assert store.finish(again, 2, ["chdb:///a"])
    assert [record.session_id for record in store.kernels()] == [3]
    assert [row[0] for row in rows(registry, "sessions")] == [3]


def test_leaving_a_database(add, store):
    add(1, databases=["chdb:///a", DATABASE])
    store.leave_database(1, "chdb:///a")
    store.leave_database(1, "never opened")
    assert kernel(store, 1).databases == (DATABASE,)


def test_without_sharing_all_may_go(store, add):
    add(1)
    assert store.unheld(DATABASE, {"a", "b"}, {1}) == Unheld(frozenset({"a", "b"}), {})
    assert store.unheld(DATABASE, set(), set()) == Unheld(frozenset(), {})


def test_a_claim_of_a_live_kernel_holds_a_table(store, registry, add):
    add(1)
    add(2)
    token = "t" * 40
    ClaimStore(registry, DATABASE, 1).give_token("a", token, 60)
    ClaimStore(registry, DATABASE, 2).redeem(token)
    dry = store.unheld(DATABASE, {"a"}, {1}, is_dry=True)
    assert len(rows(registry, "table_claims")) == 2
    assert store.unheld(DATABASE, {"a"}, {1}) == dry
    assert dry == Unheld(frozenset(), {"a": "kernel session 2 holds it"})
    assert [row[2] for row in rows(registry, "table_claims")] == [2]
    # By whatever address the server is known to who asks.
    assert store.unheld("clickhouse://other:8123/d", {"a"}, {1}).held.keys() == {"a"}


def test_the_table_of_a_dead_claimant_goes_though_it_made_it_not(store, registry, add):
    add(1)
    add(2)
    token = "t" * 40
    ClaimStore(registry, DATABASE, 1).give_token("a", token, 60)
    ClaimStore(registry, DATABASE, 2).redeem(token)
    ClaimStore(registry, DATABASE, 1).give_up(["a"])
    for _ in range(2):  # killed in between, the next one finds it again
        assert store.unheld(DATABASE, set(), {2}).free == {"a"}
    store.forget(["a"])
    assert rows(registry, "table_claims") == []


def test_a_token_holds_until_it_expires(store, registry, add):
    add(1)
    ClaimStore(registry, DATABASE, 1).give_token("a", "t" * 40, 60)
    assert store.unheld(DATABASE, {"a"}, {1}).held == {"a": "a token for it has not expired"}
    expire(registry)
    assert store.unheld(DATABASE, set(), {1}).free == {"a"}
    assert store.unheld("another", set(), {1}).free == frozenset()
    store.forget({"a"})
    assert rows(registry, "share_tokens") == []


def test_an_expired_token_goes_while_its_giver_keeps_the_table(store, registry, add):
    add(1)
    ClaimStore(registry, DATABASE, 1).give_token("a", "t" * 40, 60)
    expire(registry)
    assert store.unheld(DATABASE, set(), set()).held == {"a": "kernel session 1 holds it"}
    assert rows(registry, "share_tokens") == []


def test_letting_go_for_the_dead(store, registry, add):
    add(1)
    ClaimStore(registry, DATABASE, 1).give_token("a", "t" * 40, 60)
    store.let_go(["a"], {1})
    assert rows(registry, "table_claims") == []
    assert len(rows(registry, "share_tokens")) == 1
    expire(registry)
    store.let_go(["a"], set())
    assert rows(registry, "share_tokens") == []


def test_many_tables(store, registry):
    names = [f"t{n}" for n in range(1201)]
    when = dt.datetime.now(dt.UTC)
    registry.record_tables([TableRow(name, DATABASE, 1, None, 3, when) for name in names])
    assert len(store.tables_of([1, 2])) == len(names)
    assert store.unheld(DATABASE, set(names), {1}).free == set(names)
    store.forget(names[1:])
    assert store.tables_of([1]) == [(1, DATABASE, "t0")]
