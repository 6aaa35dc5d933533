"""Live results: what they show, who keeps them followed, and that nothing is left."""

from __future__ import annotations

import datetime as dt
import gc
import threading
import time

import pytest

from aaiclick_ext.context import DataContext
from aaiclick_ext.errors import SchemaError, UnsupportedTypeError
from aaiclick_ext.live import result as live_result
from aaiclick_ext.live.query import LiveQuery
from aaiclick_ext.settings import Settings

PATIENCE_S = 30


@pytest.fixture(scope="module")
def ctx(tmp_path_factory):
    settings = Settings(state_dir=tmp_path_factory.mktemp("state"), live_poll_s=0.2)
    with DataContext(settings=settings) as context:
        yield context


@pytest.fixture(autouse=True)
def nothing_is_left(ctx):
    yield
    live = ctx.backend.services.live
    gc.collect()
    wait(lambda: not live.deliveries and not live._queries and not live._sources)
    wait(lambda: not [t for t in threading.enumerate() if t.name.startswith("aai-live")])
    assert len(ctx.system.live_queries) == 0


def wait(ready):
    deadline = time.monotonic() + PATIENCE_S
    while not (found := ready()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def text(result):
    return result.state.showing.text()


@pytest.fixture
def readings(ctx):
    return ctx.create_object_from_value({"room": ["<b>a</b>", "b"], "n": [1, 2]})


def test_a_table_shows_its_first_rows_and_follows(ctx, readings):
    shown = ctx.live(readings.order_by(readings.n.desc()), rows=2, throttle_s=0)
    assert "&lt;b&gt;a" in shown.state.showing.html()
    assert "2 rows, 2 columns" in text(shown)
    readings.insert({"room": ["c"], "n": [3]})
    wait(lambda: "c" in text(shown).split())
    assert "first 2 rows, 2 columns" in text(shown)
    assert shown.state.how == "recomputed"
    assert "Sort" in shown.state.reason
    assert shown._repr_mimebundle_()["text/plain"].endswith("more than one row)")
    shown.close()


def test_a_number_is_merged_and_more_than_one_row_is_said(ctx, readings):
    total = ctx.live(readings.n.sum().name("total"), "number", throttle_s=0)
    one = ctx.live(readings.filter(readings.n == 1).select("n"), "number", throttle_s=0)
    assert (text(total), text(one)) == ("total: 3", "n: 1")
    assert (total.state.how, total.state.reason) == ("incremental", None)
    readings.insert({"room": ["c"], "n": [1_000_000]})
    wait(lambda: text(total) == "total: 1,000,003")
    readings.insert({"room": ["c"], "n": [1]})
    wait(lambda: one.state.error is not None)
    assert "more than one row" in one.state.error
    assert (one.state.state, text(one)) == ("live", "n: 1")
    total.close()
    one.close()
    assert one.state.state == "ended"


def test_a_chart_of_more_rows_than_points_is_of_means_and_says_so(ctx):
    source = ctx.create_object_from_value(
        {"x": list(range(5000)), "y": [float(n % 7) for n in range(5000)], "z": [None] * 4999 + [1]}
    )
    chart = ctx.live(source, "chart", x="x", throttle_s=0)
    showing = chart.state.showing
    assert showing.summary == "5,000 rows drawn as 2,000 points, each the mean of up to 3"
    assert showing.x == sorted(showing.x)
    buckets = {}
    for n in range(5000):
        buckets.setdefault(n * 2000 // 5000, []).append(n)
    assert showing.x == [min(rows) for rows in buckets.values()]
    means = [sum(n % 7 for n in rows) / len(rows) for rows in buckets.values()]
    assert showing.y["y"] == pytest.approx(means)
    assert showing.y["z"] == [None] * 1999 + [1.0]
    assert "<polyline" in showing.html()
    source.insert({"x": [5000], "y": [0.0], "z": [None]})
    wait(lambda: chart.state.updates == 1)
    assert chart.state.showing.rows == 5001
    chart.close()


def test_a_chart_over_times_and_over_text(ctx):
    times = [dt.datetime(2026, 1, 1), None, dt.datetime(2025, 1, 1)]
    source = ctx.create_object_from_value({"at": times, "who": ["b", "<i>", None], "n": [1, 2, 3]})
    over_time = ctx.live(source, "chart", x="at", y="n")
    showing = over_time.state.showing
    assert showing.x == [t.replace(tzinfo=dt.UTC).timestamp() for t in (times[2], times[0])]
    assert (showing.is_time, showing.bars, showing.y["n"]) == (True, False, [3.0, 1.0])
    assert "2026-01-01 00:00:00" in text(over_time)
    over_text = ctx.live(source, "chart", x="who")
    assert (over_text.state.showing.labels, over_text.state.showing.bars) == (["<i>", "b"], True)
    assert "<i>" not in over_text.state.showing.html()
    floats = ctx.create_object_from_value(
        {"x": [2.0, float("nan"), float("inf"), 1.0], "n": [1, 2, 3, 4]}
    )
    assert ctx.live(floats, "chart", x="x").state.showing.x == [1.0, 2.0]
    nothing = ctx.live(source.filter(source.n > 9), "chart", x="at", y=["n"])
    assert (text(nothing).splitlines()[0], nothing.state.showing.x) == ("0 points", [])


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"kind": "pie"}, "kind is 'pie'; it can be 'table', 'number', 'chart'"),
        ({"kind": "number"}, "this one has 2 columns: room, n"),
        ({"kind": "chart"}, "needs x"),
        ({"kind": "chart", "x": "no"}, "no column no; there are room, n"),
        ({"kind": "chart", "x": "n"}, "There are none besides x"),
        ({"kind": "chart", "x": "n", "y": "room"}, "room is not"),
        ({"x": "n"}, "x is for a chart"),
        ({"kind": "number", "rows": 3}, "rows is 3"),
        ({"rows": 0}, "rows is 0"),
        ({"throttle_s": -1}, "throttle_s is -1"),
    ],
)
def test_what_cannot_be_shown(ctx, readings, asked, message):
    with pytest.raises(SchemaError, match=message):
        ctx.live(readings, **asked)


