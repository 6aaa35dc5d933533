"""Materialized views: exact with each insert through us, all or none; refused where not."""

from __future__ import annotations

import _thread
import threading

import ibis
import pytest
from ibis import _

from aaiclick_ext.errors import AaiclickError, BrokenViewError, EngineError, ViewError


def run(ctx, sql):
    ctx.engine.command(sql)


def rows(ctx, sql):
    return ctx.engine.query_rows(sql)


def count(ctx, name):
    return rows(ctx, f"SELECT count() FROM `{name}`")[0][0]


@pytest.fixture(autouse=True)
def left(ctx, tables):
    """See that nothing is left once the views of a test are dropped."""
    before = tables()
    yield
    for _round in range(3):
        for view in ctx.list_views():
            run(ctx, f"DROP TABLE IF EXISTS `{view.name}` SYNC")
    ctx.backend.services.kept.refresh()
    assert tables() <= before


def same(ctx, view, expression):
    """Say whether a view has the rows of an expression, in any order."""
    of_view, wanted = view.data(), expression.data()
    assert list(of_view) == list(wanted)
    return sorted(zip(*of_view.values(), strict=True), key=repr) == sorted(
        zip(*wanted.values(), strict=True), key=repr
    )


def test_a_materialized_view_has_each_inserted_row_once(ctx, tables):
    source = ctx.create_object_from_value({"a": [1, 2, None], "raw": [b"\xff", b"x", b""]})
    wanted = source.filter(_.a > 1).mutate(twice=_.a * 2, big=_.a > 2).drop("a")
    view = ctx.create_view("large", wanted, materialized=True)
    (known,) = ctx.list_views()
    assert view.schema() == wanted.schema()
    assert known.target in tables()
    assert tables() == {source.table_name, known.target}
    assert same(ctx, view, wanted)
    source.insert({"a": [5, 0], "raw": [b"5", b"0"]})
    assert same(ctx, view, wanted)
    source.insert(source, {"a": [7], "raw": [b"7"]})
    assert same(ctx, view, wanted)
    assert count(ctx, known.target) == 5
    run(ctx, f"INSERT INTO {source.table_name} VALUES (9, '9')")
    assert same(ctx, view, wanted)
    source.insert(ctx.create_object({"a": "Nullable(Int64)", "raw": "String"}))
    assert same(ctx, view, wanted)
    assert ctx.validate_views() == []
    assert "aai.drop_view('large')" in str(ctx.why(known.target))
    del source, wanted
    assert len(tables()) == 2
    ctx.drop_view("large")
    assert tables() == set()


def test_arrays_and_views_over_it(ctx, tables):
    array = ctx.create_object_from_value([1, 2, 3])
    view = ctx.create_view("odd", array.mutate(x=_.value * 10), materialized=True)
    over = ctx.create_view("over", view.filter(_.x > 10))
    array.insert([4])
    assert sorted(over.data()["x"]) == [20, 30, 40]
    with pytest.raises(ViewError, match="over read it"):
        ctx.drop_view("odd")
    ctx.drop_view("over")


def test_replacing(ctx, tables):
    source = ctx.create_object_from_value({"a": [1, 2]})
    ctx.create_view("v", source.filter(_.a > 1), materialized=True)
    first = ctx.list_views()[0].target
    view = ctx.create_view("v", source.filter(_.a > 0), materialized=True, if_exists="replace")
    second = ctx.list_views()[0].target
    assert tables() == {source.table_name, second}
    assert first != second
    source.insert({"a": [3]})
    assert sorted(view.data()["a"]) == [1, 2, 3]
    ctx.create_view("v", source.limit(1), if_exists="replace")
    assert ctx.list_views()[0].target is None
    assert tables() == {source.table_name}
    source.insert({"a": [4]})
    ctx.create_view("v", source, materialized=True, if_exists="replace")
    assert sorted(ctx.table("v").data()["a"]) == [1, 2, 3, 4]


def test_what_is_not_exact_is_refused(ctx):
    source = ctx.create_object_from_value({"a": [1, 2], "b": ["x", "y"]})
    other = ctx.create_object_from_value({"a": [1]})
    plain = ctx.create_view("plain", source)
    numbers = ctx.create_object_from_value([1, 2])
    refused = {
        "Aggregate": source.group_by("b").agg(n=_.count()),
        "Distinct": source.select("b").distinct(),
        "Sort": source.order_by("a"),
        "Limit": source.limit(1),
        "JoinChain": source.join(other, "a"),
        "Union": ibis.union(source, source),
        "RowNumber|WindowFunction": source.mutate(n=ibis.row_number()),
        "WindowFunction": source.mutate(n=_.a.sum()),
        "TimestampNow": source.mutate(n=ibis.now()),
        "RandomScalar": source.mutate(n=ibis.random()),
        "InSubquery": source.filter(source.a.isin(other.a)),
        "SQLQueryResult": ctx.sql("SELECT a FROM {x}", x=source),
        "it reads plain": plain.filter(_.a > 1),
        "it reads system.one": ctx.table("system.one"),
        "JoinChain|Join": numbers + numbers.copy(),
    }
    for said, query in refused.items():
        with pytest.raises(ViewError, match=f"view v cannot be materialized: .*({said})"):
            ctx.create_view("v", query, materialized=True)
    with pytest.raises(ViewError, match="it takes parameters"):
        ctx.create_view("v", "SELECT a FROM {s} WHERE a > {n:Int8}", materialized=True, s=source)
    with pytest.raises(ViewError, match="a copy gets no more rows"):
        ctx.create_view("v", source, materialized=True, copy=True)
    assert [view.name for view in ctx.list_views()] == ["plain"]


