"""What all widgets of ours have in common."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, TypeVar

import anywidget

from aaiclick_ext.logs import logger_of
from aaiclick_ext.untrusted import shortened

if TYPE_CHECKING:
    from collections.abc import Mapping

Bundle = tuple[dict[str, Any], dict[str, Any]]
"""Data and metadata of a display."""

_LOGGED_COLUMNS = 200
"""So much of what a page sent, and should not have, is in the log."""

_log = logger_of("widgets")
_open: weakref.WeakSet[PageWidget] = weakref.WeakSet()


class PageWidget(anywidget.AnyWidget):
    """A widget that ends with the extension, and of which a page sets nothing.

    Displaying it gives the widget and what is `still` in one bundle; a front end shows the first
    that it can.
    """

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        _open.add(self)

    def still(self) -> dict[str, Any]:
        """Return what is shown where there is no widget, by MIME type."""
        raise NotImplementedError

    def end(self) -> None:
        """Close it; it goes from the page."""
        _open.discard(self)
        layout = self.layout  # a widget of its own, which outlives the one that it lays out
        self.close()
        layout.close()

    def set_state(self, sync_data: Mapping[str, Any]) -> None:
        """Refuse: a page sets nothing, it sends messages."""
        self.ignored(f"tried to set {sorted(map(str, sync_data))!r}")

    def ignored(self, what: str) -> None:
        """Write into the log what a page did and should not have done."""
        _log.warning("%s: the page %s", type(self).__name__, shortened(what, _LOGGED_COLUMNS))

    def _repr_mimebundle_(self, **_: Any) -> Bundle:
        data, metadata = super()._repr_mimebundle_() or ({}, {})
        return {**data, **self.still()}, dict(metadata)


_Widget = TypeVar("_Widget", bound=PageWidget)


def open_widgets(kind: type[_Widget]) -> list[_Widget]:
    """Return the widgets of a kind that are open in this process."""
    return [widget for widget in list(_open) if isinstance(widget, kind)]


def close_widgets() -> None:
    """End every widget of this process: what it shows goes, or stays as it was last."""
    for widget in open_widgets(PageWidget):
        widget.end()
