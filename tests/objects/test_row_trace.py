"""Row lineage, operation by operation: which rows of which source a result is made of."""

from __future__ import annotations

import gc
import math

import ibis
import pytest
from ibis import _

from aaiclick_ext import DataContext
from aaiclick_ext.errors import (
    ContextError,
    ReleasedError,
    SchemaError,
    UnknownObjectError,
    UnsupportedTypeError,
)
from aaiclick_ext.objects import View
from aaiclick_ext.settings import Settings

FLIGHTS = {
    "id": [1, 2, 3, 4],
    "k": [1, 1, 2, None],
    "v": [1.0, 2.0, None, 4.0],
    "tags": [["a", "b"], [], ["b"], ["c"]],
}
PLANES = {"uid": [1, 2, 3], "k": [1, 2, 7], "name": ["p", "q", "r"]}


@pytest.fixture(scope="module")
def flights(ctx):
    return ctx.create_object_from_value(FLIGHTS)


@pytest.fixture(scope="module")
def planes(ctx):
    return ctx.create_object_from_value(PLANES)


def ids(source) -> list[int]:
    columns = source.rows.data()
    return sorted(columns["id"] if "id" in columns else columns["uid"])


def traced(ctx, result, where=None) -> list[tuple[list[int], bool]]:
    return [(ids(source), source.exact) for source in ctx.trace(result, where).values()]


ONE_SOURCE = {
    "itself": (lambda f: f, None, [1, 2, 3, 4]),
    "filter": (lambda f: f.filter(f.v > 1), None, [2, 4]),
    "two filters": (lambda f: f.filter(f.v > 1).filter(_.k == 1), None, [2]),
    "no such row": (lambda f: f.filter(f.v > 1), {"id": 99}, []),
    "an empty result": (lambda f: f.filter(f.v > 100), None, []),
    "projection": (lambda f: f.select(w=f.v * 2), {"w": 4.0}, [2]),
    "null in where": (lambda f: f.select("v"), {"v": None}, [3]),
    "deferred where": (lambda f: f.mutate(w=f.v + 1), _.w > 2, [2, 4]),
    "lambda where": (lambda f: f.mutate(w=f.v + 1), lambda t: t.w > 2, [2, 4]),
    "where over all rows": (lambda f: f.select("id", "v"), _.v == _.v.max(), [4]),
    "conditions": (lambda f: f, [_.v > 1, _.k == 1], [2]),
    "group": (lambda f: f.group_by("k").agg(n=_.v.sum()), {"k": 1}, [1, 2]),
    "null group": (lambda f: f.group_by("k").agg(n=_.v.sum()), {"k": None}, [4]),
    "by its sum": (lambda f: f.group_by("k").agg(n=_.v.sum()), _.n == 3, [1, 2]),
    "having": (lambda f: f.group_by("k").agg(n=_.count()).filter(_.n > 1), None, [1, 2]),
    "total": (lambda f: f.agg(n=_.v.sum()), None, [1, 2, 3, 4]),
    "another total": (lambda f: f.agg(n=_.v.sum()), {"n": 0.5}, []),
    "distinct": (lambda f: f.select("k").distinct(), {"k": 1}, [1, 2]),
    "order": (lambda f: f.order_by("v"), {"k": 2}, [3]),
    "window of a partition": (
        lambda f: f.mutate(s=_.v.sum().over(ibis.window(group_by="k"))), {"id": 1}, [1, 2],
    ),
    "drop_null": (lambda f: f.drop_null("v"), {"k": None}, [4]),
    "drop_null of all": (lambda f: f.drop_null(["k", "v"], how="all"), {"id": 3}, [3]),
    "fill_null": (lambda f: f.fill_null({"v": 0.0}), {"v": 0.0}, [3]),
    "drop": (lambda f: f.drop("v"), {"k": 1}, [1, 2]),
    "rename": (lambda f: f.rename(w="v"), {"w": 1.0}, [1]),
    "alias": (lambda f: f.alias("f").filter(_.v > 1), None, [2, 4]),
    "unnested column": (lambda f: f.select("id", tag=f.tags.unnest()), {"tag": "b"}, [1, 3]),
    "unnest": (lambda f: f.unnest("tags"), {"tags": "b"}, [1, 3]),
    "unnest of all": (lambda f: f.unnest("tags"), None, [1, 3, 4]),
    "no limit": (lambda f: f.limit(None), None, [1, 2, 3, 4]),
}  # fmt: skip


@pytest.mark.parametrize("case", ONE_SOURCE)
def test_one_source(ctx, flights, case):
    build, where, expected = ONE_SOURCE[case]
    assert traced(ctx, build(flights), where) == [(expected, True)]