def test_a_failing_view_leaves_the_insert_undone(ctx, tables):
    source = ctx.create_object_from_value({"a": [1, 2]})
    name = source.table_name
    view = ctx.create_view("v", source.mutate(b=_.a + 1), materialized=True)
    run(ctx, "CREATE TABLE sink (x Int64) ENGINE = MergeTree ORDER BY x")
    run(
        ctx,
        f"CREATE MATERIALIZED VIEW picky TO sink AS SELECT throwIf(a = 99) + a AS x FROM {name}",
    )
    before = tables()
    with pytest.raises(EngineError, match="throwIf"):
        source.insert({"a": [5, 99]})
    assert (len(source), count(ctx, "v"), count(ctx, "sink")) == (2, 2, 0)
    assert tables() == before
    source.insert({"a": [5]})
    assert (len(source), count(ctx, "v"), count(ctx, "sink")) == (3, 3, 1)
    assert same(ctx, view, source.mutate(b=_.a + 1))
    run(ctx, "DROP VIEW picky SYNC")
    run(ctx, "DROP TABLE sink SYNC")


def test_views_that_users_made(ctx, tables):
    source = ctx.create_object_from_value({"a": [1, 2], "k": ["x", "y"]})  # in memory
    name = source.table_name
    grouped = "k, count() AS n, sum(a) AS s"
    storage = "MergeTree PARTITION BY k ORDER BY a"
    chosen = f"t.a, t.k, a * 2 AS extra FROM {name} AS t WHERE a > 1"
    made = [
        "CREATE TABLE by_k (k String, n UInt64, s Int64) ENGINE = SummingMergeTree ORDER BY k",
        f"CREATE MATERIALIZED VIEW agg TO by_k AS SELECT {grouped} FROM {name} GROUP BY k",
        f"CREATE MATERIALIZED VIEW inner_one ENGINE = {storage} AS SELECT {chosen}",
        "CREATE TABLE chained (total Int64) ENGINE = MergeTree ORDER BY total",
        "CREATE MATERIALIZED VIEW chain TO chained AS SELECT s AS total FROM by_k",
        f"CREATE MATERIALIZED VIEW qualified TO chained AS SELECT {name}.a AS total FROM {name}",
    ]
    for statement in made:
        run(ctx, statement)
    source.insert({"a": [3, 4, 5], "k": ["x", "y", "z"]}, source.filter(_.a > 1))
    assert sorted(source.data()["a"]) == [1, 2, 2, 3, 4, 5]
    assert rows(ctx, "SELECT k, sum(n), sum(s) FROM by_k GROUP BY k ORDER BY k") == [
        ("x", 1, 3), ("y", 2, 6), ("z", 1, 5),
    ]  # fmt: skip
    assert rows(ctx, "SELECT * FROM inner_one ORDER BY a") == [
        (2, "y", 4), (3, "x", 6), (4, "y", 8), (5, "z", 10),
    ]  # fmt: skip
    assert rows(ctx, "SELECT sum(total), count() FROM chained") == [(14 + 14, 3 + 4)]
    assert tables() == {name}
    for refused, said in {
        "CREATE TABLE bad (a Int64) ENGINE = Memory": None,
        f"CREATE MATERIALIZED VIEW bad_view TO bad AS SELECT a FROM {name}": "is a Memory table",
        f"CREATE MATERIALIZED VIEW bad_view TO chained AS SELECT a AS total FROM {name} "
        f"WHERE a IN (SELECT a FROM {name})": "more than once",
    }.items():
        run(ctx, refused)
        if said is not None:
            with pytest.raises(ViewError, match=f"no rows were inserted.*bad_view.*{said}"):
                source.insert({"a": [6], "k": ["x"]})
            run(ctx, "DROP VIEW bad_view SYNC")
    assert len(source) == 6
    run(ctx, "DROP TABLE agg, inner_one, chain, qualified, by_k, chained, bad SYNC")


