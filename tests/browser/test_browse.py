"""A browsed table in JupyterLab, and one of ten million rows in Notebook 7 too; no network."""

# ruff: noqa: RUF001  the page has such signs

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest
from lab import DARK, FRONT_ENDS, LIGHT, lab_page, write_notebook

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab import LabPage, LabServer
    from playwright.sync_api import Browser, Locator

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

PATIENCE_MS = 60_000
MAKE = """%load_ext aaiclick_ext
import aaiclick_ext as aai
x = aai.sql('''SELECT number AS id, toDateTime('2026-01-01 00:00:00') + number * 60 AS at,
  ['Berlin', 'Paris', '<img src=x onerror="window.pwned = 1">'][1 + number % 3] AS city,
  if(number % 10 = 0, NULL, number % 100 / 4) AS price,
  toInt64(number) * 1000000000000007 AS big FROM numbers(1000)''').copy()"""
WIDE_TABLE = """columns = ', '.join(f'number * {i} AS column_{i}' for i in range(1000))
aai.sql(f'SELECT {columns} FROM numbers(200)').copy().show()"""
CELLS = [
    MAKE,
    "x.show()",
    "%browse x.filter(x.id < 0)",
    WIDE_TABLE,
    "aai.sql('SELECT number, throwIf(number > 100) AS t FROM numbers(1000)').show()",
    "%why x",
    "print(_view.count().execute(), len(aai.context().live_tables()))",
    "import gc; gc.collect(); aai.context().flush(); print(len(aai.context().live_tables()))",
]
ORDINARY, EMPTY, WIDE, FAILING, WHY, VIEW, LIVE = range(1, 8)


def shown(lab: LabPage, cell: int) -> Locator:
    """Return the browsed table of a cell."""
    return lab.cell(cell).locator(".aai-browse")


def column(widget: Locator, place: int) -> list[str]:
    """Return the cells in sight of a column."""
    return widget.locator(f".cell[data-place='{place}']").all_inner_texts()


def head(widget: Locator, name: str) -> Locator:
    """Return the head of a column."""
    return widget.locator(".column", has=widget.page.get_by_text(name, exact=True))


def copied(lab: LabPage) -> str:
    """Return what is in the clipboard once it was copied."""
    return str(lab.page.evaluate("() => navigator.clipboard.readText()"))


@pytest.fixture(scope="module")
def lab(browser: Browser, lab_server: LabServer) -> Iterator[LabPage]:
    """One page for all tests of Lab."""
    write_notebook(lab_server.notebooks / "browse.ipynb", CELLS)
    permissions = ["clipboard-read", "clipboard-write"]
    with lab_page(browser, lab_server, permissions=permissions) as page:
        page.open("browse.ipynb")
        for number in range(WHY):
            page.run_cell(number)
        yield page


def test_it_is_sorted_filtered_and_made_a_view(lab: LabPage):
    widget = shown(lab, ORDINARY)
    widget.get_by_text("1,000 rows × 5 columns").wait_for()
    assert column(widget, 0)[:3] == ["0", "1", "2"]
    assert column(widget, 3)[0] == "NULL"
    grid = widget.get_by_role("grid")
    assert grid.get_attribute("aria-rowcount") == "1001"
    assert lab.page.locator(".aai-browse img").count() == 0
    assert lab.page.evaluate("() => window.pwned") is None

    head(widget, "city").locator(".name-line").click()
    head(widget, "id").locator(".name-line").click(modifiers=["Shift"])
    head(widget, "id").locator(".name-line").click(modifiers=["Shift"])
    widget.locator(".cell[data-row='0'][data-place='0']", has_text="998").wait_for()
    assert head(widget, "city").get_attribute("aria-sort") == "ascending"
    assert head(widget, "id").get_attribute("aria-sort") == "descending"
    assert column(widget, 0)[:2] == ["998", "995"]

    exact = "0 – 999000000000006993"
    assert head(widget, "big").get_by_text(exact).is_visible()  # also past 2^53
    bars = head(widget, "price").locator("svg")
    bars.wait_for()
    box = bars.bounding_box()
    assert box is not None
    lab.page.mouse.move(box["x"] + 2, box["y"] + 20)
    lab.page.mouse.down()
    lab.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    lab.page.mouse.up()
    widget.locator(".chip", has_text="price").wait_for()
    widget.locator(".size", has_text="rows").get_by_text("1,000 rows").wait_for(state="detached")
    head(widget, "price").locator(".plot:not(.is-old) rect.is-out").first.wait_for()
    assert head(widget, "price").locator("rect.bar-mark:not(.is-out)").count() > 1
    assert head(widget, "big").locator("rect.is-out").count() == 0
    lab.screenshot("browse-chosen")

    widget.get_by_role("button", name="SQL").click()
    widget.locator("code", has_text="ORDER BY").wait_for()
    widget.get_by_role("button", name="Make it a View").click()
    widget.locator(".said", has_text="It is the variable _view now.").wait_for()
    widget.locator(".below").get_by_role("button", name="Close").click()
    lab.run_cell(VIEW)
    count = int(lab.text(VIEW).split()[0])
    widget.get_by_text(f"{count} rows × 5 columns").wait_for()
    assert 0 < count < 1000

    for chip in reversed(widget.locator(".chip button").all()):
        chip.click()
    widget.get_by_text("1,000 rows × 5 columns").wait_for()


