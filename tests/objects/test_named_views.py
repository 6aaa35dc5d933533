"""Named views, through the context: made, replaced, read, validated, dropped; what they keep."""

from __future__ import annotations

import datetime as dt
import uuid
import warnings

import ibis
import pandas as pd
import pytest

from aaiclick_ext.context import DataContext
from aaiclick_ext.errors import (
    BrokenViewError,
    ObjectExistsError,
    SchemaError,
    SettingsError,
    SQLError,
    UnknownTableError,
    UnsupportedTypeError,
    ViewError,
)


@pytest.fixture(autouse=True)
def left(ctx, tables):
    """See that no table is left once the views of a test are dropped."""
    before = tables()
    yield
    for _ in range(10):
        for view in ctx.list_views():
            ctx.engine.command(f"DROP VIEW IF EXISTS `{view.name.replace('`', '``')}`")
    ctx.backend.services.kept.refresh()
    assert tables() <= before


def new_flights(ctx):  # no fixture: pytest would hold the table
    return ctx.create_object_from_value(
        {"id": [1, 2, 3], "delay": [5, 90, None], "to": ["a", "b", "c"]}
    )


def rows(view, by="id"):
    return sorted(zip(*view.data().values(), strict=True), key=repr)


def run(ctx, sql):
    ctx.engine.command(sql)


def test_a_view_keeps_its_table_and_drops_it_with_itself(ctx, tables):
    flights = new_flights(ctx)
    name = flights.table_name
    before = dt.datetime.now(dt.UTC)
    late = ctx.create_view("late", flights.filter(flights.delay > 60))
    flights.insert({"id": [4], "delay": [70], "to": ["d"]})
    del flights
    assert tables() == {name}
    assert sorted(late.data()["id"]) == [2, 4]
    assert sorted(ctx.sql("SELECT id FROM late").data()["id"]) == [2, 4]
    assert ctx.table("late").schema() == late.schema()
    (view,) = ctx.list_views()
    assert (view.name, view.is_ours, view.parameters) == ("late", True, {})
    assert view.sources == {name: {"id": "Int64", "delay": "Nullable(Int64)", "to": "String"}}
    assert view.created_by
    assert before - dt.timedelta(seconds=1) < view.created_at <= dt.datetime.now(dt.UTC)
    assert name in view.sql
    assert str(ctx.why(name)).find("aai.drop_view('late')") > 0
    (info,) = ctx.tables()
    assert info.holders == ("view 'late'",)
    assert ctx.validate_views() == []
    ctx.drop_view("late")
    assert tables() == set()
    with pytest.raises(UnknownTableError, match="late"):
        late.data()


def test_only_the_columns_that_are_used_are_noted(ctx):
    flights = new_flights(ctx)
    ctx.create_view("late", flights.filter(flights.delay > 60).select("to"))
    (view,) = ctx.list_views()
    assert set(view.sources[flights.table_name]) == {"delay", "to"}
    run(ctx, f"ALTER TABLE {flights.table_name} DROP COLUMN id")
    assert ctx.validate_views() == []
    assert ctx.table("late").data() == {"to": ["b"]}


def test_a_replaced_view_lets_go_of_what_it_read(ctx, tables):
    flights = new_flights(ctx)
    other = ctx.create_object_from_value({"id": [7]})
    first, second = flights.table_name, other.table_name
    ctx.create_view("late", flights)
    with pytest.raises(ObjectExistsError, match="if_exists='replace'"):
        ctx.create_view("late", other)
    ctx.create_view("late", other, if_exists="replace")
    assert ctx.table("late").data() == {"id": [7]}
    del flights, other
    assert tables() == {second}
    ctx.create_view("late", ctx.table("late").limit(1).copy(), if_exists="replace")
    assert len(tables()) == 1
    assert first not in tables()
    assert ctx.table("late").data() == {"id": [7]}


def test_text_with_references(ctx):
    flights = new_flights(ctx)
    frame = pd.DataFrame({"to": ["b", "c"], "city": ["Bonn", "Cork"]})
    view = ctx.create_view(
        "cities", "SELECT id, city FROM {f} JOIN {c} USING (to)", f=flights, c=frame
    )
    assert rows(view) == [(2, "Bonn"), (3, "Cork")]
    assert len(ctx.list_views()[0].sources) == 2
    with pytest.raises(SQLError, match="stands for nothing"):
        ctx.create_view("more", "SELECT * FROM {nothing}")
    with pytest.raises(SQLError, match="only a SELECT"):
        ctx.create_view("more", "DROP TABLE x")
    with pytest.raises(SettingsError, match="tables are given for SQL text alone"):
        ctx.create_view("more", flights, x=flights)


