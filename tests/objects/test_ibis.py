"""A View is an Ibis table: same API, same SQL, and whatever takes one takes ours."""

from __future__ import annotations

import inspect
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import ibis
import ibis.expr.types as ir
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from ibis import _

from aaiclick_ext.errors import EngineError, SQLError, UnsupportedTypeError
from aaiclick_ext.objects import View


@pytest.fixture(scope="module")
def t(ctx):
    return ctx.create_object_from_value(
        {"k": ["a", "b", "a", None], "v": [1, 2, 3, 4], "w": [1.5, None, 2.5, 0.0]}
    )


PIPELINES = {
    "filter": lambda t: t.filter(t.v > 1),
    "select": lambda t: t.select("k", double=t.v * 2),
    "mutate": lambda t: t.mutate(x=t.v + t.w, y=_.v.cast("string")),
    "group": lambda t: t.group_by("k").agg(s=t.v.sum(), m=t.w.mean()),
    "having": lambda t: t.group_by("k").having(t.v.sum() > 2).agg(n=t.count()),
    "window": lambda t: t.mutate(r=t.v.rank().over(group_by=t.k, order_by=t.v)),
    "grouped mutate": lambda t: t.group_by("k").mutate(d=t.v - t.v.mean()),
    "join": lambda t: t.join(t.view(), "k"),
    "left join": lambda t: t.left_join(t.view().rename(v2="v", w2="w"), "k").drop("w"),
    "double join": lambda t: t.join(t.view(), "k").join(t.view(), "k", rname="{name}_third"),
    "union": lambda t: t.union(t.filter(t.v > 2)),
    "distinct": lambda t: t.select("k").distinct(),
    "order": lambda t: t.order_by(ibis.desc("v")).limit(2),
    "rename": lambda t: t.rename(key="k").drop("w"),
    "fill": lambda t: t.fill_null({"w": 0.0}).drop_null(["k"]),
    "cast": lambda t: t.cast({"v": "float64"}),
    "case": lambda t: t.mutate(c=ibis.cases((t.v > 2, "big"), else_="small")),
    "isin": lambda t: t.filter(t.k.isin(["a", "c"])),
    "subquery": lambda t: t.filter(t.v > t.v.mean()),
    "pivot longer": lambda t: t.select("k", "v").order_by("v").head(3),
    "index": lambda t: t[["k", "v"]][1:3],
    "nunique": lambda t: t.group_by("k").agg(n=_.v.nunique()),
    "value counts": lambda t: t.k.value_counts(),
    "topk": lambda t: t.k.topk(2),
}


@pytest.mark.parametrize("name", PIPELINES)
def test_same_sql_as_plain_ibis(ctx, t, name):
    build = PIPELINES[name]
    plain = ibis.table(t.schema(), name=t.table_name)
    assert ctx.backend.compile(build(t)) == ibis.to_sql(
        build(plain), dialect="clickhouse", pretty=False
    )


@pytest.mark.parametrize("name", PIPELINES)
def test_pipelines_run_and_stay_views(ctx, t, name):
    result = PIPELINES[name](t)
    adopted = ctx.view(result)
    assert isinstance(adopted, View)
    assert isinstance(adopted, ibis.Table)
    assert list(adopted.data()) == list(adopted.columns)
    assert adopted.to_pyarrow().schema.names == list(adopted.columns)


def test_methods_keep_names_signatures_and_documentation(t):
    for name in ("filter", "join", "mutate", "order_by", "union"):
        ours, theirs = getattr(View, name), getattr(ir.Table, name)
        assert ours.__name__ == theirs.__name__
        assert ours.__doc__ == theirs.__doc__
        assert inspect.signature(ours) == inspect.signature(theirs)


def test_ibis_itself_is_untouched(t):
    assert type(ir.Table.filter).__name__ == "function"
    assert not hasattr(ir.Table.filter, "__wrapped__")
    assert ibis.memtable({"a": [1]}).__class__ is ir.Table


def test_other_libraries_take_views(t):
    assert pl.DataFrame(t).height == 4
    assert pa.table(t).num_rows == 4
    assert np.asarray(t).shape == (4, 3)


def test_columns_and_scalars_execute(t):
    assert t.v.sum().execute() == 10
    assert t.v.execute().tolist() == [1, 2, 3, 4]
    assert t.w.max().to_pyarrow().as_py() == 2.5
    assert t.count().execute() == 4
    assert t.k.nunique().execute() == 2


def test_memtables_join(ctx, t):
    other = ibis.memtable({"k": ["a"], "label": ["first"]})
    assert t.join(other, "k").select("v", "label").order_by("v").data() == {
        "v": [1, 3],
        "label": ["first", "first"],
    }
    assert ctx.view(other).data() == {"k": ["a"], "label": ["first"]}


def test_module_functions_give_tables_that_can_be_adopted(ctx, t):
    both = ctx.view(ibis.union(t, t))
    assert isinstance(both, View)
    assert len(both) == 8


