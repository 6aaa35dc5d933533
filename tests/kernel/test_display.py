"""What the last line of a cell shows."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.kernel


@pytest.fixture
def table(kernel):
    kernel.check("t = aai.create_object_from_value({'who': ['x', '<b>y</b>'], 'n': [1, 2]})")
    return kernel


def test_a_view_is_a_table_in_html_and_in_text(table):
    data = table.check("t").data
    assert {"text/html", "text/plain"} <= set(data)
    assert "<b>y</b>" not in data["text/html"]
    assert "&lt;b&gt;y&lt;/b&gt;" in data["text/html"]
    assert "who" in data["text/plain"]


def test_a_scalar_shows_its_value(table):
    assert table.check("t.n.mean()").data == {"text/plain": "1.5"}
    assert table.check("t.who.max()").data == {"text/plain": "'x'"}


def test_a_column_shows_its_first_values(table):
    data = table.check("t.n + 40").data
    assert {"text/html", "text/plain"} <= set(data)
    assert "41" in data["text/plain"]
    assert "42" in data["text/html"]


def test_a_failing_scalar_shows_a_short_error(table):
    error = table.run("t.who.cast('int64').sum()").error
    assert error is not None
    assert len(error.text.splitlines()) <= 8


def test_other_backends_show_what_they_always_did(table):
    table.check("import ibis; other = ibis.table({'a': 'int64'}, name='other')")
    with_us = table.check("other.a.sum()").data["text/plain"]
    table.check("%unload_ext aaiclick_ext")
    try:
        assert table.check("other.a.sum()").data["text/plain"] == with_us
        column = table.check("other.a").data["text/plain"]
    finally:
        table.load()
    assert table.check("other.a").data["text/plain"] == column


def test_what_is_displayed_is_in_the_log_and_in_no_graph(table):
    table.check("late = t.filter(t.n > 1)")
    table.check("late")
    table.check("late.n + 1")
    table.check("late.n.max()")
    table.run("t.who.cast('int64').name('wrong')")
    table.check("for x in (t, late): display(x)")
    displays = (
        "[(e.kwargs, e.rows, e.status, e.execution_count) "
        "for e in found if e.operation == 'display']"
    )
    table.check("found = aai.forward_oplog(t, displays=True)")
    view, name = table.value("aai.context().node_name(late)"), table.value("t.table_name")
    found = table.value(displays)
    assert [one[:3] for one in found] == [
        ({"source": view}, 1, "ok"), ({"source": view}, 1, "ok"), ({"source": view}, 1, "ok"),
        ({"source": name}, None, "error"), ({"source": name}, 2, "ok"), ({"source": view}, 1, "ok"),
    ]  # fmt: skip
    counts = [one[3] for one in found]
    assert counts[:4] == list(range(counts[0], counts[0] + 4))
    assert counts[4] == counts[5] == counts[3] + 1
    table.check("found = aai.forward_oplog(t) + aai.backward_oplog(late)")
    assert table.value(displays) == []
    assert "display" not in table.check("%lineage t --forward --as text").stdout
    assert "display" in table.check("%lineage t --forward --all --as text").stdout
    assert table.value("[e for e in aai.forward_columns(t.n) if 'display' in e.table]") == []
