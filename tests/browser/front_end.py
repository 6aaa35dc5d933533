"""The lineage widget's front end in a page without Jupyter, with a model that only remembers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from aaiclick_ext.widgets import LineageWidget, Mode

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

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
    tell: (message) => of('msg:custom').forEach((act) => act(message)),
    listening: () => [...listeners.values()].flat().length,
  };
  const started = performance.now(), el = document.querySelector('#el');
  window.cleanup = window.lineage.render({ model: window.model, el });
  return performance.now() - started;
}"""

STATE = ("_drawing", "_nodes", "_description", "_can", "_chosen")


class Draw:
    """Draws a graph, with changes to the widget's state; gives the page."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []

    def __call__(
        self,
        graph: Any,
        *,
        width: int = 1000,
        page: dict[str, Any] | None = None,
        mode: Mode | None = None,
        **state: Any,
    ) -> Page:
        widget = LineageWidget(graph, mode=mode)
        given = {name: getattr(widget, name) for name in STATE}
        code = widget._esm.replace("export default { render }", "window.lineage = { render }")
        style = widget._css
        widget.close()
        options = {"viewport": {"width": width, "height": 900}, "reduced_motion": "reduce"}
        context = self._browser.new_context(**(options | (page or {})))
        self._contexts.append(context)
        opened = context.new_page()
        opened.set_default_timeout(20_000)
        opened.on("pageerror", lambda error: pytest.fail(str(error)))
        opened.set_content(f"<style>{style}</style><body><div id=el></div></body>")
        opened.add_script_tag(content=code, type="module")
        opened.wait_for_function("() => window.lineage")
        opened.took_ms = opened.evaluate(MODEL, given | state)
        return opened

    def close(self) -> None:
        """Close the pages."""
        for context in self._contexts:
            context.close()
