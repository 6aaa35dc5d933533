"""The Mermaid flowchart: what the picture says, and text that is never more than text."""

from __future__ import annotations

import html
import re

import lineage_graphs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_picture import ANY_TEXT, HOSTILE, hostile

from aaiclick_ext.untrusted import shortened, visible
from aaiclick_ext.widgets.card import cards
from aaiclick_ext.widgets.look import LABEL_COLUMNS, label_lines
from aaiclick_ext.widgets.mermaid import lineage_mermaid

LABEL = r'"(?P<label>(?:[^"#;<>`{}()%&:]|<br/>|#\d+;)*)"'
SHAPES = {"[": "]", "[(": ")]", "(": ")", "[/": "/]", "{{": "}}"}
NODE = re.compile(rf"    (?P<id>n\d+)(?P<open>\[\(|\[/|\[|\(|{{{{){LABEL}(?P<close>.+)")
EDGE = re.compile(rf"    (?P<start>n\d+) -->(?:\|{LABEL}\|)? (?P<end>n\d+)")
CLASS = re.compile(r"    class (?P<id>n\d+) [a-z]+(,[a-z]+)*")
CLASS_DEF = re.compile(r"    classDef [a-z]+ [a-z-]+:[#\w ]+(,[a-z-]+:[#\w ]+)*")


def read(text: str):
    """Read what `lineage_mermaid` may write, and nothing else; return its nodes and edges."""
    header, *lines = text.removesuffix("\n").split("\n")
    assert header == "flowchart LR"
    nodes, edges = {}, []
    for line in lines:
        if node := NODE.fullmatch(line):
            assert node["close"] == SHAPES[node["open"]]
            assert node["id"] not in nodes
            nodes[node["id"]] = [shown(part) for part in node["label"].split("<br/>")]
        elif edge := EDGE.fullmatch(line):
            edges.append((edge["start"], edge["label"] and shown(edge["label"]), edge["end"]))
        else:
            assert CLASS.fullmatch(line) or CLASS_DEF.fullmatch(line), line
    return nodes, edges


def shown(label: str) -> str:
    """Return what Mermaid shows of a label: entity codes are what HTML has, with an ampersand."""
    label = label.replace("#8203;", "")  # keeps apart what would act
    return "".join(
        chr(int(part[1:-1])) if re.fullmatch(r"#\d+;", part) else html.unescape(part)
        for part in re.split(r"(#\d+;)", label)
    )


@pytest.mark.parametrize("name", ["flights", "arrays", "inserts", "aged"])
def test_flowcharts_are_as_they_were(name: str, snapshot):
    snapshot(f"{name}.mmd", lineage_mermaid(getattr(lineage_graphs, name)()))


@pytest.mark.parametrize("name", ["flights", "arrays", "inserts", "aged"])
def test_they_say_what_the_picture_says(name: str):
    graph = getattr(lineage_graphs, name)()
    nodes, edges = read(lineage_mermaid(graph))
    assert nodes == {card.id: label_lines(card) for card in cards(graph)}
    assert len(edges) == len(graph.edges)


def test_roles_are_on_the_edges():
    _, edges = read(lineage_mermaid(lineage_graphs.arrays()))
    assert ("n0", "left", "n2") in edges
    assert ("n0", None, "n1") in edges


@pytest.mark.parametrize("text", [*HOSTILE, "%%{init: {}}%%", "1. a", "`x`", "a --> b", "-- x",
                                  "end", "*a* _b_ __c__", "#35;", "click n0 call x()", "fa:fa-x",
                                  "x" * 10_000, "ﬂ°°60¶ß"])  # fmt: skip
def test_hostile_text_stays_text(text: str):
    nodes, _ = read(lineage_mermaid(hostile(text)))
    assert len(nodes) == len(hostile(text).nodes)


@given(ANY_TEXT, st.text(st.characters(), max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_text_comes_out_as_it_went_in(text: str, role: str):
    events = [
        lineage_graphs.event("aai_t_1_a_1", "read_csv"),
        lineage_graphs.event("view_x", f"o{text}o", {f"r{role}": "aai_t_1_a_1"}),
    ]
    nodes, edges = read(lineage_mermaid(lineage_graphs.graph("view_x", events)))
    assert nodes["n1"][0] == shortened(visible(f"o{text}o"), LABEL_COLUMNS)
    assert edges == [("n0", shortened(visible(f"r{role}"), LABEL_COLUMNS), "n1")]


def test_what_acts_after_decoding_is_kept_apart():
    """As drawn by Mermaid 11.17 in Chromium: a formula, a line break and an icon without it."""
    events = [lineage_graphs.event("view_x", r"$$x$$ \n fa:fa-x a:b")]
    drawn = lineage_mermaid(lineage_graphs.graph("view_x", events))
    for apart in ("#36;#8203;#36;#8203;x", "#92;#8203;n", "fa#58;#8203;fa", "a#58;b"):
        assert apart in drawn


def test_an_empty_graph_is_a_flowchart():
    assert read(lineage_mermaid(lineage_graphs.OplogGraph("x", (), ()))) == ({}, [])
