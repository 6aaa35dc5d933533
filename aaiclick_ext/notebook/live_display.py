"""How a live result is shown as the last line of a cell, and by `display`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aaiclick_ext.live import LiveResult

_MODULE, _NAME = "aaiclick_ext.live.result", "LiveResult"


class LiveDisplay:
    """The formatter of live results, as registered with a shell.

    It displays under an id, which a result of a cell has not, so that what was shown last can be
    put in the place of the widget when that ends. A terminal prints the text alone.

    Parameters
    ----------
    ip
        The IPython shell.
    """

    def __init__(self, ip: Any) -> None:
        self._formatter = ip.display_formatter.ipython_display_formatter
        self._has_page = hasattr(ip, "kernel")
        if self._has_page:
            self._formatter.for_type_by_name(_MODULE, _NAME, show_live)

    def close(self) -> None:
        """Unregister it."""
        if self._has_page:
            self._formatter.pop(f"{_MODULE}.{_NAME}", None)


def show_live(result: LiveResult) -> None:
    """Display a live result: while it lives by its widget, then as it was last."""
    from IPython.display import display, update_display

    from aaiclick_ext.widgets import live_widget

    if result.state.state == "ended":
        display(result._repr_mimebundle_(), raw=True)  # type: ignore[no-untyped-call]
        return

    def publish(bundle: dict[str, Any], display_id: str) -> None:
        update_display(bundle, display_id=display_id, raw=True)  # type: ignore[no-untyped-call]

    widget = live_widget(result, publish)
    data, metadata = widget._repr_mimebundle_()
    display(data, metadata=metadata, raw=True, display_id=widget.display_id)  # type: ignore[no-untyped-call]