def test_parameters(ctx):
    flights = new_flights(ctx)
    text = "SELECT id FROM {f} WHERE to = {c:String} AND id >= {least:Int64}"
    assert ctx.create_view("by_city", text, f=flights) is None
    (view,) = ctx.list_views()
    assert view.parameters == {"c": "String", "least": "Int64"}
    assert ctx.table("by_city", c="b", least=1).data() == {"id": [2]}
    assert ctx.table("by_city", c="it's \\ `x`", least=1).data() == {"id": []}
    assert ctx.table("by_city", c="c", least=3).mutate(x=ibis._.id * 2).data() == {
        "id": [3], "x": [6],
    }  # fmt: skip
    for wrong in ({}, {"c": "b"}, {"c": "b", "least": 1, "more": 2}):
        with pytest.raises(ViewError, match="by_city takes c=String, least=Int64; given: "):
            ctx.table("by_city", **wrong)
    ctx.create_view("plain", flights)
    with pytest.raises(ViewError, match="takes no parameters; given: c"):
        ctx.table("plain", c=1)
    with pytest.raises(UnknownTableError, match="no view named 'nothing'; there are: by_city"):
        ctx.table("nothing", c=1)
    later = ctx.table("by_city", c="b", least=1).copy()
    flights.insert({"id": [9], "delay": [1], "to": ["b"]})
    assert later.data() == {"id": [2]}
    assert sorted(ctx.table("by_city", c="b", least=1).data()["id"]) == [2, 9]


def test_a_copy_is_the_views_own(ctx, tables):
    flights = new_flights(ctx)
    name = flights.table_name
    view = ctx.create_view("late", flights.filter(flights.id > 1), copy=True)
    flights.insert({"id": [8], "delay": [1], "to": ["x"]})
    assert sorted(view.data()["id"]) == [2, 3]
    del flights
    (kept,) = tables()
    assert kept != name
    ctx.drop_view("late")
    assert tables() == set()


def test_arrays_scalars_and_empty_tables(ctx):
    array = ctx.create_object_from_value([3, 1, 2])
    assert ctx.create_view("squares", array * array).data() == {"value": [9, 1, 4]}
    assert ctx.create_view("seven", ctx.create_object_from_value(7)).data() == {"value": [7]}
    empty = ctx.create_object({"a": "Int8", "b": "Nullable(String)"})
    assert ctx.create_view("empty", empty).data() == {"a": [], "b": []}


def test_a_memtable_becomes_a_table_of_the_view(ctx, tables):
    view = ctx.create_view("v", ibis.memtable({"a": [1, 2]}).filter(ibis._.a > 1))
    assert view.data() == {"a": [2]}
    assert len(tables()) == 1


def test_columns_keep_their_types(ctx):
    source = ctx.create_object_from_value(
        {
            "n": [1, None],
            "raw": [b"\x00\xff", b"x"],
            "flag": [True, False],
            "when": [dt.datetime(2026, 1, 1, tzinfo=dt.UTC), None],
            "many": [[1, 2], []],
            "uuid": [uuid.UUID(int=1), uuid.UUID(int=2)],
        }
    )
    source = source.mutate(is_big=source.n > 0)
    view = ctx.create_view("v", source)
    assert view.schema() == source.schema()
    assert view.data() == source.data()
    assert ctx.table("v").schema() == source.schema()
    documents = ctx.create_object({"doc": "JSON", "d": "Decimal(9, 2)", "e": "Enum8('a' = 1)"})
    assert ctx.create_view("w", documents).schema() == documents.schema()


def test_a_thousand_columns(ctx):
    wide = ctx.create_object_from_value({f"column {n}": [n] for n in range(1000)})
    view = ctx.create_view("wide", wide.mutate(**{"column 0": wide["column 1"] + 1}))
    assert view.data()["column 0"] == [2]
    assert len(ctx.list_views()[0].sources[wide.table_name]) == 999
    assert ctx.validate_views() == []


