"""The picture of a lineage graph: DOT by the graphviz package, laid out in this process, as SVG.

What a node is shows in its shape, whether its table lives in its outline, so that neither needs
colour; the colours are plain attributes that read on a white page and on a dark one, because
nbconvert and GitHub strip styles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aaiclick_ext.errors import PictureError
from aaiclick_ext.untrusted import shortened, visible
from aaiclick_ext.widgets.card import Card, cards
from aaiclick_ext.widgets.dot import SOFT, Drawing, add_box_style, new_dot, quoted
from aaiclick_ext.widgets.layout import lay_out
from aaiclick_ext.widgets.legend import with_legend
from aaiclick_ext.widgets.look import (
    DROPPED,
    FAILED,
    LABEL_COLUMNS,
    LOOKS,
    STALE,
    Label,
    Look,
    label_of,
)
from aaiclick_ext.widgets.scene import Scene, scene
from aaiclick_ext.widgets.spans import far_edges, ranks
from aaiclick_ext.widgets.svg import cleaned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aaiclick_ext.oplog import OplogEdge, OplogGraph
    from aaiclick_ext.widgets.mode import Mode

MAX_NODES = 3000
"""Larger graphs are told as text: nobody can read such a picture, and a browser drowns in it."""

_FAST_LAYOUT_FROM = 150  # nodes; below, Graphviz takes all the time it wants and needs little
_FASTEST_LAYOUT_FROM = 500  # nodes; below, 2 ms more spare edges that wind between two ranks
_PAGE_WIDTH = 900  # pixels of an output area; a graph that fits into it runs across, else down
_RANK_GAP = 46


def lineage_svg(graph: OplogGraph, mode: Mode | None = None) -> str:
    """Return the picture of a graph as one SVG document, with a legend. Deterministic; no query.

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

        return with_legend(columns_svg(graph, mode))
    told = cards(graph)
    return with_legend(scene_svg(scene(graph, mode, told), describe(graph, told)))


def scene_svg(drawn: Scene, description: str) -> str:
    """Return the picture of a scene as one SVG document, without a legend.

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
    labels = {card.id: label_of(card) for card in told}
    dot = new_dot(_graph_attributes(labels, max(rank.values(), default=0) + 1), drawn.said)
    boxes = {id_: number for number, group in enumerate(drawn.groups) for id_ in group.ids}
    for card in told:
        if card.id not in boxes:
            add_node(dot, card, labels[card.id])
    by_id = {card.id: card for card in told}
    for number, group in enumerate(drawn.groups):
        with dot.subgraph(name=f"cluster_{number}") as box:
            add_box_style(box, f"c{number}", group.title)
            for id_ in group.ids:
                add_node(box, by_id[id_], labels[id_])
    _add_edges(dot, drawn.edges, {card.table: card for card in told}, rank)
    return str(dot.source)


def _graph_attributes(labels: Mapping[str, Label], depth: int) -> dict[str, str]:
    widest = max((label.width for label in labels.values()), default=0)
    across = depth * (widest + _RANK_GAP)
    attributes = {
        "id": "lineage",
        "bgcolor": "transparent",
        "rankdir": "LR" if across <= _PAGE_WIDTH else "TB",
        "nodesep": "0.28",
        "ranksep": "0.42",
        "pad": "0.06",
    }
    if len(labels) < _FAST_LAYOUT_FROM:
        return attributes | {"ordering": "in"}  # a join's left at its left
    turns = "1" if len(labels) >= _FASTEST_LAYOUT_FROM else "2"
    return attributes | {"nslimit": turns, "nslimit1": "1", "mclimit": "0.2"}


def _add_edges(
    dot: Drawing,
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
            look = {"shape": "plaintext", "fontsize": "10", "fontcolor": SOFT, "height": "0.2"}
            dot.node(start, quoted([name]), id=start, **look, **{"class": f"far of-{source.id}"})
        role = shortened(visible(edge.role), LABEL_COLUMNS)
        label = None if role in {"", "source"} else quoted([f"  {role}  "])  # off the line
        dot.edge(start, told[edge.target].id, label=label, id=f"e{number}")


def add_node(dot: Drawing, card: Card, label: Label) -> None:
    """Add the node of a card, in the look of what it is and of how it is."""
    look = FAILED if card.failed else LOOKS[card.kind]
    plain = (look.fill, look.stroke)
    fill, stroke = DROPPED if card.dropped else STALE if card.stale else plain
    classes = [f"kind-{card.kind}"]
    classes += [f"state-{card.state}"] if card.state else []
    classes += ["root"] if card.is_root else []
    dot.node(
        card.id,
        quoted(label.lines),
        id=card.id,
        shape=look.shape,
        style=f"{look.style},dashed" if card.dropped else look.style,
        fillcolor=fill,
        color=stroke,
        penwidth="2.2" if card.is_root or card.failed else "1.2",
        peripheries="2" if card.stale else None,
        margin="0.14,0.14" if card.stale else None,  # below the second rim of a cylinder
        **_size(label, look),
        **{"class": " ".join(classes)},
    )


def _size(label: Label, look: Look) -> dict[str, str]:
    if look.shape != "parallelogram":
        return {"width": f"{label.width / 72:.2f}"}
    # Left alone, Graphviz makes slanted sides twice as high as their text.
    height = 14.4 * len(label.lines) + 10
    width = label.width + height / 2
    return {"fixedsize": "true", "width": f"{width / 72:.2f}", "height": f"{height / 72:.2f}"}
