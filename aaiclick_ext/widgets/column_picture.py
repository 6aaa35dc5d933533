"""The picture of a graph in column mode: a box for each table, with the columns under its node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aaiclick_ext.errors import PictureError
from aaiclick_ext.untrusted import display_width, shortened
from aaiclick_ext.widgets.card import Kind, cards
from aaiclick_ext.widgets.column_scene import ColumnItem, ColumnScene, column_scene
from aaiclick_ext.widgets.dot import Drawing, add_box_style, new_dot, quoted
from aaiclick_ext.widgets.layout import lay_out
from aaiclick_ext.widgets.look import LABEL_COLUMNS, LOOKS, label_of
from aaiclick_ext.widgets.picture import add_node, describe
from aaiclick_ext.widgets.svg import cleaned

if TYPE_CHECKING:
    from aaiclick_ext.oplog import OplogGraph
    from aaiclick_ext.widgets.mode import Mode

MAX_ITEMS = 1500
"""Tables and columns of one picture."""


def columns_svg(graph: OplogGraph, mode: Mode) -> str:
    """Return the picture as one SVG document. Deterministic; runs no query.

    Raises
    ------
    PictureError
        If it is too large to be drawn.
    """
    told = cards(graph)
    return column_scene_svg(column_scene(graph, mode, told), describe(graph, told))


def column_scene_svg(drawn: ColumnScene, description: str) -> str:
    """Return the picture of a scene as one SVG document."""
    labels = {card.id: card.sentence for card in drawn.cards}
    names = {card.id: card.name or card.operation for card in drawn.cards}
    for items in drawn.columns.values():
        for item in items:
            of = f"column {item.name} of {names[item.of]}"
            labels[item.id] = f"{of}, {item.type}" if item.type else of
    said = f"{description}, column by column. {drawn.said}".strip()
    return cleaned(lay_out(column_scene_dot(drawn)), labels, said)


def columns_dot(graph: OplogGraph, mode: Mode) -> str:
    """Return the picture as DOT text. Runs no query."""
    return column_scene_dot(column_scene(graph, mode))


def column_scene_dot(drawn: ColumnScene) -> str:
    """Return a scene as DOT text.

    Raises
    ------
    PictureError
        If it has more than `MAX_ITEMS` tables and columns.
    """
    count = len(drawn.cards) + sum(map(len, drawn.columns.values()))
    if count > MAX_ITEMS:
        raise PictureError(
            f"{count} tables and columns are too many for a picture (at most {MAX_ITEMS}); "
            "ask for a smaller --depth"
        )
    dot = new_dot(_GRAPH, drawn.said)
    for card in drawn.cards:
        items = drawn.columns.get(card.id, ())
        if not items:
            add_node(dot, card, label_of(card))
            continue
        with dot.subgraph(name=f"cluster_{card.id}") as box:
            title = shortened(card.headline or card.operation, LABEL_COLUMNS)
            add_box_style(box, f"b{card.id[1:]}", title)
            with box.subgraph() as rank:
                rank.attr(rank="same")
                add_node(rank, card, label_of(card))
                for item in items:
                    _add_column(rank, item)
    for number, (start, end, use) in enumerate(drawn.edges):
        dot.edge(start, end, id=f"e{number}", **_edge_look(use))
    return str(dot.source)


_GRAPH = {
    "id": "lineage",
    "bgcolor": "transparent",
    "rankdir": "LR",
    "nodesep": "0.07",
    "ranksep": "0.75",
    "pad": "0.06",
    "nslimit": "2",
    "mclimit": "0.5",
}


def _add_column(dot: Drawing, item: ColumnItem) -> None:
    name = shortened(item.name, LABEL_COLUMNS)
    kind = shortened(item.type, LABEL_COLUMNS)
    lines = [name, kind] if kind else [name]
    width = max(8.4 * display_width(name), 6.9 * display_width(kind)) + 18
    look = LOOKS[Kind.VIEW]
    dot.node(
        item.id, quoted(lines), id=item.id, shape="box", style="filled", fillcolor="#ffffff",
        color=look.stroke, penwidth="0.8", width=f"{width / 72:.2f}", height="0.2",
        margin="0.1,0.03", **{"class": "column"},
    )  # fmt: skip


def _edge_look(use: str) -> dict[str, str]:
    """Return how an edge says its use: a value by a full line, any other by its name too."""
    if use == "value":
        return {"class": "use-value"}
    if not use:
        return {"class": "use-none", "style": "dotted"}
    return {"class": f"use-{use}", "style": "dashed", "label": f"  {use}  "}