@pytest.mark.parametrize("name", ["späte Flüge", "it's", 'a "b" `c`', "a.b", "x y", "select", "\\"])
def test_odd_names(ctx, name):
    flights = new_flights(ctx)
    view = ctx.create_view(name, flights.select("id"))
    assert sorted(view.data()["id"]) == [1, 2, 3]
    over = ctx.create_view(f"over {name}", view.filter(view.id > 2))
    assert over.data() == {"id": [3]}
    assert ctx.create_view(name, flights.select("id"), if_exists="replace") is not None
    quoted = name.replace("\\", "\\\\").replace("`", "``")
    assert sorted(ctx.table(f"`{name.replace('`', '``')}`").data()["id"]) == [1, 2, 3]
    assert over.data() == {"id": [3]}, quoted
    with pytest.raises(ViewError, match="read it; drop those first"):
        ctx.drop_view(name)
    ctx.drop_view(f"over {name}")
    ctx.drop_view(name)
    assert ctx.list_views() == []


def test_names_that_are_taken_or_cannot_be(ctx):
    flights = new_flights(ctx)
    run(ctx, "CREATE TABLE plain (a Int8) ENGINE = Memory")
    run(ctx, "CREATE VIEW others AS SELECT 1 AS a")
    kept = ctx.create_object_from_value([1], name="named", scope="session")
    for name, said in {
        "plain": "there is a table named 'plain' \\(Memory\\)",
        "others": "there is a view named 'others'; others made it",
        "named": "there is an object named 'named'",
    }.items():
        for how in ("fail", "replace"):
            with pytest.raises(ObjectExistsError, match=said):
                ctx.create_view(name, flights, if_exists=how)
    with pytest.raises(ViewError, match="names with aai_"):
        ctx.create_view("aai_x", flights)
    for name in ("", " ", "a/b", "a" * 500):
        with pytest.raises(SchemaError, match="name"):
            ctx.create_view(name, flights)
    with pytest.raises(SettingsError, match="if_exists is 'append'; for a view"):
        ctx.create_view("v", flights, if_exists="append")
    for value in ({"a": [1]}, flights.id, 3):
        with pytest.raises(UnsupportedTypeError):
            ctx.create_view("v", value)
    with pytest.raises(ViewError, match="not made by create_view; drop it by SQL"):
        ctx.drop_view("others")
    with pytest.raises(UnknownTableError, match="no view named 'plain'; there are: others"):
        ctx.drop_view("plain")
    (other,) = ctx.list_views()
    assert (other.name, other.sql, other.is_ours) == ("others", "SELECT 1 AS a", False)
    assert (other.created_at, other.created_by, other.sources) == (None, None, {})
    run(ctx, "DROP TABLE plain SYNC")
    del kept
    ctx.delete_object("named")


def test_an_object_cannot_have_a_views_name(ctx):
    flights = new_flights(ctx)
    ctx.create_view("late", flights)
    for make in (
        lambda **how: ctx.create_object_from_value([1], **how),
        lambda **how: ctx.create_object_from_value([1], if_exists="replace", **how),
        lambda **how: ctx.create_object({"a": "Int8"}, **how),
    ):
        with pytest.raises(ObjectExistsError, match="there is a view named 'late'"):
            make(name="late", scope="session")


def test_python_objects_are_refused(ctx):
    things = ctx.create_object_from_value({"o": [object()]}, objects=True)
    with pytest.raises(UnsupportedTypeError, match="create_view"):
        ctx.create_view("v", things)


def test_circles_and_missing_sources_are_refused(ctx):
    flights = new_flights(ctx)
    one = ctx.create_view("one", flights)
    two = ctx.create_view("two", one.filter(one.id > 1))
    with pytest.raises(ViewError, match="it would read itself, through two"):
        ctx.create_view("one", two, if_exists="replace")
    with pytest.raises(ViewError, match=r"it would read itself$"):
        ctx.create_view("one", one.limit(1), if_exists="replace")
    gone = ctx.create_object_from_value({"a": [1]})
    run(ctx, f"DROP TABLE {gone.table_name} SYNC")
    with pytest.raises(ViewError, match=f"{gone.table_name}, which it reads, is not in"):
        ctx.create_view("three", gone)
    assert [view.name for view in ctx.list_views()] == ["one", "two"]
    assert rows(two) == rows(flights.filter(flights.id > 1))


