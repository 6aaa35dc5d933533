"""`aai.session()` over a real database: what it owns, keeps, refuses and lets go."""

from __future__ import annotations

import gc
import threading
import time
import warnings
import weakref

import pyarrow as pa
import pytest

from aaiclick_ext.context import DataContext
from aaiclick_ext.errors import (
    DroppedTableError,
    ReleasedError,
    SessionLimitError,
    UnsupportedTypeError,
)
from aaiclick_ext.lifecycle.sessions import SessionManager
from aaiclick_ext.registry.claim_store import ClaimStore
from aaiclick_ext.settings import Settings

MILLION = "SELECT number AS n, cityHash64(number) AS h FROM numbers({n})"


@pytest.fixture(params=["embedded", "server"], scope="module")
def ctx(request, tmp_path_factory):
    settings = Settings(state_dir=tmp_path_factory.mktemp("state"))
    url = None if request.param == "embedded" else request.getfixturevalue("server_url")
    with DataContext(url, settings=settings) as context:
        yield context


def rows_of(ctx):
    return {row.table_name: row.session_id for row in ctx.backend.services.registry.tables()}


def test_current_is_the_kernels_own_the_innermost_or_none(ctx):
    assert SessionManager.current() is ctx.sessions.own
    assert ctx.sessions.own.session_id == ctx.job_id
    with ctx.session() as outer:
        with ctx.session() as inner:
            assert SessionManager.current() is inner
        assert SessionManager.current() is outer
    assert SessionManager.current() is ctx.sessions.own


def uses_of(ctx, x, view, column):
    """Return what can be done with an object, a view and a column of it."""
    return [
        x.data, view.data, view.copy, view.to_pandas, lambda: column.sum().execute(),
        lambda: x.shape, lambda: len(x), lambda: x.insert({"a": [4]}), lambda: x.head(1).data(),
        lambda: ctx.concat(x, x), lambda: ctx.sql(f"SELECT * FROM {x.table_name}"),
        lambda: ctx.create_object_from_value({"a": [1]}).insert(view),
    ]  # fmt: skip


def test_what_is_made_inside_goes_at_the_end_and_says_why(ctx, tables):
    outside = ctx.create_object_from_value([1, 2, 3])
    with ctx.session(tags={"run": "a"}) as session:
        x = ctx.create_object_from_value({"a": [1, 2, 3]})
        view = x.filter(x.a > 1)
        column = x.a
        assert tables() == {outside.table_name, x.table_name}
        assert rows_of(ctx) == {outside.table_name: None, x.table_name: session.session_id}
        assert list(ctx.sessions.refs(session.session_id)) == [x.table_name]
    assert tables() == {outside.table_name}
    assert list(rows_of(ctx)) == [outside.table_name]
    assert not ctx.sessions.exists(session.session_id)
    for use in uses_of(ctx, x, view, column):
        with pytest.raises(ReleasedError, match=rf"session {session.session_id} \(run=a\)") as e:
            use()
        assert isinstance(e.value, DroppedTableError)
    assert repr(ctx.why(view)) == (
        f"{x.table_name}: dropped with session {session.session_id} (run=a), which has ended"
    )
    assert outside.data() == [1, 2, 3]
    names = ctx.backend.services.sessions.tables
    assert names.has_released
    del x, view, column, use, e
    assert tables() == {outside.table_name}
    assert not names.has_released


def test_what_is_kept_stays(ctx, tables):
    with ctx.session() as outer:
        with ctx.session() as inner:
            made = ctx.create_object_from_value({"a": [1, 2, 3]})
            view = inner.keep(made.filter(made.a > 1))
            ctx.create_object_from_value([1])
            with pytest.raises(UnsupportedTypeError, match="one by one"):
                inner.keep([view])
        assert view.count().execute() == 2
        assert rows_of(ctx)[made.table_name] == outer.session_id
        outer.keep(view.a)
        grouped = view.group_by("a")
        outer.keep(grouped)
    assert view.count().execute() == 2
    del made, view, grouped
    assert tables() == set()


