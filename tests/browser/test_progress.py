"""Progress and errors in the browser: while a query runs, when it is done, when it was stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nbformat
import pytest
from lab import DARK, FRONT_ENDS, LIGHT, lab_page, write_notebook

if TYPE_CHECKING:
    from lab import LabServer
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

SLOW = """SELECT number AS n, sleepEachRow(0.02) AS s
    FROM numbers({rows}) SETTINGS max_block_size = 1"""
CELLS = [
    "%load_ext aaiclick_ext\nimport aaiclick_ext as aai",
    f"late = aai.sql('''{SLOW.format(rows=60)}''')\nlate.s.sum().execute()",
    f"aai.sql('''{SLOW.format(rows=400)}''').copy()",
    "aai.sql('SELECT avg(dely), max(n) FROM {late}', late=late)",
]


@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_progress_while_it_runs_done_stopped_and_saved(
    browser: Browser, lab_server: LabServer, front_end: str
):
    path = lab_server.notebooks / "progress.ipynb"
    write_notebook(path, CELLS)
    with lab_page(browser, lab_server) as page:
        page.open("progress.ipynb", front_end)
        own_errors = list(page.errors)  # Notebook 7 has some
        page.run_cell(0)
        page.run_cell(1)
        done = page.cell(1).locator(".aaiclick-progress")
        assert "sum late: done in" in done.inner_text()
        assert done.locator("progress").count() == 0

        page.page.evaluate(
            "() => { const nb = window.jupyterapp.shell.currentWidget.content;"
            " nb.activeCellIndex = 2;"
            " window.jupyterapp.commands.execute('notebook:run-cell'); }"
        )
        bar = page.cell(2).locator(".aaiclick-progress progress")
        bar.wait_for()
        page.page.wait_for_function(
            "() => document.querySelector('.aaiclick-progress progress')?.value > 0"
        )
        for theme in (LIGHT, DARK):
            page.theme(theme)
            page.screenshot(f"progress-running-{front_end}-{theme}")
        page.page.evaluate(
            "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.interrupt()"
        )
        stopped = page.cell(2).locator(".aaiclick-progress", has_text="copy: cancelled after")
        stopped.wait_for()
        assert stopped.locator("progress").count() == 0
        page.cell(2).get_by_text("KeyboardInterrupt").first.wait_for()
        page.page.wait_for_function(
            "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status"
            " === 'idle'"
        )

        page.run_cell(3)
        page.cell(3).get_by_text("UnknownColumnError").wait_for()
        shown = page.cell(3).inner_text()
        assert "The columns are n, s." in shown
        assert "    SELECT avg(dely), max(n) FROM {late}\n               ^^^^\n" in shown
        colours = []
        for theme in (LIGHT, DARK):
            page.theme(theme)
            page.screenshot(f"progress-done-{front_end}-{theme}")
            colours.append(done.evaluate("e => getComputedStyle(e).color"))
        assert len(set(colours)) == 2
        page.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
        assert page.errors == own_errors
        assert page.outside == []
    saved = nbformat.read(path, as_version=4)
    for number, end in ((1, "sum late: done in"), (2, "copy: cancelled after")):
        (output,) = [o for o in saved.cells[number].outputs if o.output_type == "display_data"]
        assert output.data["text/plain"].startswith(end)
        assert "<progress" not in output.data["text/html"]
