"""The panel of %lineage in JupyterLab, with a real kernel: rows, traces, columns, restoring."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lab import DARK, LIGHT, lab_page, write_notebook

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab import LabPage, LabServer
    from playwright.sync_api import Browser, Locator

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

MAKE = """%load_ext aaiclick_ext
import aaiclick_ext as aai
flights = aai.create_object_from_value({
    "carrier": ["UA", "AA", "UA", "DL", "AA", "UA"], "delay": [12, 200, 90, None, 75, 61],
    "note": ["<img src=x onerror=window.pwned=1>"] * 6})
names = {"carrier": ["UA", "AA"], "name": ["United", "American"]}
carriers = aai.create_object_from_value(names)"""
WORK = """late = flights.filter(flights.delay > 60)
totals = late.group_by("carrier").agg(n=late.count(), total=late.delay.sum())
named = totals.join(carriers, "carrier")
worst = named.mutate(mean=named.total / named.n).order_by("carrier")
answer = worst.copy()"""
CELLS = [
    MAKE,
    WORK,
    "%lineage answer",
    "flights.insert({'carrier': ['UA'], 'delay': [500], 'note': ['new']})\n%lineage answer",
    "before = answer.data()\ndel answer",
    "%lineage worst --both",
    "print(answer.data() == before)",
    "bad = flights.mutate(x=flights.carrier.cast('int64'))",
    "%lineage bad",
    "endless = aai.sql('SELECT sum(number % 7) AS n FROM numbers(1000000000000)')",
    "%lineage endless",
    "%lineage flights",
    "%lineage worst --cells",
    "wide = aai.concat(*[flights.filter(flights.delay > n) for n in range(14)])\n%lineage wide",
]  # fmt: skip


@pytest.fixture(scope="module")
def lab(browser: Browser, lab_server: LabServer) -> Iterator[LabPage]:
    """One page and kernel for all tests here, in their order."""
    write_notebook(lab_server.notebooks / "panel.ipynb", CELLS)
    with lab_page(browser, lab_server) as page:
        page.open("panel.ipynb")
        for number in range(3):
            page.run_cell(number)
        yield page


def shown(lab: LabPage, cell: int) -> Locator:
    """Return the picture of a cell."""
    widget = lab.cell(cell).locator(".aai-lineage")
    widget.locator("g.node").first.wait_for()
    return widget


def choose(widget: Locator, text: str) -> Locator:
    """Click the node with a text, wait for the panel."""
    labelled = widget.page.locator("text", has_text=text)
    widget.locator("g.node").filter(has=labelled).first.click()
    panel = widget.locator(".panel")
    panel.locator(".head").first.wait_for()
    return panel


def look(lab: LabPage, cell: int, name: str) -> None:
    """Keep pictures of a widget in both themes."""
    for theme, word in ((LIGHT, "light"), (DARK, "dark")):
        lab.theme(theme)
        shown(lab, cell).scroll_into_view_if_needed()
        lab.screenshot(f"lineage-{name}-{word}")
    lab.theme(LIGHT)


def test_the_panel_shows_rows_and_what_a_row_is_made_of(lab: LabPage):
    panel = choose(shown(lab, 2), "answer")
    said = panel.inner_text()
    for words in ("5 columns", "Nullable(Int64)", "rows read", "bytes written", "cell [2]"):
        assert words in said
    assert panel.locator("pre.sql .token-word").first.inner_text() == "SELECT"
    lab.page.wait_for_function(
        "() => /^SELECT\\n +/.test(document.querySelector('pre.sql').textContent)"
    )  # printed by the kernel
    panel.get_by_role("button", name="Show the first rows").click()
    panel.locator(".grid tbody tr", has_text="American").click()
    origins = panel.locator(".origin")
    origins.first.wait_for()
    assert origins.count() == 2
    rows = origins.nth(0).locator("tbody tr").all_inner_texts()
    assert [row.split("\t")[:2] for row in rows] == [["AA", "200"], ["AA", "75"]]
    assert "exactly these rows" in origins.nth(0).inner_text()
    assert "carriers" in origins.nth(1).inner_text()
    assert lab.page.evaluate("() => window.pwned") is None
    look(lab, 2, "panel")


def test_columns_are_drawn_and_followed(lab: LabPage):
    widget = shown(lab, 2)
    widget.get_by_role("button", name="Draw edges from column to column").click()
    column = widget.locator("g.column[aria-label^='column mean of answer']")
    column.wait_for()
    widget.get_by_role("button", name="Close").click()
    look(lab, 2, "columns")
    column.click()
    lit = widget.locator("g.column.ancestor").evaluate_all(
        "all => all.map((g) => g.getAttribute('aria-label'))"
    )
    assert "column delay of flights, Nullable(Int64)" in lit
    assert not [label for label in lit if "column name" in label]
    assert "delay of flights" in widget.locator(".panel dl").first.inner_text()
    look(lab, 2, "column")
    widget.get_by_role("button", name="Draw edges from column to column").click()
    widget.locator("g.column").first.wait_for(state="detached")


def test_a_stale_result_says_what_changed(lab: LabPage):
    lab.run_cell(3)
    panel = choose(shown(lab, 3), "answer")
    assert "Stale: flights got 1 row in cell [4]." in panel.inner_text()
    look(lab, 3, "stale")


def test_a_dropped_table_is_restored_into_its_variable(lab: LabPage):
    lab.run_cell(4)
    lab.run_cell(5)
    panel = choose(shown(lab, 5), "dropped")
    said = panel.inner_text()
    assert "nothing referred to it any more" in said
    panel.get_by_role("button", name="Restore this table").click()
    panel.locator(".outcome").wait_for()
    outcome = panel.locator(".outcome").inner_text()
    assert outcome == "Restored, row for row as it was. It is in the variable answer."
    widget = shown(lab, 5)
    widget.locator("g.selected.state-alive").wait_for()  # drawn anew, and still chosen
    assert widget.locator("g.selected").get_attribute("aria-label").endswith(" rows, alive")
    assert panel.locator(".state").inner_text() == "alive"
    panel.get_by_role("button", name="Show the first rows").click()
    panel.locator(".grid").wait_for()
    look(lab, 5, "restored")
    lab.run_cell(6)
    assert lab.text(6).strip() == "True"


def test_an_error_of_the_rows_is_shown_in_the_panel(lab: LabPage):
    lab.run_cell(7)
    lab.run_cell(8)
    panel = choose(shown(lab, 8), "mutate")
    panel.locator(".columns").wait_for()  # asked of the kernel: a view's types are not in the log
    panel.get_by_role("button", name="Show the first rows").click()
    panel.locator(".preview .error").wait_for()
    assert "Cannot parse string 'UA' as Int64" in panel.locator(".preview .error").inner_text()
    look(lab, 8, "error")


def test_rows_that_take_too_long_block_no_cell_and_can_be_stopped(lab: LabPage):
    lab.run_cell(9)
    lab.run_cell(10)
    panel = choose(shown(lab, 10), "sql")
    panel.locator(".columns").wait_for()
    panel.get_by_role("button", name="Show the first rows").click()
    panel.get_by_role("button", name="Stop").wait_for()
    lab.run_cell(6)
    assert lab.text(6).strip() == "True"
    # A press before the query has begun finds nothing to stop; the button stays.
    while panel.locator(".preview .error").count() == 0:
        panel.get_by_role("button", name="Stop").click()
        lab.page.wait_for_timeout(300)
    assert "cancelled" in panel.locator(".preview .error").inner_text()


def test_other_graphs_look_right(lab: LabPage):
    for cell, name in ((11, "source"), (12, "cells"), (13, "wide")):
        lab.run_cell(cell)
        look(lab, cell, name)
    assert shown(lab, 12).locator("g.cluster").count() == 2
    assert lab.outside == []
    assert lab.errors == []
