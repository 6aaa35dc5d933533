"""Lineage through named views: graphs, scripts, staleness and restoring."""

from __future__ import annotations

from ibis import _

from aaiclick_ext.oplog.graph import DROP_TABLE
from aaiclick_ext.widgets.card import Kind, cards


def text_of(view):
    return view._repr_mimebundle_()["text/plain"]


def test_lineage_goes_through_a_named_view(ctx, tables):
    source = ctx.create_object_from_value({"id": [1, 2, 3], "d": [5, 90, 70]})
    source.insert({"id": [9], "d": [99]})
    ctx.create_view("late", source.filter(_.d > 60).mutate(x=_.d * 2))
    worst = ctx.table("late").filter(_.id > 1).copy()
    by_text = ctx.sql("SELECT l.id FROM late AS l").copy()
    ctx.flush()

    for made in (worst, by_text, "late"):
        graph = ctx.subgraph(made)
        assert source.table_name in {node.table for node in graph.nodes}
        node = graph.node("late")
        assert (node.is_named_view, node.alive) == (True, True)
    (card,) = [card for card in cards(graph) if card.table == "late"]
    assert (card.kind, card.name) == (Kind.VIEW, "late")

    script = ctx.lineage_sql(worst)
    assert "CREATE VIEW `late`\nAS SELECT" in script
    assert "CREATE TABLE `late`" not in script
    assert "Reads what is not made here" not in script
    assert script.index("CREATE VIEW `late`") < script.index('FROM "late"')
    assert "CREATE VIEW `late`" in ctx.lineage_sql("late")

    source.insert({"id": [4], "d": [77]})
    fresh = ctx.table("late").copy()
    ctx.flush()
    stale = {result.table for result in ctx.stale_results()}
    assert stale == {worst.table_name, by_text.table_name}
    assert "stale" in text_of(worst)
    assert "stale" not in text_of(fresh)
    assert "stale" not in text_of(ctx.table("late"))

    contents = {made.table_name: made.data() for made in (worst, by_text, fresh)}
    del worst, by_text, made
    fresh_name = fresh.table_name
    del fresh
    assert tables() == {source.table_name}
    ctx.create_view("late", source.limit(0).mutate(x=_.d), if_exists="replace")
    ctx.drop_view("late")
    ctx.flush()
    for name, content in contents.items():
        restored = ctx.restore(name)
        assert restored.status in ("exact", "equal but unordered"), restored
        found = restored.object.data()
        assert {c: sorted(v) for c, v in found.items()} == {
            c: sorted(v) for c, v in content.items()
        }
    assert fresh_name in contents
    node = ctx.subgraph("late", "forward").node("late")
    assert node.alive is False
    assert node.end is not None
    assert (node.end.operation, node.end.params["reason"]) == (DROP_TABLE, "drop_view")


def test_what_is_under_a_view_may_be_stale(ctx):
    source = ctx.create_object_from_value({"a": [1]})
    copied = source.copy()
    ctx.create_view("v", copied)
    ctx.create_view("w", ctx.table("v"))
    assert "stale" not in text_of(ctx.table("w"))
    source.insert({"a": [2]})
    assert "stale" in text_of(ctx.table("w"))
    assert "stale" in text_of(ctx.sql("SELECT a + 1 AS b FROM w"))
    ctx.drop_view("w")
    ctx.drop_view("v")


def test_the_copies_of_a_view_are_its_inputs(ctx):
    source = ctx.create_object_from_value({"a": [1]})
    ctx.create_view("v", source.mutate(b=_.a), copy=True)
    made = ctx.table("v").copy()
    source.insert({"a": [2]})
    ctx.flush()
    (copied,) = ctx.list_views()[0].sources
    graph = ctx.subgraph(made)
    edges = {(edge.source, edge.target) for edge in graph.edges}
    assert {(source.table_name, copied), (copied, "v"), ("v", made.table_name)} <= edges
    ctx.drop_view("v")
