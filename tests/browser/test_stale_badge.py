"""The badge of a stale result in JupyterLab, in both themes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lab import DARK, LIGHT, lab_page, write_notebook

if TYPE_CHECKING:
    from lab import LabServer
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

MAKE = """%load_ext aaiclick_ext
import aaiclick_ext as aai
base = aai.create_object_from_value({'a': [1, 2]})
copy = base.copy()
None"""
CELLS = [MAKE, "copy", "base.insert({'a': [3]})\ncopy", "%lineage --stale"]


def test_a_badge_appears_when_a_source_has_changed(browser: Browser, lab_server: LabServer):
    write_notebook(lab_server.notebooks / "stale.ipynb", CELLS)
    with lab_page(browser, lab_server) as page:
        page.open("stale.ipynb")
        for number in range(len(CELLS)):
            page.run_cell(number)
        assert page.cell(1).locator(".aaiclick-stale").count() == 0
        badge = page.cell(2).locator(".aaiclick-stale")
        assert "got rows later, in cell [3]" in badge.inner_text()
        assert "copy is stale: base got 1 row in cell [3]" in page.text(3)
        backgrounds = []
        for theme in (LIGHT, DARK):
            page.theme(theme)
            page.screenshot(f"stale-{theme}")
            backgrounds.append(badge.evaluate("e => getComputedStyle(e).color"))
        assert len(set(backgrounds)) == 2  # each theme has its own colour of warnings
        assert page.errors == []
