"""The browser of a table in a page: rows as they are scrolled to, sorted, filtered, summarised."""

from __future__ import annotations

import threading
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

import traitlets

from aaiclick_ext.objects.browsing import Look
from aaiclick_ext.objects.display import mime_bundle
from aaiclick_ext.objects.table_html import type_label
from aaiclick_ext.untrusted import visible
from aaiclick_ext.widgets.browse_messages import Request, Stop, Viewer, understood
from aaiclick_ext.widgets.browsed import BrowsedTable
from aaiclick_ext.widgets.front_end import joined
from aaiclick_ext.widgets.page_widget import PageWidget
from aaiclick_ext.widgets.requests import STOPPED_WITHIN_S, Requests

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aaiclick_ext.objects import View
    from aaiclick_ext.widgets.browsed import Bind

SILENCE_S = 60.0
"""How long a table is held for a page that gives no sign of life."""

GRACE_S = 1.0
"""How long after the last page has gone: an output that is moved comes back."""

MAX_REQUESTS = 16
"""Requests that are answered at a time; more are refused."""

_SCRIPTS = ("browse_plot.js", "browse_menu.js", "browse_rows.js", "browse.js")
_MAX_VIEWERS = 100


class BrowseWidget(PageWidget):
    """A table in a page: scrolled, sorted, filtered, searched, copied from. Made by `View.show`.

    Shows the rows as they are when a page first asks; its Refresh shows them as they are then. Of
    a MergeTree table, and of what filters it or computes columns of it, that costs no bytes and
    20 ms; any other view is run once, and its result kept. Nothing is read but what is in sight,
    and queries run beside cells, never in them.

    It holds the table while a page shows it, which `%why` tells; a page that is closed lets go, and
    one that comes back claims it again while it is there. Displaying it gives the widget and the
    usual table as HTML and as text in one bundle. Nothing is loaded over a network.

    Parameters
    ----------
    view
        What to show.
    name
        How it is called in the page.
    bind
        Gives a view to the user's names; returns its name.

    Notes
    -----
    What comes from the browser is checked against a closed set of messages: typed requests that
    name columns by number, never SQL. No trait can be set from there.
    """

    _esm = joined(*_SCRIPTS)
    _css = joined("theme.css", "browse.css")

    _table: Any = traitlets.Dict().tag(sync=True)

    def __init__(self, view: View, name: str = "", bind: Bind | None = None) -> None:
        self.name = visible(name)
        self.table = BrowsedTable(view, bind)
        self.look = Look()
        self._chosen: tuple[str, ...] = self.table.names
        self._still = mime_bundle(view)
        self._requests = Requests("aai-browse", self.table.stop)
        self._viewers: set[str] = set()
        self._timer: threading.Timer | None = None
        self._timing = threading.Lock()
        super().__init__(
            _table={
                "name": self.name,
                "columns": [
                    [visible(c.name), visible(c.type), type_label(c.type), c.kind, c.has_order,
                     c.has_range, c.is_searched, c.is_nullable]
                    for c in self.table.columns
                ],
                "binds": bind is not None,
            }
        )  # fmt: skip
        self.on_msg(self._receive)
        self._release_in(SILENCE_S)

    @property
    def view(self) -> View:
        """What is looked at now, filtered and sorted, as a View with lineage. Runs no query."""
        return self.table.view(self.look, self._chosen)

    def still(self) -> dict[str, str]:
        """Return the first rows, as the default display has them."""
        return self._still

    def end(self) -> None:
        """Stop what runs for it, let go of its table and close it; it goes from the page."""
        self._release()
        with self._timing:
            if self._timer is not None:
                self._timer.cancel()
        super().end()

    def wait(self) -> None:
        """Return when every request has been answered."""
        self._requests.wait()

    # What comes from a page.

    def _receive(self, _: Any, content: Any, buffers: Sequence[Any]) -> None:
        message = None if buffers else understood(content, self.table.names)
        if isinstance(message, Viewer):
            self._see(message)
        elif isinstance(message, Stop):
            self._requests.stop(message.request)
        elif isinstance(message, Request):
            self._ask(message)
        else:
            self.ignored(f"sent {content!r}")

    def _see(self, viewer: Viewer) -> None:
        with self._timing:
            if not viewer.is_there:
                self._viewers.discard(viewer.viewer)
            elif len(self._viewers) < _MAX_VIEWERS:
                self._viewers.add(viewer.viewer)
            is_seen = bool(self._viewers)
        self._release_in(SILENCE_S if is_seen else GRACE_S)

    def _release_in(self, seconds: float) -> None:
        with self._timing:
            if self._timer is not None:
                self._timer.cancel()
            me = weakref.ref(self)
            self._timer = threading.Timer(seconds, lambda: _let_go(me))
            self._timer.name, self._timer.daemon = "aai-browse-timer", True
            self._timer.start()

    def _release(self) -> None:
        """Stop what runs for it, and let go of the table."""
        self._requests.stop_all()
        self._requests.wait(STOPPED_WITHIN_S)
        self.table.release()

    def _ask(self, request: Request) -> None:
        if request.request in self._requests:
            return
        if len(self._requests) >= MAX_REQUESTS:
            self._tell(request, {"error": "too many requests at a time; wait for some"})
            return
        if request.about in ("rows", "count", "query", "view"):
            self.look = request.look
            if request.about != "rows":  # which asks for what is in sight alone
                self._chosen = request.columns
        self._requests.begin(request.request, lambda: self._answer(request))

    def _answer(self, request: Request) -> None:
        is_stopped = partial(self._requests.is_stopped, request.request)
        answer = self.table.answer(request, is_stopped)
        if not is_stopped():
            self._tell(request, answer)

    def _tell(self, request: Request, answer: dict[str, Any]) -> None:
        self.send({"type": "answer", "request": request.request, **answer})


def _let_go(widget: weakref.ref[BrowseWidget]) -> None:
    known = widget()
    if known is not None:
        known._release()  # noqa: SLF001
