"""Live results in JupyterLab: they follow inserts, pause, say what is wrong, and end."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

import pytest
from lab import DARK, LIGHT, ROOT, lab_page, write_notebook

if TYPE_CHECKING:
    from lab import LabPage, LabServer
    from playwright.sync_api import Browser, Locator

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

PATIENCE_S = 30
MAKE = """%load_ext aaiclick_ext
import datetime as dt, math
import aaiclick_ext as aai
from aaiclick_ext.widgets import LiveWidget, open_widgets

start = dt.datetime(2026, 1, 1)
def rows(first, last):
    numbers = range(first, last)
    rooms = ('hall', 'attic', '<img src=x onerror="window.pwned = 1">')
    return {
        'at': [start + dt.timedelta(minutes=n) for n in numbers],
        'room': [rooms[n % 3] for n in numbers],
        'celsius': [20 + 5 * math.sin(n / 9) for n in numbers],
        'humidity': [40 + 9 * math.cos(n / 23) for n in numbers],
    }
readings = aai.create_object_from_value(rows(0, 120))
aai.context().engine.command('CREATE TABLE theirs (n Int64) ENGINE = MergeTree ORDER BY n')"""
CELLS = [
    MAKE,
    "aai.live(readings.order_by(readings.at.desc()), rows=4, throttle_s=0)",
    "number = aai.live(readings.count().name('readings'), 'number', throttle_s=0)\nnumber",
    "aai.live(readings, 'chart', x='at', throttle_s=0)",
    """celsius = readings.celsius
by_room = readings.group_by('room').agg(low=celsius.min(), high=celsius.max())
aai.live(by_room, 'chart', x='room', throttle_s=0)""",
    "aai.live(aai.table('theirs'), throttle_s=0)",
    "size = len(readings)\nreadings.insert(rows(size, size + 60))",
    "print(len(aai.system.live_queries))",
    "aai.context().engine.command('DROP TABLE theirs SYNC')",
    "number.close()",
    """for widget in open_widgets(LiveWidget): widget.result.subscription.cancel()