def test_views_over_views_are_dropped_from_above(ctx):
    flights = new_flights(ctx)
    one = ctx.create_view("one", flights)
    ctx.create_view("two", one)
    ctx.create_view("three", "SELECT * FROM two")
    for name, said in {"one": "three, two read it", "two": "three read it"}.items():
        with pytest.raises(ViewError, match=said):
            ctx.drop_view(name)
    run(ctx, "CREATE VIEW by_hand AS SELECT * FROM three")
    with pytest.raises(ViewError, match="by_hand read it"):
        ctx.drop_view("three")
    run(ctx, "DROP VIEW by_hand")
    for name in ("three", "two", "one"):
        ctx.drop_view(name)


def broken(ctx, view, said):
    with pytest.raises(BrokenViewError, match=said) as info:
        view.data()
    assert info.value.sql
    return info.value


def test_a_source_in_another_database(ctx):
    run(ctx, "CREATE DATABASE shop")
    run(ctx, "CREATE TABLE shop.orders (n Int64) ENGINE = MergeTree ORDER BY n")
    run(ctx, "INSERT INTO shop.orders VALUES (1), (2)")
    try:
        view = ctx.create_view("large", ctx.table("shop.orders").filter(ibis._.n > 1))
        assert ctx.list_views()[0].sources == {"shop.orders": {"n": "Int64"}}
        run(ctx, "INSERT INTO shop.orders VALUES (3)")
        assert sorted(view.data()["n"]) == [2, 3]
        assert ctx.validate_views() == []
        run(ctx, "ALTER TABLE shop.orders ADD COLUMN m String")
        assert ctx.validate_views() == []
        run(ctx, "RENAME TABLE shop.orders TO shop.former")
        broken(ctx, view, "^view large: shop.orders is gone .it was as it should be at ")
        run(ctx, "RENAME TABLE shop.former TO shop.orders")
        assert sorted(view.data()["n"]) == [2, 3]
    finally:
        run(ctx, "DROP DATABASE shop SYNC")
    assert [str(problem).partition(" (")[0] for problem in ctx.validate_views()] == [
        "view large: shop.orders is gone"
    ]


def test_one_table_by_two_names(ctx):
    run(ctx, "CREATE TABLE plain (a Int8) ENGINE = MergeTree ORDER BY a")
    database = ctx.backend.current_database
    ctx.create_view("one", ctx.table("plain"))
    ctx.create_view("two", ctx.table(f"{database}.plain"))
    assert ctx.validate_views() == []
    run(ctx, "DROP TABLE plain SYNC")
    assert [(p.view, p.source) for p in ctx.validate_views()] == [
        ("one", "plain"), ("two", f"{database}.plain"),
    ]  # fmt: skip


def test_columns_that_are_gone_or_others(ctx):
    flights = new_flights(ctx)
    name = flights.table_name
    view = ctx.create_view("late", flights.filter(flights.delay > 60))
    over = ctx.create_view("over", view.select("id"))
    run(ctx, f"ALTER TABLE {name} DROP COLUMN delay")
    error = broken(
        ctx, view, f"^view late: {name}.delay is gone .(changed|it was as it should be) at .* UTC"
    )
    assert "aai.create_view('late', …, if_exists='replace')" in str(error)
    broken(ctx, over, f"view late: {name}.delay is gone")
    with pytest.raises(BrokenViewError, match="delay is gone"):
        ctx.sql("SELECT 1 FROM late").data()
    with pytest.raises(BrokenViewError, match="delay is gone"):
        view.copy()
    with pytest.raises(BrokenViewError, match="delay is gone"):
        list(view.to_pyarrow_batches())
    run(ctx, f"ALTER TABLE {name} ADD COLUMN delay String")
    (problem,) = ctx.validate_views()
    assert (problem.view, problem.source, problem.column) == ("late", name, "delay")
    assert problem.what == "is of type String and was Nullable(Int64)"
    assert problem.since.startswith(("changed at 20", "it was as it should be at 20"))


def test_views_dropped_and_renamed_by_sql(ctx, tables):
    flights = new_flights(ctx)
    name = flights.table_name
    late = ctx.create_view("late", flights)
    over = ctx.create_view("over", late)
    run(ctx, "RENAME TABLE late TO later")
    assert [view.name for view in ctx.list_views()] == ["later", "over"]
    assert all(view.is_ours for view in ctx.list_views())
    broken(ctx, over, "^view over: late is gone .it was as it should be at")
    del flights
    assert tables() == {name}
    run(ctx, "DROP VIEW over")
    run(ctx, "DROP VIEW later")
    assert tables() == {name}
    ctx.backend.services.kept.refresh()  # as after each heartbeat
    assert tables() == set()


