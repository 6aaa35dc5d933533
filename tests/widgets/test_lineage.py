"""The widget in Python: its bundle, its selection, and what it takes from a front end."""

from __future__ import annotations

import gc
import json
import logging
import re
import subprocess
import sys
import weakref
from pathlib import Path

import lineage_graphs
import pytest
import traitlets

from aaiclick_ext.errors import PictureError
from aaiclick_ext.widgets import LineageWidget, Mode, close_widgets, lineage_bundle
from aaiclick_ext.widgets.legend import KEYS
from aaiclick_ext.widgets.picture import MAX_NODES
from aaiclick_ext.widgets.svg import ATTRIBUTES, ELEMENTS


@pytest.fixture
def widget():
    made = LineageWidget(lineage_graphs.arrays())
    yield made
    made.close()


def receive(widget: LineageWidget, content: object, buffers: list[bytes] | None = None) -> None:
    """Let a widget have a custom message, on the way that ipywidgets takes."""
    widget._handle_custom_msg(content, buffers or [])


def test_the_bundle_has_the_live_the_still_and_the_text():
    data, metadata = lineage_bundle(lineage_graphs.flights())
    assert set(data) == {
        "application/vnd.jupyter.widget-view+json", "image/svg+xml", "text/plain",
    }  # fmt: skip
    assert metadata == {}
    assert data["image/svg+xml"].startswith("<svg")
    assert data["text/plain"].startswith("Lineage of worst")
    assert 'class="legend"' in data["image/svg+xml"]  # the live one has its own, in the tool bar
    json.dumps(data)


def test_a_graph_too_large_is_told_as_text():
    data, _ = lineage_bundle(lineage_graphs.chain(MAX_NODES + 1), mode=Mode())
    assert set(data) == {"text/plain"}
    assert data["text/plain"].rstrip().endswith("read the text)")


def test_a_message_selects_and_observers_hear(widget: LineageWidget):
    heard = []
    widget.observe(lambda change: heard.append(change["new"]), "selected")
    receive(widget, {"type": "select", "node": "n1"})
    assert widget.selected == "view_sum"
    receive(widget, {"type": "select", "node": None})
    assert heard == ["view_sum", None]


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        "select",
        {},
        {"type": "select"},
        {"type": "select", "node": "n99"},
        {"type": "select", "node": "view_sum"},
        {"type": "select", "node": 1},
        {"type": "select", "node": ["n1"]},
        {"type": "select", "node": {"n1": 1}},
        {"type": "select", "node": ""},
        {"type": "select", "node": "n1", "code": "1"},
        {"type": ["select"], "node": "n1"},
        {"type": "eval", "node": "n1"},
        {"type": "select", "node": "n1\x1b[31m" + "x" * 10_000},
        {"type": "draw", "mode": None},
        {"type": "draw", "mode": {**Mode().told(), "columns": 1}},
        {"type": "draw", "mode": {**Mode().told(), "opened": ["view_sum"]}},
        {"type": "draw", "mode": {**Mode().told(), "opened": "n1"}},
        {"type": "draw", "mode": {**Mode().told(), "more": True}},
        {"type": "draw", "mode": Mode().told(), "node": "n1"},
        {"type": "ask", "request": 1, "about": "rows", "node": "n1", "row": None},
        {"type": "stop", "request": "1"},
        {"type": "ask", "request": True, "about": "rows", "node": "n1", "row": None},
    ],
)
def test_other_messages_are_ignored_with_a_warning(
    widget: LineageWidget, content: object, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.WARNING):
        receive(widget, content)
    assert widget.selected is None
    (record,) = caplog.records
    assert "the page sent" in record.message
    assert len(record.message) < 400
    assert record.message.isprintable() or "…" in record.message


def test_buffers_make_a_message_another(widget: LineageWidget):
    receive(widget, {"type": "select", "node": "n1"}, [b"x"])
    assert widget.selected is None


def test_the_front_end_sets_no_trait(widget: LineageWidget, caplog: pytest.LogCaptureFixture):
    drawing, esm = widget._drawing, widget._esm
    widget.set_state({"_drawing": {}, "_esm": "evil", "selected": "view_sum", "_chosen": "n1"})
    assert (widget._drawing, widget._esm, widget.selected) == (drawing, esm, None)
    assert "tried to set" in caplog.text


def test_python_selects_what_is_there(widget: LineageWidget):
    widget.selected = "view_sum"
    assert widget.get_state("_chosen") == {"_chosen": "n1"}
    with pytest.raises(traitlets.TraitError, match="not in this graph"):
        widget.selected = "elsewhere"
    widget.selected = None
    assert widget.get_state("_chosen") == {"_chosen": ""}


def test_what_came_from_the_front_end_is_not_sent_back(widget: LineageWidget, monkeypatch):
    sent = []
    monkeypatch.setattr(widget, "_send", lambda message, buffers=None: sent.append(message))
    receive(widget, {"type": "select", "node": "n1"})
    assert sent == []
    widget.selected = "view_share"
    assert [message["state"] for message in sent] == [{"_chosen": "n2"}]


def test_a_message_draws_it_anew(widget: LineageWidget):
    before = widget._drawing
    receive(widget, {"type": "draw", "mode": {**Mode().told(), "columns": True}})
    assert widget.mode == Mode(columns=True)
    assert widget._drawing["svg"] != before["svg"]
    widget.mode = Mode()
    assert widget._drawing == before


