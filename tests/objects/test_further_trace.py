"""Tracing on through tables that were made of others."""

from __future__ import annotations

import gc

import pytest

from aaiclick_ext.errors import SettingsError, UnknownObjectError


@pytest.fixture
def sales(ctx):
    return ctx.create_object_from_value(
        {"item": ["a", "b", "a", "c"], "n": [1, 2, 3, 4], "day": [1, 1, 2, 2]}
    )


def rows(trace, source):
    return sorted(zip(*trace[source].rows.data().values(), strict=True))


def test_through_copies(ctx, sales):
    large = sales.filter(sales.n > 1).mutate(twice=sales.n * 2).copy()
    totals = large.group_by("item").agg(total=large.twice.sum()).copy()
    top = totals.order_by(totals.total.desc())
    near = ctx.trace(top, where={"item": "a"})
    assert list(near) == [totals.table_name]
    one = ctx.trace(top, where={"item": "a"}, depth=2)
    assert list(one) == [large.table_name]
    assert rows(one, large) == [("a", 3, 2, 6)]
    for depth in (3, None):
        far = ctx.trace(top, where={"item": "a"}, depth=depth)
        assert list(far) == [sales.table_name]
        assert rows(far, sales) == [("a", 3, 2)]
        assert far.exact
    assert rows(ctx.trace(totals, where=totals.total > 6, depth=None), sales) == [("c", 4, 2)]


def test_through_concat_insert_and_joins(ctx, sales):
    first, second = sales.filter(sales.day == 1), sales.filter(sales.day == 2)
    both = ctx.concat(first.copy(), second)
    found = ctx.trace(both, where={"item": "a"}, depth=2)
    assert len(found) == 2
    grown = first.copy().insert(second.select("item", "n"), {"item": ["a"], "n": [9]})
    joined = grown.join(ctx.create_object_from_value({"item": ["a"], "w": [5]}), "item")
    further = ctx.trace(joined, where={"n": 3}, depth=2)
    parts = [each for key, each in further.items() if each.source == sales.table_name]
    assert [each.rows.n.to_pyarrow().to_pylist() for each in parts] == [[], [3]]
    assert not further[grown].exact
    assert any("given as values" in note for note in further[grown].notes)


def test_a_restored_table_is_an_end_and_says_so(ctx, sales, tables):
    objects = [sales.filter(sales.n > 1).copy(), ctx.create_object_from_value({"item": ["q"]})]
    names = [made.table_name for made in objects]
    objects.clear()
    assert not tables() & set(names)
    made, value = (ctx.restore(name).object for name in names)
    found = ctx.trace(made.filter(made.n > 2), where={"n": 3}, depth=None)
    assert list(found) == [made.table_name]
    assert found[made].notes == (
        f"restored as {names[0]} was; what that was made of is not followed",
    )
    assert ctx.trace(value, depth=None)[value].notes == ()
    made.insert(sales.filter(sales.n == 1))
    grown = ctx.trace(made, depth=None)
    assert [each.source for each in grown.values()] == [sales.table_name, made.table_name]
    assert any("not followed" in note for note in grown[made].notes)


def test_what_changed_meanwhile(ctx, sales):
    late = sales.filter(sales.n > 1).copy()
    count = sales.group_by("day").agg(n=sales.count()).copy()
    sales.insert({"item": ["z"], "n": [7], "day": [2]})
    found = ctx.trace(late, where={"day": 2}, depth=2)[sales]
    assert sorted(found.rows.data()["n"]) == [3, 4, 7]
    assert not found.exact
    assert "got rows later" in found.notes[0]
    whole = ctx.trace(count, where={"n": 2}, depth=2)[sales]
    assert len(whole.rows) == 5
    assert not whole.exact
    assert "all its rows are given" in whole.notes[0]


def test_the_way_ends_where_what_it_was_made_of_is_gone(ctx, sales, tables):
    large = sales.filter(sales.n > 1).copy()
    kept = large.select("item").copy()
    name = large.table_name
    before = tables()
    del large
    gc.collect()
    assert before - tables() == {name}
    found = ctx.trace(kept, where={"item": "a"}, depth=None)
    assert list(found) == [kept.table_name]
    assert found.exact
    assert f"made of {name}, which is gone" in repr(found)


def test_text_and_arrays(ctx, sales):
    text = ctx.sql("SELECT item, n FROM {s} WHERE n > 1", s=sales).copy()
    found = ctx.trace(text, where={"n": 3}, depth=2)
    assert {each.source for each in found.values()} == {
        sales.table_name, *[key for key in found if key.startswith("view_")],
    }  # fmt: skip
    assert not found[sales].exact
    x = ctx.create_object_from_value([1, 2, 3, 4])
    double = (x * 2).copy()
    traced = ctx.trace(double.filter(double.value > 4), depth=2)[x]
    assert traced.exact
    assert traced.rows.data() == [3, 4]
    some = ctx.trace(double[:2], depth=2)[x]
    assert set(some.rows.data()) >= {1, 2}
    assert not some.exact


def test_a_depth_that_is_none(ctx, sales):
    with pytest.raises(SettingsError, match="depth is 0; it is 1 or more"):
        ctx.trace(sales, depth=0)


def test_a_union_with_itself_is_one_source(ctx, sales):
    nested = sales
    for _ in range(40):
        nested = nested.union(nested)
    found = ctx.trace(nested, where={"item": "a"})
    assert list(found) == [sales.table_name]
    assert found[sales].role.startswith("both parts of the union")
    assert rows(found, sales) == [("a", 1, 1), ("a", 3, 2)]


def test_a_limit_by_all_columns_is_exact(ctx):
    x = ctx.create_object_from_value({"a": [1, 1, 2, 2], "b": [1, 2, 3, 3]})
    by_all = ctx.trace(x.order_by("a", "b").limit(3))[x]
    assert by_all.exact
    by_one = ctx.trace(x.order_by("a").limit(3))[x]
    assert not by_one.exact
    assert len(by_one.rows) == 4


def test_an_unknown_source(ctx, sales):
    with pytest.raises(UnknownObjectError, match="no source of the result"):
        ctx.trace(sales.limit(1))["nosuch"]
