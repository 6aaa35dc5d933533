"""Sessions in memory and in both registries: what they hold, how they nest, how they end."""

from __future__ import annotations

import asyncio
import contextvars
import datetime as dt
import os
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aaiclick_ext.errors import (
    ContextError,
    ReleasedError,
    SessionError,
    SessionExistsError,
    SessionLimitError,
    SettingsError,
    UnknownSessionError,
)
from aaiclick_ext.ids import Snowflake
from aaiclick_ext.lifecycle.process import process
from aaiclick_ext.lifecycle.sessions import SessionManager
from aaiclick_ext.lifecycle.worker import TableWorker
from aaiclick_ext.registry import Registry, TableRow

DATABASE = "chdb:///a"


class Kernel:
    """A manager with a worker whose drops are only noted, as if there was a database."""

    def __init__(self, registry: Registry, node_id: int = 7, **limits):
        self.registry = registry
        self.snowflake = Snowflake(node_id)
        self.job_id = self.snowflake.next()
        self.dropped: list[str] = []
        self.worker = TableWorker(self.drop, registry.record_tables)
        self.sessions = SessionManager(
            registry,
            job_id=self.job_id,
            node_id=node_id,
            snowflake=self.snowflake,
            worker=self.worker,
            tables_of=lambda value: [value],
            **limits,
        )

    def drop(self, tables):
        self.dropped += tables
        self.registry.forget_tables(DATABASE, list(tables))
        self.sessions.tables.dropped(tables, self.worker.is_live)

    def make(self, name, **how):
        """Make a table; return what claims it."""
        row = TableRow(name, DATABASE, self.job_id, None, 1, dt.datetime.now(dt.UTC))
        row = self.sessions.admit(row, **how)
        return self.worker.hold(name, row)

    def rows(self):
        assert self.worker.flush()
        return {row.table_name: row.session_id for row in self.registry.tables()}


@pytest.fixture
def registry(registry_url, tmp_path):
    registry = Registry(registry_url, tmp_path)
    yield registry
    registry.close()


@pytest.fixture
def kernels(registry):
    """Return a function that starts kernels on one registry."""
    started = []

    def start(**options):
        started.append(Kernel(registry, **options))
        return started[-1]

    yield start
    for kernel in started:
        kernel.worker.close()
        kernel.sessions.close()


@pytest.fixture
def kernel(kernels):
    return kernels()


@pytest.fixture
def local(tmp_path):
    """A kernel for what is the same on every registry."""
    registry = Registry(None, tmp_path)
    kernel = Kernel(registry)
    yield kernel
    kernel.worker.close()
    kernel.sessions.close()
    registry.close()


# The registry's side.


def test_a_registered_session_is_there_with_all_it_was_given(kernel):
    session = kernel.sessions.register(
        5, tags={"run": "a", "n": 3}, max_refs=2, max_bytes=10, ttl_seconds=1.5
    )
    assert kernel.sessions.exists(5)
    info = kernel.sessions.get(5)
    assert (info.session_id, info.parent_id, info.node_id) == (5, kernel.job_id, 7)
    assert info.tags == {"run": "a", "n": 3}
    assert (info.max_refs, info.max_bytes, info.ttl_seconds, info.state) == (2, 10, 1.5, "live")
    assert abs(info.started_at - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=5)
    assert repr(session) == "<Session 5 (run=a, n=3), live>"


def test_the_defaults_are_those_of_the_contract(kernel):
    kernel.sessions.register(5)
    info = kernel.sessions.get(5)
    assert (info.max_refs, info.max_bytes, info.ttl_seconds, info.tags) == (10_000, None, 3600, {})


def test_a_duplicate_is_an_error_also_of_another_kernel(kernels):
    one, other = kernels(), kernels(node_id=8)
    one.sessions.register(5, tags=["mine"])
    for kernel in (one, other):
        with pytest.raises(SessionExistsError, match="session 5 is registered already"):
            kernel.sessions.register(5)
    assert one.sessions.get(5).tags == {"mine": True}
    other.sessions.session().open().close()  # what removes rows leaves this one alone
    assert one.sessions.exists(5)


def test_many_may_register_one_id_at_once_and_one_does(kernels):
    both = [kernels(), kernels(node_id=8)]
    outcomes = []

    def register(kernel):
        try:
            outcomes.append(kernel.sessions.register(5))
        except SessionExistsError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=register, args=[both[n % 2]]) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(found, SessionExistsError) for found in outcomes) == 7


