"""The page's side of a live result: drawn anew at every change, paused and resumed by a button."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import traitlets

from aaiclick_ext.live.chart_picture import COLOURS
from aaiclick_ext.live.showing import Chart, Number, Rows
from aaiclick_ext.untrusted import visible
from aaiclick_ext.widgets.front_end import joined
from aaiclick_ext.widgets.page_widget import PageWidget, open_widgets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aaiclick_ext.live import LiveResult, LiveState

_VIEWER_CHARACTERS = 64

Publish = Callable[[dict[str, Any], str], object]


class LiveWidget(PageWidget):
    """A live result in a page. A page that shows it says so every 10 s.

    Displaying it gives the widget, HTML and text of what is shown now in one bundle; a front end
    shows the first that it can. Nothing is loaded over a network.

    Parameters
    ----------
    result
        What is shown.
    publish
        Puts a bundle in the place of what was displayed under an id: at the end, what was shown
        last, which needs no kernel.

    Notes
    -----
    What comes from the browser is checked against a closed set of messages, and no trait can be
    set from there. Anything else is ignored, with a warning in the log.
    """

    _esm = joined("live.js")
    _css = joined("theme.css", "live.css")

    _state: Any = traitlets.Dict().tag(sync=True)

    def __init__(self, result: LiveResult, publish: Publish) -> None:
        self.result = result
        self.display_id = f"aai-live-{uuid.uuid4().hex}"
        self._publish = publish
        super().__init__(_state=told(result.state, result.kind))
        self.on_msg(self._receive)
        result.observe(self._show)

    def still(self) -> dict[str, Any]:
        """Return the result as it is now."""
        return self.result._repr_mimebundle_()

    def end(self) -> None:
        """End the result; the page keeps what was shown last."""
        self.result.close()

    def _show(self, state: LiveState) -> None:
        if state.state != "ended":
            self._state = told(state, self.result.kind)
            return
        self.result.unobserve(self._show)
        with contextlib.suppress(Exception):  # no shell is left to publish with
            self._publish(self.result._repr_mimebundle_(), self.display_id)
        super().end()

    def _receive(self, _: Any, content: Any, buffers: Sequence[Any]) -> None:
        kind, viewer = _understood(content, buffers)
        if kind == "look":
            self.result.look(viewer)
        elif kind == "look_away":
            self.result.look_away(viewer)
        elif kind == "pause":
            self.result.pause()
        elif kind == "resume":
            self.result.resume()
        else:
            self.ignored(f"sent {content!r}")


class LiveChart(LiveWidget):
    """A live chart in a page, with what draws it."""

    _esm = joined("uplot/uPlot.iife.min.js", "live_chart.js", "live.js")
    _css = joined("theme.css", "uplot/uPlot.min.css", "live.css")


def live_widget(result: LiveResult, publish: Publish) -> LiveWidget:
    """Return the widget of a live result: the one it has, if it was shown before."""
    for widget in open_widgets(LiveWidget):
        if widget.result is result:
            return widget
    return (LiveChart if result.kind == "chart" else LiveWidget)(result, publish)


def told(state: LiveState, kind: str) -> dict[str, Any]:
    """Return what the front end draws, as JSON can hold it."""
    drawn: dict[str, Any] = {
        "kind": kind,
        "state": state.state,
        "updated": state.at.isoformat(),
        "updates": state.updates,
        "how": state.how,
        "reason": visible(state.reason or ""),
        "error": visible(state.error or ""),
        "advice": visible(state.advice or ""),
    }
    showing = state.showing
    if isinstance(showing, Rows):
        drawn["html"] = showing.html()
    elif isinstance(showing, Number):
        drawn["number"] = {"name": visible(showing.name), "value": visible(showing.value)}
    elif isinstance(showing, Chart):
        drawn["chart"] = {
            "name": visible(showing.x_name),
            "x": showing.x,
            "time": showing.is_time,
            "labels": showing.labels,
            "y": [[visible(name), values] for name, values in showing.y.items()],
            "bars": showing.bars,
            "colours": list(COLOURS),
            "summary": showing.summary,
        }
    return drawn


def _understood(content: Any, buffers: Sequence[Any]) -> tuple[str, str]:
    """Return what a message says and whose it is; nothing where it is none of ours."""
    if buffers or not isinstance(content, dict) or not isinstance(content.get("type"), str):
        return "", ""
    kind, viewer = content["type"], content.get("viewer", "")
    if kind in {"look", "look_away"}:
        is_known = set(content) == {"type", "viewer"} and isinstance(viewer, str)
        return (kind, viewer) if is_known and 0 < len(viewer) <= _VIEWER_CHARACTERS else ("", "")
    return (kind, "") if kind in {"pause", "resume"} and len(content) == 1 else ("", "")
