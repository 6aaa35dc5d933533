"""The lineage as text: inputs under what they made, diamonds once, nothing that acts."""

from __future__ import annotations

import lineage_graphs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_picture import HOSTILE, hostile

from aaiclick_ext.oplog import OplogGraph
from aaiclick_ext.untrusted import display_width
from aaiclick_ext.widgets.tree import MAX_LINES, lineage_tree


@pytest.mark.parametrize("name", ["flights", "arrays", "inserts", "aged"])
def test_trees_are_as_they_were(name: str, snapshot):
    snapshot(f"{name}.txt", lineage_tree(getattr(lineage_graphs, name)()) + "\n")


def test_a_diamond_is_drawn_once():
    tree = lineage_tree(lineage_graphs.arrays())
    assert tree.count("create_from_value") == 1
    assert tree.splitlines()[2:] == [
        "├─ left: a, b [1] · create_from_value · 1 row · alive  #1",
        "└─ right: [3] · sum · view",
        "   └─ ↑ a, b [1], see #1",
    ]


def test_an_unknown_root_is_a_line():
    assert lineage_tree(OplogGraph("gone", (), ())) == "Lineage of gone: 0 steps"


def test_a_cycle_ends():
    events = [
        lineage_graphs.event("aai_t_1_a_1", "create_from_value"),
        lineage_graphs.event("view_1", "filter", {"source": "aai_t_1_a_1"}),
        lineage_graphs.event(
            "aai_t_1_a_1", "insert", {"source": "view_1", "target": "aai_t_1_a_1"}
        ),
    ]
    tree = lineage_tree(lineage_graphs.graph("aai_t_1_a_1", events, "aai_t_1_a_1"))
    assert "see #1" in tree


def test_a_long_chain_is_cut_and_says_so():
    lines = lineage_tree(lineage_graphs.chain(3000, every=10_000)).splitlines()
    assert len(lines) == MAX_LINES + 2
    assert "--depth" in lines[-1]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_one_line_of_print(text: str):
    for line in lineage_tree(hostile(text)).split("\n"):
        assert line.isprintable() or "\u200d" in line or "\ufe0f" in line, repr(line)


@given(st.text(st.characters(), max_size=40), st.integers(20, 60))
@settings(max_examples=50, deadline=None)
def test_lines_keep_to_the_width(text: str, width: int):
    for line in lineage_tree(hostile(f"t{text}"), width=width).splitlines():
        assert display_width(line) <= width


def test_columns_follow_where_they_are_asked_for():
    lines = lineage_tree(lineage_graphs.shop(), columns=True).splitlines()
    assert lines[lines.index("Columns of best:") :] == [
        "Columns of best:",
        "total ← orders.n",
        "name ← regions.name",
        "(rows) ← orders.item (filter), orders.region (join, group), regions.region (join)",
    ]
    unknown = lineage_tree(lineage_graphs.arrays(), columns=True).splitlines()
    assert unknown[-1] == "what they are made of is not known"
    assert "\x1b" not in lineage_tree(hostile("a\x1b[31m"), columns=True)
