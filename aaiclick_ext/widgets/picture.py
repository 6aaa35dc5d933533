"""The picture of a lineage graph: DOT by the graphviz package, laid out in this process, as SVG.

What a node is shows in its shape, whether its table lives in its outline, so that neither needs
colour; the colours are plain attributes that read on a white page and on a dark one, because
nbconvert and GitHub strip styles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import graphviz

from aaiclick_ext.errors import PictureError
from aaiclick_ext.widgets.card import Card, cards
from aaiclick_ext.widgets.layout import lay_out
from aaiclick_ext.widgets.look import (
    DROPPED,
    FAILED,
    LABEL_COLUMNS,
    LOOKS,
    STALE,
    Look,
    label_lines,
)
from aaiclick_ext.widgets.scene import Scene, scene
from aaiclick_ext.widgets.spans import far_edges, ranks
from aaiclick_ext.widgets.svg import cleaned
from aaiclick_ext.widgets.untrusted import display_width, shortened, visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aaiclick_ext.oplog import OplogEdge, OplogGraph
    from aaiclick_ext.widgets.mode import Mode

MAX_NODES = 3000
"""Larger graphs are told as text: nobody can read such a picture, and a browser drowns in it."""

_FAST_LAYOUT_FROM = 150  # nodes; below, Graphviz takes all the time it wants and needs little
_PAGE_WIDTH = 900  # pixels of an output area; a graph that fits into it runs across, else down
_RANK_GAP = 46
_FONT = "Helvetica,Arial,sans-serif"
_EDGE = "#8490a0"
_ROLE = "#6f7b8a"
_INK = "#1c2733"
_BOX = "#c3cad3"


def lineage_svg(graph: OplogGraph, mode: Mode | None = None) -> str:
    """Return the picture of a graph as one SVG document. Deterministic; runs no query.

    Parameters
    ----------
    mode
        How it is drawn; by default every step.

    Raises
    ------
    PictureError
        If the graph is too large to be drawn.
    """
    if mode is not None and mode.columns:
        from aaiclick_ext.widgets.column_picture import columns_svg

        return columns_svg(graph, mode)
    told = cards(graph)
    return scene_svg(scene(graph, mode, told), describe(graph, told))


def scene_svg(drawn: Scene, description: str) -> str:
    """Return the picture of a scene as one SVG document.

    Raises
    ------
    PictureError
        If it is too large to be drawn.
    """
    labels = {card.id: card.sentence for card in drawn.cards}
    return cleaned(lay_out(scene_dot(drawn)), labels, f"{description} {drawn.said}".strip())


def describe(graph: OplogGraph, told: tuple[Card, ...]) -> str:
    """Return what the picture shows, in one sentence."""
    root = next((card for card in told if card.is_root), None)
    name = visible(graph.root) if root is None else root.name or root.operation
    count = len(told)
    return f"Lineage of {name}: {count:,} {'step' if count == 1 else 'steps'}"


def lineage_dot(graph: OplogGraph, mode: Mode | None = None) -> str:
    """Return the graph as DOT text. Runs no query.

    Raises
    ------
    PictureError
        If it has more than `MAX_NODES` nodes.
    """
    if mode is not None and mode.columns:
        from aaiclick_ext.widgets.column_picture import columns_dot

        return columns_dot(graph, mode)
    return scene_dot(scene(graph, mode))


def scene_dot(drawn: Scene) -> str:
    """Return a scene as DOT text."""
    told = drawn.cards
    if len(told) > MAX_NODES:
        raise PictureError(
            f"{len(told)} steps are too many for a picture (at most {MAX_NODES}); "
            "ask for a smaller --depth, or read the text"
        )
    rank = ranks((card.table for card in told), drawn.edges)
    dot = new_dot(_graph_attributes(told, max(rank.values(), default=0) + 1), drawn.said)
    boxes = {id_: number for number, group in enumerate(drawn.groups) for id_ in group.ids}
    for card in told:
        if card.id not in boxes:
            add_node(dot, card)
    by_id = {card.id: card for card in told}
    for number, group in enumerate(drawn.groups):
        with dot.subgraph(name=f"cluster_{number}") as box:
            add_box_style(box, f"c{number}", group.title)
            for id_ in group.ids:
                add_node(box, by_id[id_])
    _add_edges(dot, drawn.edges, {card.table: card for card in told}, rank)
    return str(dot.source)


def new_dot(attributes: Mapping[str, str], said: str = "") -> graphviz.Digraph:
    """Return an empty drawing with our fonts and colours, and a sentence below it."""
    dot = graphviz.Digraph("lineage")
    below = {"label": quoted([said]), "labelloc": "b", "fontname": _FONT, "fontsize": "11"}
    dot.attr("graph", **attributes, **(below | {"fontcolor": _ROLE} if said else {}))
    dot.attr(
        "node", fontname=_FONT, fontsize="12", fontcolor=_INK, margin="0.14,0.07", height="0.3"
    )
    dot.attr(
        "edge", fontname=_FONT, fontsize="10", fontcolor=_ROLE, color=_EDGE, arrowsize="0.65"
    )  # fmt: skip
    return dot


def add_box_style(box: graphviz.Digraph, id_: str, title: str) -> None:
    """Make a cluster a box with a title at its upper left."""
    box.attr(
        id=id_, label=quoted([title]), labeljust="l", style="rounded", color=_BOX, fontname=_FONT,
        fontsize="11", fontcolor=_ROLE, margin="10", labelloc="t",
    )  # fmt: skip


def _graph_attributes(told: tuple[Card, ...], depth: int) -> dict[str, str]:
    across = depth * (max((width_of(card) for card in told), default=0) + _RANK_GAP)
    attributes = {
        "id": "lineage",
        "bgcolor": "transparent",
        "rankdir": "LR" if across <= _PAGE_WIDTH else "TB",
        "nodesep": "0.28",
        "ranksep": "0.42",
        "pad": "0.06",
    }
    if len(told) < _FAST_LAYOUT_FROM:
        return attributes | {"ordering": "in"}  # a join's left at its left
    return attributes | {"nslimit": "1", "nslimit1": "1", "mclimit": "0.2"}


def _add_edges(
    dot: graphviz.Digraph,
    edges: Sequence[OplogEdge],
    told: Mapping[str, Card],
    rank: Mapping[str, int],
) -> None:
    far = far_edges(edges, rank)
    for number, edge in enumerate(edges):
        source = told[edge.source]
        start = source.id
        if number in far:
            start = f"r{number}"
            name = shortened(f"↑ {source.headline or source.operation}", LABEL_COLUMNS)
            look = {"shape": "plaintext", "fontsize": "10", "fontcolor": _ROLE, "height": "0.2"}
            dot.node(start, quoted([name]), id=start, **look, **{"class": f"far of-{source.id}"})
        role = shortened(visible(edge.role), LABEL_COLUMNS)
        label = None if role in {"", "source"} else quoted([f"  {role}  "])  # off the line
        dot.edge(start, told[edge.target].id, label=label, id=f"e{number}")


def add_node(dot: graphviz.Digraph, card: Card) -> None:
    """Add the node of a card, in the look of what it is and of how it is."""
    look = FAILED if card.failed else LOOKS[card.kind]
    plain = (look.fill, look.stroke)
    fill, stroke = DROPPED if card.dropped else STALE if card.stale else plain
    classes = [f"kind-{card.kind}"]
    classes += [f"state-{card.state}"] if card.state else []
    classes += ["root"] if card.is_root else []
    dot.node(
        card.id,
        quoted(label_lines(card)),
        id=card.id,
        shape=look.shape,
        style=f"{look.style},dashed" if card.dropped else look.style,
        fillcolor=fill,
        color=stroke,
        penwidth="2.2" if card.is_root or card.failed else "1.2",
        peripheries="2" if card.stale else None,
        margin="0.14,0.14" if card.stale else None,  # below the second rim of a cylinder
        **_size(card, look),
        **{"class": " ".join(classes)},
    )


def _size(card: Card, look: Look) -> dict[str, str]:
    if look.shape != "parallelogram":
        return {"width": f"{width_of(card) / 72:.2f}"}
    # Left alone, Graphviz makes slanted sides twice as high as their text.
    height = 14.4 * len(label_lines(card)) + 10
    width = width_of(card) + height / 2
    return {"fixedsize": "true", "width": f"{width / 72:.2f}", "height": f"{height / 72:.2f}"}


def width_of(card: Card) -> int:
    """Return a node's least width in pixels, for the widest fonts that a browser may choose.

    Graphviz knows the metrics of Helvetica; DejaVu Sans, which many Linux machines show for it,
    is a sixth wider.
    """
    first, *rest = (display_width(line) for line in label_lines(card))
    return round(max(8.4 * first, 6.9 * max(rest, default=0)) + 22)


def quoted(lines: list[str]) -> str:
    """Return lines as one DOT label that is never an HTML-like one and keeps every character.

    `graphviz.escape` leaves ampersands, and Graphviz reads ``&lt;`` in a label as ``<``.
    """
    escaped = (line.replace("\\", "\\\\").replace("&", "&amp;") for line in lines)
    quoted: str = graphviz.nohtml("\\n".join(escaped))
    return quoted