def test_restoring_revives_a_view(ctx, tables):
    source = ctx.create_object_from_value({"id": [1, 2], "raw": [b"\xff", b"x"]})
    copied = source.filter(source.id > 1).copy()
    name = copied.table_name
    view = ctx.create_view("v", copied.mutate(flag=copied.id > 1))
    schema = view.schema()
    ctx.create_view("called", "SELECT id FROM {c} WHERE id > {least:Int8}", c=copied)
    assert view.data()["id"] == [2]
    del copied
    assert name in tables()
    run(ctx, f"DROP TABLE {name} SYNC")
    error = broken(ctx, view, f"^view v: {name} is gone .it was as it should be at ")
    assert f"aai.restore('{name}')" in str(error)
    with pytest.raises(BrokenViewError, match=f"{name} is gone"):  # planned before
        list(view.to_pyarrow_batches())
    problem, other = ctx.validate_views()
    assert (problem.view, other.view) == ("called", "v")
    assert (problem.source, problem.column, problem.what) == (name, None, "is gone")
    restored = ctx.restore(name)
    assert restored.object is not None
    assert restored.views == ("called", "v")
    assert "views called, v read it now" in str(restored)
    assert ctx.table("called", least=1).data() == {"id": [2]}
    assert ctx.validate_views() == []
    assert view.data() == {"id": [2], "raw": [b"x"], "flag": [True]}
    assert ctx.table("v").schema() == schema
    new = restored.object.table_name
    del restored
    assert new in tables()
    assert ctx.table("v").data()["id"] == [2]


def test_names_and_sessions_end_under_a_view(ctx, tables):
    first = ctx.create_object_from_value({"a": [1]}, name="best", scope="session")
    name = first.table_name
    ctx.create_view("v", first)
    again = ctx.create_object_from_value(
        {"a": [2]}, name="best", scope="session", if_exists="replace"
    )
    del first
    assert tables() == {name, again.table_name}
    ctx.delete_object("best")
    del again
    assert tables() == {name}
    with ctx.session():
        inner = ctx.create_object_from_value({"a": [3]})
        other = inner.table_name
        ctx.create_view("w", inner)
    assert ctx.table("w").data() == {"a": [3]}
    with pytest.raises(Exception, match="ended"):
        inner.data()
    del inner
    assert tables() == {name, other}
    assert (ctx.table("v").data(), ctx.table("w").data()) == ({"a": [1]}, {"a": [3]})
    ctx.drop_view("w")
    assert tables() == {name}


def test_two_contexts_of_a_process(ctx, tables):
    flights = new_flights(ctx)
    name = flights.table_name
    with DataContext(settings=ctx.settings) as other:
        theirs = other.create_view("late", f"SELECT * FROM {name}")
        assert sorted(theirs.data()["id"]) == [1, 2, 3]
        del flights
        assert tables() == {name}
    assert sorted(ctx.table("late").data()["id"]) == [1, 2, 3]
    assert tables() == {name}
    with DataContext(settings=ctx.settings) as other:
        other.drop_view("late")
        other.flush()
        assert tables() == set()


def test_a_copy_of_a_view_under_a_pinned_table_and_a_view(ctx, tables):
    source = ctx.create_object_from_value({"a": [1]})
    name = source.table_name
    with warnings.catch_warnings(action="ignore"):
        ctx.pin(source)
    ctx.create_view("v", source)
    del source
    ctx.drop_view("v")
    assert tables() == {name}
    ctx.create_view("v", ctx.open_object(name))
    ctx.unpin(name)
    assert tables() == {name}
    plan = ctx.lineage_aware_drop(name, dry_run=False)
    assert "aai.drop_view('v')" in plan.steps[0].reason
    assert tables() == {name}


def test_a_failed_making_leaves_nothing(ctx, tables):
    flights = new_flights(ctx)
    name = flights.table_name
    with pytest.raises(Exception, match="no_such"):
        ctx.create_view("v", "SELECT no_such FROM {f}", f=flights)
    view = ctx.create_view("v", flights)
    with pytest.raises(ViewError):
        ctx.create_view("v", view, if_exists="replace", copy=True)
    assert [view.name for view in ctx.list_views()] == ["v"]
    del flights
    assert tables() == {name}
