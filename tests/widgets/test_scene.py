"""What is drawn of a graph: folds, the nearest steps, boxes of cells; and its pictures."""

from __future__ import annotations

import itertools

import lineage_graphs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lineage_graphs import event, graph
from test_picture import INPUTS, assert_only_allowed

from aaiclick_ext.widgets import Mode, lineage_svg
from aaiclick_ext.widgets.card import Kind
from aaiclick_ext.widgets.mode import FOLD_FROM, NEAR_FROM
from aaiclick_ext.widgets.scene import scene

FOLD = Mode(fold=True)


def steps(*names: str):
    """Return a graph of one chain; an empty name is an unnamed view."""
    tables = ["aai_t_7_k1_x0", *(f"view_x{n}" for n in range(1, len(names)))]
    events = [event(tables[0], "read_csv", variable_names=(names[0],))]
    for number, (before, table) in enumerate(itertools.pairwise(tables), 1):
        given = (names[number],) if names[number] else ()
        events.append(event(table, f"op{number}", {"source": before}, variable_names=given))
    return graph(tables[-1], events, tables[0])


def test_unnamed_steps_in_a_row_become_one():
    drawn = scene(steps("raw", "", "", "", "end"), FOLD)
    assert [card.id for card in drawn.cards] == ["n0", "f1", "n4"]
    fold = drawn.cards[1]
    assert (fold.kind, fold.members, fold.operation) == (Kind.FOLD, ("n1", "n2", "n3"), "3 steps")
    assert fold.name == "op1 → op2 → op3"
    assert [(e.source, e.target) for e in drawn.edges] == [
        ("aai_t_7_k1_x0", "fold n1"), ("fold n1", "view_x4"),
    ]  # fmt: skip
    assert drawn.said == "3 steps are folded into 1."


@pytest.mark.parametrize(
    "names", [("raw", "", "end"), ("raw", "", "b", "", "end"), ("raw", "a", "b", "c", "end")]
)
def test_one_unnamed_step_and_short_chains_stay(names):
    assert scene(steps(*names), FOLD).said == ""


def test_the_middle_of_a_long_chain_becomes_one():
    drawn = scene(steps(*"abcdefghi"), FOLD)
    assert [card.id for card in drawn.cards] == ["n0", "n1", "f2", "n7", "n8"]
    assert drawn.cards[2].name == "op2 → op3 → op4 → …"


def test_a_fold_that_was_opened_stays_open():
    names = ("raw", "", "", "b", "", "", "end")
    assert scene(steps(*names), FOLD).said == "4 steps are folded into 2."
    opened = scene(steps(*names), Mode(fold=True, opened=frozenset({"n1", "n2"})))
    assert [card.id for card in opened.cards] == ["n0", "n1", "n2", "n3", "f4", "n6"]


def test_what_branches_or_failed_is_never_folded():
    events = [
        event("aai_t_7_k1_x0", "read_csv"),
        event("view_1", "a", {"source": "aai_t_7_k1_x0"}),
        event("view_2", "b", {"source": "view_1"}),
        event("view_3", "c", {"source": "view_1"}),
        event("view_4", "d", {"left": "view_2", "right": "view_3"}),
    ]
    assert scene(graph("view_4", events), FOLD).said == ""


def test_a_large_graph_shows_the_nearest_steps_and_says_so():
    large = lineage_graphs.chain(1000)
    mode = Mode.of_size(len(large.nodes))
    assert mode == Mode(fold=True, near=True)
    drawn = scene(large, mode)
    assert len(drawn.cards) == NEAR_FROM
    assert drawn.said == f"{1000 - NEAR_FROM} steps farther away are not shown."
    assert any(card.is_root for card in drawn.cards)
    assert sum(card.hidden_inputs for card in drawn.cards) > 0
    assert Mode.of_size(FOLD_FROM) == Mode()


def test_a_chain_of_a_thousand_is_a_few_steps():
    long = lineage_graphs.chain(1000, every=10_000)
    drawn = scene(long, Mode.of_size(1000))
    assert len(drawn.cards) == 5
    assert drawn.said == "996 steps are folded into 1."
    root = assert_only_allowed(lineage_svg(long, Mode.of_size(1000)))
    assert any("996 steps are folded into 1." in (e.text or "") for e in root.iter())


def test_cells_are_boxes():
    drawn = scene(lineage_graphs.shop(), Mode(cells=True))
    assert [(group.title, group.ids) for group in drawn.groups] == [
        ("cell [1]", ("n0", "n1")),
        ("cell [2]", ("n2", "n3", "n4")),
        ("cell [3]", ("n5",)),
    ]
    boxes = [
        g for g in assert_only_allowed(lineage_svg(lineage_graphs.shop(), Mode(cells=True))).iter()
        if g.get("class") == "cluster"
    ]  # fmt: skip
    assert len(boxes) == 3


def test_cells_of_several_kernels_say_which():
    events = [
        event("aai_t_7_k1_a", "read_csv", execution_count=1, job_id=1),
        event("view_a", "filter", {"source": "aai_t_7_k1_a"}, execution_count=1, job_id=2),
    ]
    drawn = scene(graph("view_a", events), Mode(cells=True))
    assert [group.title for group in drawn.groups] == ["cell [1], kernel 1", "cell [1], kernel 2"]


@given(st.lists(INPUTS, min_size=1, max_size=12), st.booleans(), st.booleans())
@settings(max_examples=100, deadline=None)
def test_any_graph_is_drawn_with_each_step_once(given_steps, cells: bool, named: bool):
    events = [
        event(f"view_a{n}", "step", {r: f"view_a{i}" for r, i in s.items()}, execution_count=n // 3,
              variable_names=("x",) * named)
        for n, s in enumerate(given_steps)
    ]  # fmt: skip
    whole = graph("view_a0", events)
    drawn = scene(whole, Mode(fold=True, cells=cells))
    told = [id_ for card in drawn.cards for id_ in (card.members or (card.id,))]
    assert sorted(told) == sorted(f"n{n}" for n in range(len(whole.nodes)))
    tables = {card.table for card in drawn.cards}
    assert all(e.source in tables and e.target in tables for e in drawn.edges)
    assert_only_allowed(lineage_svg(whole, Mode(fold=True, cells=cells)))
