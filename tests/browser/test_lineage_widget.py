"""The lineage widget in JupyterLab: drawn, clicked, walked by keys, in both themes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from lab import DARK, LIGHT, lab_page, write_notebook

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab import LabPage, LabServer
    from playwright.sync_api import Browser, Locator

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

GRAPHS = str(Path(__file__).parent.parent / "widgets")
SHOW = f"""import sys
sys.path.insert(0, {GRAPHS!r})
import lineage_graphs
from IPython.display import display
from aaiclick_ext.widgets import LineageWidget
widget = LineageWidget(lineage_graphs.flights())
data, metadata = widget._repr_mimebundle_()
display(data, metadata=metadata, raw=True)"""
CELLS = [SHOW, "print(widget.selected)", "widget.selected = 'view_stormy'"]


@pytest.fixture(scope="module")
def lab(browser: Browser, lab_server: LabServer) -> Iterator[LabPage]:
    """One page for all tests here; each begins with nothing selected."""
    write_notebook(lab_server.notebooks / "lineage.ipynb", CELLS)
    with lab_page(browser, lab_server) as page:
        page.open("lineage.ipynb")
        page.run_cell(0)
        yield page


@pytest.fixture
def widget(lab: LabPage) -> Locator:
    """The drawn widget, whole and with nothing selected."""
    found = lab.page.locator(".aai-lineage").first
    found.locator("g.node").first.wait_for()
    node(found, "flights").focus()
    lab.page.keyboard.press("Escape")
    lab.page.keyboard.press("0")
    return found


def node(widget: Locator, name: str) -> Locator:
    """Return the node whose label has a word."""
    return widget.locator("g.node").filter(has=widget.page.locator("text", has_text=name)).first


def zoom(widget: Locator) -> int:
    """Return the zoom level that the widget shows, in percent."""
    return int(widget.locator(".level").inner_text().split()[0])


def names(widget: Locator, css: str) -> set[str]:
    """Return the first words of the nodes that a selector finds."""
    labels = widget.locator(css).evaluate_all("all => all.map(g => g.getAttribute('aria-label'))")
    return {", ".join(label.split(", ")[:2]) for label in labels}


def test_the_graph_is_drawn(lab: LabPage, widget: Locator):
    assert widget.locator("g.node").count() == 12
    assert widget.locator("g.edge").count() == 11
    assert widget.locator(".title").inner_text() == "Lineage of worst: 12 steps"
    legend = widget.locator(".legend li").all_inner_texts()
    assert legend == ["source", "table", "view", "result", "alive", "dropped", "failed"]
    lab.screenshot("lineage-light")


def test_a_click_selects_and_python_knows(lab: LabPage, widget: Locator):
    node(widget, "90,112 rows · dropped").click()
    assert widget.locator("g.selected").count() == 1
    assert names(widget, "g.node.ancestor") == {
        "create_from_value, flights", "read_parquet, weather", "filter, late", "join, cell 7",
        "copy, stormy",
    }  # fmt: skip
    assert names(widget, "g.node.descendant") == {
        "aggregate, by_carrier", "join, cell 9", "order_by, worst", "to_pandas, cell 12",
        "copy, cell 13",
    }  # fmt: skip
    foreign = node(widget, "shop.carriers")
    assert float(foreign.evaluate("g => getComputedStyle(g).opacity")) < 0.5
    lab.screenshot("lineage-selected-light")
    lab.run_cell(1)
    assert lab.text(1).strip() == "aai_t_7_k1_a4"


def test_a_click_beside_clears(lab: LabPage, widget: Locator):
    node(widget, "worst").click()
    widget.locator(".canvas").click(position={"x": 4, "y": 4})
    assert widget.locator("g.selected").count() == 0
    lab.run_cell(1)
    assert lab.text(1).strip() == "None"


def test_the_details_say_everything(widget: Locator):
    node(widget, "late").click()
    details = widget.locator(".panel")
    assert details.locator(".head").inner_text().split("\n") == ["filter", "late", "[5]", "view"]
    assert "WHERE t0.arr_delay > 15" in details.locator("pre.sql").inner_text()
    assert "arr_delay > 15" in details.locator("dl").inner_text()
    node(widget, "failed").click()
    assert "Memory limit exceeded" in details.locator("pre.error").inner_text()


def test_python_selects_in_the_browser(lab: LabPage, widget: Locator):
    lab.run_cell(2)
    selected = widget.locator("g.selected")
    selected.wait_for()
    assert names(widget, "g.selected") == {"join, cell 7"}


def test_keys_walk_select_and_clear(lab: LabPage, widget: Locator):
    press = lab.page.keyboard.press
    node(widget, "worst").focus()
    press("ArrowUp")
    focused = "() => document.activeElement.getAttribute('aria-label')"
    assert lab.page.evaluate(focused).startswith("join, cell 9")
    press("Enter")
    assert names(widget, "g.selected") == {"join, cell 9"}
    press("ArrowUp")
    press("Space")
    assert names(widget, "g.selected") != {"join, cell 9"}
    lab.screenshot("lineage-keyboard-light")
    press("Escape")
    assert widget.locator("g.selected").count() == 0
    # Lab itself saw none of these keys: no cell was run, split or left
    assert lab.page.locator(".jp-Notebook .jp-Cell").count() == len(CELLS)


def test_tab_reaches_the_tools_and_one_node(lab: LabPage, widget: Locator):
    widget.get_by_role("button", name="Zoom out").focus()
    seen = []
    for _ in range(3):
        lab.page.keyboard.press("Tab")
        seen.append(lab.page.evaluate("() => document.activeElement.getAttribute('aria-label')"))
    assert seen[:2] == ["Zoom in (+)", "Fit (0)"]
    assert seen[2].startswith("create_from_value, flights")


def test_zoom_by_buttons_wheel_and_keys(lab: LabPage, widget: Locator):
    whole = zoom(widget)
    widget.get_by_role("button", name="Zoom in").click()
    assert zoom(widget) > whole
    widget.get_by_role("button", name="Fit").click()
    assert zoom(widget) == whole
    widget.locator(".canvas").hover()
    lab.page.keyboard.down("Control")
    lab.page.mouse.wheel(0, -300)
    lab.page.keyboard.up("Control")
    lab.page.wait_for_function(
        "whole => parseInt(document.querySelector('.aai-lineage .level').textContent) > whole",
        arg=whole,
    )
    lab.screenshot("lineage-zoomed-light")
    near = zoom(widget)
    lab.page.mouse.wheel(0, -300)  # without Ctrl the page scrolls
    lab.page.wait_for_timeout(200)
    assert zoom(widget) == near
    node(widget, "worst").focus()
    lab.page.keyboard.press("0")
    assert zoom(widget) == whole


def test_dragging_pans_and_selects_nothing(lab: LabPage, widget: Locator):
    where = "() => document.querySelector('.aai-lineage .scene').style.transform"
    before = lab.page.evaluate(where)
    box = node(widget, "worst").bounding_box()
    assert box is not None
    lab.page.mouse.move(box["x"] + 5, box["y"] + 5)
    lab.page.mouse.down()
    lab.page.mouse.move(box["x"] + 60, box["y"] - 40, steps=5)
    lab.page.mouse.up()
    assert lab.page.evaluate(where) != before
    assert widget.locator("g.selected").count() == 0


def test_dark_theme_reads(lab: LabPage, widget: Locator):
    node(widget, "by_carrier").click()
    lab.theme(DARK)
    try:
        lab.screenshot("lineage-selected-dark")
        lab.page.keyboard.press("Escape")
        lab.screenshot("lineage-dark")
        for name in ("flights", "late", "to_pandas", "failed"):
            assert contrast(node(widget, name)) >= 4.5, name
    finally:
        lab.theme(LIGHT)
    for name in ("flights", "late", "to_pandas", "failed"):
        assert contrast(node(widget, name)) >= 4.5, name


def test_texts_stay_inside_their_nodes(widget: Locator):
    outside = widget.locator("g.node").evaluate_all(
        """nodes => nodes.filter(g => {
          const shape = g.querySelector('path, polygon').getBBox();
          return [...g.querySelectorAll('text')].some(t => {
            const box = t.getBBox();
            return box.x < shape.x || box.x + box.width > shape.x + shape.width;
          });
        }).map(g => g.getAttribute('aria-label'))"""
    )
    assert outside == []


def test_nothing_was_asked_of_the_network(lab: LabPage, widget: Locator):
    assert lab.outside == []
    assert lab.errors == []


def contrast(node: Locator) -> float:
    """Return the contrast of a node's text on its fill (WCAG 2.2, relative luminance)."""
    ink = _rgb(node.locator("text").first.evaluate("t => getComputedStyle(t).fill"))
    fill = _rgb(node.locator("path, polygon").first.evaluate("p => getComputedStyle(p).fill"))
    light, dark = sorted((_luminance(ink), _luminance(fill)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _rgb(css: str) -> list[float]:
    return [float(part) for part in re.findall(r"[\d.]+", css)[:3]]


def _luminance(rgb: list[float]) -> float:
    parts = (part / 255 for part in rgb)
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
