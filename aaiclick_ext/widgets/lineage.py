"""The live lineage picture: click, highlight, zoom and pan, with the selection in Python."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from aaiclick_ext.errors import PictureError
from aaiclick_ext.logs import logger_of
from aaiclick_ext.widgets.card import Card, cards
from aaiclick_ext.widgets.picture import describe, drawn_edges, lineage_svg
from aaiclick_ext.widgets.tree import lineage_tree
from aaiclick_ext.widgets.untrusted import shortened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aaiclick_ext.oplog import OplogGraph

_log = logger_of("widgets")
_STATIC = Path(__file__).parent / "static"
_LOGGED_COLUMNS = 200

Bundle = tuple[dict[str, Any], dict[str, Any]]


class LineageWidget(anywidget.AnyWidget):
    """A lineage graph that can be looked around in.

    Displaying it gives the widget, the picture as SVG and the tree as text in one bundle; a front
    end shows the first that it can. Nothing is loaded over a network.

    Parameters
    ----------
    graph
        What to draw.

    Attributes
    ----------
    selected
        Name of the table that was clicked, or None. Setting it selects in the browser;
        `observe` it to follow the user.

    Raises
    ------
    PictureError
        If the graph is too large to be drawn.

    Notes
    -----
    What comes from the browser is checked against a closed set of messages, and no trait can be
    set from there. Anything else is ignored, with a warning in the log.
    """

    _esm = (_STATIC / "lineage.js").read_text(encoding="utf-8")
    _css = (_STATIC / "lineage.css").read_text(encoding="utf-8")

    _svg = traitlets.Unicode().tag(sync=True)
    _nodes: Any = traitlets.List().tag(sync=True)
    _edges: Any = traitlets.List().tag(sync=True)
    _description = traitlets.Unicode().tag(sync=True)
    _chosen = traitlets.Unicode("", help="id of the selected node").tag(sync=True)

    selected = traitlets.Unicode(None, allow_none=True, help="name of the selected table")

    def __init__(self, graph: OplogGraph) -> None:
        told = cards(graph)
        self._ids = {card.table: card.id for card in told}
        self._tables = {card.id: card.table for card in told}
        self._tree = lineage_tree(graph)
        super().__init__(
            _svg=lineage_svg(graph),
            _nodes=[_told(card) for card in told],
            _edges=_drawn_edges(graph, self._ids),
            _description=describe(graph, told),
        )
        self.on_msg(self._receive)
        _live.add(self)

    def set_state(self, sync_data: Mapping[str, Any]) -> None:
        """Refuse: the front end sets nothing, it sends messages."""
        names = shortened(repr(sorted(map(str, sync_data))), _LOGGED_COLUMNS)
        _log.warning("lineage widget: the front end tried to set %s", names)

    def _repr_mimebundle_(self, **_: Any) -> Bundle:
        data, metadata = super()._repr_mimebundle_() or ({}, {})
        shown = {**data, "image/svg+xml": self._svg, "text/plain": self._tree}
        return shown, dict(metadata)

    def _receive(self, _: Any, content: Any, buffers: Sequence[Any]) -> None:
        node = _selected_node(content, buffers, self._tables)
        if node is _REFUSED:
            said = shortened(repr(content), _LOGGED_COLUMNS)
            _log.warning("lineage widget: ignored a message from the front end: %s", said)
        else:
            # Locked, the selection is not sent back: a user who clicks on before Python has
            # answered would see it jump.
            with self._lock_property(_chosen=node):
                self.selected = self._tables[node] if node else None

    @traitlets.validate("selected")
    def _check_selected(self, proposal: Any) -> str | None:
        table: str | None = proposal["value"]
        if table is not None and table not in self._ids:
            raise traitlets.TraitError(f"{table!r} is not in this graph")
        return table

    @traitlets.observe("selected")
    def _show_selected(self, change: Any) -> None:
        self._chosen = self._ids[change["new"]] if change["new"] else ""


def lineage_bundle(graph: OplogGraph) -> Bundle:
    """Return what to display of a graph: ``display(data, metadata=metadata, raw=True)``.

    Returns
    -------
    data, metadata
        The widget, ``image/svg+xml`` and ``text/plain``; of a graph too large to be drawn, text
        that says so.
    """
    try:
        return LineageWidget(graph)._repr_mimebundle_()
    except PictureError as error:
        return {"text/plain": f"{lineage_tree(graph)}\n({error})"}, {}


def close_all() -> None:
    """Close every lineage widget of this process; the pictures in the page go."""
    for widget in list(_live):
        layout = widget.layout  # a widget of its own, which outlives the one that it lays out
        widget.close()
        layout.close()
        _live.discard(widget)


_live: weakref.WeakSet[LineageWidget] = weakref.WeakSet()
_REFUSED: Any = object()


def _selected_node(content: Any, buffers: Sequence[Any], known: Mapping[str, str]) -> Any:
    """Return the node id that a message selects, "" for none, or `_REFUSED`.

    ``{"type": "select", "node": id or null}`` is the whole vocabulary.
    """
    if not isinstance(content, dict) or buffers:
        return _REFUSED
    if set(content) != {"type", "node"} or content["type"] != "select":
        return _REFUSED
    node = content["node"]
    if node is None:
        return ""
    return node if isinstance(node, str) and node in known else _REFUSED


def _told(card: Card) -> dict[str, Any]:
    """Return what the front end says of a node."""
    return {
        "id": card.id,
        "kind": str(card.kind),
        "state": card.state,
        "root": card.is_root,
        "operation": card.operation,
        "name": card.name,
        "cell": card.cell,
        "rows": card.rows,
        "facts": [list(fact) for fact in card.facts],
        "sql": card.sql,
        "source": card.source,
        "error": card.error,
    }


def _drawn_edges(graph: OplogGraph, ids: Mapping[str, str]) -> list[list[str]]:
    """Return source and target of each edge as it is numbered in the picture."""
    return [[ids[edge.source], ids[edge.target]] for edge in drawn_edges(graph)]
