"""A browsed table in the kernel: what it answers, what it holds, and when it lets go."""

from __future__ import annotations

import gc
import threading
import time

import pytest

from aaiclick_ext.context import DataContext
from aaiclick_ext.errors import ContextError
from aaiclick_ext.settings import Settings
from aaiclick_ext.widgets import BrowseWidget, browse, close_widgets, open_widgets

PATIENCE_S = 30
LOOK = {"filters": [], "search": "", "sorts": []}
ENDLESS = "SELECT number AS n FROM numbers(1000000000000) WHERE n < 50 OR n % 1000000007 = 5"
"""Its first rows come at once."""


@pytest.fixture(scope="module")
def ctx(tmp_path_factory):
    folder = tmp_path_factory.mktemp("state")
    with DataContext(settings=Settings(state_dir=folder, memory_table_bytes=0)) as context:
        yield context


class Page:
    """A page that shows a widget: asks, and hears what it is told."""

    def __init__(self, view, **options):
        self.told = []
        self.widget = BrowseWidget(view, **options)
        self.widget.send = self.told.append
        self.requests = 0

    def begin(self, about, columns=(), look=LOOK, start=0, count=100):
        self.requests += 1
        self.widget._receive(None, {
            "type": "ask", "request": f"p-{self.requests}", "about": about, "look": look,
            "start": start, "count": count, "columns": list(columns),
        }, [])  # fmt: skip
        return f"p-{self.requests}"

    def ask(self, about, columns=(), **more):
        request = self.begin(about, columns, **more)
        self.widget.wait()
        (answer,) = [told for told in self.told if told["request"] == request]
        return answer


@pytest.fixture
def page(ctx):
    made = []

    def open_page(view, **options):
        made.append(Page(view, **options))
        return made[-1]

    yield open_page
    for each in made:
        each.widget.end()


@pytest.fixture
def people(ctx):
    return ctx.create_object_from_value(
        {"name": ["Ann", "<b>Bo</b>", None, "a\tb\n"], "n": [3, 1, 2, 2**62]}
    )


def tables(ctx):
    gc.collect()
    ctx.flush()
    return set(ctx.live_tables())


def wait_for(condition):
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_answers(ctx, page, people):
    bound = {}
    shown = page(people, name="people", bind=lambda view: bound.update(v=view) or "_view")
    assert shown.widget._table["name"] == "people"
    assert [c[:4] for c in shown.widget._table["columns"]] == [
        ["name", "Nullable(String)", "String?", "text"], ["n", "Int64", "Int64", "number"],
    ]  # fmt: skip
    look = {"filters": [["null", 0, False]], "search": "", "sorts": [[1, True]]}
    answer = shown.ask("rows", [1, 0], look=look)
    assert answer["rows"] == [["4611686018427387904", "a\\tb\\n"], ["3", "Ann"], ["1", "<b>Bo</b>"]]
    assert answer["cost"]["read"]
    assert shown.ask("count", look=look)["total"] == 3
    assert shown.ask("cell", [0], look=look)["text"] == "a\tb\n"
    assert shown.ask("copy", [0, 1], look=look)["tsv"] == (
        '"a\tb\n"\t4611686018427387904\nAnn\t3\n<b>Bo</b>\t1'
    )
    (summary,) = shown.ask("summaries", [1], look=look)["summaries"]
    assert (summary["column"], summary["rows"], summary["max"]) == (1, 3, str(2**62))
    assert sum(count for _, _, count in summary["bins"]) == 3
    (summary,) = shown.ask("summaries", [0])["summaries"]
    assert (summary["nulls"], len(summary["top"])) == (1, 3)
    sql = shown.ask("query", [1], look=look)["sql"]
    assert 'isNotNull("t0"."name")' in sql
    assert "ORDER BY" in sql
    assert shown.ask("view", [1], look=look)["name"] == "_view"
    assert bound["v"].data() == {"n": [2**62, 3, 1]}
    assert shown.widget.view.data() == {"n": [2**62, 3, 1]}
    operations = [event.operation for event in ctx.backward_oplog(bound["v"])]
    assert {"filter", "order_by", "select"} <= set(operations)


def test_what_is_chosen_of_a_column_leaves_its_own_plot_whole(page, people):
    shown = page(people)
    look = {**LOOK, "filters": [["one_of", 0, ["Ann"]], ["between", 1, "2", None, False]]}
    name, n = shown.ask("summaries", [0, 1], look=look)["summaries"]
    assert (name["column"], name["rows"], name["nulls"]) == (0, 3, 1)  # where n is 2 or more
    assert [text for text, *_ in name["top"]] == ["Ann", "a\\tb\\n"]
    assert (n["column"], n["rows"], n["max"]) == (1, 1, "3")  # of Ann's rows
    look["filters"] += [["null", 1, False], ["contains", 0, "n"]]  # no choice of values
    name, n = shown.ask("summaries", [0, 1], look=look)["summaries"]
    assert (name["rows"], name["nulls"], n["rows"]) == (1, 0, 1)


