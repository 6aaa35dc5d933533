"""Tables, profiles and charts in JupyterLab, in both themes and with the network cut off."""

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
t = aai.sql('''SELECT number AS n, number * 1234567 AS large, sin(number / 700) * 10 AS wave,
  if(number % 3 = 0, NULL, toString(number % 40)) AS word, number % 2 = 0 AS even,
  toDateTime('2024-03-01 00:00:00', 'Europe/Berlin') + number * 600 AS at,
  if(number % 4 = 1, '', repeat('long text ', number % 10 * 7)) AS text
  FROM numbers(20000)''').copy()
None"""
HOSTILE = """h = '<script>alert(1)</script>"' + "'`\\u202e[.]"
aai.create_object_from_value({h: [h, None, 'NULL', '', 'line\\nbreak'], 'b': [1, None, 3, 4, 5]})"""
CELLS = [
    MAKE,
    "t",
    "t.filter(t.n < 0)",
    "t.select(**{f'column_{i}': t.n + i for i in range(30)})",
    HOSTILE,
    "t.profile()",
    "t.plot('line', x='at', y='wave')",
    "t.plot('bar', x='word', top=8)",
    "t.plot('histogram', x='wave')",
    "t.plot('scatter', x='n', y='wave')",
    "t.plot('box', x='word', y='wave', top=6, title='Waves <b>by</b> word')",
    "t.plot('heatmap', x='at', y='word', color='wave', top=8)",
]
CHARTS = range(6, 12)


def test_tables_profiles_and_charts_are_drawn(browser: Browser, lab_server: LabServer):
    write_notebook(lab_server.notebooks / "looking.ipynb", CELLS)
    with lab_page(browser, lab_server, viewport={"width": 1280, "height": 6400}) as page:
        page.open("looking.ipynb")
        for number in range(len(CELLS)):
            page.run_cell(number)
        for number in CHARTS:
            page.cell(number).locator(".vega-embed canvas, .vega-embed svg").first.wait_for()
        paper = {}
        for theme in (LIGHT, DARK):
            page.theme(theme)
            page.screenshot(f"looking-{theme.rpartition(' ')[2].lower()}")
            cell = page.cell(1).locator("td").first
            paper[theme] = cell.evaluate("e => getComputedStyle(e).backgroundColor")
        assert len(set(paper.values())) == 2

        wide = page.cell(3).locator(".aaiclick-scroll")
        wide.evaluate("e => { e.scrollLeft = 600; }")
        stays, first = (
            page.cell(3).locator(f"tbody tr:first-child td:nth-child({n})") for n in (1, 8)
        )
        left = wide.bounding_box()["x"]
        assert abs(stays.bounding_box()["x"] - left) < 3
        assert first.bounding_box()["x"] > left

        long = page.cell(1).locator("details").first
        assert not long.locator("div").is_visible()
        long.locator("summary").click()
        assert long.locator("div").is_visible()

        assert page.cell(4).locator(".aaiclick-null").count() == 2
        assert page.cell(4).locator(".aaiclick-empty").count() == 1
        assert page.page.locator(".jp-OutputArea script").count() == 0
        assert page.cell(5).locator("svg rect").count() > 50
        assert page.errors == []
        assert page.outside == []
