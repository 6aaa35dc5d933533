"""What the kernel answers to a graph's panel, over a real engine."""

from __future__ import annotations

import gc
from dataclasses import dataclass

import pytest

from aaiclick_ext.context import DataContext
from aaiclick_ext.settings import Settings
from aaiclick_ext.widgets import KernelAnswers


@pytest.fixture(scope="module")
def ctx(tmp_path_factory):
    folder = tmp_path_factory.mktemp("state")
    with DataContext(settings=Settings(state_dir=folder, display_rows=3)) as context:
        yield context


@pytest.fixture
def sales(ctx):
    return ctx.create_object_from_value({
        "item": ["a", "b", "a", None], "n": [1, 2, 3, 4], "tags": [["x"], [], ["y"], []],
    })  # fmt: skip


def answers(ctx, view, **options):
    return KernelAnswers(ctx, ctx.oplog_subgraph(view, "both"), **options)


def test_rows_are_a_display_s_and_nulls_are_null(ctx, sales):
    told = answers(ctx, sales).answer("rows", ctx.node_name(sales))["rows"]
    assert told["columns"] == [
        ["item", "Nullable(String)", False], ["n", "Int64", True],
        ["tags", "Array(String)", False],
    ]  # fmt: skip
    assert told["rows"] == [["a", "1", "['x']"], ["b", "2", "[]"], ["a", "3", "['y']"]]
    assert "4 rows" in told["summary"]


def test_a_view_has_columns_and_rows_while_something_reaches_it(ctx, sales):
    large = sales.filter(sales.n > 1)
    asked, name = answers(ctx, large), ctx.node_name(large)
    assert asked.answer("columns", name)["columns"][1] == ["n", "Int64"]
    assert [row[1] for row in asked.answer("rows", name)["rows"]["rows"]] == ["2", "3", "4"]
    del large
    gc.collect()
    for about in ("columns", "rows"):
        assert "no variable of this kernel reaches this view" in asked.answer(about, name)["error"]


def test_sql_is_printed_to_be_read_and_stays_masked(ctx, sales):
    kept = sales.filter(sales.n > 1).copy()
    told = answers(ctx, kept).answer("sql", kept.table_name)["sql"]
    assert told.startswith("SELECT\n  ")
    assert ctx.backward_oplog(kept)[-1].sql_template == " ".join(told.split())
    key = "hunter2-hunter-2"
    hidden = ctx.sql(f"SELECT hex(encrypt('aes-128-ecb', toString(7), '{key}')) AS a").copy()
    told = answers(ctx, hidden).answer("sql", hidden.table_name)["sql"]
    assert told.startswith("SELECT\n  ")
    assert "***" in told
    assert key not in told
    assert answers(ctx, sales).answer("sql", sales.table_name) == {"sql": ""}


def test_a_row_is_traced_to_the_rows_it_is_made_of(ctx, sales):
    totals = sales.group_by("item").agg(total=sales.n.sum()).order_by(["item"])
    asked, name = answers(ctx, totals), ctx.node_name(totals)
    rows = asked.answer("rows", name)["rows"]["rows"]
    told = asked.answer("trace", name, rows.index(["a", "4"]))["trace"]
    (source,) = told["sources"]
    assert source["exact"]
    assert [row[:2] for row in source["rows"]["rows"]] == [["a", "1"], ["a", "3"]]
    null = asked.answer("trace", name, rows.index([None, "4"]))["trace"]["sources"][0]
    assert [row[:2] for row in null["rows"]["rows"]] == [[None, "4"]]


def test_a_row_of_a_copy_is_traced_through_the_view_that_was_copied(ctx, sales):
    large = sales.filter(sales.n > 2)
    kept = large.copy()
    asked, name = answers(ctx, kept), ctx.node_name(kept)
    asked.answer("rows", name)
    told = asked.answer("trace", name, 0)["trace"]
    assert [row[:2] for row in told["sources"][0]["rows"]["rows"]] == [["a", "3"]]
    assert "tags" in told["notes"][0]
    del large
    gc.collect()
    told = asked.answer("trace", name, 0)["trace"]  # what was copied is known without the view
    assert [row[:2] for row in told["sources"][0]["rows"]["rows"]] == [["a", "3"]]