class DropsBeforeTheMove:
    """Drops a table when what is to be inserted is staged, and not yet moved."""

    def __init__(self, ctx, table):
        self.begun = lambda _table: run(ctx, f"DROP TABLE {table} SYNC")
        self.ended = lambda *_: None


def test_a_move_that_fails_says_who_has_the_rows(ctx, tables):
    source = ctx.create_object_from_value({"a": [1]})
    name = source.table_name
    for view in ("x", "y"):
        run(ctx, f"CREATE TABLE of_{view} (a Int64) ENGINE = MergeTree ORDER BY a")
        run(ctx, f"CREATE MATERIALIZED VIEW {view} TO of_{view} AS SELECT a FROM {name}")
    asked = f"SELECT dependencies_table FROM system.tables WHERE name = '{name}'"
    first, last = rows(ctx, asked)[0][0]
    watcher = DropsBeforeTheMove(ctx, f"of_{last}")
    ctx.backend.services.inserts.add(name, watcher)
    before = tables()
    with pytest.raises(EngineError, match=rf"of_{last}.*\.{first} have these rows already"):
        source.insert({"a": [5]})
    ctx.backend.services.inserts.remove(name, watcher)
    assert (len(source), count(ctx, f"of_{first}")) == (1, 1)
    assert tables() == before
    with pytest.raises(ViewError, match=f"its target .*of_{last} is gone"):
        source.insert({"a": [6]})
    run(ctx, f"DROP TABLE x, y, of_{first} SYNC")


def test_a_constraint_of_a_target_leaves_the_insert_undone(ctx, tables):
    source = ctx.create_object_from_value({"a": [1]})
    run(
        ctx, "CREATE TABLE small (a Int64, CONSTRAINT c CHECK a < 10) ENGINE = MergeTree ORDER BY a"
    )
    run(ctx, f"CREATE MATERIALIZED VIEW v TO small AS SELECT a FROM {source.table_name}")
    with pytest.raises(AaiclickError, match=r"(?i)constraint"):
        source.insert({"a": [5, 50]})
    assert (len(source), count(ctx, "small")) == (1, 0)
    run(ctx, "DROP TABLE v, small SYNC")


def test_ctrl_c_while_a_view_is_fed(ctx, tables):
    source = ctx.create_object_from_value({"a": [1]})
    run(ctx, "CREATE TABLE slow (a Int64) ENGINE = MergeTree ORDER BY a")
    select = f"SELECT a + sleepEachRow(0.2) AS a FROM {source.table_name}"
    run(ctx, f"CREATE MATERIALIZED VIEW v TO slow AS {select}")
    ctx.create_view("w", source, materialized=True)
    before = tables()
    timer = threading.Timer(0.7, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        source.insert({"a": range(14)})
    timer.join()
    assert (len(source), count(ctx, "slow"), count(ctx, "w")) == (1, 0, 1)
    assert tables() == before
    run(ctx, "DROP TABLE v, slow SYNC")


def test_restoring_goes_on_feeding(ctx, tables):
    first = ctx.create_object_from_value({"a": [1, 2]})
    source = first.filter(_.a > 0).copy()
    name = source.table_name
    view = ctx.create_view("v", source.mutate(b=_.a + 1), materialized=True)
    del source
    run(ctx, f"DROP TABLE {name} SYNC")
    (problem,) = ctx.validate_views()
    assert (problem.source, problem.what) == (name, "is gone")
    assert sorted(view.data()["b"]) == [2, 3]
    restored = ctx.restore(name)
    assert restored.views == ("v",)
    assert ctx.validate_views() == []
    restored.object.insert({"a": [5]})
    assert sorted(view.data()["b"]) == [2, 3, 6]
    target = ctx.list_views()[0].target
    run(ctx, f"DROP TABLE {target} SYNC")
    (problem,) = ctx.validate_views()
    assert (problem.source, problem.what) == (target, "is gone")
    with pytest.raises(BrokenViewError, match=f"{target} is gone.*make the view anew"):
        view.data()


def test_inserts_while_a_view_is_made(ctx, tables):
    source = ctx.create_object_from_value({"a": [0]})
    stop, errors, inserted = threading.Event(), [], [0]

    def insert():
        number = 0
        while not stop.is_set():
            number += 1
            try:
                source.insert({"a": [number]})
            except BaseException as error:
                errors.append(error)
                return
            inserted[0] += 1

    thread = threading.Thread(target=insert)
    thread.start()
    views = [ctx.create_view(f"v{n}", source, materialized=True) for n in range(4)]
    seen = inserted[0]
    while inserted[0] < seen + 3 and thread.is_alive():
        stop.wait(0.01)
    stop.set()
    thread.join()
    assert errors == []
    wanted = sorted(source.data()["a"])
    for view in views:
        assert sorted(view.data()["a"]) == wanted