@pytest.mark.parametrize("ask", ["get", "refs", "release"])
def test_an_unknown_session_is_a_key_error_that_can_be_read(kernel, ask):
    with pytest.raises(KeyError) as caught:
        getattr(kernel.sessions, ask)(404)
    assert isinstance(caught.value, UnknownSessionError)
    assert str(caught.value).startswith("no session has the id 404: ")
    assert not kernel.sessions.exists(404)


def test_released_is_unknown(kernel):
    kernel.sessions.register(5)
    kernel.sessions.release(5)
    assert not kernel.sessions.exists(5)
    with pytest.raises(KeyError):
        kernel.sessions.release(5)
    kernel.sessions.register(5)
    assert kernel.sessions.exists(5)


def test_sessions_are_found_by_tags(kernels):
    one, other = kernels(), kernels(node_id=8)
    one.sessions.register(1, tags={"run": "a", "by": "me"})
    other.sessions.register(2, tags={"run": "a"})
    one.sessions.register(3, tags=["night"])

    def found(tags=None):
        return [info.session_id for info in one.sessions.list(tags)]

    assert sorted(found()) == [1, 2, 3]
    assert sorted(found({"run": "a"})) == [1, 2]
    assert found({"run": "a", "by": "me"}) == [1]
    assert found(["night"]) == [3]
    assert found({"run": "b"}) == found(["run"]) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"tags": "night"},
        {"tags": {1: "a"}},
        {"tags": {"a": object()}},
        {"max_refs": -1},
        {"max_refs": 1.5},
        {"max_bytes": "1 MB"},
        {"ttl_seconds": -1},
        {"ttl_seconds": float("nan")},
        {"ttl_seconds": None},
    ],
)
def test_what_cannot_be_used_is_refused_at_once(local, wrong):
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        local.sessions.session(**wrong)
    assert local.sessions.list() == []


@pytest.mark.parametrize("wrong", [0, -1, 2**63, "5", True, None])
def test_an_id_is_a_positive_integer_of_63_bits(local, wrong):
    with pytest.raises(SettingsError, match="session_id"):
        local.sessions.register(wrong)


def test_another_kernels_session_can_be_seen_and_not_released(kernels):
    one, other = kernels(), kernels(node_id=8)
    with one.sessions.session() as session:
        hold = one.make("t")
        assert one.worker.flush()
        assert other.sessions.exists(session.session_id)
        assert list(other.sessions.refs(session.session_id)) == ["t"]
        with pytest.raises(SessionError, match="belongs to another kernel"):
            other.sessions.release(session.session_id)
        assert one.dropped == []
    hold.release()


def test_the_kernels_own_session_is_not_released(local):
    with pytest.raises(SessionError, match="ends with the kernel"):
        local.sessions.release(local.job_id)
    hold = local.make("t")
    assert list(local.sessions.refs(local.job_id)) == ["t"]
    hold.release()


def test_a_kernels_end_takes_its_sessions_out_of_the_registry(kernels):
    one, other = kernels(), kernels(node_id=8)
    one.sessions.register(1)
    other.sessions.register(2)
    session = one.sessions.session().open()
    one.sessions.close()
    assert [info.session_id for info in other.sessions.list()] == [2]
    session.close()
    assert one.sessions.innermost is one.sessions.own


# What belongs to whom.


def test_rows_say_which_session_made_a_table(kernel):
    holds = [kernel.make("outside")]
    with kernel.sessions.session() as session:
        holds.append(kernel.make("inside"))
        holds.append(kernel.make("named", is_named=True))
        assert kernel.rows() == {
            "outside": None, "inside": session.session_id, "named": None,
        }  # fmt: skip
        assert session.refs == ["inside"]
    assert kernel.rows() == {"outside": None, "named": None}
    assert kernel.dropped == ["inside"]
    for hold in holds:
        hold.release()


def test_the_end_drops_what_is_still_claimed_and_says_so_when_it_is_used(local):
    with local.sessions.session(tags={"run": "a"}) as session:
        hold = local.make("t")
    assert local.rows() == {}
    assert local.dropped == ["t"]
    with pytest.raises(ReleasedError, match=rf"session {session.session_id} \(run=a\)"):
        local.sessions.tables.check(["t"])
    assert local.sessions.tables.released_by("t") is session
    hold.release()
    assert local.worker.flush()
    assert local.sessions.tables.released_by("t") is None
    local.sessions.tables.check(["t"])


