"""A lineage graph as a Mermaid flowchart, for pages that draw one: GitHub, GitLab, JupyterLab.

It says what the picture says, because it reads the same cards and labels. Texts are written so
that Mermaid cannot take any part of one for markup: what is not plainly text is an entity code
(https://mermaid.js.org/syntax/flowchart.html#entity-codes-to-escape-characters).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aaiclick_ext.untrusted import shortened, visible
from aaiclick_ext.widgets.card import Card, Kind, cards, role_order
from aaiclick_ext.widgets.look import DROPPED, FAILED, LABEL_COLUMNS, LOOKS, STALE, label_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aaiclick_ext.oplog import OplogGraph

_SHAPES = {
    Kind.SOURCE: ('["', '"]'),
    Kind.TABLE: ('[("', '")]'),
    Kind.VIEW: ('("', '")'),
    Kind.SINK: ('[/"', '"/]'),
}
_FAILED_SHAPE = ('{{"', '"}}')
_INK = "#1c2733"

# Brackets and commas mean nothing between quotes. An underscore inside a word is no emphasis.
_MEANT = re.compile(r"[^\w ,\[\]·…⋯↑]|(?<![^\W_])_|_(?![^\W_])")

# What Mermaid 11 looks for once it has decoded them: formulas, line breaks and icons.
_ACTS = re.compile(r"\$|\\|:(?=fa)")
_APART = "#8203;"  # a space of no width, which no text has: it would be written out


def lineage_mermaid(graph: OplogGraph) -> str:
    """Return the graph as the text of a Mermaid flowchart. Deterministic; runs no query.

    What Mermaid refuses to draw by default (500 edges, 50,000 characters) is written too.

    Examples
    --------
    >>> from aaiclick_ext.oplog import OplogEdge, OplogGraph, OplogNode
    >>> nodes = (OplogNode("shop.orders", None, None), OplogNode("view_1", "filter", None))
    >>> edges = (OplogEdge("shop.orders", "view_1", "source"),)
    >>> print(lineage_mermaid(OplogGraph("view_1", nodes, edges)).split("    classDef")[0])
    flowchart LR
        n0["not recorded<br/>shop#46;orders"]
        n1("filter<br/>view_1 · view")
        n0 --> n1
        class n0 source
        class n1 view,root
    <BLANKLINE>
    """
    return "\n".join(_lines(graph)) + "\n"


def _lines(graph: OplogGraph) -> Iterator[str]:
    told = cards(graph)
    ids = {card.table: card.id for card in told}
    yield "flowchart LR"
    for card in told:
        opening, closing = _FAILED_SHAPE if card.failed else _SHAPES[card.kind]
        label = "<br/>".join(_escaped(line) for line in label_lines(card))
        yield f"    {card.id}{opening}{label}{closing}"
    for edge in sorted(graph.edges, key=lambda edge: role_order(edge.role)):
        if edge.source not in ids or edge.target not in ids or edge.source == edge.target:
            continue
        role = shortened(visible(edge.role), LABEL_COLUMNS)
        arrow = "-->" if role in {"", "source"} else f'-->|"{_escaped(role)}"|'
        yield f"    {ids[edge.source]} {arrow} {ids[edge.target]}"
    for card in told:
        yield f"    class {card.id} {','.join(_classes(card))}"
    for name, look in (*LOOKS.items(), ("failed", FAILED)):
        if name is Kind.FOLD:  # all steps are written
            continue
        yield f"    classDef {name} fill:{look.fill},stroke:{look.stroke},color:{_INK}"
    fill, stroke = DROPPED
    yield f"    classDef dropped fill:{fill},stroke:{stroke},stroke-dasharray:4 3"
    if any(card.stale for card in told):
        fill, stroke = STALE
        yield f"    classDef stale fill:{fill},stroke:{stroke},stroke-dasharray:1 3"
    yield "    classDef root stroke-width:3px"


def _classes(card: Card) -> Iterator[str]:
    yield "failed" if card.failed else str(card.kind)
    if card.dropped:
        yield "dropped"
    if card.stale:
        yield "stale"
    if card.is_root:
        yield "root"


def _escaped(text: str) -> str:
    """Return text as a part of a quoted label, what could mean something as entity codes."""
    return _MEANT.sub(_code, text) or " "


def _code(found: re.Match[str]) -> str:
    code = f"#{ord(found[0])};"
    return f"{code}{_APART}" if _ACTS.match(found.string, found.start()) else code