print(len(aai.context().backend.services.live.deliveries))""",
]
TABLE, NUMBER, LINES, BARS, THEIRS, INSERT, COUNT, DROP, CLOSE, LAPSE = range(1, 11)


def live(lab: LabPage, cell: int) -> Locator:
    """Return the live result of a cell."""
    return lab.cell(cell).locator(".aai-live")


def watched(lab: LabPage) -> int:
    """Return how many results the kernel follows."""
    lab.run_cell(COUNT)
    return int(lab.text(COUNT))


def wait_watched(lab: LabPage, number: int) -> None:
    """Wait until the kernel follows so many."""
    deadline = time.monotonic() + PATIENCE_S
    while (found := watched(lab)) != number:
        assert time.monotonic() < deadline, found
        lab.page.wait_for_timeout(200)


def screenshots(lab: LabPage, name: str) -> None:
    """Keep what is shown in both themes."""
    for theme in (DARK, LIGHT):
        lab.theme(theme)
        lab.cell(TABLE).scroll_into_view_if_needed()
        lab.page.wait_for_timeout(200)
        lab.screenshot(f"live-{name}-{theme.split()[1].lower()}")


def test_live_results_follow_pause_fail_and_end(browser: Browser, lab_server: LabServer):
    write_notebook(lab_server.notebooks / "live.ipynb", CELLS)
    with lab_page(browser, lab_server, viewport={"width": 1280, "height": 1750}) as lab:
        lab.open("live.ipynb")
        for number in range(INSERT):
            lab.run_cell(number)
        value = live(lab, NUMBER).locator(".value")
        value.get_by_text("120").wait_for()
        assert live(lab, NUMBER).locator(".name").inner_text() == "readings"
        assert live(lab, TABLE).locator("tbody tr").count() == 4
        assert "2026-01-01 01:59" in live(lab, TABLE).inner_text()
        assert live(lab, LINES).locator(".summary").inner_text() == "120 points"
        assert "recomputed" in live(lab, LINES).locator(".how").inner_text()
        assert live(lab, NUMBER).locator(".how").inner_text() == "incremental"
        assert live(lab, BARS).locator(".summary").inner_text() == "3 points"
        screenshots(lab, "before")

        lab.run_cell(INSERT)
        value.get_by_text("180").wait_for()
        live(lab, TABLE).get_by_text("2026-01-01 02:59:00").wait_for()
        live(lab, LINES).get_by_text("180 points").wait_for()
        assert live(lab, TABLE).locator("tbody tr").count() == 4
        assert lab.page.locator(".aai-live img").count() == 0
        assert lab.page.evaluate("() => window.pwned") is None
        screenshots(lab, "after")

        button = live(lab, NUMBER).get_by_role("button")
        button.focus()
        lab.page.keyboard.press("Enter")
        button.get_by_text("Resume").wait_for()
        lab.run_cell(INSERT)
        live(lab, LINES).get_by_text("240 points").wait_for()
        assert value.inner_text() == "180"
        button.click()
        value.get_by_text("240").wait_for()
        button.get_by_text("Pause").wait_for()

        assert not live(lab, THEIRS).get_by_role("alert").is_visible()
        lab.run_cell(DROP)
        alert = live(lab, THEIRS).get_by_role("alert")
        alert.get_by_text("theirs").wait_for()
        assert "Resume" in alert.inner_text()
        lab.cell(THEIRS).scroll_into_view_if_needed()
        lab.screenshot("live-error")

        assert watched(lab) == 5
        lab.clear_output(BARS)
        wait_watched(lab, 4)
        lab.run_cell(LINES)  # the one it had is not followed any more
        live(lab, LINES).get_by_text("240 points").wait_for()
        wait_watched(lab, 4)

        lab.run_cell(CLOSE)
        shown = lab.cell(NUMBER)
        shown.get_by_text("ended, updated").wait_for()
        assert "240" in shown.inner_text()
        assert shown.locator(".aai-live").count() == 0
        assert watched(lab) == 3

        lab.run_cell(LAPSE)  # as after a minute of silence
        assert int(lab.text(LAPSE)) == 0
        lab.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
        lab.page.goto("about:blank")  # a tab that is closed says nothing
        lab.open("live.ipynb")
        live(lab, TABLE).get_by_role("button").wait_for()
        live(lab, THEIRS).get_by_text("theirs is not there any more").wait_for()
        wait_watched(lab, 2)
        lab.run_cell(INSERT)
        live(lab, LINES).get_by_text("300 points").wait_for()

        lab.page.evaluate(
            "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
        )
        live(lab, TABLE).get_by_text("The kernel was restarted or is gone").wait_for()
        assert live(lab, TABLE).get_by_role("button").is_disabled()
        assert live(lab, TABLE).locator("tbody tr").count() == 4
        assert lab.outside == []


def test_the_dashboard_follows_its_sensors(browser: Browser, lab_server: LabServer):
    newest, hottest, chart, sensors, printed = 4, 6, 8, 10, 15
    shutil.copy(ROOT / "notebooks" / "live_dashboard.ipynb", lab_server.notebooks)
    with lab_page(browser, lab_server, viewport={"width": 1280, "height": 1750}) as lab:
        lab.open("live_dashboard.ipynb")
        lab.page.evaluate(
            "() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')"
        )
        for number in (1, 2, newest, hottest, chart):
            lab.run_cell(number)
        live(lab, chart).get_by_role("button").wait_for()
        assert live(lab, newest).locator("tbody tr").count() == 0
        lab.screenshot("dashboard-before")
        lab.run_cell(sensors)
        live(lab, chart).get_by_text("120 points").wait_for(timeout=60_000)
        live(lab, hottest).locator(".value").get_by_text("24.7381").wait_for()
        live(lab, newest).get_by_text("2026-01-01 01:59:00").first.wait_for()
        assert live(lab, newest).locator("tbody tr").count() == 5
        lab.screenshot("dashboard-after")
        for number in (12, 14, printed, 17):
            lab.run_cell(number)
        assert "360 readings" in lab.text(printed)
        assert lab.outside == []
