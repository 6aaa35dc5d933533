"""Tracing on through tables that were made of others."""

from __future__ import annotations

import gc
import os
import subprocess
import sys

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


def test_a_restored_table_goes_on_to_what_it_was_made_of(ctx, sales, tables):
    large = sales.filter(sales.n > 1).copy()
    objects = [
        large,
        large.order_by("n").copy(),
        large.group_by("item").agg(n=large.n.sum()).copy(),
        sales.fill_null({"n": 0}).copy(),
        ctx.concat(large.filter(large.n > 3), sales.select("item", n=sales.n, day=sales.day + 1)),
        ctx.create_object_from_value({"item": ["q"]}),
    ]
    names = [made.table_name for made in objects]
    del large
    objects.clear()
    assert not tables() & set(names)
    same, sorted_, totals, filled, both, value = (ctx.restore(name).object for name in names)
    for made in (same, sorted_):
        found = ctx.trace(made.filter(made.n > 2), where={"n": 3}, depth=None)
        assert list(found) == [sales.table_name]
        assert found.exact
        assert rows(found, sales) == [("a", 3, 2)]
    assert ctx.trace(totals, where={"n": 3}, depth=1)[totals].notes == ()
    for made in (totals, filled):  # values are computed: all that the SQL read
        found = ctx.trace(made, where={"n": 3}, depth=None)[sales]
        assert len(found.rows) == 4
        assert not found.exact
        assert "cannot be looked into" in found.notes[0]
    found = ctx.trace(both, where={"n": 4}, depth=None)[sales]
    assert not found.exact
    assert ("c", 4, 2) in zip(*found.rows.data().values(), strict=True)
    assert ctx.trace(value, depth=None)[value].notes == ()
    sales.insert({"item": ["d"], "n": [3], "day": [7]})
    found = ctx.trace(same, where={"n": 3}, depth=None)[sales]
    assert found.rows.data()["item"] == ["a"]
    same.insert(sales.filter(sales.n == 1), {"item": ["z"], "n": [0], "day": [0]})
    grown = ctx.trace(same, depth=None)
    assert [each.source for each in grown.values()] == [
        sales.table_name, sales.table_name, same.table_name,
    ]  # fmt: skip
    assert any("given as values" in note for note in grown[same].notes)


def test_a_restored_table_whose_values_are_gone(ctx, tables):
    start = ctx.create_object_from_value({"n": [1, 2, 3]})
    objects = [start, start.filter(start.n > 1).copy()]
    names = [made.table_name for made in objects]
    del start
    objects.clear()
    assert not tables() & set(names)
    made = ctx.restore(names[1]).object
    found = ctx.trace(made, where={"n": 3}, depth=None)
    assert list(found) == [made.table_name]
    assert found[made].notes == (f"made of {names[0]}, which is gone",)
    again = ctx.restore(names[0]).object
    found = ctx.trace(again.filter(again.n > 2), depth=None)
    assert list(found) == [again.table_name]


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


KEPT = """
import sys
from aaiclick_ext import DataContext
with DataContext(sys.argv[1]) as one:
    sales = one.create_object_from_value({"item": ["a", "b", "a"], "n": [1, 2, 3]})
    late = sales.filter(sales.n > 1).copy()
    gone = sales.filter(sales.n > 2).copy()
    totals = gone.group_by("item").agg(n=gone.n.sum()).copy()
    of_gone = one.create_object_from_value({"n": [1]}).filter(True).copy()
    for kept in (sales, late, totals, of_gone):
        one.pin(kept)
    names = [kept.table_name for kept in (sales, late, totals, of_gone)]
    job = one.job_id
    del sales, late, gone, totals, of_gone, kept
with DataContext(sys.argv[1]) as other:
    assert other.job_id != job
    late, totals, of_gone = (other.open_object(name) for name in names[1:])
    found = other.trace(late, where={"n": 3}, depth=None)
    print(list(found) == names[:1], found.exact, found[names[0]].rows.data())
    found = other.trace(totals, where={"item": "b"}, depth=None)
    print(list(found) == names[:1], found.exact, len(found[names[0]].rows))
    found = other.trace(of_gone, depth=None)
    print(list(found) == names[3:], found[of_gone].notes[0].endswith("which is gone"))
    late.insert(totals.filter(totals.n > 9))
    found = other.trace(late, depth=2)
    print([each.source for each in found.values()] == [names[2], names[0]])
"""


def test_what_another_kernel_made(tmp_path):
    environment = os.environ | {"AAICLICK_STATE_DIR": str(tmp_path / "state")}
    done = subprocess.run(
        [sys.executable, "-c", KEPT, f"chdb://{tmp_path}/db"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines() == [
        "True True {'item': ['a'], 'n': [3]}", "True False 3", "True True", "True",
    ], done.stderr  # fmt: skip