JOINS = {
    "inner": ([1, 2, 3], [1, 2]),
    "left": ([1, 2, 3, 4], [1, 2]),
    "right": ([1, 2, 3], [1, 2, 3]),
    "outer": ([1, 2, 3, 4], [1, 2, 3]),
    "semi": ([1, 2, 3], [1, 2]),
    "anti": ([4], []),
}


@pytest.mark.parametrize("how", JOINS)
def test_joins(ctx, flights, planes, how):
    left, right = JOINS[how]
    joined = flights.join(planes, "k", how=how)
    assert traced(ctx, joined) == [(left, True), (right, True)]


def test_a_row_without_a_partner_is_of_one_side_also_where_all_its_values_are_null(ctx):
    left = ctx.create_object({"id": "Nullable(Int64)", "k": "Nullable(Int64)"})
    left.insert({"id": [None], "k": [None]})
    right = ctx.create_object_from_value({"k": [5], "w": [1]})
    trace = ctx.trace(left.join(right, "k", how="right"))
    assert trace[left].rows.data() == {"id": [], "k": []}
    assert trace[right].rows.data() == {"k": [5], "w": [1]}


INEXACT = {
    "ties at a limit": (lambda f: f.order_by("k").limit(1), None, [1, 2], "tie"),
    "ties at a limit after a projection": (
        lambda f: f.order_by(_.v.desc()).select("k", w=_.id * 2).select("w").limit(1), None, [4],
        "limit 1: rows that tie",
    ),
    "a limit of a limit": (
        lambda f: f.order_by("id").limit(3).limit(1, offset=1), None, [2], "tie",
    ),
    "a random order": (
        lambda f: f.order_by(ibis.random()).limit(1), None, [1, 2, 3, 4], "random",
    ),
    "limit without order": (lambda f: f.limit(1), None, [1, 2, 3, 4], "without an order"),
    "what is made of such": (
        lambda f: f.limit(2).group_by("k").agg(n=_.count()).filter(_.n == 1),
        None, [1, 2, 3, 4], "limit without an order",
    ),
    "row number": (
        lambda f: f.mutate(r=ibis.row_number().over(group_by="k", order_by="v")).filter(_.r == 0),
        {"id": 1}, [1, 2], "whole partition",
    ),
    "filter by a window": (
        lambda f: f.filter(ibis.row_number().over(group_by="k", order_by="v") == 0),
        {"id": 1}, [1, 2], "whole partition",
    ),
    "sample": (lambda f: f.sample(0.5, seed=1), None, [1, 2, 3, 4], "sample"),
    "random": (lambda f: f.filter(ibis.random() < 2).filter(_.v > 1), None, [2, 4], "random"),
    "now": (lambda f: f.mutate(t=ibis.now()), _.t.isnull(), [1, 2, 3, 4], "another one"),
    "first of a group": (
        lambda f: f.group_by("k").agg(x=_.v.first()), {"k": 1}, [1, 2], "one row of a group",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", INEXACT)
def test_what_is_not_exact_says_why(ctx, flights, case):
    build, where, enclosing, reason = INEXACT[case]
    (source,) = ctx.trace(build(flights), where).values()
    assert not source.exact
    assert reason in " ".join(source.notes)
    assert ids(source) == enclosing


def test_a_self_join_has_an_entry_for_each_side(ctx, flights):
    other = flights.view()
    joined = flights.join(other, [flights.id == other.k]).select(a=flights.id, b=other.id)
    trace = ctx.trace(joined, {"b": 3})
    name = flights.table_name
    assert list(trace) == [name, f"{name} #2"]
    assert [ids(source) for source in trace.values()] == [[2], [3]]
    assert [source.role for source in trace.values()] == ["left of the join", "right of the join"]
    with pytest.raises(UnknownObjectError, match="read in 2 ways"):
        trace[flights]


def test_a_condition_may_be_bound_to_the_result(ctx, flights):
    groups = flights.group_by("k").agg(n=_.v.sum())
    assert traced(ctx, groups, groups.n == 3) == [([1, 2], True)]
    assert traced(ctx, flights.filter(flights.v > 1), flights.k == 1) == [([2], True)]
    a = ctx.create_object_from_value([1, 2])
    with pytest.raises(SchemaError, match="columns are value"):
        ctx.trace(a, a == 2)


def test_joins_of_several_tables(ctx, flights, planes):
    third = ctx.create_object_from_value({"uid": [2, 3, 3], "x": [1, 1, 2]})
    chain = flights.join(planes, "k").left_join(third, "uid").select("id", "uid", "x")
    assert traced(ctx, chain) == [([1, 2, 3], True), ([1, 2], True), ([2], True)]
    assert traced(ctx, chain, {"x": None}) == [([1, 2], True), ([1], True), ([], True)]
    crossed = flights.cross_join(third).select("id", "x")
    assert traced(ctx, crossed, {"id": 1, "x": 2}) == [([1], True), ([3], True)]
    chain = flights.semi_join(planes, "k").join(third, flights.id == third.uid).select("id", "x")
    assert traced(ctx, chain) == [([2, 3], True), ([1, 2], True), ([2, 3, 3], True)]


def test_all_partners_of_a_semi_join_have_contributed(ctx, flights):
    right = ctx.create_object_from_value({"uid": [1, 2, 3], "k": [1, 1, 5], "w": [8, 9, 9]})
    assert traced(ctx, flights.semi_join(right, "k")) == [([1, 2], True), ([1, 2], True)]


def test_joins_that_choose_a_partner_are_not_exact(ctx):
    left = ctx.create_object_from_value({"id": [1, 2], "k": [1, 1], "t": [10, 20]})
    right = ctx.create_object_from_value({"id": [7, 8, 9], "k": [1, 1, 1], "u": [5, 15, 99]})
    joined = left.join(right, ["k"], how="any_left")
    assert traced(ctx, joined)[0] == ([1, 2], False)
    asof = left.asof_join(right, on=left.t >= right.u, predicates="k")
    assert traced(ctx, asof) == [([1, 2], False), ([7, 8], False)]
    near = asof.select("id", "u")
    assert traced(ctx, near, {"id": 2}) == [([2], False), ([8], False)]


def test_set_operations(ctx, flights):
    some, others = flights.filter(flights.v > 1).select("k"), flights.select("k")
    assert traced(ctx, some.union(others), {"k": 1}) == [([2], True), ([1, 2], True)]
    assert traced(ctx, others.intersect(some)) == [([1, 2, 4], True), ([2, 4], True)]
    assert traced(ctx, others.difference(some)) == [([3], True), ([], True)]


def test_lookups_and_scalars_are_sources(ctx, flights, planes):
    found = flights.filter(flights.k.isin(planes.k))
    assert traced(ctx, found, {"id": 1}) == [([1], True), ([1], True)]
    missing = flights.filter(~flights.k.isin(planes.filter(planes.k == 1).k))
    assert traced(ctx, missing) == [([3], True), ([], True)]
    above = flights.filter(flights.v > flights.v.mean())
    assert traced(ctx, above) == [([4], True), ([1, 2, 3, 4], True)]


def test_arrays_go_by_position(ctx):
    a, b = (
        ctx.create_object_from_value([3, 1, 2, 5]),
        ctx.create_object_from_value([30, 10, 20, 50]),
    )
    trace = ctx.trace(a + b, {"value": 22})
    assert trace[a].rows.data() == [2]
    assert trace[b].rows.data() == [20]
    (first,) = ctx.trace(a.limit(2)).values()
    assert first.exact
    assert first.rows.data() == [3, 1]


def test_sql_text_is_a_source_of_its_own_rows(ctx, flights):
    text = ctx.sql(f"SELECT id, k FROM {flights.table_name} WHERE id > 1")
    trace = ctx.trace(text.filter(text.k == 1))
    assert trace[text].exact
    assert ids(trace[text]) == [2]
    assert "cannot be looked into" in trace[text].notes[0]
    assert not trace[flights].exact
    assert ids(trace[flights]) == [1, 2, 3, 4]
    over = flights.alias("f").sql("SELECT id FROM f")
    assert ids(ctx.trace(over, {"id": 2})[over]) == [2]


def test_a_memtable_and_an_expression_of_plain_ibis(ctx):
    trace = ctx.trace(ibis.memtable({"id": [1, 2]}).filter(_.id > 1).join(
        ctx.create_object_from_value({"id": [2]}), "id"
    ))  # fmt: skip
    assert [ids(source) for source in trace.values()] == [[2], [2]]


def test_nan_and_null_are_values(ctx):
    x = ctx.create_object_from_value({"id": [1, 2, 3], "v": [math.nan, 1.0, math.nan]})
    assert traced(ctx, x.select("v").distinct(), {"v": math.nan}) == [([1, 3], True)]
    assert traced(ctx, x.group_by("v").agg(n=_.count()), _.n == 2) == [([1, 3], True)]


def test_any_names_and_texts(ctx):
    x = ctx.create_object_from_value(
        {"id": [1, 2], "Größe '\"`": ["a'; DROP", "日本"], "key": [1, 2]}
    )
    groups = x.group_by("Größe '\"`").agg(aai_row0=_.key.sum())
    assert traced(ctx, groups, {"Größe '\"`": "a'; DROP"}) == [([1], True)]
    assert traced(ctx, groups, _.aai_row0 == 2) == [([2], True)]
    assert traced(ctx, groups.join(groups.view(), "aai_row0"), {"aai_row0": 1})[1] == ([1], True)


def test_sources_without_rows_and_keys_that_are_all_null(ctx, planes):
    empty = ctx.create_object({"id": "Int64", "k": "Nullable(Int64)"})
    assert traced(ctx, empty.group_by("k").agg(n=_.count())) == [([], True)]
    assert traced(ctx, empty.agg(n=_.count())) == [([], True)]
    nulls = ctx.create_object({"id": "Int64", "k": "Nullable(Int64)"})
    nulls.insert({"id": [1, 2], "k": [None, None]})
    assert traced(ctx, nulls.join(planes, "k")) == [([], True), ([], True)]
    assert traced(ctx, nulls.group_by("k").agg(n=_.count())) == [([1, 2], True)]


def test_columns_of_python_objects_structs_and_lists_are_compared(ctx):
    x = ctx.create_object_from_value({"id": [1, 2], "m": [{1, 2}, {3}]})
    assert ids(ctx.trace(x.join(x.view(), "id"), {"id": 2})[x.table_name]) == [2]
    y = ctx.create_object_from_value(
        {"id": [1, 2], "s": [{"a": 1}, {"a": None}], "l": [[1, None], []]}
    )
    for how in ("inner", "left", "outer"):
        assert traced(ctx, y.join(y.view(), "id", how=how), {"id": 2})[0] == ([2], True)


def test_what_copy_made_is_a_source(ctx, flights):
    copied = flights.filter(flights.v > 1).copy()
    trace = ctx.trace(copied.filter(copied.k == 1))
    assert list(trace) == [copied.table_name]
    assert ids(trace[copied]) == [2]


def test_nothing_runs_until_rows_are_fetched(ctx, flights, planes, monkeypatch):
    result = flights.join(planes, "k").group_by("name").agg(n=_.count())
    gc.collect()
    ctx.flush()  # drops of what other tests let go of
    asked = []
    engine = ctx.engine
    run = engine._run
    monkeypatch.setattr(engine, "_run", lambda *args: asked.append(args[1]) or run(*args))
    trace = ctx.trace(result, {"name": "p"})
    repr(trace)
    assert not asked
    assert isinstance(trace[flights].rows, View)
    assert len(trace[flights].rows) == 2


def test_a_million_rows_are_filtered_where_they_are(ctx):
    big = ctx.sql("SELECT number AS id, number % 1000 AS k FROM numbers(1000000)").copy()
    trace = ctx.trace(big.group_by("k").agg(n=_.count()), {"k": 7})
    assert len(trace[big].rows) == 1000
    top = ctx.trace(big.group_by("k").agg(n=_.id.sum()), _.n == _.n.max())
    assert len(top[big].rows) == 1000


def test_the_rows_keep_the_tables_that_they_read(ctx, tables):
    left = ctx.create_object_from_value({"id": [1, 2], "k": [1, 2]})
    right = ctx.create_object_from_value({"k": [2]})
    names = {left.table_name, right.table_name}
    rows = ctx.trace(left.join(right, "k"))[left].rows
    del left, right
    assert names <= tables()
    assert rows.data() == {"id": [2], "k": [2]}
    del rows
    gc.collect()
    assert not names & tables()


def test_it_shows_itself(ctx, flights):
    trace = ctx.trace(flights.limit(1))
    assert repr(trace) == (
        f"{flights.table_name}: these rows or fewer\n"
        "    limit 1 without an order takes any rows; all it could take are given"
    )
    assert not trace.exact
    assert repr(ctx.trace(flights)) == f"{flights.table_name}: exactly these rows"


def test_an_unknown_column_lists_those_there_are(ctx, flights):
    for where in ({"nope": 1}, _.nope == 1, lambda t: t.nope == 1):
        with pytest.raises(SchemaError, match=r"nope.*columns are id, k, v, tags"):
            ctx.trace(flights, where)
    with pytest.raises(SchemaError, match="columns are id"):
        ctx.trace(flights, {"v": "x"})


def test_what_cannot_be_traced_is_refused(ctx, flights, planes):
    for value in (flights.v, 3, None, "x"):
        with pytest.raises(UnsupportedTypeError):
            ctx.trace(value)
    with pytest.raises(UnknownObjectError, match=flights.table_name):
        ctx.trace(flights)[planes]
    with pytest.raises(UnsupportedTypeError, match="another backend"):
        ctx.trace(ibis.table({"a": "int64"}, name="t"))


def test_released_tables_and_closed_contexts(ctx, tmp_path):
    with ctx.session():
        gone = ctx.create_object_from_value([1, 2])
        view = gone.filter(gone.value > 1)
    with pytest.raises(ReleasedError):
        ctx.trace(view)
    with DataContext(settings=Settings(state_dir=tmp_path)) as other:
        x = other.create_object_from_value([1, 2])
    with pytest.raises(ContextError):
        other.trace(x)