def test_objects_cannot_be_shown(ctx):
    thing = ctx.create_object_from_value({"x": [object()]}, objects=["x"])
    with pytest.raises(UnsupportedTypeError):
        ctx.live(thing)


def test_who_gives_no_sign_of_life_is_forgotten_and_may_come_back(
    ctx, readings, tables, monkeypatch
):
    monkeypatch.setattr(live_result, "SILENCE_S", 0.3)
    shown = ctx.live(readings.n.sum().name("total"), "number", throttle_s=0)
    wait(lambda: shown.state.state == "waiting")
    wait(lambda: len(ctx.system.live_queries) == 0)
    readings.insert({"room": ["c"], "n": [4]})
    monkeypatch.setattr(live_result, "SILENCE_S", 60.0)
    shown.look("tab")
    wait(lambda: text(shown) == "total: 7")
    assert (shown.state.state, len(ctx.system.live_queries)) == ("live", 1)
    readings.insert({"room": ["c"], "n": [5]})
    wait(lambda: text(shown) == "total: 12")
    shown.look("other")
    shown.look_away("tab")
    assert len(ctx.system.live_queries) == 1
    monkeypatch.setattr(live_result, "GRACE_S", 0.0)
    shown.look_away("other")
    wait(lambda: len(ctx.system.live_queries) == 0)


def test_tables_go_with_their_variables_once_nobody_looks(ctx, tables, monkeypatch):
    source = ctx.create_object_from_value([1, 2])
    name = source.table_name
    shown = ctx.live(source.sum(), "number")
    shown.look("tab")
    del source
    gc.collect()
    ctx.flush()
    assert name in tables()  # it is looked at
    monkeypatch.setattr(live_result, "GRACE_S", 0.0)
    shown.look_away("tab")
    wait(lambda: len(ctx.system.live_queries) == 0)
    wait(lambda: name not in tables())
    shown.look("tab")
    wait(lambda: shown.state.error)
    assert name in shown.state.error
    assert "Run the cell again" in shown.state.advice
    assert text(shown).endswith(": 3")


def test_a_handle_that_is_gone_is_not_followed(ctx, readings):
    shown = ctx.live(readings)
    assert len(ctx.system.live_queries) == 1
    del shown
    gc.collect()
    assert len(ctx.system.live_queries) == 0


def test_pausing_and_an_observer_that_fails(ctx, readings, caplog):
    states = []

    def failing(state):
        raise ValueError(state.state)

    shown = ctx.live(readings.n.max().name("most"), "number", throttle_s=0)
    shown.observe(failing)
    shown.observe(states.append)
    shown.pause()
    readings.insert({"room": ["c"], "n": [9]})
    time.sleep(0.3)
    assert (text(shown), shown.state.state) == ("most: 2", "paused")
    shown.resume()
    wait(lambda: len(states) == 3)  # who observes is told after the text is another
    assert text(shown) == "most: 9"
    assert [state.state for state in states] == ["paused", "live", "live"]
    shown.unobserve(states.append)
    shown.close()
    shown.close()
    shown.resume()
    shown.look("tab")
    assert (shown.state.state, len(states)) == ("ended", 3)


def test_a_source_that_was_dropped_is_said(ctx):
    ctx.engine.command("CREATE TABLE gone (n Int64) ENGINE = MergeTree ORDER BY n")
    shown = ctx.live(ctx.table("gone"), throttle_s=0)
    time.sleep(0.5)
    ctx.engine.command("DROP TABLE gone SYNC")
    wait(lambda: shown.state.error)
    assert "gone" in shown.state.error
    assert "Resume" in shown.state.advice
    assert shown.state.error in shown._repr_mimebundle_()["text/plain"]
    ctx.engine.command("CREATE TABLE gone (n Int64) ENGINE = MergeTree ORDER BY n")
    shown.resume()
    wait(lambda: shown.state.updates)
    assert (shown.state.state, shown.state.error) == ("live", None)
    ctx.engine.command("DROP TABLE gone SYNC")
    shown.close()


def test_a_view_is_not_run_again_before_its_time(ctx, readings, monkeypatch):
    runs = []
    run = LiveQuery.result

    def counted(query, filters):
        runs.append(query)
        return run(query, filters)

    monkeypatch.setattr(LiveQuery, "result", counted)
    shown = ctx.live(readings.order_by("n"), throttle_s=1000)
    for n in range(3):
        readings.insert({"room": ["c"], "n": [n]})
        wait(lambda: runs)
        time.sleep(0.1)
    assert len(runs) == 1
    assert shown.subscription.is_active
    shown.close()


def test_a_view_that_fails_in_any_way_costs_the_others_no_insert(ctx, readings, monkeypatch):
    told = []
    run = LiveQuery.result

    def failing(query, filters):
        if query.head is not None:
            raise RuntimeError("not foreseen")
        return run(query, filters)

    monkeypatch.setattr(LiveQuery, "result", failing)
    shown = ctx.live(readings.order_by("n"), throttle_s=0)
    with readings.subscribe(told.append, throttle_s=0):
        readings.insert({"room": ["c"], "n": [7]})
        wait(lambda: told)
        wait(lambda: shown.state.error)
    assert told[0].rows["n"].to_pylist() == [7]
    assert "not foreseen" in shown.state.error
    shown.close()
