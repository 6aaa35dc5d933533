"""Which inputs an event names: everything that is read, and nothing that only an input reads."""

from __future__ import annotations

import uuid

import pytest

from aaiclick_ext.oplog.columns import ALL, NONE, ColumnEdge


@pytest.fixture
def t(ctx):
    return ctx.create_object_from_value({"k": [1, 2, 3], "a": [5, 3, 8]})


@pytest.fixture
def u(ctx):
    return ctx.create_object_from_value({"k": [1, 2], "y": [7, 9]})


@pytest.fixture
def foreign(ctx):
    name = f"of_others_{uuid.uuid4().hex}"
    ctx.engine.command(f"CREATE TABLE {name} (k Int64, z String) ENGINE = Memory")
    yield name
    ctx.engine.command(f"DROP TABLE {name}")


def event(ctx, view):
    return ctx.backward_oplog(view)[-1]


def inputs(ctx, view):
    return set(event(ctx, view).kwargs.values())


def test_what_a_condition_reads(ctx, t, u):
    both = {t.table_name, u.table_name}
    assert inputs(ctx, t.filter((t.k == u.k).any())) == both
    assert inputs(ctx, t.filter(t.k.isin(u.filter(u.y > 7).k))) >= {t.table_name}
    assert inputs(ctx, t.filter(lambda v: v.a > u.y.max())) == both
    assert inputs(ctx, t.mutate(lambda v: (v.a + u.count().as_scalar()).name("m"))) == both


def test_a_join_that_goes_on_reads_the_join(ctx, t, u):
    joined = t.join(u, "k")
    name = ctx.node_name(joined)
    again = joined.join(t.view(), "k", rname="{name}_again")
    assert inputs(ctx, again) == {name, t.table_name}
    assert {edge.source for edge in event(ctx, again).columns} == {name, t.table_name}
    chosen = event(ctx, joined.select("y"))
    assert list(chosen.kwargs.values()) == [name]
    assert set(chosen.columns) == {
        ColumnEdge("y", name, "y", "value"), ColumnEdge(NONE, name, NONE, "value"),
    }  # fmt: skip


def test_arrays_are_read_as_they_are_named(ctx, t):
    x = ctx.create_object_from_value([1, 2, 3])
    double = x * 2
    name = ctx.node_name(double)
    made = event(ctx, double + x)
    assert dict(made.kwargs) == {"left": name, "right": x.table_name}
    assert {edge.source for edge in made.columns} == {name, x.table_name}
    scaled = event(ctx, double * t.a.max())
    assert dict(scaled.kwargs) == {"left": name, "right": t.table_name}
    assert ColumnEdge("value", t.table_name, "a", "value") in scaled.columns
    assert {edge.source for edge in event(ctx, double.unique()).columns} == {name}


def test_tables_of_others_in_text(ctx, t, foreign):
    assert dict(event(ctx, ctx.sql(f"SELECT * FROM {foreign}")).kwargs) == {"source": foreign}
    joined = ctx.sql(f"SELECT x.a, z FROM {{x}} AS x JOIN {foreign} USING k", x=t)
    assert dict(event(ctx, joined).kwargs) == {"x": t.table_name, "source": foreign}
    aliased = t.alias("v")
    starred = event(ctx, aliased.sql(f"SELECT * FROM v JOIN {foreign} USING k"))
    assert set(starred.kwargs.values()) == {ctx.node_name(aliased), foreign}
    assert ColumnEdge("z", foreign, "z", "value") in starred.columns
    named = ctx.sql(f"WITH c AS (SELECT k FROM {foreign}) SELECT k FROM c")
    assert inputs(ctx, named) == {foreign}
    assert inputs(ctx, ctx.sql("SELECT name FROM system.tables")) == {"system.tables"}


