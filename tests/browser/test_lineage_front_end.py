"""The lineage widget's front end alone, in a page without Jupyter, with a model of our own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import lineage_graphs
import pytest
from lab import SCREENSHOTS

from aaiclick_ext.widgets import LineageWidget

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

MODEL = """(state) => {
  window.sent = [];
  const listeners = new Map(), of = (event) => listeners.get(event.split(':')[1]) ?? [];
  window.model = {
    get: (key) => state[key],
    set(key, value) {
      state[key] = value;
      of(`change:${key}`).forEach((act) => act());
    },
    on: (event, act) => listeners.set(event.split(':')[1], [...of(event), act]),
    off: (event, act) => listeners.set(event.split(':')[1], of(event).filter((a) => a !== act)),
    send: (content) => window.sent.push(content),
    listening: () => [...listeners.values()].flat().length,
  };
  const started = performance.now(), el = document.querySelector('#el');
  window.cleanup = window.lineage.render({ model: window.model, el });
  return performance.now() - started;
}"""

Draw = "Callable[..., Page]"


@pytest.fixture
def draw(browser: Browser) -> Iterator[Draw]:
    """Draw a graph, with changes to the widget's state; returns the page."""
    contexts = []

    def draw(graph: Any, *, width: int = 1000, page: dict[str, Any] | None = None, **state: Any):
        widget = LineageWidget(graph)
        given = {name: getattr(widget, name) for name in widget.keys if name.startswith("_")}
        given = {k: v for k, v in given.items() if k in {"_svg", "_nodes", "_edges",
                                                         "_description", "_chosen"}}  # fmt: skip
        code = widget._esm.replace("export default { render }", "window.lineage = { render }")
        style = widget._css
        widget.close()
        context = browser.new_context(
            **(
                {"viewport": {"width": width, "height": 900}, "reduced_motion": "reduce"}
                | (page or {})
            )
        )
        contexts.append(context)
        opened = context.new_page()
        opened.set_default_timeout(20_000)
        opened.on("pageerror", lambda error: pytest.fail(str(error)))
        opened.set_content(f"<style>{style}</style><body><div id=el></div></body>")
        opened.add_script_tag(content=code, type="module")
        opened.wait_for_function("() => window.lineage")
        opened.took_ms = opened.evaluate(MODEL, given | state)
        return opened

    yield draw
    for context in contexts:
        context.close()


def keep(page: Page, name: str) -> None:
    """Keep a picture of the widget as out/<name>.png."""
    SCREENSHOTS.mkdir(exist_ok=True)
    page.locator(".aai-lineage").screenshot(path=SCREENSHOTS / f"{name}.png")


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
    page = draw(lineage_graphs.arrays(), _svg=EVIL)
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
    page = draw(lineage_graphs.arrays(), _svg=svg)
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
    assert page.locator(".details pre.sql").inner_text() == evil
    assert page.locator(".details pre.error").inner_text() == evil
    assert page.locator("img, script:not([type=module])").count() == 0
    assert page.evaluate("() => window.pwned") is None


def test_only_one_kind_of_message_is_sent(draw: Draw):
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
    assert page.evaluate("() => window.model.listening()") == 1
    page.evaluate("() => window.cleanup()")
    assert page.evaluate("() => window.model.listening()") == 0


def test_a_thousand_nodes_answer_to_a_click(draw: Draw):
    page = draw(lineage_graphs.chain(1000))
    assert page.took_ms < 5_000
    root = page.locator("g.node.root")
    select = """() => {
      const started = performance.now();
      window.model.set('_chosen', 'n500');
      return performance.now() - started;
    }"""
    assert page.evaluate(select) < 1_000  # 30 ms on a free machine
    root.click()
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
    page = draw(lineage_graphs.arrays(), page={"color_scheme": scheme})
    page.locator("g.node").nth(1).click()
    keep(page, f"lineage-plain-{scheme}")
    paper = page.locator(".aai-lineage").evaluate("e => getComputedStyle(e).backgroundColor")
    assert (sum(json.loads(f"[{paper[4:-1]}]")) > 384) == (scheme == "light")


def test_a_narrow_page_puts_the_details_below(draw: Draw):
    page = draw(lineage_graphs.flights(), width=420)
    page.locator("g.node.root").click()
    canvas, strip = (page.locator(s).bounding_box() for s in (".canvas", ".strip"))
    assert strip["y"] >= canvas["y"] + canvas["height"] - 1
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 420
    keep(page, "lineage-narrow")


def test_motion_only_where_it_is_wanted(draw: Draw):
    duration = "() => getComputedStyle(document.querySelector('.node')).transitionDuration"
    assert draw(lineage_graphs.arrays()).evaluate(duration) == "0s"
    moving = draw(lineage_graphs.arrays(), page={"reduced_motion": "no-preference"})
    assert moving.evaluate(duration) == "0.15s"
