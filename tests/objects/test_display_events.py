"""A display of a view leaves an event: what was shown, of what, by which SQL."""

from __future__ import annotations

import ibis.expr.types as ir
import pytest

from aaiclick_ext.objects.view import make_view
from aaiclick_ext.oplog.event import READ_FIELDS
from aaiclick_ext.oplog.queries import events_of


def shown(ctx, view):
    """Display a view; return the events of that."""
    start = ctx.snowflake.next()
    view._repr_mimebundle_()
    ctx.flush()
    sql = f"SELECT {', '.join(READ_FIELDS)} FROM operation_log WHERE id > {start} ORDER BY id"
    found = events_of(ctx.engine, sql, {})
    return [event for event in found if event.operation != "drop_table"]  # of other tests' tables


def test_a_table_a_view_and_an_array(ctx):
    t = ctx.create_object_from_value({"k": list(range(30)), "a": list(range(30))})
    late = t.filter(t.a > 3)
    array = ctx.create_object_from_value([3, 1, 2])
    for view in (t, late, array, array + 1):
        (event,) = shown(ctx, view)
        assert event.operation == "display"
        assert event.result_table.startswith("fetch_display_")
        assert event.kwargs == {"source": ctx.node_name(view)}
        assert event.rows == min(len(view), ctx.settings.display_rows)
        assert "SELECT" in event.sql_template
        assert event.elapsed_s > 0
        assert event.read_rows > 0
        assert event.written_bytes > 0
        assert [tuple(edge) for edge in event.columns] == [("*", ctx.node_name(view), "*", "value")]


def test_a_wide_one_reads_what_it_shows(ctx):
    most = ctx.settings.display_columns
    wide = ctx.create_object_from_value({f"c{n}": [n] for n in range(most + 5)})
    (event,) = shown(ctx, wide)
    assert [edge.column for edge in event.columns] == [*(f"c{n}" for n in range(most)), ""]


def test_what_no_wrapper_saw_gets_no_view_by_being_shown(ctx):
    t = ctx.create_object_from_value({"k": [1, 2], "a": [5, 6]})
    late = t.filter(t.a > 5)
    provenance = ctx.backend.provenance
    both = make_view(ir.Table(t.op()).union(ir.Table(late.op())).op())
    names = {t.table_name, ctx.node_name(late)}
    (event,) = shown(ctx, both)
    assert set(event.kwargs.values()) == names
    assert {edge.source for edge in event.columns} == names
    assert provenance.known_name(both.op()) is None


def test_one_that_fails_says_so(ctx):
    t = ctx.create_object_from_value({"a": ["x"]})
    wrong = t.mutate(a=t.a.cast("int64"))
    (event,) = shown(ctx, wrong)
    assert (event.status, event.rows) == ("error", None)
    assert event.kwargs == {"source": ctx.node_name(wrong)}
    assert "x" in event.error


def test_displays_are_asked_for(ctx):
    t = ctx.create_object_from_value({"a": [1, 2]})
    late = t.filter(t.a > 1)
    late._repr_mimebundle_()
    late.data()
    told = [e.operation for e in ctx.forward_oplog(t)]
    assert told == ["filter", "data"]
    told = [e.operation for e in ctx.forward_oplog(t, displays=True)]
    assert told == ["filter", "display", "data"]
    for graph in (ctx.oplog_subgraph(t, "both"), ctx.fed_by(t)):
        assert "display" not in {node.operation for node in graph.nodes}
        assert "display" not in graph.to_prompt_context()
    graphs = (ctx.oplog_subgraph(t, "forward", displays=True), ctx.fed_by(t, displays=True))
    for graph in graphs:
        assert [n.operation for n in graph.nodes][-2:] == ["display", "data"]
    (display,) = (n.table for n in graphs[0].nodes if n.operation == "display")
    assert [e.operation for e in ctx.backward_oplog(display)][-2:] == ["filter", "display"]


@pytest.mark.parametrize("ask", ["stale_results", "restore"])
def test_other_questions_do_not_see_them(ctx, ask):
    t = ctx.create_object_from_value({"a": [1, 2]})
    late = t.filter(t.a > 1).copy()
    late._repr_mimebundle_()
    t.insert({"a": [5]})
    late._repr_mimebundle_()
    if ask == "stale_results":
        assert [found.table for found in ctx.stale_results(late)] == [late.table_name]
        return
    name = late.table_name
    del late
    assert ctx.restore(name).status == "exact"
