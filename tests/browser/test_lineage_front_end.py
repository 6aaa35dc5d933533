"""The lineage widget's front end alone, in a page without Jupyter, with a model of our own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import lineage_graphs
import pytest
from lab import SCREENSHOTS

from aaiclick_ext.widgets import LineageWidget, Mode

if TYPE_CHECKING:
    from front_end import Draw
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


def keep(page: Page, name: str) -> None:
    """Keep a picture of the widget as out/<name>.png."""
    SCREENSHOTS.mkdir(exist_ok=True)
    page.locator(".aai-lineage").screenshot(path=SCREENSHOTS / f"{name}.png")


def drawing(svg: str) -> dict[str, Any]:
    """Return a drawing that is not ours."""
    return {"svg": svg, "items": [], "edges": [], "said": "", "mode": Mode().told()}


EVIL = """<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"
  viewBox="0 0 100 100" onload="window.pwned = 1" style="position:fixed">
 <script>window.pwned = 2</script><style>* { display: none }</style>
 <g id="n0" class="node" onclick="window.pwned = 3" style="background: url(x)">
  <title>t<script>window.pwned = 4</script></title>
  <a xlink:href="javascript:window.pwned = 5"><text>link</text></a>
  <foreignObject><body xmlns="http://www.w3.org/1999/xhtml">
   <img src="x" onerror="window.pwned = 6"/></body></foreignObject>
  <image href="x" onerror="window.pwned = 7"/><use href="#n0"/>
  <path d="M0,0 L9,9" fill="url(#x)" onmouseover="window.pwned = 8"/>
  <animate attributeName="href" to="javascript:1" onbegin="window.pwned = 9"/>
  <text x="1" fill="javascript:1">&lt;img src=x onerror="window.pwned = 10"&gt;</text>
  <b xmlns="http://www.w3.org/1999/xhtml">html</b>
 </g></svg>"""


def test_an_evil_drawing_is_cut_down(draw: Draw):
    page = draw(lineage_graphs.arrays(), _drawing=drawing(EVIL))
    page.locator("g.node").first.dispatch_event("click")
    page.wait_for_timeout(200)
    assert page.evaluate("() => window.pwned") is None
    found = page.evaluate(
        """() => [...document.querySelectorAll('.canvas *')].map(
          (e) => [e.localName, [...e.attributes].map((a) => a.name).sort()])"""
    )
    assert {name for name, _ in found} == {"svg", "g", "title", "path", "text"}
    attributes = {attribute for _, given in found for attribute in given}
    assert not {a for a in attributes if a.startswith("on") or "href" in a}
    assert "fill" not in attributes
    assert page.locator(".canvas text").text_content() == '<img src=x onerror="window.pwned = 10">'


@pytest.mark.parametrize("svg", ["", "<html><b>x</b></html>", "<svg", "not xml", "<svg/>"])
def test_what_is_no_drawing_draws_nothing(draw: Draw, svg: str):
    page = draw(lineage_graphs.arrays(), _drawing=drawing(svg))
    assert page.locator(".canvas svg").count() == 1
    assert page.locator(".canvas g.node").count() == 0


def test_hostile_texts_are_shown_as_text(draw: Draw):
    evil = "<img src=x onerror=window.pwned=1><script>window.pwned=2</script>"
    events = [
        lineage_graphs.event(
            "view_x", evil, variable_names=(evil,), params={evil: evil}, sql_template=evil,
            cell_source=evil, error=evil, status="error", result_schema={evil: evil},
        )
    ]  # fmt: skip
    page = draw(lineage_graphs.graph("view_x", events))
    page.locator("g.node").first.click()
    assert page.locator(".panel pre.sql").inner_text() == evil
    assert page.locator(".panel pre.source").inner_text() == evil
    assert page.locator(".panel pre.error").inner_text() == evil
    assert page.locator("img, script:not([type=module])").count() == 0
    assert page.evaluate("() => window.pwned") is None


def test_choosing_sends_what_was_chosen(draw: Draw):
    page = draw(lineage_graphs.flights())
    nodes = page.locator("g.node")
    nodes.nth(3).click()
    nodes.nth(3).click()
    nodes.nth(4).focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    page.keyboard.press("+")
    ids = [nodes.nth(n).get_attribute("id") for n in (3, 4)]
    assert page.evaluate("() => window.sent") == [
        {"type": "select", "node": node} for node in (ids[0], None, ids[1], None)
    ]


def test_a_selection_made_elsewhere_is_shown_and_not_sent_back(draw: Draw):
    page = draw(lineage_graphs.flights())
    page.evaluate("() => window.model.set('_chosen', 'n2')")
    assert page.locator("g.selected").get_attribute("id") == "n2"
    assert page.evaluate("() => window.sent") == []
    page.evaluate("() => window.model.set('_chosen', 'constructor')")
    assert page.locator("g.selected").count() == 0


def test_nothing_is_left_when_the_view_goes(draw: Draw):
    page = draw(lineage_graphs.arrays())
    assert page.evaluate("() => window.model.listening()") == 4
    page.evaluate("() => window.cleanup()")
    assert page.evaluate("() => window.model.listening()") == 0


def test_a_thousand_nodes_answer_to_a_click(draw: Draw):
    page = draw(lineage_graphs.chain(1000), mode=Mode())
    assert page.took_ms < 5_000
    select = """() => {
      const started = performance.now();
      window.model.set('_chosen', 'n500');
      return performance.now() - started;
    }"""
    assert page.evaluate(select) < 1_000  # 30 ms on a free machine
    page.evaluate("() => window.model.set('_chosen', 'n999')")
    assert page.locator("g.ancestor").count() > 1_000
    keep(page, "lineage-1000")
    references = page.locator("g.far")
    assert references.count() > 100
    reference = references.last
    of = next(c for c in reference.get_attribute("class").split() if c.startswith("of-"))
    reference.dispatch_event("pointerdown", {"button": 0})
    reference.dispatch_event("pointerup", {"button": 0})
    assert page.locator("g.selected").get_attribute("id") == of.removeprefix("of-")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_outside_jupyterlab_the_browser_says_light_or_dark(draw: Draw, scheme: str):
    page = draw(lineage_graphs.aged(), page={"color_scheme": scheme})
    page.locator("g.node").nth(1).click()
    legend = page.locator(".legend li").all_inner_texts()
    assert legend == ["source", "table", "alive", "stale", "dropped"]
    keep(page, f"lineage-plain-{scheme}")
    paper = page.locator(".aai-lineage").evaluate("e => getComputedStyle(e).backgroundColor")
    assert (sum(json.loads(f"[{paper[4:-1]}]")) > 384) == (scheme == "light")


def test_a_narrow_page_puts_the_details_below(draw: Draw):
    page = draw(lineage_graphs.flights(), width=420)
    page.locator("g.node.root").click()
    canvas, strip = (page.locator(s).bounding_box() for s in (".canvas", ".panel"))
    assert strip["y"] >= canvas["y"] + canvas["height"] - 1
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 420
    keep(page, "lineage-narrow")


def test_motion_only_where_it_is_wanted(draw: Draw):
    duration = "() => getComputedStyle(document.querySelector('.node')).transitionDuration"
    assert draw(lineage_graphs.arrays()).evaluate(duration) == "0s"
    moving = draw(lineage_graphs.arrays(), page={"reduced_motion": "no-preference"})
    assert moving.evaluate(duration) == "0.15s"


def test_search_finds_by_name_table_operation_and_column(draw: Draw):
    page = draw(lineage_graphs.flights())
    search, count = page.locator(".search"), page.locator(".count")
    for text, found in [("weather", 1), ("aai_t_7_k1_a4", 1), ("JOIN", 2), ("arr_delay", 1)]:
        search.fill(text)
        assert count.inner_text() == f"{found} found"
        assert page.locator("g.node.match").count() == found
    search.fill("join")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert count.inner_text() == "2 of 2"
    assert page.locator("g.selected").count() == 1
    search.fill("no such thing")
    assert count.inner_text() == "none found"
    page.keyboard.press("Escape")
    assert search.input_value() == ""
    assert page.locator("g.match").count() == 0


def test_a_fold_tells_its_steps_and_asks_to_be_opened(draw: Draw):
    page = draw(lineage_graphs.chain(100, every=1000))
    assert page.locator(".said").inner_text() == "96 steps are folded into 1."
    assert "folded steps" in page.locator(".legend").inner_text()
    page.locator(".search").fill("step_50")
    assert page.locator(".count").inner_text() == "1 found, 1 not drawn"
    page.locator("g.node.match").click()
    assert page.locator(".panel .members li").count() == 96
    page.get_by_role("button", name="Draw these steps").click()
    sent = page.evaluate("() => window.sent.at(-1)")
    assert sent["type"] == "draw"
    assert len(sent["mode"]["opened"]) == 96
    page.locator(".modes button", has_text="Fold").click()
    assert page.evaluate("() => window.sent.at(-1).mode.fold") is False


def test_a_large_graph_begins_with_its_nearest_steps(draw: Draw):
    page = draw(lineage_graphs.chain(1000))
    assert page.locator("g.node[role=button]").count() == 250
    said = page.locator(".said")
    assert said.inner_text().startswith("750 steps farther away are not shown.")
    page.get_by_role("button", name="Fit (0)").click()
    fitted = page.locator(".level").inner_text()
    page.locator(".canvas").evaluate("canvas => { canvas.style.width = '99%'; }")
    page.evaluate(
        "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )
    assert page.locator(".level").inner_text() == fitted  # not as it began
    title, zoom = (page.locator(f".tools .{name}").bounding_box() for name in ("title", "zoom"))
    assert zoom["y"] < title["y"] + title["height"]  # in one row
    page.locator(".search").fill("step_3")
    assert "not drawn" in page.locator(".count").inner_text()
    keep(page, "lineage-large")
    said.get_by_role("button", name="Draw all steps").click()
    assert page.evaluate("() => window.sent.at(-1).mode.near") is False


def test_a_new_drawing_takes_the_old_one_s_place(draw: Draw):
    page = draw(lineage_graphs.shop())
    page.locator("g.node.root").click()
    by_column = LineageWidget(lineage_graphs.shop(), mode=Mode(columns=True))
    page.evaluate("d => window.model.set('_drawing', d)", by_column._drawing)
    assert page.locator(".canvas svg").count() == 1
    assert page.locator("g.selected").count() == 1  # still the same table
    assert page.locator("g.column").count() == len(by_column._drawing["items"])
    assert page.locator(".modes button", has_text="Columns").get_attribute("aria-pressed") == "true"
    total = page.locator("g.column[aria-label^='column total of best']")
    total.click()
    lit = page.locator("g.ancestor").evaluate_all("a => a.map(g => g.getAttribute('aria-label'))")
    named = [label for label in lit if label and label.startswith("column")]
    assert "column n of orders, Int64" in named
    assert not any(label.startswith("column name") for label in named)
    facts = page.locator(".panel dl").first.inner_text().split("\n")
    assert facts == ["made of", "n of orders", "from", "total of named"]
    by_column.close()


def test_what_is_refused_is_said(draw: Draw):
    page = draw(lineage_graphs.arrays())
    page.evaluate("() => window.model.tell({type: 'refused', error: '3001 <b>steps'})")
    assert page.locator(".said").inner_text() == "3001 <b>steps"