def test_a_column_s_menu_filters_hides_and_moves(lab: LabPage):
    widget = shown(lab, ORDINARY)
    head(widget, "id").locator(".more").click()
    menu = widget.get_by_role("dialog")
    menu.get_by_label("From").fill("many")
    menu.get_by_label("From").press("Enter")
    widget.get_by_role("alert").get_by_text("write it like").wait_for()
    widget.locator(".chip button").click()
    head(widget, "id").locator(".more").click()
    menu.get_by_label("To").fill("9")
    menu.get_by_label("To").press("Enter")
    widget.get_by_text("10 rows × 5 columns").wait_for()
    widget.get_by_label("Search all columns of text").fill("pAr")
    widget.get_by_text("3 rows × 5 columns").wait_for()
    widget.get_by_label("Search all columns of text").fill("")
    widget.locator(".chip button").first.click()
    widget.get_by_text("1,000 rows × 5 columns").wait_for()
    head(widget, "at").locator(".more").click()
    menu.get_by_role("button", name="Hide").click()
    widget.get_by_text("4 of 5 columns").wait_for()
    widget.get_by_role("button", name="Columns").click()
    menu.get_by_role("button", name="All").click()
    menu.get_by_role("button", name="Close").click()
    widget.get_by_text("1,000 rows × 5 columns").wait_for()


def test_keys_move_select_copy_and_open(lab: LabPage):
    widget, press = shown(lab, ORDINARY), lab.page.keyboard.press
    cells = len(lab.page.locator(".jp-Notebook .jp-Cell").all())
    widget.locator(".cell[data-row='0']").first.click()
    for key in ("Control+End", "Shift+ArrowUp", "Control+c"):
        press(key)
    widget.locator(".foot").get_by_text("copied 2 cells").wait_for()
    assert copied(lab) == "998000000000006986\n999000000000006993"
    assert widget.get_by_text("rows 9").is_visible()
    press("Enter")
    widget.locator(".below code", has_text="998000000000006986").wait_for()
    press("Escape")
    press("Control+Home")
    widget.get_by_text("rows 1–").wait_for()
    press("ArrowUp")
    press("Enter")
    widget.locator(".column[aria-sort='ascending']").wait_for()
    press("Shift+F10")
    widget.get_by_role("dialog").get_by_role("button", name="Unsort").click()
    widget.get_by_label("Go to row").fill("last")
    widget.get_by_label("Go to row").press("Enter")
    hint = widget.locator(".foot .hint")
    hint.get_by_text("a row is a number").wait_for()
    widget.locator(".column[aria-sort='ascending']").wait_for(state="detached")
    widget.locator(".foot .cost", has_text="ms").wait_for()  # of rows that came after the hint
    assert hint.text_content() == "a row is a number, the first one is 1"
    widget.get_by_label("Go to row").fill("500")
    widget.get_by_label("Go to row").press("Enter")
    widget.get_by_text("rows 500–").wait_for()
    assert hint.text_content() == ""
    widget.locator(".cell[data-row='499']", has_text="499").first.wait_for()
    widget.locator(".cell").first.hover()
    lab.page.mouse.wheel(0, -100)
    widget.get_by_text("rows 496–").wait_for()
    press("a")
    assert len(lab.page.locator(".jp-Notebook .jp-Cell").all()) == cells