def test_what_is_kept_goes_to_the_session_around_with_its_row(kernel):
    with kernel.sessions.session() as outer:
        with kernel.sessions.session() as inner:
            holds = [kernel.make("kept"), kernel.make("kept twice"), kernel.make("left")]
            assert inner.keep("kept") == "kept"
            outer.keep("kept twice")
            assert inner.refs == ["left"]
        assert outer.refs == ["kept"]
        assert kernel.rows() == {"kept": outer.session_id, "kept twice": None}
        inner.close()
        with pytest.raises(ReleasedError):
            outer.keep("left")
    assert kernel.rows() == {"kept twice": None}
    with pytest.raises(SessionError, match="has ended"):
        inner.keep("kept twice")
    for hold in holds:
        hold.release()


def test_a_part_of_another_table_belongs_where_that_does(local):
    outside = local.make("outside")
    with local.sessions.session(max_refs=1) as session:
        inside = local.make("inside")
        staging = local.make("staging", beside="outside")
        assert session.refs == ["inside"]
        other = local.make("other staging", beside="inside")  # max_refs does not keep from inserts
        with pytest.raises(SessionLimitError):
            local.make("one more")
    for hold in (inside, staging, other):
        hold.release()
    outside.release()


# Limits.


def test_max_refs_is_refused_before_anything_is_made(local):
    with local.sessions.session(max_refs=2, tags=["small"]) as session:
        holds = [local.make("a"), local.make("b")]
        with pytest.raises(SessionLimitError) as caught:
            local.make("c")
        said = str(caught.value)
        assert said.startswith(f"session {session.session_id} (small) may hold 2 tables")
        assert "holds 2" in said
        assert "larger max_refs" in said
        assert not local.worker.is_live("c")
        holds.pop().release()
        assert local.worker.flush()
        holds.append(local.make("c"))
    for hold in holds:
        hold.release()


def test_an_inner_session_counts_for_those_around_it(local):
    with local.sessions.session(max_refs=2) as outer:
        holds = [local.make("a")]
        with local.sessions.session():
            holds.append(local.make("b"))
            with pytest.raises(SessionLimitError, match=f"session {outer.session_id} "):
                local.make("c")
        holds.append(local.make("c"))
    for hold in holds:
        hold.release()


def test_the_kernels_own_session_has_limits_too(kernels):
    kernel = kernels(max_refs=1)
    hold = kernel.make("a")
    with pytest.raises(SessionLimitError, match="AAICLICK_MAX_REFS"):
        kernel.make("b")
    with kernel.sessions.session(), pytest.raises(SessionLimitError, match="the kernel's session"):
        kernel.make("b")
    hold.release()


def test_bytes_are_counted_along_the_sessions_around(local):
    tables = local.sessions.tables
    with local.sessions.session(max_bytes=100) as outer, local.sessions.session() as inner:
        assert tables.room_bytes(inner) == 100
        hold = local.make("a")
        tables.measured("a", 60)
        assert (tables.room_bytes(inner), tables.size_bytes(outer)) == (40, 60)
        tables.measured("a", 90)
        with pytest.raises(SessionLimitError, match=f"session {outer.session_id} may hold 100"):
            tables.measured("a", 101)
        assert tables.size_bytes(outer) == 90
    assert tables.room_bytes(local.sessions.own) is None
    hold.release()


# The end of it.


def test_closing_twice_or_after_the_one_around_is_fine(local):
    outer, inner = local.sessions.session().open(), local.sessions.session().open()
    hold = local.make("t")
    outer.close()
    assert inner.is_ended
    assert local.sessions.innermost is local.sessions.own
    inner.close()
    outer.close()
    assert local.sessions.list() == []
    assert local.rows() == {}
    assert local.dropped == ["t"]
    hold.release()


def test_one_that_is_closed_elsewhere_leaves_the_one_around(local):
    with local.sessions.session() as outer, local.sessions.session() as inner:
        thread = threading.Thread(target=inner.close)
        thread.start()
        thread.join()
        assert local.sessions.innermost is outer
        hold = local.make("t")
        assert outer.refs == ["t"]
    hold.release()