def test_foreign_expressions_are_refused(ctx):
    duckdb = ibis.duckdb.connect()
    duckdb.con.execute("CREATE TABLE x AS SELECT 1 AS a")
    foreign = duckdb.table("x")
    with pytest.raises(UnsupportedTypeError, match="another backend"):
        ctx.view(foreign)
    with pytest.raises(UnsupportedTypeError, match="Ibis table"):
        ctx.view([1, 2])


def test_parameters(t):
    bound = ibis.param("int64")
    view = t.filter(t.v > bound)
    assert view.to_pyarrow(params={bound: 2}).num_rows == 2
    assert view.to_pyarrow(params={bound: 3}).num_rows == 1


CASTS = [
    ("int64", ["1", "abc"], ["1", "-2"], [1, -2]),
    ("float64", ["1.5", "x"], ["1.5", "2"], [1.5, 2.0]),
    ("date", ["2020-02-30", "2020-13-45"], ["1950-01-02", "2020-02-29"], None),
    ("int8", [300, 1], [127, -128], [127, -128]),
    ("uint64", [-1, 1], [2**62, 0], [2**62, 0]),
    ("decimal(10, 2)", ["1.5", "no"], ["1.5", "2.25"], [Decimal("1.50"), Decimal("2.25")]),
]


@pytest.mark.parametrize("nullable", [False, True])
@pytest.mark.parametrize(("to", "bad", "good", "expected"), CASTS)
def test_a_cast_fails_rather_than_change_a_value(ctx, to, bad, good, expected, nullable):
    extra = [None] if nullable else []
    x = ctx.create_object_from_value({"a": good + extra})
    if expected is None:
        expected = [date.fromisoformat(text) for text in good]
    assert x.select(b=x.a.cast(to)).data() == {"b": expected + extra}
    y = ctx.create_object_from_value({"a": bad + extra})
    with pytest.raises(EngineError):
        y.select(b=y.a.cast(to)).data()


def test_instants_with_an_offset_compare_as_instants(ctx):
    east = timezone(timedelta(hours=1))
    x = ctx.create_object_from_value({"t": [datetime(2020, 1, d, 12, tzinfo=east) for d in (1, 2)]})
    assert len(x.filter(x.t > datetime(2020, 1, 1, 13, tzinfo=east))) == 1
    assert len(x.filter(x.t == datetime(2020, 1, 1, 11, tzinfo=UTC))) == 1


def test_try_cast_gives_null(ctx):
    x = ctx.create_object_from_value({"a": ["1", "abc"]})
    assert x.select(b=x.a.try_cast("int64")).data() == {"b": [1, None]}


def test_describe_and_mode(t):
    described = t.describe().to_pandas().set_index("name")
    assert described.loc["v", "mean"] == 2.5
    assert t.k.mode().execute() == "a"


def test_sql_text(ctx, t):
    view = ctx.sql(f"SELECT k, count() AS n FROM {t.table_name} GROUP BY k ORDER BY n DESC, k;  ")
    assert view.columns == ("k", "n")
    assert view.data()["n"] == [2, 1, 1]
    assert view.filter(view.n > 1).data() == {"k": ["a"], "n": [2]}


def test_sql_text_passes_through_untouched(ctx):
    text = "SELECT 'it''s' AS a, [1,2][1] AS b -- the end"
    assert text in ctx.backend.compile(ctx.sql(text))
    assert ctx.sql(text).data() == {"a": ["it's"], "b": [1]}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("DROP TABLE x", "only a SELECT"),
        ("SELECT 1; SELECT 2", "several"),
        ("SELECT * FROM Python(secret)", "Python"),
        ("SELECT * FROM `python` (secret)", "Python"),
        ('SELECT * FROM /* x */ "PYTHON"\n(secret)', "Python"),
        ("SELECT 'open", "cannot be read"),
        ("INSERT INTO x SELECT 1", "only a SELECT"),
    ],
)
def test_sql_text_that_is_refused(ctx, text, reason):
    with pytest.raises(SQLError, match=reason):
        ctx.sql(text)
    if reason == "Python":
        with pytest.raises(SQLError, match=reason):
            ctx.create_object_from_value({"a": [1]}).alias("q").sql(text)


def test_types_are_asked_for_without_running(ctx):
    view = ctx.sql("SELECT (SELECT sleep(3)) AS a, number FROM numbers(2)")
    assert view.columns == ("a", "number")


def test_foreign_tables_are_never_dropped(ctx):
    ctx.engine.command("CREATE TABLE orders (a Int64) ENGINE = Memory")
    orders = ctx.table("orders")
    ctx.engine.command("INSERT INTO orders VALUES (1)")
    assert ctx.table("default.orders").data() == {"a": [1]}
    del orders
    ctx.flush()
    assert "orders" in ctx.backend.list_tables()
    ctx.engine.command("DROP TABLE orders SYNC")
