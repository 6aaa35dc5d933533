"""Live results in a real kernel: while it is idle, while a cell runs a query, and at the end."""

from __future__ import annotations

import time

import pytest

pytestmark = pytest.mark.kernel

PATIENCE_S = 30
ENDLESS = "sum(sipHash64(a.number, b.number)) AS s FROM numbers(1000000) a, numbers(10000000) b"
MAKE = """
import threading
readings = aai.create_object_from_value([1, 2])
total = aai.live(readings.sum(), 'number', throttle_s=0)
seen = []
total.observe(lambda state: seen.append(state.showing.value))
stop = threading.Event()
def feed():
    while not stop.wait(0.2):
        readings.insert([1])
feeding = threading.Thread(target=feed)
feeding.start()
total"""
END = """
stop.set(); feeding.join()
total.close()
del total, readings, seen"""


def comm_messages(kernel, count):
    """Wait for so many updates of widgets outside any cell; return their states."""
    states, deadline = [], time.monotonic() + PATIENCE_S
    while len(states) < count:
        message = kernel.client.get_iopub_msg(timeout=max(deadline - time.monotonic(), 0.01))
        data = message["content"].get("data", {})
        if message["msg_type"] == "comm_msg" and "_state" in data.get("state", {}):
            assert data["method"] == "update"
            assert list(data["state"]) == ["_state"]
            states.append(data["state"]["_state"])
    return states


def test_it_follows_while_the_kernel_is_idle_and_while_a_query_is_interrupted(kernel):
    shown = kernel.check(MAKE).displays[0]
    assert set(shown) == {"application/vnd.jupyter.widget-view+json", "text/html", "text/plain"}
    assert "live, updated" in shown["text/plain"]
    states = comm_messages(kernel, 3)  # one for each update, and no cell runs
    values = [int(state["number"]["value"]) for state in states]
    assert values == sorted(set(values))
    assert [state["state"] for state in states] == ["live"] * 3

    kernel.check("before = len(seen)")
    request = kernel.begin(f"aai.sql('SELECT {ENDLESS}').data()")
    comm_messages(kernel, 3)
    kernel.interrupt()
    result = kernel.finish(request)
    assert result.error is not None
    assert result.error.ename == "KeyboardInterrupt"
    comm_messages(kernel, 3)  # and it goes on
    assert kernel.value("(total.state.state, total.state.error)") == ("live", None)
    assert kernel.value("feeding.is_alive()")
    assert kernel.value("len(aai.system.live_queries)") == 1

    ended = kernel.check(END + "\ngc.collect()")
    assert [set(data) for data in ended.updates] == [{"text/html", "text/plain"}]
    assert "ended, updated" in ended.updates[0]["text/plain"]
    assert kernel.value("len(aai.system.live_queries)") == 0
    kernel.check("aai.context().flush()")
    assert kernel.tables() == []


def test_the_message_of_a_page_is_checked_and_a_page_that_goes_ends_it(kernel):
    kernel.check(
        "x = aai.create_object_from_value([1])\n"
        "from aaiclick_ext.live import result as live_result\n"
        "live_result.GRACE_S = 0\n"
        "shown = aai.live(x, 'number')\nshown"
    )
    kernel.check(
        "from aaiclick_ext.widgets import LiveWidget, open_widgets\n"
        "(widget,) = open_widgets(LiveWidget)"
    )
    kernel.check("widget.set_state({'_state': {}})")
    refused = [
        None,
        "look",
        {"type": "look"},
        {"type": "look", "viewer": ""},
        {"type": "look", "viewer": "v" * 65},
        {"type": "pause", "more": 1},
        {"type": 1},
    ]
    for content in refused:
        kernel.check(f"widget._handle_custom_msg({content!r}, [])")
    assert kernel.value("(shown.state.state, shown._viewers)") == ("live", set())
    kernel.check("widget._handle_custom_msg({'type': 'look', 'viewer': 'v'}, [])")
    kernel.check("widget._handle_custom_msg({'type': 'pause'}, [])")
    assert kernel.value("shown.state.state") == "paused"
    kernel.check("widget._handle_custom_msg({'type': 'resume'}, [])")
    kernel.check("widget._handle_custom_msg({'type': 'look_away', 'viewer': 'v'}, [])")
    kernel.check("while len(aai.system.live_queries): time.sleep(0.05)")
    assert kernel.value("shown.state.state") == "waiting"
    kernel.check("del x\naai.context().flush()")
    assert kernel.tables() == []
    kernel.check("shown.close()\ndel shown, widget")


def test_why_names_what_follows_a_table_and_not_our_own_parts(kernel):
    kernel.check(
        "x = aai.create_object_from_value([1])\n"
        "shown = aai.live(x.sum(), 'number', throttle_s=0)\n"
        "positive = x.filter(x.value > 0).subscribe(lambda change: None)\n"
        "x.insert([2])\n"
        "while not shown.state.updates: time.sleep(0.02)"
    )
    held = kernel.value("sorted(chain.text for chain in aai.why(x).chains)")
    assert [text.rstrip("0123456789") for text in held] == [
        "live query ",
        "live query ",
        "variable x",
    ]
    kernel.check("shown.close()\npositive.cancel()\ndel shown, positive")


def test_unloading_ends_live_results_and_leaves_what_they_showed(start_kernel):
    kernel = start_kernel()
    kernel.load()
    kernel.check("x = aai.create_object_from_value([7])\naai.live(x, 'number')")
    assert kernel.check("live = aai.live(x)\ndisplay(live)").displays
    ended = kernel.check("%unload_ext aaiclick_ext")
    assert len(ended.updates) == 2
    assert all("ended, updated" in data["text/plain"] for data in ended.updates)
    kernel.check("import threading")
    assert kernel.value("[t.name for t in threading.enumerate() if 'aai-live' in t.name]") == []
