"""What is said of a node."""

from __future__ import annotations

import lineage_graphs
import pytest
from lineage_graphs import event, graph

from aaiclick_ext.widgets.card import Card, cards
from aaiclick_ext.widgets.details import MAX_DETAIL, Details, details


def card(table: str, of: lineage_graphs.OplogGraph) -> Card:
    return next(c for c in cards(of) if c.table == table)


def told(table: str, of: lineage_graphs.OplogGraph) -> Details:
    return details(of)[table]


def test_inserts_add_to_what_made_the_table():
    inserts = lineage_graphs.inserts()
    orders = card("aai_s_7_k1_d1_orders", inserts)
    assert orders.operation == "create_from_value + insert (2x)"
    assert orders.rows == "1,502 rows"
    assert orders.name == "orders"
    assert orders.state == "alive"
    assert ("insert 1 source_0", "new (aai_t_7_k1_d2)") in told(orders.table, inserts).facts


@pytest.mark.parametrize(
    ("table", "living", "operation", "state"),
    [
        ("shop.orders", True, "foreign table", "alive"),
        ("shop.orders", False, "not recorded", "dropped"),
        ("aai_t_7_k1_e1", True, "create_object", "alive"),
        ("aai_g_7_k1_e1_orders", False, "create_object", "dropped"),
    ],
)
def test_what_has_no_event_says_what_it_is(table, living, operation, state):
    found = card(
        table, graph(table, [event("view_1", "x", {"source": table})], *([table] * living))
    )
    assert (found.operation, found.state, found.kind) == (operation, state, "source")


def test_a_failure_is_one_only_where_nothing_succeeded():
    assert card("aai_t_7_k1_a5", lineage_graphs.flights()).state == "failed"
    assert card("aai_s_7_k1_d1_orders", lineage_graphs.inserts()).state == "alive"


def test_inputs_that_are_out_of_reach_are_counted():
    events = [event("view_1", "join", {"left": "view_0", "right": "gone"})]
    lone = graph("view_1", events)
    near = type(lone)(lone.root, lone.nodes[-1:], ())
    assert card("view_1", near).hidden_inputs == 2
    assert "2 inputs not shown" in card("view_1", near).sentence


def test_a_long_text_is_kept_up_to_a_limit_that_is_said():
    sql = "x" * (MAX_DETAIL + 1234)
    found = told("view_1", graph("view_1", [event("view_1", "sql", sql_template=sql)]))
    assert found.sql == "x" * MAX_DETAIL + " … 1,234 more characters"


def test_unknown_rows_are_not_counted_as_none():
    events = [event("aai_t_1_a_1", "copy"), event("aai_t_1_a_1", "insert", rows=3)]
    assert card("aai_t_1_a_1", graph("aai_t_1_a_1", events)).rows == ""


def test_figures_that_are_not_known_are_left_out():
    facts = dict(told("aai_t_7_k1_s2", lineage_graphs.aged()).facts)
    assert facts["rows read"] == "500"
    assert facts["bytes read"] == "16 kB"
    assert facts["bytes written"] == "8 kB"
    assert facts["by"] == "ada"
    assert facts["made"] == "2026-03-14 15:09:26 UTC, cell [2]"
    lone = dict(told("aai_t_7_k1_s4", lineage_graphs.aged()).facts)
    assert not {"rows read", "bytes read", "bytes written", "by", "notebook"} & set(lone)


def test_a_dropped_table_says_when_and_why_and_what_it_was():
    assert card("aai_t_7_k1_s3", lineage_graphs.aged()).state == "dropped"
    again = told("aai_t_7_k1_s3", lineage_graphs.aged())
    assert dict(again.facts)["dropped"] == "2026-03-14 15:09:26 UTC, cell [6]"
    assert dict(again.facts)["why"] == "nothing referred to it any more"
    assert again.columns == (("item", "String"),)


def test_a_stale_table_says_what_changed():
    aged = lineage_graphs.aged()
    assert [c.state for c in cards(aged)] == ["stale", "stale", "dropped", "alive", "stale"]
    assert card("aai_t_7_k1_s2", aged).stale == ("orders got 2 rows in cell [4]",)
    assert (
        card("aai_t_7_k1_s1", aged)
        .stale[0]
        .startswith("the file orders.csv changed, and is now one of 2027")
    )
