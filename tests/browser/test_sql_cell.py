"""A SQL cell in JupyterLab and Notebook 7: completed, run, and wrong; the network is cut off."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from lab import DARK, FRONT_ENDS, LIGHT, lab_page, write_notebook

if TYPE_CHECKING:
    from lab import LabPage, LabServer
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

MAKE = """%load_ext aaiclick_ext
import aaiclick_ext as aai
t = aai.create_object_from_value({"carrier": ["UA", "HA", None], "delay": [12.5, -3.0, None]})"""
SQL, PYTHON, WRONG = 1, 2, 3


def write(lab: LabPage, number: int, before: str, behind: str) -> None:
    """Put a text into a cell, the cursor in its midst; what follows is typed there."""
    lab.page.evaluate(
        """([number, before, behind]) => {
          const content = window.jupyterapp.shell.currentWidget.content;
          content.activeCellIndex = number;
          content.mode = 'edit';
          const editor = content.activeCell.editor;
          editor.model.sharedModel.setSource(before + behind);
          editor.setCursorPosition(editor.getPositionAt(before.length));
          editor.focus();
        }""",
        [number, before, behind],
    )


def choose(lab: LabPage, text: str) -> None:
    """Press Tab, and take what the popup offers by its text.

    Tab is pressed again where nothing came: the front end waits a second for the kernel, no longer.
    """
    from playwright import sync_api as playwright

    popup = lab.page.locator(".jp-Completer")
    offered = popup.locator(".jp-Completer-item", has_text=text)
    for _ in range(10):
        lab.page.keyboard.press("Tab")
        with contextlib.suppress(playwright.TimeoutError):
            offered.wait_for(timeout=3_000)
            break
    lab.screenshot(f"completion-{text}")
    while text not in popup.locator(".jp-Completer-item.jp-mod-active").inner_text():
        lab.page.keyboard.press("ArrowDown")
    lab.page.keyboard.press("Enter")
    popup.wait_for(state="hidden")


@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_a_sql_cell_completes_runs_and_marks_what_is_wrong(
    browser: Browser, lab_server: LabServer, front_end: str
):
    write_notebook(lab_server.notebooks / "sql_cell.ipynb", [MAKE, "", "", ""])
    with lab_page(browser, lab_server) as lab:
        lab.open("sql_cell.ipynb", front_end)
        lab.run_cell(0)
        write(lab, SQL, "%%sql\nSELECT count(), max(", ") FROM {t}")
        lab.page.keyboard.type("de")
        choose(lab, "delay")
        lab.run_cell(SQL)
        assert "12.5" in lab.cell(SQL).locator("tbody").inner_text()

        write(lab, PYTHON, "t['", "']")
        choose(lab, "carrier")
        lab.run_cell(PYTHON)
        assert "HA" in lab.cell(PYTHON).locator("tbody").inner_text()

        write(lab, WRONG, "%%sql\nSELECT carrier,\n  max(dely)\nFROM {t}", "")
        lab.run_cell(WRONG)
        shown = lab.cell(WRONG).inner_text()
        assert "UnknownColumnError" in shown
        assert "\n      max(dely)\n          ^^^^\n" in shown
        assert "delay" in shown
        for theme in (LIGHT, DARK):
            lab.theme(theme)
            lab.screenshot(f"sql-cell-{front_end}-{theme}")
        assert lab.outside == []
