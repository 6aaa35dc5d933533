"""The live lineage picture: click, highlight, zoom and pan, with the selection in Python."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import traitlets

from aaiclick_ext.errors import PictureError
from aaiclick_ext.widgets.asking import Asking
from aaiclick_ext.widgets.card import Card, cards
from aaiclick_ext.widgets.column_picture import column_scene_svg
from aaiclick_ext.widgets.column_scene import column_scene
from aaiclick_ext.widgets.details import Details, details
from aaiclick_ext.widgets.front_end import joined
from aaiclick_ext.widgets.legend import with_legend
from aaiclick_ext.widgets.messages import Question, Selection, Stop, understood
from aaiclick_ext.widgets.mode import Mode
from aaiclick_ext.widgets.page_widget import Bundle, PageWidget
from aaiclick_ext.widgets.picture import describe, scene_svg
from aaiclick_ext.widgets.scene import scene
from aaiclick_ext.widgets.tree import lineage_tree

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aaiclick_ext.oplog import OplogGraph
    from aaiclick_ext.widgets.answers import KernelAnswers

_SCRIPTS = ("drawing.js", "panel.js", "lineage.js")
_STYLES = ("theme.css", "lineage.css", "panel.css")


class LineageWidget(PageWidget):
    """A lineage graph that can be looked around in.

    Displaying it gives the widget, the picture as SVG and the tree as text in one bundle; a front
    end shows the first that it can. Nothing is loaded over a network.

    Parameters
    ----------
    graph
        What to draw.
    answers
        Answers what the panel asks of the kernel; None where nothing can be asked.
    mode
        How to draw it; by default whole, and a large graph folded.

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

    _esm = joined(*_SCRIPTS)
    _css = joined(*_STYLES)

    _drawing: Any = traitlets.Dict().tag(sync=True)
    _nodes: Any = traitlets.List().tag(sync=True)
    _description = traitlets.Unicode().tag(sync=True)
    _can: Any = traitlets.List(help="what the panel may ask").tag(sync=True)
    _chosen = traitlets.Unicode("", help="id of the selected node").tag(sync=True)

    selected = traitlets.Unicode(None, allow_none=True, help="name of the selected table")

    def __init__(
        self, graph: OplogGraph, answers: KernelAnswers | None = None, mode: Mode | None = None
    ) -> None:
        told = cards(graph)
        self._graph, self._told = graph, told
        self._restored: dict[str, str] = {}
        self._restoring = threading.Lock()
        self.asking = None if answers is None else Asking(answers, self._answered)
        self._ids = {card.table: card.id for card in told}
        self._tables = {card.id: card.table for card in told}
        mode = mode or Mode.of_size(len(told))
        drawing = _drawn(graph, told, mode)
        self._mode, self._drawn_tables = mode, self._tables_of(drawing)
        super().__init__(
            _drawing=drawing,
            _nodes=self._all_told(),
            _description=describe(graph, told),
            _can=_questions(answers),
        )
        self.on_msg(self._receive)

    @property
    def mode(self) -> Mode:
        """How it is drawn; setting it draws it anew."""
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        drawing = _drawn(self._graph, self._told, mode)
        self._mode, self._drawn_tables = mode, self._tables_of(drawing)
        self._drawing = drawing

    def still(self) -> dict[str, str]:
        """Return the picture as it is drawn now, and the graph as a tree."""
        tree = lineage_tree(self._graph, columns=self._mode.columns)
        return {"image/svg+xml": with_legend(self._drawing["svg"]), "text/plain": tree}

    def end(self) -> None:
        """Stop what is asked, and close it; the picture in the page goes."""
        if self.asking is not None:
            self.asking.stop_all()
        super().end()

    def _receive(self, _: Any, content: Any, buffers: Sequence[Any]) -> None:
        message = None if buffers else understood(content, self._drawn_tables, self._tables)
        if isinstance(message, Selection):
            # Locked, the selection is not sent back: a user who clicks on before Python has
            # answered would see it jump.
            with self._lock_property(_chosen=message.node):
                self._chosen = message.node
                self.selected = self._drawn_tables.get(message.node)
        elif isinstance(message, Mode):
            self._try_mode(message)
        elif isinstance(message, Stop) and self.asking is not None:
            self.asking.stop(message.request)
        elif (
            isinstance(message, Question) and self.asking is not None and message.about in self._can
        ):
            self.asking.ask(message, self._tables[message.node])
        else:
            self.ignored(f"sent {content!r}")

    def _try_mode(self, mode: Mode) -> None:
        try:
            self.mode = mode
        except PictureError as error:
            self.send({"type": "refused", "error": str(error)})

    def _answered(self, question: Question, table: str, answer: dict[str, Any]) -> None:
        """Send an answer; a table that was restored is drawn as one that lives."""
        self.send({"type": "answer", "request": question.request, **answer})
        if made := answer.get("restored", {}).get("table"):
            with self._restoring:
                self._show_restored(table, made, answer["restored"]["variable"])

    def _show_restored(self, table: str, made: str, variable: str) -> None:
        nodes = self._graph.nodes
        nodes = tuple(replace(n, alive=True) if n.table == table else n for n in nodes)
        self._graph = replace(self._graph, nodes=nodes)
        self._told = cards(self._graph)
        self._restored[table] = f"{variable} ({made})" if variable else made
        with self.hold_sync():
            self._nodes = self._all_told()
            self._try_mode(self._mode)

    def _all_told(self) -> list[dict[str, Any]]:
        said = details(self._graph)
        return [_told(c, said[c.table], self._restored.get(c.table)) for c in self._told]

    def _tables_of(self, drawing: Mapping[str, Any]) -> dict[str, str]:
        """Return the table of each id in a drawing: of a column its own, of a fold its last."""
        others = {item["id"]: self._tables[item["of"]] for item in drawing["items"]}
        return self._tables | others

    @traitlets.validate("selected")
    def _check_selected(self, proposal: Any) -> str | None:
        table: str | None = proposal["value"]
        if table is not None and table not in self._ids:
            raise traitlets.TraitError(f"{table!r} is not in this graph")
        return table

    @traitlets.observe("selected")
    def _show_selected(self, change: Any) -> None:
        table = change["new"]
        if self._drawn_tables.get(self._chosen) != table:
            self._chosen = self._ids[table] if table else ""