def test_a_row_of_a_concat_and_of_an_insert_is_traced(ctx, sales):
    both = ctx.concat(sales.filter(sales.n > 2), sales.filter(sales.n < 3))
    asked, name = answers(ctx, both), ctx.node_name(both)
    first = asked.answer("rows", name)["rows"]["rows"][0][:2]  # of either part
    told = asked.answer("trace", name, 0)["trace"]
    found = [row[:2] for source in told["sources"] for row in source["rows"]["rows"]]
    assert found == [first]
    kept = sales.filter(sales.n > 2).copy()
    kept.insert(sales.filter(sales.n == 1))
    sales.insert({"item": ["z"], "n": [9], "tags": [[]]})
    asked, name = answers(ctx, kept), ctx.node_name(kept)
    asked.answer("rows", name)
    told = asked.answer("trace", name, 0)["trace"]
    assert any("got rows later" in note for s in told["sources"] for note in s["notes"])


def test_what_cannot_be_traced_says_why(ctx, sales):
    other = ctx.create_object_from_value({"a": [1, 2]})
    objects = [other.filter(other.a > 1).copy()]
    del other
    table = objects[0].table_name
    objects.clear()
    gc.collect()
    back = ctx.restore(table)
    assert back.object is not None, str(back)
    restored = back.object
    for view, words in [(sales, "is a source: its rows"), (restored, "which is gone")]:
        asked, name = answers(ctx, view), ctx.node_name(view)
        assert "not shown any more" in asked.answer("trace", name, 0)["error"]
        asked.answer("rows", name)
        assert words in asked.answer("trace", name, 0)["error"]
        assert "not shown any more" in asked.answer("trace", name, 99)["error"]


def test_errors_are_answers(ctx, sales):
    bad = sales.mutate(x=sales.item.cast("int64"))
    said = answers(ctx, bad).answer("rows", ctx.node_name(bad))["error"]
    assert said.startswith("EngineError: ")
    fetched = ctx.oplog_subgraph(sales)
    assert "keeps none" in KernelAnswers(ctx, fetched).answer("rows", "fetch_1")["error"]
    gone = KernelAnswers(ctx, fetched).answer("rows", "aai_t_1_a_b")
    assert gone["error"]


def test_nothing_is_held_and_nothing_is_recorded(ctx):
    made = ctx.create_object_from_value({"a": [1, 2]})
    view = made.filter(made.a > 1)
    name, asked = ctx.node_name(made), answers(ctx, view)
    before = len(ctx.backward_oplog(view)) + len(ctx.forward_oplog(made))
    for table in (name, ctx.node_name(view)):
        asked.answer("rows", table)
        asked.answer("trace", table, 0)
    assert len(ctx.backward_oplog(view)) + len(ctx.forward_oplog(made)) == before
    del made, view
    gc.collect()
    ctx.flush()
    assert asked.answer("rows", name).keys() == {"error"}
    living = "SELECT count() FROM system.tables WHERE name = {name:String}"
    assert ctx.engine.query_rows(living, {"name": name}) == [(0,)]


@dataclass
class Outcome:
    """What restoring gave."""

    status: str
    reason: str | None
    table: str | None = None
    variable: str | None = None


def test_restoring_is_asked_of_one_callable(ctx, sales):
    asked = []

    def restore(table: str) -> Outcome:
        asked.append(table)
        return Outcome("exact", None, ctx.node_name(sales), "sales")

    able = answers(ctx, sales, restore=restore)
    assert able.can_restore
    assert able.answer("restore", "aai_t_1_a_b") == {
        "restored": {
            "status": "exact", "reason": "", "table": sales.table_name, "variable": "sales",
        }
    }  # fmt: skip
    assert "4 rows" in able.answer("rows", "aai_t_1_a_b")["rows"]["summary"]  # those it has now
    assert asked == ["aai_t_1_a_b"]
    assert "cannot restore" in answers(ctx, sales).answer("restore", "aai_t_1_a_b")["error"]