def test_empty_wide_and_failing_tables(lab: LabPage):
    assert shown(lab, EMPTY).get_by_text("0 rows × 5 columns").is_visible()
    wide = shown(lab, WIDE)
    wide.locator(".cell[data-row='3']", has_text="3").first.wait_for()
    assert wide.locator(".column").count() < 30
    wide.locator(".cell").first.click()
    lab.page.keyboard.press("End")
    wide.locator(".cell[data-row='3'][data-place='999']", has_text="2997").wait_for()
    alert = shown(lab, FAILING).get_by_role("alert")
    alert.get_by_text("throwIf").wait_for()


@pytest.mark.parametrize(("theme", "name"), [(DARK, "dark"), (LIGHT, "light")])
def test_in_both_themes(lab: LabPage, theme: str, name: str):
    lab.theme(theme)
    lab.page.wait_for_timeout(500)
    assert shown(lab, ORDINARY).locator(".row").count() > 10  # also where it was hidden meanwhile
    for part, place in (
        ("ordinary", ORDINARY), ("empty", EMPTY), ("wide", WIDE), ("failing", FAILING),
    ):  # fmt: skip
        lab.cell(place).scroll_into_view_if_needed()
        lab.page.wait_for_timeout(200)
        lab.screenshot(f"browse-{part}-{name}")


def test_why_tells_it_and_an_output_that_is_deleted_lets_go(lab: LabPage):
    lab.run_cell(WHY)
    assert "browsed table x" in lab.cell(WHY).inner_text()
    lab.run_cell(LIVE)
    before = int(lab.text(LIVE))
    lab.clear_output(WIDE)
    until = time.monotonic() + PATIENCE_MS / 1000
    while int(lab.text(LIVE)) >= before:
        assert time.monotonic() < until
        lab.page.wait_for_timeout(300)
        lab.run_cell(LIVE)
    lab.page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
    )
    shown(lab, ORDINARY).get_by_text("The kernel was restarted or is gone").wait_for()
    assert lab.outside == []


TEN_MILLION = """%load_ext aaiclick_ext
import aaiclick_ext as aai
big = aai.sql('''SELECT number AS id, sipHash64(number) % 1000 AS k,
  ['a', 'b', 'c', 'd'][1 + number % 4] AS letter FROM numbers(10000000)''').copy()
big.show()"""


@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_ten_million_rows(browser: Browser, lab_server: LabServer, front_end: str):
    write_notebook(lab_server.notebooks / "ten_million.ipynb", [TEN_MILLION])
    with lab_page(browser, lab_server) as lab:
        page = lab.page
        page.set_default_timeout(PATIENCE_MS)
        lab.open("ten_million.ipynb", front_end)
        lab.run_cell(0)
        widget = page.locator(".aai-browse")
        widget.get_by_text("10,000,000 rows × 3 columns").wait_for()
        head(widget, "k").locator("svg rect.bar-mark").first.wait_for()
        head(widget, "k").locator(".name-line").click()
        zero = re.compile("^0$")
        widget.locator(".cell[data-row='0'][data-place='1']", has_text=zero).wait_for()
        assert set(column(widget, 1)) == {"0"}
        head(widget, "letter").locator("svg rect").first.click()
        widget.get_by_text("2,500,000 rows × 3 columns").wait_for()
        assert len(set(column(widget, 2))) == 1
        letters = head(widget, "letter").locator(".plot:not(.is-old) rect.bar-mark")
        head(widget, "letter").locator(".plot:not(.is-old) rect.is-out").first.wait_for()
        assert letters.count() == 4
        letters.nth(1).click()  # what else there is can be chosen
        widget.get_by_text("5,000,000 rows × 3 columns").wait_for()
        head(widget, "letter").locator(".plot:not(.is-old) rect.is-out").nth(1).wait_for()
        letters.nth(1).click()
        widget.get_by_text("2,500,000 rows × 3 columns").wait_for()
        widget.get_by_label("Go to row").fill("2,500,000")
        widget.get_by_label("Go to row").press("Enter")
        widget.locator(".cell[data-row='2499999'][data-place='1']", has_text="999").wait_for()
        lab.screenshot(f"browse-ten-million-{front_end}")
        assert lab.outside == []