def test_a_session_is_entered_once(local):
    session = local.sessions.session()
    with session, pytest.raises(SessionError, match="entered already"):
        session.open()
    with pytest.raises(SessionError, match="has ended"):
        session.open()
    with local.sessions.register(5) as registered:
        assert local.sessions.innermost is registered
    assert not local.sessions.exists(5)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_it_ends_whatever_is_raised(local, error):
    hold = None

    def work():
        nonlocal hold
        with local.sessions.session():
            hold = local.make("t")
            raise error

    with pytest.raises(error):
        work()
    assert local.sessions.innermost is local.sessions.own
    assert local.sessions.list() == []
    assert local.rows() == {}
    hold.release()


def test_a_part_of_a_table_whose_session_has_just_ended_belongs_to_the_kernel(local):
    session = local.sessions.session().open()
    holds = [local.make("t")]
    session.is_ended = True  # as if the rest of its end was still to come
    holds.append(local.make("staging", beside="t"))
    session.close()
    assert local.sessions.own.refs == ["staging"]
    assert set(local.rows()) == {"staging"}
    for hold in holds:
        hold.release()


@pytest.mark.parametrize("step", ["release", "drop_early", "remove", "leave"])
def test_an_end_that_is_interrupted_is_ended(local, monkeypatch, step):
    target = {
        "release": local.sessions.tables,
        "drop_early": local.worker,
        "remove": local.sessions._store,
        "leave": process.scopes,
    }[step]
    real, presses = getattr(target, step), []

    def press_once(*arguments):
        if not presses:
            presses.append(1)
            raise KeyboardInterrupt
        return real(*arguments)

    def work():
        with local.sessions.session():
            holds.append(local.make("t"))
            monkeypatch.setattr(target, step, press_once)

    holds = []
    with pytest.raises(KeyboardInterrupt):
        work()
    assert local.sessions.innermost is local.sessions.own
    assert local.sessions.list() == []
    assert local.rows() == {}
    assert local.dropped == ["t"]
    holds.pop().release()


def test_a_registry_that_fails_at_the_end_is_tried_again(local, monkeypatch, caplog):
    session = local.sessions.session().open()
    with monkeypatch.context() as patch:
        patch.setattr(local.registry, "_is_closed", True)
        session.close()
    assert "still in the registry" in caplog.text
    assert local.sessions.exists(session.session_id)
    with local.sessions.session():
        assert not local.sessions.exists(session.session_id)


def age(*sessions):
    """Let more than an hour have passed for sessions."""
    for session in sessions:
        session.used_at -= 3601


def test_only_what_is_idle_empty_and_not_entered_expires(local):
    sessions = local.sessions
    idle, young, owning = (sessions.register(number) for number in (1, 2, 3))
    with owning, sessions.session() as entered:
        hold = local.make("t")
        age(idle, owning, entered)
        assert sessions.end_expired() == (1,)
        assert not young.is_ended
        entered.keep("t")
        entered.close()
        owning.entered_by = None
        age(owning)
        assert sessions.end_expired() == ()  # it owns a table
        hold.release()
        assert local.worker.flush()
        assert sessions.end_expired() == ()  # it did just now
        age(owning)
        assert sessions.end_expired() == (3,)
    assert [info.session_id for info in sessions.list()] == [2]


def test_registering_ends_what_has_expired(local):
    age(local.sessions.register(1))
    local.sessions.register(2)
    assert [info.session_id for info in local.sessions.list()] == [2]


def test_who_died_inside_does_not_keep_a_session_from_expiring(local):
    opened = []

    async def enter():
        opened.append(local.sessions.session().open())

    thread = threading.Thread(target=lambda: opened.append(local.sessions.session().open()))
    thread.start()
    thread.join()
    asyncio.run(enter())
    age(*opened)
    assert len(local.sessions.end_expired()) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_ends_nothing_and_opens_nothing(local):
    with local.sessions.session() as session:
        hold = local.make("t")
        child = os.fork()
        if child == 0:
            try:
                session.close()
                for use in (local.sessions.session().open, lambda: local.sessions.register(5)):
                    with pytest.raises(ContextError, match="forked"):
                        use()
            except BaseException:
                os._exit(1)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert local.sessions.exists(session.session_id)
        assert not local.sessions.exists(5)
        assert set(local.rows()) == {"t"}
    hold.release()


# Where it is entered.