def test_an_error_is_an_answer(page, people, ctx):
    shown = page(people)
    look = {**LOOK, "filters": [["between", 1, "many", None, False]]}
    assert "write it like" in shown.ask("rows", [0], look=look)["error"]
    assert "too many" in shown.ask("copy", [0], count=2**40)["error"]
    failing = page(ctx.sql("SELECT throwIf(number > 1) AS x FROM numbers(9)"))
    assert "throwIf" in failing.ask("rows", [0])["error"]
    assert "throwIf" in failing.ask("count")["error"]


def test_what_no_page_would_send_is_ignored(page, people):
    shown = page(people)
    for message in (None, {"type": "ask"}, {"type": "sql", "sql": "DROP TABLE t"}):
        shown.widget._receive(None, message, [])
    shown.widget.set_state({"_table": {}})
    shown.widget.wait()
    assert shown.told == []
    assert shown.widget._table["columns"]


def test_a_stopped_request_is_killed_and_not_answered(page, ctx):
    shown = page(ctx.sql(ENDLESS))
    request = shown.begin("rows", [0])
    wait_for(lambda: ctx.engine._handles().of_users())
    shown.widget._receive(None, {"type": "stop", "request": request}, [])
    shown.widget.wait()
    assert shown.told == []
    assert ctx.sql("SELECT 1 AS one").data() == {"one": [1]}


def test_a_request_is_stopped_also_before_its_query_has_begun(monkeypatch, page, ctx):
    shown, missed = page(ctx.sql(ENDLESS)), []
    kill = shown.widget._requests._kill
    monkeypatch.setattr(
        shown.widget._requests, "_kill", lambda t: kill(t) if missed else missed.append(t)
    )
    request = shown.begin("rows", [0])
    wait_for(lambda: ctx.engine._handles().of_users())
    started = time.monotonic()
    shown.widget._receive(None, {"type": "stop", "request": request}, [])
    shown.widget.wait()
    assert time.monotonic() - started < PATIENCE_S
    assert (len(missed), shown.told) == (1, [])


def test_more_requests_than_a_page_needs_are_refused(page, ctx):
    shown = page(ctx.sql(ENDLESS))
    for _ in range(browse.MAX_REQUESTS + 1):
        shown.begin("count")
    assert [told["error"] for told in shown.told] == ["too many requests at a time; wait for some"]
    shown.widget.end()
    shown.widget.wait()


def test_it_holds_its_table_until_nobody_looks_and_claims_it_again(monkeypatch, page, ctx):
    monkeypatch.setattr(browse, "GRACE_S", 0.0)
    x = ctx.create_object_from_value({"a": [1, 2]})
    other = x.filter(x.a > 1)
    shown = page(x)
    name, before = x.table_name, tables(ctx)
    shown.widget._receive(None, {"type": "look", "viewer": "v"}, [])
    shown.ask("rows", [0])
    assert len(tables(ctx) - before) == 1
    del x
    shown.widget._receive(None, {"type": "look_away", "viewer": "v"}, [])
    wait_for(lambda: not shown.widget.table.is_held)
    assert tables(ctx) == before
    assert shown.ask("rows", [0])["rows"] == [["1"], ["2"]]
    shown.widget._receive(None, {"type": "look", "viewer": "w"}, [])
    shown.widget._receive(None, {"type": "look_away", "viewer": "w"}, [])
    wait_for(lambda: not shown.widget.table.is_held)
    del other
    assert name not in tables(ctx)
    assert "is gone meanwhile; run the cell again" in shown.ask("rows", [0])["error"]


def test_refresh_shows_later_rows_and_the_end_lets_go(page, ctx):
    x = ctx.create_object_from_value({"a": [1]})
    before = tables(ctx)
    shown = page(x)
    assert shown.ask("rows", [0])["rows"] == [["1"]]
    x.insert({"a": [2]})
    assert shown.ask("count")["total"] == 1
    assert shown.ask("refresh")["total"] == 2
    assert shown.widget in open_widgets(BrowseWidget)
    close_widgets()
    assert open_widgets(BrowseWidget) == []
    assert tables(ctx) == before
    assert not [t for t in threading.enumerate() if t.name == "aai-browse"]


def test_the_bundle_has_a_widget_and_the_usual_table(page, people):
    shown = page(people)
    data, _ = shown.widget._repr_mimebundle_()
    assert set(data) == {"application/vnd.jupyter.widget-view+json", "text/html", "text/plain"}
    assert data["text/html"] == people._repr_mimebundle_()["text/html"]


def test_the_front_end_is_small_and_loads_nothing():
    code, style = BrowseWidget._esm, BrowseWidget._css
    assert len(code.encode()) < 100_000
    for word in ("import ", "http:", "https:", "fetch(", "innerHTML", "insertAdjacent", "eval("):
        assert word not in code.replace("http://www.w3.org/2000/svg", "")
        assert word not in style


def test_without_a_notebook_show_says_so(people):
    with pytest.raises(ContextError, match="load_ext"):
        people.show()