def lineage_bundle(
    graph: OplogGraph, answers: KernelAnswers | None = None, mode: Mode | None = None
) -> Bundle:
    """Return what to display of a graph: ``display(data, metadata=metadata, raw=True)``.

    Parameters are those of `LineageWidget`.

    Returns
    -------
    data, metadata
        The widget, ``image/svg+xml`` and ``text/plain``; of a graph too large to be drawn, text
        that says so.
    """
    try:
        return LineageWidget(graph, answers, mode)._repr_mimebundle_()
    except PictureError as error:
        return {"text/plain": f"{lineage_tree(graph)}\n({error})"}, {}


def _questions(answers: KernelAnswers | None) -> list[str]:
    if answers is None:
        return []
    return ["sql", "columns", "rows", "trace", *(["restore"] if answers.can_restore else [])]


def _drawn(graph: OplogGraph, told: tuple[Card, ...], mode: Mode) -> dict[str, Any]:
    """Return a picture with what is in it besides the graph's own nodes.

    Its edges are numbered as in the picture.
    """
    if mode.columns:
        by_column = column_scene(graph, mode, told)
        return {
            "svg": column_scene_svg(by_column, describe(graph, told)),
            "items": [
                {"id": item.id, "of": item.of, "column": item.name, "type": item.type}
                for items in by_column.columns.values()
                for item in items
            ],
            "edges": [list(edge) for edge in by_column.edges],
            "said": by_column.said,
            "mode": mode.told(),
        }
    drawn = scene(graph, mode, told)
    ids = {card.table: card.id for card in drawn.cards}
    return {
        "svg": scene_svg(drawn, describe(graph, told)),
        "items": [
            {
                "id": card.id,
                "of": card.members[-1],
                "members": list(card.members),
                "operation": card.operation,
                "name": card.name,
            }
            for card in drawn.cards
            if card.members
        ],
        "edges": [[ids[edge.source], ids[edge.target], ""] for edge in drawn.edges],
        "said": drawn.said,
        "mode": mode.told(),
    }


def _told(card: Card, said: Details, restored: str | None) -> dict[str, Any]:
    """Return what the front end says of a node."""
    facts = [*said.facts, *([("restored as", restored)] if restored else [])]
    return {
        "id": card.id,
        "table": card.table,
        "kind": str(card.kind),
        "state": card.state,
        "root": card.is_root,
        "operation": card.operation,
        "name": card.name,
        "cell": card.cell,
        "rows": card.rows,
        "facts": [list(fact) for fact in facts],
        "columns": [list(column) for column in said.columns],
        "stale": list(card.stale),
        "sql": said.sql,
        "source": said.source,
        "error": said.error,
    }
