"""Walks over column edges, from step to step."""

from __future__ import annotations

from aaiclick_ext.oplog.columns import (
    USES,
    ColumnEdge,
    ColumnUse,
    backward_columns,
    forward_columns,
)
from aaiclick_ext.oplog.derivation import edges_of, named, through


def value(output, source, column):
    return ColumnEdge(output, source, column, "value")


EDGES = {
    "view_1": (value("*", "aai_1", "*"), ColumnEdge("", "aai_1", "day", "filter")),
    "view_2": (
        value("day", "view_1", "day"),
        value("total", "view_1", "price"),
        value("total", "view_1", "pieces"),
        ColumnEdge("", "view_1", "day", "group"),
    ),
    "view_3": (
        value("total", "view_2", "total"),
        value("label", "aai_2", "label"),
        ColumnEdge("rank", "view_2", "total", "order"),
        ColumnEdge("", "view_2", "day", "join"),
        ColumnEdge("", "aai_2", "day", "join"),
    ),
    "view_4": (ColumnEdge("", "view_3", "", "value"),),  # count(*) AS n
    "fetch_1": (value("*", "view_3", "*"),),
    "unknown": None,
    "view_5": (value("x", "unknown", "y"),),
}


def backward(table, column, **options):
    return {(c.table, c.column, c.use) for c in backward_columns(EDGES, table, column, **options)}


def forward(table, column, **options):
    return {(c.table, c.column, c.use) for c in forward_columns(EDGES, table, column, **options)}


def test_values_are_followed_to_where_data_begins():
    assert backward("fetch_1", "total") == {
        ("aai_1", "price", "value"), ("aai_1", "pieces", "value"),
    }  # fmt: skip
    assert backward("fetch_1", "rank") == set()
    assert backward("view_4", "n") == set()
    assert backward("aai_1", "day") == {("aai_1", "day", "value")}


ROWS_OF_3 = {
    ("aai_1", "day", "filter"), ("aai_1", "day", "group"), ("aai_1", "day", "join"),
    ("aai_2", "day", "join"),
}  # fmt: skip


def test_the_use_nearest_to_the_result_counts():
    assert backward("view_3", "rank", uses=USES) == ROWS_OF_3 | {
        ("aai_1", "price", "order"), ("aai_1", "pieces", "order"),
    }  # fmt: skip
    assert backward("view_2", "total", uses=["value", "filter"]) == {
        ("aai_1", "price", "value"), ("aai_1", "pieces", "value"), ("aai_1", "day", "filter"),
    }  # fmt: skip


def test_a_count_depends_on_what_decides_about_rows():
    assert backward("view_4", "n", uses=USES) == ROWS_OF_3
    assert backward("view_4", "n", uses=["value", "filter"]) == {
        ("aai_1", "day", "filter"), ("aai_2", "", "value"),
    }  # fmt: skip


def test_all_columns_of_a_table():
    assert backward("view_3", "*") == {
        ("aai_1", "price", "value"), ("aai_1", "pieces", "value"), ("aai_2", "label", "value"),
    }  # fmt: skip


def test_edges_that_are_not_known_end_a_walk():
    assert backward("view_5", "x") == {("unknown", "y", "value")}


def test_forward_reaches_every_result():
    assert forward("aai_1", "price") == {
        ("view_1", "price", "value"), ("view_2", "total", "value"), ("view_3", "total", "value"),
        ("fetch_1", "total", "value"),
    }  # fmt: skip
    assert ("view_3", "rank", "order") in forward("aai_1", "price", uses=USES)
    assert ("view_4", "*", "join") in forward("aai_2", "day", uses=USES)
    assert forward("aai_2", "day") == set()


def test_cycles_end():
    edges = {"aai_1": (value("a", "aai_1", "b"), value("b", "aai_1", "a"), value("a", "x", "a"))}
    assert backward_columns(edges, "aai_1", "b") == {ColumnUse("x", "a", "value")}
    assert ColumnUse("aai_1", "b", "value") in forward_columns(edges, "x", "a")


def test_edges_are_read_over_what_their_sources_are_made_of():
    inner = named("aai_1", ["a", "b"]).with_rows([("aai_1", "b", "filter")])
    edges = [ColumnEdge("*", "v", "*", "value"), ColumnEdge("", "v", "a", "order")]
    assert edges_of(through(edges, ["a", "b"], {"v": inner})) == (
        value("a", "aai_1", "a"), value("b", "aai_1", "b"),
        ColumnEdge("", "aai_1", "a", "order"), ColumnEdge("", "aai_1", "b", "filter"),
    )  # fmt: skip