def test_python_objects_go_with_the_session_too(ctx):
    class Model:
        """Something that ClickHouse has no type for."""

    with ctx.session():
        models = [Model(), Model()]
        x = ctx.create_object_from_value({"model": models})
        kept = ctx.create_object_from_value({"model": models[:1]})
        assert x.model.to_pandas().tolist() == models
        ctx.sessions.innermost.keep(kept)
    first, second = (weakref.ref(model) for model in models)
    del models
    ctx.flush()
    gc.collect()
    assert first() is not None
    assert second() is None
    with pytest.raises(ReleasedError):
        x.data()
    assert kept.data()["model"] == [first()]


def test_what_nothing_reaches_goes_before_the_end(ctx, tables):
    with ctx.session():
        x = ctx.create_object_from_value([1])
        assert tables() == {x.table_name}
        del x
        assert tables() == set()


def test_names_outlive_a_session(ctx, tables):
    with ctx.session(max_refs=0):
        named = ctx.create_object_from_value([1], name="n", scope="session")
        assert rows_of(ctx)[named.table_name] is None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a scratch database keeps nothing
            replaced = ctx.create_object_from_value([1, 2], name="g", scope="global")
    assert ctx.open_object("n").data() == [1]
    assert replaced.data() == [1, 2]
    ctx.delete_object("n")
    ctx.delete_object("g")
    del named, replaced
    assert tables() == set()


def test_one_too_many_is_refused_before_it_is_made(ctx, tables):
    with ctx.session(max_refs=2):
        first = ctx.create_object_from_value([1])
        second = first.copy()
        for make in (lambda: ctx.create_object_from_value([2]), first.copy):
            with pytest.raises(SessionLimitError, match="max_refs"):
                make()
        assert tables() == {first.table_name, second.table_name}
        assert second.insert([5]).data() == [1, 5]  # by a table that is there for a moment
    assert tables() == set()


def test_what_was_deleted_makes_room_at_once(ctx):
    with ctx.session(max_refs=1):
        for number in range(20):
            x = ctx.create_object_from_value([number])
            assert x.data() == [number]
            del x


# Bytes.


def test_known_data_over_the_limit_is_refused_and_nothing_is_left(ctx, tables):
    data = pa.table({"a": pa.array(range(100_000), pa.int64())})
    with ctx.session(max_bytes=700_000) as session:
        with pytest.raises(SessionLimitError) as caught:
            ctx.create_object_from_value(data)
        said = str(caught.value)
        assert f"session {session.session_id} may hold 700 kB" in said
        assert "holds 0 bytes" in said
        assert "needs 800 kB or more" in said
        assert "larger max_bytes" in said
        assert tables() == set()
        small = ctx.create_object_from_value(data.slice(0, 50_000))
        with pytest.raises(SessionLimitError, match=r"holds 524 kB in 1 table,"):
            small.copy()  # known before it begins
        with pytest.raises(SessionLimitError):
            ctx.concat(small, small)
        assert tables() == {small.table_name}
        head = small.head(1000).copy()
        assert len(head) == 1000
    assert tables() == set()


def test_a_select_that_grows_too_large_is_stopped(ctx, tables):
    with ctx.session(max_bytes=20_000_000):
        huge = ctx.sql(MILLION.format(n=2_000_000_000))  # 32 GB
        with pytest.raises(SessionLimitError, match="max_bytes"):
            huge.copy()
        assert tables() == set()
        assert len(ctx.sql(MILLION.format(n=1000)).copy()) == 1000
    made = ctx.sql(MILLION.format(n=2_000_000)).copy()  # 32 MB: no limit any more
    assert len(made) == 2_000_000


def test_an_insert_over_the_limit_changes_nothing(ctx):
    rows = pa.table({"n": pa.array(range(50_000), pa.uint64())})
    with ctx.session(max_bytes=1_200_000):
        x = ctx.create_object_from_value(rows)
        x.insert(rows)
        with pytest.raises(SessionLimitError):
            x.insert(rows)
        with pytest.raises(SessionLimitError):
            x.insert(x)
        assert len(x) == 100_000
        assert x.n.sum().execute() == sum(range(50_000)) * 2


def test_files_are_held_to_the_limit(ctx, tables, tmp_path):
    import pyarrow.parquet as pq

    data = pa.table({"a": pa.array(range(200_000), pa.int64()), "b": ["x"] * 200_000})
    pq.write_table(data, tmp_path / "big.parquet")
    (tmp_path / "big.csv").write_text("a,b\n" + "1,some text\n" * 200_000)
    with ctx.session(max_bytes=300_000):
        for read, path in ((ctx.read_parquet, "big.parquet"), (ctx.read_csv, "big.csv")):
            with pytest.raises(SessionLimitError):
                read(tmp_path / path)
            assert tables() == set()
    with ctx.session(max_bytes=50_000_000):
        assert len(ctx.read_parquet(tmp_path / "big.parquet")) == 200_000
        assert len(ctx.read_csv(tmp_path / "big.csv")) == 200_000