def test_tables_of_others_at_the_right_of_in(ctx, t, foreign):
    ctx.engine.command("CREATE TABLE wanted_ones (k Int64) ENGINE = Memory")
    try:
        for name in ("wanted_ones", "default.wanted_ones"):
            found = event(ctx, ctx.sql(f"SELECT a FROM {{x}} WHERE k NOT IN {name}", x=t))
            assert dict(found.kwargs) == {"x": t.table_name, "source": name}
            assert {edge for edge in found.columns if edge.source == name} == {
                ColumnEdge(NONE, name, ALL, "filter")
            }
        text = f"SELECT z, k IN wanted_ones AS there FROM {foreign} AS o WHERE o.k IN wanted_ones"
        found = event(ctx, ctx.sql(text))
        assert set(found.kwargs.values()) == {foreign, "wanted_ones"}
        assert ColumnEdge("there", "wanted_ones", "k", "value") in found.columns
        for text in (  # where it is a name of the text's own
            "SELECT 1 IN wanted_ones AS b FROM (SELECT [k] AS wanted_ones FROM {x})",
            "WITH wanted_ones AS (SELECT a FROM {x}) SELECT k FROM {x} WHERE a IN wanted_ones",
        ):
            assert inputs(ctx, ctx.sql(text, x=t)) == {t.table_name}
    finally:
        ctx.engine.command("DROP TABLE wanted_ones")


def test_dictionaries_and_what_joinget_reads(ctx, t, foreign):
    try:
        ctx.engine.command(
            "CREATE DICTIONARY named (k Int64, z String) PRIMARY KEY k "
            f"SOURCE(CLICKHOUSE(TABLE '{foreign}')) LAYOUT(HASHED()) LIFETIME(0)"
        )
        ctx.engine.command("CREATE TABLE kept (k Int64, v Int64) ENGINE = Join(ANY, LEFT, k)")
        for name in ("named", "default.named"):
            found = event(ctx, ctx.sql(f"SELECT dictGet('{name}', 'z', k) AS z FROM {{x}}", x=t))
            assert dict(found.kwargs) == {"x": t.table_name, "source": name}
            assert set(found.columns) == {
                ColumnEdge("z", name, "z", "value"), ColumnEdge("z", t.table_name, "k", "value"),
                ColumnEdge(NONE, t.table_name, NONE, "value"),
            }  # fmt: skip
        found = event(ctx, ctx.sql("SELECT a FROM {x} WHERE dictHas('named', k)", x=t))
        assert set(found.kwargs.values()) == {t.table_name, "named"}
        assert ColumnEdge(NONE, "named", NONE, "filter") in found.columns
        view = ctx.sql("SELECT a, joinGet(kept, 'v', k) AS v FROM {x}", x=t)
        assert ColumnEdge("v", "kept", "v", "value") in event(ctx, view).columns
        assert view.copy().data()["v"] == [0, 0, 0]
        forward = {e.result_table for e in ctx.forward_oplog("kept")}
        assert ctx.node_name(view) in forward
    finally:
        ctx.engine.command("DROP DICTIONARY IF EXISTS named")
        ctx.engine.command("DROP TABLE IF EXISTS kept")


def test_columns_of_a_table_of_others_that_changed(ctx, foreign):
    assert ctx.sql(f"SELECT * FROM {foreign}").columns == ("k", "z")
    ctx.engine.command(f"ALTER TABLE {foreign} ADD COLUMN more Int64")
    later = event(ctx, ctx.sql(f"SELECT * FROM {foreign}"))
    assert set(later.columns) == {ColumnEdge(ALL, foreign, ALL, "value")}


def test_a_view_in_text_is_the_input(ctx, t):
    view = t.filter(t.a > 3)
    made = event(ctx, ctx.sql("SELECT k + 1 AS more FROM {v} WHERE a > 4", v=view))
    name = ctx.node_name(view)
    assert dict(made.kwargs) == {"v": name}
    assert {edge.source for edge in made.columns} == {name}


def test_files_that_text_reads(ctx, tmp_path):
    path = tmp_path / "few.csv"
    path.write_text("a,b\n1,x\n")
    made = event(ctx, ctx.sql(f"SELECT a FROM file('{path}', CSVWithNames)"))
    assert dict(made.params) == {"path": str(path)}
