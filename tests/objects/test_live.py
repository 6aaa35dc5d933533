"""Live results: what subscribers are told, once each and in order, and that nothing is left."""

from __future__ import annotations

import gc
import os
import random
import threading
import time

import pytest

from aaiclick_ext.context import DataContext
from aaiclick_ext.errors import ContextError, SchemaError, UnsupportedTypeError
from aaiclick_ext.settings import Settings

PATIENCE_S = 60
IS_SOAK = bool(os.environ.get("AAICLICK_SOAK"))


class Told:
    """A callback that keeps what it is told."""

    def __init__(self):
        self.changes = []
        self._arrived = threading.Condition()

    def __call__(self, change):
        with self._arrived:
            self.changes.append(change)
            self._arrived.notify_all()

    def wait(self, ready):
        """Wait until the changes are as wanted; return them."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: ready(self.changes), PATIENCE_S), self.changes
            return list(self.changes)

    def rows(self, column, count):
        """Wait for so many rows; return the values of a column."""
        changes = self.wait(lambda all_: sum(c.rows.num_rows for c in all_) >= count)
        return [value for change in changes for value in change.rows[column].to_pylist()]

    def last(self, ready):
        """Wait until the last change is as wanted; return its rows as a set of tuples."""
        changes = self.wait(lambda all_: bool(all_) and ready(rows_of(all_[-1])))
        return rows_of(changes[-1])


def rows_of(change):
    return {tuple(row.values()) for row in change.rows.to_pylist()}


@pytest.fixture(scope="module")
def ctx(tmp_path_factory):
    folder = tmp_path_factory.mktemp("state")
    settings = Settings(state_dir=folder, live_poll_s=0.2)
    with DataContext(settings=settings) as context:
        yield context


@pytest.fixture
def manager(ctx):
    found = ctx.backend.services.live
    yield found
    gc.collect()
    deadline = time.monotonic() + PATIENCE_S
    while threads() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert threads() == []
    assert found.deliveries == []
    assert (found._queries, found._sources, list(found._inserts)) == ({}, {}, [])
    assert ctx.backend.services.inserts._watchers == {}


def threads():
    return [t.name for t in threading.enumerate() if t.name.startswith("aai-live")]


def readings(ctx, *values):
    return ctx.create_object_from_value(
        {"who": [who for who, _ in values], "n": [n for _, n in values]},
    )


def test_added_rows_are_told_once_and_in_order(ctx, manager):
    source = readings(ctx, ("a", 1))
    told, some = Told(), Told()
    doubled = source.filter(source.n > 0).mutate(twice=source.n * 2)
    one = doubled.subscribe(told, throttle_s=0)
    other = doubled.subscribe(some, where=doubled.twice > 10, throttle_s=0)
    assert (one.how, one.reason, one.is_active) == ("incremental", None, True)
    watched = ctx.system.live_queries.to_pyarrow().to_pylist()
    assert {(row["how"], row["sql"]) for row in watched} == {("incremental", doubled.compile())}
    assert [row["sources"] for row in watched] == [[f"default.{source.table_name}"]] * 2
    for n in range(2, 10):
        source.insert({"who": ["b", "c"], "n": [n, -n]})
    source.insert(source.filter(source.n == 9))  # a view
    assert told.rows("n", 9) == [*range(2, 10), 9]
    assert some.rows("twice", 5) == [12, 14, 16, 18, 18]
    assert {change.kind for change in told.changes} == {"rows"}
    assert [change.number for change in told.changes] == list(range(1, len(told.changes) + 1))
    assert told.changes[0].rows.schema.equals(doubled.to_pyarrow().schema)
    one.cancel()
    other.cancel()
    one.cancel()
    source.insert({"who": ["b"], "n": [99]})
    assert not one.is_active
    assert 99 not in told.rows("n", 9)


def test_an_aggregate_is_merged(ctx, manager):
    source = readings(ctx, ("a", 1), ("b", 2), (None, 5), ("b", None))
    told = Told()
    by_who = source.group_by("who").agg(
        rows=source.count(), counted=source.n.count(), total=source.n.sum(), low=source.n.min(),
        high=source.n.max(),
    )  # fmt: skip
    with by_who.subscribe(told, throttle_s=0) as subscription:
        assert subscription.how == "incremental"
        for number in range(6):
            source.insert({"who": ["a", None, f"new {number}"], "n": [number, 7, None]})
            expected = {tuple(row.values()) for row in by_who.to_pyarrow().to_pylist()}
            assert told.last(lambda rows, wanted=expected: rows == wanted)
    assert {change.kind for change in told.changes} == {"result"}
    assert {change.how for change in told.changes[1:]} == {"incremental"}


def test_an_aggregate_of_everything(ctx, manager):
    source = ctx.create_object({"n": "Nullable(Int64)"})
    told = Told()
    total = source.agg(total=source.n.sum(), rows=source.count())
    with total.subscribe(told, throttle_s=0):
        source.insert({"n": [None]})
        assert told.last(bool) == {(None, 1)}
        source.insert({"n": [2, 3]})
        assert told.last(lambda rows: rows == {(5, 3)})


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda t: t.order_by("n").limit(2), "Limit looks at more than one row"),
        (lambda t: t.group_by("who").agg(mean=t.n.mean()), "Mean of two parts is not known"),
        (lambda t: t.mutate(r=t.n.rank()), "looks at more than one row"),
        (lambda t: t.join(t.view(), "who").select("n"), "JoinChain looks at more than one row"),
        (lambda t: t.distinct(), "Distinct looks at more than one row"),
        (lambda t: t.filter(t.n > t.n.mean()), "looks at more than one row"),
    ],
)
def test_what_is_not_known_from_the_added_rows_is_run_again(ctx, manager, make, reason):
    source = readings(ctx, ("a", 3), ("b", 2))
    view = make(source)
    told = Told()
    with view.subscribe(told, throttle_s=0) as subscription:
        assert subscription.how == "recomputed"
        assert reason in subscription.reason
        source.insert({"who": ["a"], "n": [1]})
        told.last(lambda rows: rows == {tuple(r.values()) for r in view.to_pyarrow().to_pylist()})
        assert (told.changes[-1].kind, told.changes[-1].how) == ("result", "recomputed")


def test_what_others_do_is_told_with_the_result(ctx, manager):
    source = readings(ctx, ("a", 1))
    positive = source.filter(source.n > 0)
    told, total_told = Told(), Told()
    total = source.agg(total=source.n.sum())
    with positive.subscribe(told, throttle_s=0), total.subscribe(total_told, throttle_s=0):
        time.sleep(0.5)
        source.insert({"who": ["b"], "n": [2]})
        assert told.rows("n", 1) == [2]
        ctx.engine.command(f"INSERT INTO {source.table_name} VALUES ('raw', 3)")
        assert told.last(lambda rows: len(rows) == 3) == {("a", 1), ("b", 2), ("raw", 3)}
        assert total_told.last(lambda rows: rows == {(6,)})
        assert (told.changes[-1].kind, told.changes[-1].how) == ("changed", "recomputed")
        count = len(told.changes)
        source.insert({"who": ["c"], "n": [4]})
        changes = told.wait(lambda all_: len(all_) > count)
        assert (changes[-1].kind, rows_of(changes[-1])) == ("rows", {("c", 4)})
        assert total_told.last(lambda rows: rows == {(10,)})


def test_a_table_of_others_and_a_named_view(ctx, manager):
    ctx.engine.command("CREATE TABLE theirs (n Int64) ENGINE = MergeTree ORDER BY n")
    source = readings(ctx, ("a", 1))
    view = ctx.create_view("positive", source.filter(source.n > 0))
    told, named = Told(), Told()
    try:
        with (
            ctx.table("theirs").subscribe(told, throttle_s=0) as subscription,
            view.subscribe(named, throttle_s=0),
        ):
            assert subscription.reason == "theirs is not a table of ours"
            time.sleep(0.5)
            ctx.engine.command("INSERT INTO theirs VALUES (1)")
            assert told.last(bool) == {(1,)}
            ctx.engine.command("ALTER TABLE theirs DELETE WHERE n = 1 SETTINGS mutations_sync = 1")
            assert told.last(lambda rows: not rows) == set()
            source.insert({"who": ["b"], "n": [2]})
            assert named.last(bool) == {("a", 1), ("b", 2)}
            ctx.engine.command("DROP TABLE theirs SYNC")
            deadline = time.monotonic() + PATIENCE_S
            while subscription.is_active and time.monotonic() < deadline:
                time.sleep(0.02)
            assert "theirs" in subscription.error
    finally:
        ctx.engine.command("DROP TABLE IF EXISTS theirs SYNC")
        ctx.drop_view("positive")


@pytest.mark.parametrize("materialized", [False, True])
def test_a_named_view_beside_a_view_of_its_source(ctx, manager, materialized):
    source = readings(ctx, ("a", 1))
    positive = source.filter(source.n > 0)
    view = ctx.create_view("positive", positive, materialized=materialized)
    added, named = Told(), Told()
    try:
        with (
            view.subscribe(named, throttle_s=0),
            positive.subscribe(added, throttle_s=0),
        ):
            for n in range(2, 6):
                source.insert({"who": ["b"], "n": [n]})
                time.sleep(0.1)
            assert added.rows("n", 4) == [2, 3, 4, 5]
            assert {change.how for change in added.changes} == {"incremental"}
            assert named.last(lambda rows: len(rows) == 5) >= {("a", 1), ("b", 5)}
            assert {change.kind for change in named.changes} == {"result"}
    finally:
        ctx.drop_view("positive")


def test_a_callback_that_raises_is_paused_and_the_rest_go_on(ctx, manager, caplog):
    source = readings(ctx, ("a", 1))
    told = Told()

    def failing(change):
        raise ValueError(f"no {change.rows.num_rows}")

    bad, good = source.subscribe(failing, throttle_s=0), source.subscribe(told, throttle_s=0)
    with caplog.at_level("WARNING", logger="aaiclick_ext"):
        for n in (2, 3):
            source.insert({"who": ["b"], "n": [n]})
            told.rows("n", n - 1)
        deadline = time.monotonic() + PATIENCE_S
        while bad.error is None and time.monotonic() < deadline:
            time.sleep(0.02)
    assert bad.error == "its callback raised ValueError: no 1"
    assert sum("ValueError" in record.message for record in caplog.records) == 1
    assert (bad.is_active, bad.delivered, good.is_active) == (False, 1, True)
    assert "paused" in repr(bad)
    assert told.rows("n", 2) == [2, 3]
    bad.cancel()
    good.cancel()


def test_a_slow_one_gets_what_has_gathered_and_blocks_nobody(ctx, manager):
    source = readings(ctx, ("a", 0))
    told, slow, go_on = Told(), Told(), threading.Event()

    def callback(change):
        slow(change)
        go_on.wait(PATIENCE_S)

    with source.subscribe(callback, throttle_s=0), source.subscribe(told, throttle_s=0):
        for n in range(1, 21):
            source.insert({"who": ["b"], "n": [n]})
        assert told.rows("n", 20) == list(range(1, 21))
        assert len(slow.changes) == 1
        go_on.set()
        assert slow.rows("n", 20) == list(range(1, 21))
        assert len(slow.changes) == 2


def test_pausing_and_going_on(ctx, manager):
    source = readings(ctx, ("a", 1))
    told = Told()
    with source.subscribe(told, throttle_s=0) as subscription:
        subscription.pause()
        source.insert({"who": ["b"], "n": [2]})
        time.sleep(0.3)
        assert told.changes == []
        subscription.resume()
        assert told.last(bool) == {("a", 1), ("b", 2)}
        assert told.changes[-1].kind == "changed"
        source.insert({"who": ["c"], "n": [3]})
        changes = told.wait(lambda all_: len(all_) == 2)
        assert (changes[-1].kind, rows_of(changes[-1])) == ("rows", {("c", 3)})


def test_a_handle_that_is_gone_tells_nothing_and_keeps_nothing(ctx, manager, tables):
    source = readings(ctx, ("a", 1))
    name = source.table_name
    told = Told()
    total = source.agg(total=source.n.sum())
    handles = [source.subscribe(told), total.subscribe(told, throttle_s=0)]
    source.insert({"who": ["b"], "n": [2]})
    told.wait(lambda all_: any(change.kind == "result" for change in all_))
    del total, source
    gc.collect()
    assert name in tables()
    handles.clear()
    gc.collect()
    manager.deliveries  # noqa: B018  those that have ended are cleared
    deadline = time.monotonic() + PATIENCE_S
    while name in tables() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert name not in tables()


def test_what_cannot_be_subscribed_to(ctx, manager):
    source = readings(ctx, ("a", 1))
    with pytest.raises(SchemaError, match="where is a condition"):
        source.subscribe(print, where=source.n)
    thing = ctx.create_object_from_value({"x": [object()]}, objects=["x"])
    with pytest.raises(UnsupportedTypeError):
        thing.subscribe(print)


def test_an_interrupted_insert_is_told_as_it_turned_out(ctx, manager, monkeypatch):
    from aaiclick_ext.objects import inserting

    source = readings(ctx, ("a", 1))
    told = Told()
    move = inserting._move

    def stopped_after(*arguments):
        move(*arguments)
        raise KeyboardInterrupt

    with source.subscribe(told, throttle_s=0):
        time.sleep(0.5)
        monkeypatch.setattr(inserting, "_move", stopped_after)
        with pytest.raises(KeyboardInterrupt):
            source.insert({"who": ["b"], "n": [2]})
        monkeypatch.undo()
        assert told.last(lambda rows: len(rows) == 2) == {("a", 1), ("b", 2)}
        assert told.changes[-1].kind == "changed"


SUBSCRIBERS, INSERTS = (100, 1000) if IS_SOAK else (100, 120)


@pytest.mark.soak if IS_SOAK else pytest.mark.kernel
def test_many_subscribers_and_inserts_from_several_threads(ctx, manager):
    source = ctx.create_object({"thread": "Int64", "n": "Int64"})
    told = [Told() for _ in range(SUBSCRIBERS)]
    handles = [
        source.subscribe(each, where=source.n % SUBSCRIBERS == number, throttle_s=0)
        for number, each in enumerate(told)
    ]
    dice = random.Random(7)
    inserted = [
        [dice.randrange(10_000) for _ in range(dice.randrange(1, 20))] for _ in range(INSERTS)
    ]

    def work(thread):
        for values in inserted[thread::2]:
            source.insert({"thread": [thread] * len(values), "n": values})

    workers = [threading.Thread(target=work, args=(thread,)) for thread in (0, 1)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for number, each in enumerate(told):
        mine = [
            [n for values in inserted[thread::2] for n in values if n % SUBSCRIBERS == number]
            for thread in (0, 1)
        ]
        each.rows("n", sum(map(len, mine)))
    time.sleep(0.3)  # whatever would come twice comes now
    for number, each in enumerate(told):
        rows = [row for change in each.changes for row in change.rows.to_pylist()]
        for thread in (0, 1):
            wanted = [n for values in inserted[thread::2] for n in values]
            assert [r["n"] for r in rows if r["thread"] == thread] == [
                n for n in wanted if n % SUBSCRIBERS == number
            ]
    handles.clear()


def test_closing_kills_what_runs(tmp_path):
    context = DataContext(settings=Settings(state_dir=tmp_path))
    source = readings(context, ("a", 1))
    slow = context.sql(
        "SELECT sum(sleepEachRow(1)) AS n FROM numbers(60) "
        "WHERE number + (SELECT max(n) FROM {source}) > 1 SETTINGS max_block_size = 1",
        source=source,
    )
    subscription = slow.subscribe(Told(), throttle_s=0)
    source.insert({"who": ["b"], "n": [2]})
    deadline = time.monotonic() + PATIENCE_S
    while (
        time.monotonic() < deadline
        and not context.engine.query_rows(
            "SELECT count() FROM system.processes WHERE query LIKE '%sleepEachRow%' "
            "AND query NOT LIKE '%processes%'"
        )[0][0]
    ):
        time.sleep(0.05)
    context.close()
    assert threads() == []
    assert not subscription.is_active


def test_closing_ends_everything(tmp_path):
    context = DataContext(settings=Settings(state_dir=tmp_path))
    source = readings(context, ("a", 1))
    told = Told()
    subscription = source.subscribe(told, throttle_s=0)
    source.insert({"who": ["b"], "n": [2]})
    told.rows("n", 1)
    context.close()
    assert threads() == []
    assert not subscription.is_active
    subscription.cancel()
    with pytest.raises(ContextError):
        source.subscribe(told)