def test_a_thread_starts_outside_and_has_its_own(local):
    seen = []

    def work():
        seen.append(local.sessions.innermost)
        with local.sessions.session() as mine:
            seen.append(local.sessions.innermost is mine)

    with local.sessions.session() as session:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert local.sessions.innermost is session
    assert seen == [local.sessions.own, True]


def test_two_tasks_do_not_mix_and_children_belong_to_the_one_around(local):
    sessions = local.sessions

    async def child():
        await asyncio.sleep(0)
        return sessions.innermost

    async def work(other):
        async with sessions.session() as mine:
            for _ in range(3):
                await other.wait()
                assert sessions.innermost is mine
                assert await asyncio.create_task(child()) is mine
                assert await asyncio.to_thread(lambda: sessions.innermost) is mine
        assert sessions.innermost is around
        return mine

    async def main():
        event = asyncio.Event()
        pair = asyncio.gather(work(event), work(event))
        await asyncio.sleep(0)
        assert sessions.innermost is around
        event.set()
        one, other = await pair
        assert one is not other

    with sessions.session() as around:
        asyncio.run(main())
    assert sessions.innermost is sessions.own


def test_a_child_that_outlives_the_session_goes_on_in_the_one_around(local):
    sessions = local.sessions

    async def child(go):
        before = sessions.innermost
        await go.wait()
        return before, sessions.innermost

    async def main():
        go = asyncio.Event()
        async with sessions.session() as session:
            running = asyncio.create_task(child(go))
            await asyncio.sleep(0)
        async with sessions.session():  # none of its business
            go.set()
            assert await running == (session, sessions.own)

    asyncio.run(main())


def test_cells_share_what_their_thread_entered_and_background_tasks_do_not(local):
    sessions = local.sessions
    seen = []

    async def background(go):
        await go.wait()
        seen.append(sessions.innermost)

    async def cell(code):
        process.scopes.begin_cell()
        return await code()

    async def kernel():
        """Each cell is a task with a copy of the same context, as in a real kernel."""
        go = asyncio.Event()

        async def first():
            running.append(asyncio.create_task(background(go)))
            running.append(sessions.session().open())

        async def second():
            assert sessions.innermost is running[1]
            child = asyncio.create_task(in_child())
            assert await child is running[1]
            go.set()
            await running[0]
            running[1].close()

        async def in_child():
            return sessions.innermost

        async def third():
            assert sessions.innermost is sessions.own

        running = []
        for code in (first, second, third):
            await asyncio.create_task(cell(code))

    contextvars.copy_context().run(asyncio.run, kernel())
    assert seen == [sessions.own]


@settings(deadline=None, max_examples=50)
@given(steps=st.lists(st.sampled_from(["enter", "make", "keep", "close inner", "close outer"])))
def test_nesting_is_a_stack_of_owners(steps):
    with TemporaryDirectory() as folder:
        registry = Registry(None, Path(folder))
        kernel = Kernel(registry)
        try:
            follow(kernel, steps)
        finally:
            kernel.worker.close()
            kernel.sessions.close()
            registry.close()


def follow(kernel, steps):
    """Run steps, and the same on lists; both agree after each."""
    sessions, owned, holds = [], [[]], {}
    for number, step in enumerate(steps):
        if step == "enter":
            sessions.append(kernel.sessions.session().open())
            owned.append([])
        elif step == "make":
            holds[f"t{number}"] = kernel.make(f"t{number}")
            owned[-1].append(f"t{number}")
        elif step == "keep" and sessions and owned[-1]:
            sessions[-1].keep(owned[-1][0])
            owned[-2].append(owned[-1].pop(0))
        elif step == "close inner" and sessions:
            sessions.pop().close()
            owned.pop()
        elif step == "close outer" and sessions:
            sessions[0].close()
            sessions, owned = [], owned[:1]
        around = [kernel.sessions.own, *sessions]
        assert kernel.sessions.innermost is around[-1]
        assert [sorted(session.refs) for session in around] == [sorted(mine) for mine in owned]
    living = {table for mine in owned for table in mine}
    assert set(kernel.rows()) == living
    assert set(kernel.dropped) == set(holds) - living
    assert {info.session_id for info in kernel.sessions.list()} == {s.session_id for s in sessions}
    for session in sessions:
        session.close()
    for hold in holds.values():
        hold.release()
