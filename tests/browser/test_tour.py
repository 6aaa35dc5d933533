"""The tour and the displays of views in JupyterLab, with the network cut off."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from lab import DARK, LIGHT, ROOT, lab_page, write_notebook

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab import LabPage, LabServer
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def test_the_tour_runs_and_its_lineage_answers_a_click(browser: Browser, lab_server: LabServer):
    shutil.copy(ROOT / "notebooks" / "tour.ipynb", lab_server.notebooks / "tour.ipynb")
    with lab_page(browser, lab_server) as lab:
        lab.open("tour.ipynb")
        lab.page.evaluate(
            "() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')"
        )
        lab.run_all()
        widget = lab.page.locator(".aai-lineage").first
        widget.locator("g.node").first.wait_for(timeout=120_000)
        assert widget.locator("g.node").count() >= 8
        source = widget.locator("g.node").filter(has_text="flights").first
        source.scroll_into_view_if_needed()
        source.click()
        assert widget.locator("g.selected").count() == 1
        assert "create_from_value" in widget.inner_text()
        lab.screenshot("tour-lineage")
        assert lab.outside == []


WIDE = "aai.create_object_from_value({f'column_{i}': [i, None] for i in range(60)})"
HOSTILE = r"""aai.create_object_from_value({
    "<img src=x onerror=document.title='owned'>": ["<script>document.title='owned'</script>", None],
    "control": ["a\x1b[31mred\n\u202eevil", "javascript:alert(1)"],
})"""
CELLS = [
    "%load_ext aaiclick_ext\nimport aaiclick_ext as aai",
    """t = aai.create_object_from_value({
    "carrier": ["UA", "HA", None], "delay": [12.5, -3.0, None],
    "big": [2**63 - 1, 1, 0], "note": ["on time", "x" * 200, "ünïcödé ✈"],
})
t""",
    "t.filter(t.delay > 1e9)",
    WIDE,
    HOSTILE,
    "t.mutate(bad=t.note.cast('int64'))",
    "t.delay.mean()",
]


@pytest.fixture(scope="module")
def display(browser: Browser, lab_server: LabServer) -> Iterator[LabPage]:
    """A page with views, all run."""
    write_notebook(lab_server.notebooks / "display.ipynb", CELLS)
    with lab_page(browser, lab_server, viewport={"width": 1280, "height": 1700}) as page:
        page.open("display.ipynb")
        for number in range(len(CELLS)):
            page.run_cell(number)
        yield page


def test_views_look_right_in_both_themes(display: LabPage):
    lab = display
    lab.cell(6).get_by_text("4.75").first.wait_for()
    assert lab.cell(1).locator("table.aaiclick-table tbody tr").count() == 3
    assert lab.cell(1).locator(".aaiclick-null").count() == 2
    assert "0 rows" in lab.cell(2).inner_text()
    assert lab.cell(3).locator("thead th").count() == 50
    assert "10 columns not shown" in lab.cell(3).inner_text()
    assert lab.cell(4).locator("script, img").count() == 0
    assert "<script>" in lab.cell(4).inner_text()
    assert "\\x1b[31m" in lab.cell(4).inner_text()
    error = lab.cell(5).locator(".aaiclick-error").inner_text()
    assert error.startswith("EngineError: Cannot parse string 'on time' as Int64")
    assert "Null where it is none: x.note.try_cast" in error
    assert len(lab.cell(5).inner_text().splitlines()) < 7
    assert "owned" not in lab.page.title()
    for theme in (LIGHT, DARK):
        lab.theme(theme)
        lab.screenshot(f"display-{theme.split()[1].lower()}")
    assert lab.outside == []