def test_a_drawing_that_is_refused_leaves_the_one_there_is(monkeypatch):
    made = LineageWidget(lineage_graphs.chain(MAX_NODES + 1))
    before, sent = made._drawing, []
    monkeypatch.setattr(made, "send", sent.append)
    receive(made, {"type": "draw", "mode": Mode().told()})
    assert made._drawing is before
    assert [message["type"] for message in sent] == ["refused"]
    with pytest.raises(PictureError):
        made.mode = Mode()
    assert made.mode == Mode(fold=True, near=True)
    made.close()


class Answering:
    """Answers with what it was asked."""

    def __init__(self, *, can_restore: bool):
        self.can_restore = can_restore

    def answer(self, about, table, row):
        if about == "restore":
            made = "aai_t_9" if table == "aai_t_7_k1_s3" else ""
            return {"restored": {"status": "x", "reason": "", "table": made, "variable": "t"}}
        return {"asked": [about, table, row]}

    def stop(self, thread):
        raise AssertionError(f"nobody stops {thread}")


def test_questions_reach_what_answers_them(monkeypatch, caplog):
    sent = []
    monkeypatch.setattr(LineageWidget, "send", lambda _, message: sent.append(message))
    made = LineageWidget(lineage_graphs.arrays(), Answering(can_restore=False))
    assert made._can == ["sql", "columns", "rows", "trace"]
    receive(made, {"type": "ask", "request": 7, "about": "trace", "node": "n1", "row": 3})
    made.asking.wait()
    assert sent == [{"type": "answer", "request": 7, "asked": ["trace", "view_sum", 3]}]
    with caplog.at_level(logging.WARNING):
        receive(made, {"type": "ask", "request": 8, "about": "restore", "node": "n1", "row": None})
        receive(made, {"type": "ask", "request": -1, "about": "rows", "node": "n1", "row": None})
        receive(made, {"type": "ask", "request": 9, "about": "rows", "node": "n9", "row": None})
    assert len(sent) == 1
    assert len(caplog.records) == 3
    made.close()
    able = LineageWidget(lineage_graphs.arrays(), Answering(can_restore=True))
    assert able._can[-1] == "restore"
    able.close()


def test_what_was_restored_is_drawn_as_living(monkeypatch):
    sent = []
    monkeypatch.setattr(LineageWidget, "send", lambda _, message: sent.append(message))
    made = LineageWidget(lineage_graphs.aged(), Answering(can_restore=True), Mode(cells=True))
    receive(made, {"type": "select", "node": "n2"})
    before = made._drawing
    ask = {"type": "ask", "request": 1, "about": "restore", "node": "n1", "row": None}
    receive(made, ask)  # in vain
    made.asking.wait()
    assert made._drawing is before
    receive(made, {**ask, "request": 2, "node": "n2"})
    made.asking.wait()
    assert [message["request"] for message in sent] == [1, 2]
    assert [node["state"] for node in made._nodes] == ["stale", "stale", "alive", "alive", "stale"]
    assert ["restored as", "t (aai_t_9)"] in made._nodes[2]["facts"]
    assert "state-dropped" not in made._drawing["svg"]
    assert (made.mode, made.selected) == (Mode(cells=True), "aai_t_7_k1_s3")
    made.mode = Mode()
    assert "state-dropped" not in made._repr_mimebundle_()[0]["image/svg+xml"]
    made.close()


def test_a_column_and_a_fold_select_their_table():
    by_column = LineageWidget(lineage_graphs.shop(), mode=Mode(columns=True))
    item = by_column._drawing["items"][0]
    receive(by_column, {"type": "select", "node": item["id"]})
    assert by_column._tables[item["of"]] == by_column.selected
    assert by_column._chosen == item["id"]
    by_column.close()
    folded = LineageWidget(lineage_graphs.chain(100, every=1000))
    (fold,) = folded._drawing["items"]
    receive(folded, {"type": "select", "node": fold["id"]})
    assert folded.selected == "view_97"
    assert folded._chosen == fold["id"]
    folded.close()


def test_close_widgets_closes_and_forgets():
    made = LineageWidget(lineage_graphs.arrays())
    close_widgets()
    assert made.comm is None
    gone = weakref.ref(made)
    del made
    gc.collect()
    assert gone() is None


def test_the_front_end_is_small_and_loads_nothing():
    code, style = LineageWidget._esm, LineageWidget._css
    assert len(code.encode()) < 40_000
    addresses = set(re.findall(r"\w+://[^\s\"']+", code + style))
    assert addresses == {"http://www.w3.org/2000/svg"}
    forbidden = (
        "innerHTML outerHTML insertAdjacent document.write eval( import( fetch( XMLHttp Function( "
        "setTimeout srcdoc localStorage"
    )
    for word in forbidden.split():
        assert word not in code, word
    assert not re.search(r"^\s*import\b", code, re.MULTILINE)
    assert "@import" not in style
    assert "url(" not in style


def test_the_front_end_has_the_same_lists():
    code = LineageWidget._esm
    for name, expected in (("ELEMENTS", ELEMENTS), ("ATTRIBUTES", ATTRIBUTES)):
        found = re.search(rf"const {name} = new Set\(\[(.*?)\]\)", code, re.DOTALL)
        assert set(re.findall(r'"([^"]+)"', found[1])) == expected
    legend = re.search(r"const LEGEND = \[(.*?)\n\];", code, re.DOTALL)[1]
    expected = [(key.name, key.word, key.path) for key in KEYS]
    assert re.findall(r'\["([^"]+)", "([^"]+)", "([^"]+)"\]', legend) == expected


def test_a_tree_needs_no_widget_library():
    code = (
        "import sys; from aaiclick_ext.widgets import lineage_tree; "
        "print({'ipywidgets', 'anywidget', 'wasmtime', 'graphviz'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.stdout == "set()\n"
