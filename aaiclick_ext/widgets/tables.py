"""The live list of tables: sorted by a click on a column."""

from __future__ import annotations

import datetime as dt
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from aaiclick_ext.logs import logger_of
from aaiclick_ext.widgets.table_list import (
    COLUMNS,
    NUMERIC,
    summary,
    table_rows,
    tables_html,
    tables_text,
)
from aaiclick_ext.widgets.untrusted import shortened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aaiclick_ext.objects import TableInfo

_log = logger_of("widgets")
_STATIC = Path(__file__).parent / "static"
_LOGGED_COLUMNS = 200

Bundle = tuple[dict[str, Any], dict[str, Any]]


class TablesWidget(anywidget.AnyWidget):
    """The tables of a kernel, as they were when it was made.

    Displaying it gives the widget, a static HTML table and text in one bundle; a front end shows
    the first that it can. Nothing is loaded over a network, and nothing comes back from the front
    end: sorting happens there.
    """

    _esm = (_STATIC / "tables.js").read_text(encoding="utf-8")
    _css = (_STATIC / "tables.css").read_text(encoding="utf-8")

    _columns: Any = traitlets.List().tag(sync=True)
    _rows: Any = traitlets.List().tag(sync=True)
    _summary = traitlets.Unicode().tag(sync=True)

    def __init__(self, infos: Sequence[TableInfo], now: dt.datetime) -> None:
        self._html = tables_html(infos, now)
        self._text = tables_text(infos, now)
        super().__init__(
            _columns=[[title, number] for title, number in zip(COLUMNS, NUMERIC, strict=True)],
            _rows=[[[cell.text, cell.order] for cell in row] for row in table_rows(infos, now)],
            _summary=summary(infos),
        )
        _live.add(self)

    def set_state(self, sync_data: Mapping[str, Any]) -> None:
        """Refuse: the front end sets nothing."""
        names = shortened(repr(sorted(map(str, sync_data))), _LOGGED_COLUMNS)
        _log.warning("tables widget: the front end tried to set %s", names)

    def _repr_mimebundle_(self, **_: Any) -> Bundle:
        data, metadata = super()._repr_mimebundle_() or ({}, {})
        return {**data, "text/html": self._html, "text/plain": self._text}, dict(metadata)


def tables_bundle(infos: Sequence[TableInfo]) -> Bundle:
    """Return what to display of tables: ``display(data, metadata=metadata, raw=True)``."""
    now = dt.datetime.now(dt.UTC)
    if not infos:
        text = {"text/html": tables_html(infos, now), "text/plain": tables_text(infos, now)}
        return text, {}
    return TablesWidget(infos, now)._repr_mimebundle_()


def close_tables() -> None:
    """Close every such widget of this process; the lists in the page go."""
    for widget in list(_live):
        layout = widget.layout  # a widget of its own, which outlives the one that it lays out
        widget.close()
        layout.close()
        _live.discard(widget)


_live: weakref.WeakSet[TablesWidget] = weakref.WeakSet()
