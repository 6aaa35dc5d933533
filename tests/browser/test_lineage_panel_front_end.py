"""The panel of the lineage picture alone, in a page without Jupyter; the test is the kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import lineage_graphs
import pytest

if TYPE_CHECKING:
    from front_end import Draw
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


def answer(page: Page, **told: Any) -> dict[str, Any]:
    """Answer the question that was asked last, as the kernel would; return the question."""
    asked: dict[str, Any] = page.evaluate("() => window.sent.at(-1)")
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
