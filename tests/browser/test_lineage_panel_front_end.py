"""The panel of the lineage picture alone, in a page without Jupyter; the test is the kernel."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import lineage_graphs
import pytest

from aaiclick_ext.widgets import LineageWidget

if TYPE_CHECKING:
    from front_end import Draw
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


def answer(page: Page, **told: Any) -> dict[str, Any]:
    """Answer the question that was asked last, as the kernel would; return the question."""
    asked: dict[str, Any] = page.evaluate("() => window.sent.findLast(sent => sent.type === 'ask')")
    page.evaluate(
        "message => window.model.tell(message)",
        {"type": "answer", "request": asked["request"], **told},
    )
    return asked


ASKS = {"_can": ["columns", "rows", "trace", "restore"]}
ROWS = {
    "columns": [["item", "String", False], ["n", "Int64", True]],
    "rows": [["<b>a</b>", "1"], [None, "2"]],
    "summary": "2 rows, 2 columns",
    "stale": "",
}


def test_rows_are_asked_for_and_a_row_is_followed(draw: Draw):
    page = draw(lineage_graphs.aged(), **ASKS)
    page.locator("g.node", has_text="frozen").click()
    panel = page.locator(".panel")
    panel.get_by_role("button", name="Show the first rows").click()
    panel.get_by_role("button", name="Stop").click()
    asked, stopped = page.evaluate("() => window.sent.slice(-2)")
    assert stopped == {"type": "stop", "request": asked["request"]}
    page.evaluate("() => window.sent.pop()")
    asked = answer(page, rows=ROWS)
    assert panel.get_by_role("button", name="Stop").count() == 0
    assert {k: asked[k] for k in ("about", "node", "row")} == {
        "about": "rows", "node": "n1", "row": None,
    }  # fmt: skip
    assert panel.locator(".grid tbody td.number").all_inner_texts() == ["1", "2"]
    assert panel.locator(".grid .null").inner_text() == "NULL"
    assert "<b>a</b>" in panel.locator(".grid").inner_text()
    panel.get_by_role("button", name="Where row 2 comes from").focus()
    page.keyboard.press("Enter")
    source = {"name": "orders", "role": "left", "exact": False, "notes": ["a tie"], "rows": ROWS}
    asked = answer(page, trace={"sources": [source], "notes": ["as they are now"]})
    assert (asked["about"], asked["row"]) == ("trace", 1)
    traced = panel.locator(".trace").inner_text()
    for word in ("row 2 is made of", "orders", "left", "these rows or fewer", "a tie", "are now"):
        assert word in traced
    panel.locator(".grid tbody tr").first.click()
    answer(page, error="UnknownObjectError: frozen is a source")
    assert panel.locator(".trace .error").inner_text() == "UnknownObjectError: frozen is a source"


def test_an_error_of_the_rows_is_shown_and_they_can_be_asked_for_again(draw: Draw):
    page = draw(lineage_graphs.aged(), **ASKS)
    page.locator("g.node", has_text="frozen").click()
    show = page.get_by_role("button", name="Show the first rows")
    show.click()
    answer(page, error="EngineError: Code 241: <i>Memory</i>")
    assert page.locator(".panel .error").inner_text() == "EngineError: Code 241: <i>Memory</i>"
    show.click()
    answer(page, rows=ROWS)
    assert page.locator(".panel .error").count() == 0


def test_restore_is_offered_for_what_was_dropped(draw: Draw):
    page = draw(lineage_graphs.aged(), **ASKS)
    page.locator("g.node", has_text="again").click()
    panel = page.locator(".panel")
    assert panel.get_by_role("button", name="Show the first rows").count() == 0
    panel.get_by_role("button", name="Restore this table").click()
    asked = answer(page, restored={"status": "differs", "reason": "3 rows more.", "variable": "t"})
    assert (asked["about"], asked["node"]) == ("restore", "n2")
    said = panel.locator(".outcome").inner_text()
    assert said == "Restored, but it is not as it was. 3 rows more. It is in the variable t."
    page.locator("g.node", has_text="frozen").click()
    assert panel.get_by_role("button", name="Restore this table").count() == 0


def test_without_a_kernel_nothing_is_offered(draw: Draw):
    page = draw(lineage_graphs.aged())
    for name in ("again", "frozen"):
        page.locator("g.node", has_text=name).click()
        assert page.locator(".panel button").count() == 1  # closes it
    assert "orders got 2 rows in cell [4]" in page.locator(".panel .warning").inner_text()


def test_code_has_colours_and_can_be_copied(draw: Draw):
    page = draw(lineage_graphs.flights(), page={"permissions": []})
    page.locator("g.node", has_text="late").click()
    words = page.locator("pre.sql .token-word").all_inner_texts()
    assert words == ["SELECT", "FROM", "AS", "WHERE"]
    assert page.locator("pre.sql .token-name").inner_text() == "`aai_t_7_k1_a1`"
    assert page.locator("pre.sql .token-number").inner_text() == "15"
    copy = page.get_by_role("button", name="Copy the SQL")
    copy.click()
    page.wait_for_function(
        "() => [...document.querySelectorAll('button')].some(b => b.textContent === 'Copied')"
    )
    selected = page.evaluate("() => getSelection().toString()")
    assert selected.startswith("SELECT *\nFROM")


def test_sql_is_printed_by_the_kernel_when_a_step_is_looked_at(draw: Draw):
    page = draw(lineage_graphs.flights(), _can=["sql"])
    assert page.evaluate("() => window.sent") == []
    page.locator("g.node", has_text="late").click()
    sql = page.locator("pre.sql")
    assert sql.inner_text().startswith("SELECT *\nFROM")  # what there is without a kernel
    asked = answer(page, sql="SELECT\n  *\nFROM t\n/* <b>x</b> */")
    assert {k: asked[k] for k in ("about", "node")} == {"about": "sql", "node": "n3"}
    assert sql.inner_text() == "SELECT\n  *\nFROM t\n/* <b>x</b> */"
    page.get_by_role("button", name="Copy the SQL").click()  # selects it, where pages may not copy
    page.get_by_text("Copied").wait_for()
    assert page.evaluate("() => getSelection().toString()") == sql.inner_text()
    asked = page.evaluate("() => window.sent.length")
    page.locator("g.node", has_text="stormy").first.click()  # has no SQL
    page.locator("g.node", has_text="late").click()
    assert sql.inner_text().startswith("SELECT\n  *")
    sent = page.evaluate("(from) => window.sent.slice(from)", asked)
    assert {message["type"] for message in sent} == {"select"}


def test_a_restored_table_is_drawn_as_living_where_everything_was(draw: Draw):
    page = draw(lineage_graphs.aged(), width=800, **ASKS)
    page.locator("g.node", has_text="again").click()
    for _ in range(2):
        page.get_by_role("button", name="Zoom in (+)").click()
    panel = page.locator(".panel")
    panel.evaluate("panel => { panel.style.maxHeight = '90px'; panel.scrollTop = 17; }")
    panel.get_by_role("button", name="Restore this table").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("() => document.activeElement.textContent") == "Stop"
    look = """() => {
      const canvas = document.querySelector('.canvas').getBoundingClientRect();
      const box = document.querySelector('g.selected').getBoundingClientRect();
      return {
        level: document.querySelector('.level').textContent, x: Math.round(box.x + box.width / 2),
        y: Math.round(box.y + box.height / 2 - canvas.y),
        scroll: document.querySelector('.panel').scrollTop,
        height: document.querySelector('.canvas').clientHeight,
      };
    }"""
    before = page.evaluate(look)
    answer(page, restored={"status": "exact", "reason": "", "table": "aai_t_9", "variable": "t"})
    aged = lineage_graphs.aged()
    nodes = [replace(n, alive=True) if n.table == "aai_t_7_k1_s3" else n for n in aged.nodes]
    now = LineageWidget(replace(aged, nodes=tuple(nodes)))
    page.evaluate(
        "([n, d]) => { window.model.set('_nodes', n); window.model.set('_drawing', d); }",
        [now._nodes, now._drawing],
    )
    now.close()
    assert page.locator("g.state-dropped").count() == 0
    told = page.locator("g.selected").get_attribute("aria-label")
    assert told == "copy, again, cell 2, 500 rows, alive"
    assert page.evaluate(look) == before
    assert panel.locator(".state").inner_text() == "alive"
    assert panel.locator(".outcome").inner_text().startswith("Restored, row for row as it was.")
    assert panel.get_by_role("button", name="Show the first rows").count() == 1
    assert panel.get_by_role("button", name="Restore").count() == 0
    assert page.evaluate("() => document.activeElement.className") == "panel"
    assert "dropped" not in page.locator(".legend").inner_text()
    page.get_by_role("button", name="Fit (0)").click()
    page.locator("g.node", has_text="frozen").click()  # another step, with a question under way
    panel.get_by_role("button", name="Show the first rows").click()
    page.evaluate("() => window.model.set('_drawing', { ...window.model.get('_drawing') })")
    answer(page, rows=ROWS)
    assert panel.locator(".grid").count() == 1


def test_the_panel_closes_and_gives_the_focus_back(draw: Draw):
    page = draw(lineage_graphs.flights())
    page.locator("g.node.root").focus()
    page.keyboard.press("Enter")
    panel = page.locator(".panel")
    assert panel.is_visible()
    assert "order_by, worst" in page.locator(".spoken").inner_text()
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.closest('.panel') !== null")
    page.keyboard.press("Escape")
    assert not panel.is_visible()
    assert page.evaluate("() => document.activeElement.classList.contains('root')")
