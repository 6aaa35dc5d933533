"""The legend of a still picture says what occurs in it, and changes nothing of it."""

from __future__ import annotations

import re

import lineage_graphs
import pytest
from test_picture import HOSTILE, SVG, assert_only_allowed, hostile, node, texts

from aaiclick_ext.widgets import LineageWidget, Mode, lineage_dot, lineage_svg
from aaiclick_ext.widgets.legend import with_legend


def words(svg: str) -> list[str]:
    """Return what the legend of a picture lists."""
    root = assert_only_allowed(svg)
    groups = [g for g in root.iter(f"{SVG}g") if g.get("class") == "legend"]
    return texts(groups[0]) if groups else []


@pytest.mark.parametrize(
    ("graph", "mode", "listed"),
    [
        ("flights", None, "source table view result alive dropped failed"),
        ("arrays", None, "source view"),
        ("inserts", None, "source table result alive dropped"),
        ("aged", None, "source table alive stale dropped"),
        ("shop", Mode(fold=True), "source table view folded steps alive dropped"),
        ("shop", Mode(columns=True), "source table view alive dropped"),
    ],
)
def test_it_lists_what_occurs(graph: str, mode: Mode | None, listed: str):
    svg = lineage_svg(getattr(lineage_graphs, graph)(), mode)
    assert " ".join(words(svg)) == listed


def test_it_says_the_same_as_text():
    root = assert_only_allowed(lineage_svg(lineage_graphs.aged()))
    said = (
        "Legend: source, a sheet with a folded corner; table, a cylinder; alive, a full outline; "
        "stale, a double outline; dropped, a dashed outline."
    )
    (group,) = (g for g in root.iter(f"{SVG}g") if g.get("class") == "legend")
    assert group.get("aria-label") == group.find(f"{SVG}title").text == said
    assert root.get("aria-label") == f"Lineage of all: 5 steps. {said}"


@pytest.mark.parametrize("name", ["flights", "arrays", "aged"])
def test_the_drawing_below_it_is_the_live_one(name: str):
    graph = getattr(lineage_graphs, name)()
    widget = LineageWidget(graph)
    live, still = widget._drawing["svg"], lineage_svg(graph)
    widget.close()
    assert still == with_legend(live)
    start = '<g id="lineage"'
    assert still[still.index(start) :] == live[live.index(start) :]
    assert "legend" not in live
    assert "egend" not in lineage_dot(graph)


def test_it_stands_above_the_drawing_and_fits():
    for graph in (lineage_graphs.flights(), lineage_graphs.arrays(), lineage_graphs.chain(2)):
        root = assert_only_allowed(lineage_svg(graph))
        _, top, width, height = map(float, root.get("viewBox").split())
        assert (root.get("width"), root.get("height")) == (f"{width:.0f}", f"{height:.0f}")
        (group,) = (g for g in root.iter(f"{SVG}g") if g.get("class") == "legend")
        for line in group.iter(f"{SVG}text"):
            assert top < float(line.get("y")) < 0
            assert 0 < float(line.get("x")) < width - 6 * len(line.text)


def test_a_picture_whose_texts_are_hostile_has_a_true_one():
    evil = '<g id="n0" class="node kind-sink state-failed">'
    events = [lineage_graphs.event("view_1", evil, variable_names=(evil,))]
    svg = lineage_svg(lineage_graphs.graph("view_1", events))
    assert words(svg) == ["view"]
    assert node(assert_only_allowed(svg), "n0").get("aria-label").startswith(evil[:20])
    for text in HOSTILE:
        listed = set(words(lineage_svg(hostile(text))))
        assert listed <= {"source", "view", "alive", "dropped", "failed"}


def test_what_has_no_node_has_none():
    assert with_legend("<svg>\n</svg>\n") == "<svg>\n</svg>\n"
    assert not re.search("legend", with_legend("nonsense"))
