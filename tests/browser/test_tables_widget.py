"""The list of tables in JupyterLab: sorted by clicks and keys, in both themes; and `%why`."""

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
small = aai.create_object_from_value([1])
large = aai.create_object_from_value({'a': list(range(1000)), 'b': ['x'] * 1000})
frames = [aai.create_object_from_value(list(range(20)))]
d = {'<img src=x onerror="window.pwned = 1">': small}"""
CELLS = [
    MAKE,
    "%tables",
    "def outer(data):\n    return lambda: data\nlast = outer(small)\n%why small",
    "%why nothing_of_this_name",
    "del small, large, frames, d, last\n%tables",
]


@pytest.fixture(scope="module")
def lab(browser: Browser, lab_server: LabServer) -> Iterator[LabPage]:
    """One page for all tests here."""
    write_notebook(lab_server.notebooks / "tables.ipynb", CELLS)
    with lab_page(browser, lab_server) as page:
        page.open("tables.ipynb")
        for number in range(len(CELLS)):
            page.run_cell(number)
        yield page


@pytest.fixture
def widget(lab: LabPage) -> Locator:
    """The list."""
    found = lab.page.locator(".aai-tables").first
    found.locator("tbody tr").first.wait_for()
    return found


def column(widget: Locator, title: str) -> list[str]:
    """Return the cells of a column, from above."""
    titles = widget.locator("th").all_inner_texts()
    place = next(n for n, text in enumerate(titles, 1) if text.startswith(title))
    return widget.locator(f"tbody td:nth-child({place})").all_inner_texts()


def head(widget: Locator, title: str) -> Locator:
    return widget.locator("th", has=widget.page.locator("button", has_text=title)).first


def test_a_click_on_a_column_sorts_and_another_turns_it_round(widget: Locator):
    assert column(widget, "rows") == ["1", "1,000", "20"]
    head(widget, "rows").locator("button").click()
    assert column(widget, "rows") == ["1,000", "20", "1"]
    assert head(widget, "rows").get_attribute("aria-sort") == "descending"
    head(widget, "rows").locator("button").click()
    assert column(widget, "rows") == ["1", "20", "1,000"]
    assert head(widget, "rows").get_attribute("aria-sort") == "ascending"


def test_keys_sort_too_and_one_column_is_sorted_at_a_time(lab: LabPage, widget: Locator):
    head(widget, "held by").locator("button").focus()
    lab.page.keyboard.press("Enter")
    assert [text.split(";")[0] for text in column(widget, "held by")] == [
        "large",
        "list frames[0]",
        "small",
    ]
    assert widget.locator("th[aria-sort]").count() == 1


def test_nothing_shown_is_markup(lab: LabPage, widget: Locator):
    assert any("<img src=x" in text for text in column(widget, "held by"))
    assert lab.page.locator(".jp-OutputArea-output img").count() == 0
    assert lab.page.evaluate("() => window.pwned") is None


def test_why_shows_chains_and_commands(lab: LabPage):
    shown = lab.cell(2).locator(".aaiclick-why")
    rows = shown.locator("tbody tr").all_inner_texts()
    assert any("variable small" in row and "del small" in row for row in rows)
    left = "e => getComputedStyle(e).textAlign"
    assert shown.locator("td").first.evaluate(left) == "left"
    assert any("function last, closure variable data" in row for row in rows)


def test_errors_and_an_empty_kernel_are_one_line(lab: LabPage):
    assert "no variable, object or table 'nothing_of_this_name'" in lab.text(3)
    assert "This kernel keeps no table." in lab.cell(4).locator(".aaiclick-tables").inner_text()


@pytest.mark.parametrize(("theme", "name"), [(LIGHT, "light"), (DARK, "dark")])
def test_in_both_themes(lab: LabPage, widget: Locator, theme: str, name: str):
    lab.theme(theme)
    for part, place in (("tables", 1), ("why", 2), ("empty", 4)):
        lab.cell(place).scroll_into_view_if_needed()
        lab.screenshot(f"{part}-{name}")
    paper = widget.evaluate("e => getComputedStyle(e).backgroundColor")
    ink = widget.evaluate("e => getComputedStyle(e.querySelector('td')).color")
    assert (_brightness(paper) > _brightness(ink)) == (theme == LIGHT)


def _brightness(colour: str) -> int:
    numbers = colour[colour.index("(") + 1 : -1].split(",")
    return sum(int(float(number)) for number in numbers[:3])