def test_a_kernel_can_be_limited_by_a_setting(tmp_path):
    settings = Settings(state_dir=tmp_path, max_refs=2, max_bytes=100_000)
    with DataContext(settings=settings) as ctx:
        info = ctx.sessions.get(ctx.job_id)
        assert (info.max_refs, info.max_bytes) == (2, 100_000)
        with pytest.raises(SessionLimitError, match="AAICLICK_MAX_BYTES"):
            ctx.create_object_from_value(pa.table({"a": range(100_000)}))
        kept = [ctx.create_object_from_value([n]) for n in range(2)]
        with pytest.raises(SessionLimitError, match="AAICLICK_MAX_REFS"):
            ctx.create_object_from_value([3])
        assert [x.data() for x in kept] == [[0], [1]]


# The end.


@pytest.mark.parametrize("ctx", ["server"], indirect=True)
@pytest.mark.parametrize("is_redeemed", [True, False])
def test_what_another_kernel_holds_survives_both_the_session_and_the_variable(
    ctx, tables, is_redeemed
):
    services = ctx.backend.services
    elsewhere = ClaimStore(services.registry, ctx.engine.identity, 12345)
    with ctx.session():
        x = ctx.create_object_from_value([1, 2, 3])
        shared = time.monotonic()
        token = x.share(expires_s=60 if is_redeemed else 2)
        if is_redeemed:
            elsewhere.redeem(token)
    name = x.table_name
    is_held = tables() == {name}
    with pytest.raises(ReleasedError):
        x.data()
    del x
    is_held &= tables() == {name}
    assert is_held or (not is_redeemed and time.monotonic() - shared > 2)
    if is_redeemed:
        assert not elsewhere.give_up([name])
        ctx.engine.command(f"DROP TABLE {name} SYNC")
        services.registry.forget_tables(ctx.engine.identity, [name])
    deadline = time.monotonic() + 30
    while tables() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert tables() == set()
    assert not services.sessions.tables.has_released


def test_a_heartbeat_ends_what_has_expired(tmp_path):
    settings = Settings(state_dir=tmp_path, heartbeat_s=0.05)
    with DataContext(settings=settings) as ctx:
        session = ctx.sessions.register(5, ttl_seconds=0.1)
        deadline = time.monotonic() + 30
        while not session.is_ended and time.monotonic() < deadline:
            time.sleep(0.02)
        assert session.is_ended
        assert [info.session_id for info in ctx.sessions.list()] == [ctx.job_id]


def test_the_end_does_not_wait_for_who_reads_a_table(ctx, tables):
    with ctx.session():
        x = ctx.sql(MILLION.format(n=300_000)).copy()
        batches = x.to_pyarrow_batches(chunk_size=1000)
        next(batches)
    with pytest.raises(ReleasedError):
        x.data()
    batches.close()
    del batches
    assert tables() == set()


def test_a_session_that_is_open_when_its_context_closes_just_ends(tmp_path):
    settings = Settings(state_dir=tmp_path)
    with DataContext(settings=settings) as ctx:
        session = ctx.session().open()
        registry = ctx.backend.services.registry
        x = ctx.create_object_from_value([1])
        assert x.data() == [1]
    assert session.is_ended
    session.close()
    assert registry is not None
    with DataContext(settings=settings) as ctx:
        assert session.session_id not in [info.session_id for info in ctx.sessions.list()]
        assert SessionManager.current() is ctx.sessions.own


def test_threads_with_a_session_each_do_not_mix(ctx, tables):
    failed = []

    def work(number):
        try:
            with ctx.session(tags={"n": number}) as mine:
                made = [ctx.create_object_from_value([number]) for _ in range(5)]
                assert sorted(mine.refs) == sorted(x.table_name for x in made)
        except BaseException as error:
            failed.append(error)

    with ctx.session():
        threads = [threading.Thread(target=work, args=[n]) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failed == []
    assert tables() == set()
    assert [info for info in ctx.sessions.list() if info.parent_id == ctx.job_id] == []
