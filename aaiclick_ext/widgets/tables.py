"""The live list of tables: sorted by a click on a column."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import traitlets

from aaiclick_ext.widgets.front_end import joined
from aaiclick_ext.widgets.page_widget import Bundle, PageWidget
from aaiclick_ext.widgets.table_list import (
    COLUMNS,
    NUMERIC,
    summary,
    table_rows,
    tables_html,
    tables_text,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aaiclick_ext.objects import TableInfo


class TablesWidget(PageWidget):
    """The tables of a kernel, as they were when it was made.

    Displaying it gives the widget, a static HTML table and text in one bundle; a front end shows
    the first that it can. Nothing is loaded over a network, and nothing comes back from the front
    end: sorting happens there.
    """

    _esm = joined("tables.js")
    _css = joined("theme.css", "tables.css")

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

    def still(self) -> dict[str, str]:
        """Return the list as HTML and as text."""
        return {"text/html": self._html, "text/plain": self._text}


def tables_bundle(infos: Sequence[TableInfo]) -> Bundle:
    """Return what to display of tables: ``display(data, metadata=metadata, raw=True)``."""
    now = dt.datetime.now(dt.UTC)
    if not infos:
        text = {"text/html": tables_html(infos, now), "text/plain": tables_text(infos, now)}
        return text, {}
    return TablesWidget(infos, now)._repr_mimebundle_()
