"""Column mode: the edges between columns, and which columns are left out."""

from __future__ import annotations

import lineage_graphs
import pytest
from lineage_graphs import event, graph
from test_picture import HOSTILE, assert_only_allowed, hostile, node

from aaiclick_ext.oplog.columns import ColumnEdge
from aaiclick_ext.widgets import Mode, lineage_svg
from aaiclick_ext.widgets.column_scene import MAX_COLUMNS, column_scene

COLUMNS = Mode(columns=True)


def told(drawn):
    """Return the edges by names: ``orders.n → view_o1.n`` and so on."""
    names = {card.id: card.table for card in drawn.cards}
    names |= {i.id: f"{names[i.of]}.{i.name}" for items in drawn.columns.values() for i in items}
    return {f"{names[a]} → {names[b]} {use}".strip() for a, b, use in drawn.edges}


def test_edges_go_from_column_to_column():
    orders, regions, best = "aai_t_7_k1_o1", "aai_t_7_k1_o2", "aai_t_7_k1_o3"
    drawn = column_scene(lineage_graphs.shop())
    assert told(drawn) == {
        f"{orders}.n → view_o1.n value",
        f"{orders}.region → view_o1.region value",
        f"{orders}.item → view_o1 filter",
        "view_o1.n → view_o2.total value",
        "view_o1.region → view_o2.region value",
        "view_o1.region → view_o2 group",
        "view_o2.total → view_o3.total value",
        "view_o2.region → view_o3 join",
        f"{regions}.region → view_o3 join",
        f"{regions}.name → view_o3.name value",
        f"view_o3.total → {best}.total value",
        f"view_o3.name → {best}.name value",
    }
    assert drawn.said == "3 columns that the result does not depend on are left out."
    types = {item.name: item.type for item in drawn.columns["n2"]}
    assert types == {"n": "Int64", "region": "UInt8"}  # a filter keeps the types


def test_the_picture_has_a_node_for_each_column():
    root = assert_only_allowed(lineage_svg(lineage_graphs.shop(), COLUMNS))
    drawn = column_scene(lineage_graphs.shop())
    for items in drawn.columns.values():
        for item in items:
            label = node(root, item.id).get("aria-label")
            assert label.startswith(f"column {item.name} of ")
    assert "3 columns that the result does not depend on are left out." in root.get("aria-label")


def test_unknown_columns_leave_an_edge_between_the_tables():
    drawn = column_scene(lineage_graphs.arrays())
    assert drawn.columns == {}
    assert len(drawn.edges) == 3
    assert all(use == "" for _, _, use in drawn.edges)


def test_a_wide_table_is_cut_and_says_so():
    wide = {f"c{n}": "Int8" for n in range(100)}
    events = [
        event("aai_t_7_k1_w", "read_csv", result_schema=wide),
        event("view_w", "filter", {"source": "aai_t_7_k1_w"},
              columns=(ColumnEdge("*", "aai_t_7_k1_w", "*", "value"),)),
    ]  # fmt: skip
    drawn = column_scene(graph("view_w", events))
    assert [len(items) for items in drawn.columns.values()] == [MAX_COLUMNS, MAX_COLUMNS]
    assert f"{2 * (100 - MAX_COLUMNS)} columns more are not shown" in drawn.said


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_stay_text(text: str):
    assert_only_allowed(lineage_svg(hostile(text), COLUMNS))
