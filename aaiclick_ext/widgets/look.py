"""How a node looks, whatever draws it: shape, colours and the lines of its label."""

from __future__ import annotations

from dataclasses import dataclass

from aaiclick_ext.untrusted import display_width, shortened
from aaiclick_ext.widgets.card import Card, Kind

LABEL_COLUMNS = 32
"""A name or operation in a node is shortened to this; the details have the whole."""

_ONE_LINE = 18  # columns in which name, cell, rows and state share a line


@dataclass(frozen=True, slots=True)
class Look:
    """How a node is drawn."""

    shape: str
    style: str
    fill: str
    stroke: str


LOOKS = {
    Kind.SOURCE: Look("note", "filled", "#dcebfc", "#2f6fb7"),
    Kind.TABLE: Look("cylinder", "filled", "#d8f1e4", "#1d7f58"),
    Kind.VIEW: Look("box", "filled,rounded", "#f1edfb", "#7a62b8"),
    Kind.SINK: Look("parallelogram", "filled", "#fdefcf", "#a8741a"),
    Kind.FOLD: Look("folder", "filled", "#eef0f3", "#4d5b6b"),
}
DROPPED = ("#eef0f3", "#66717e")
"""Fill and outline, which is dashed."""
STALE = ("#fff0dc", "#b8560b")
"""Fill and outline, which is a double line."""
FAILED = Look("octagon", "filled,bold", "#fde3e1", "#c0362c")


@dataclass(frozen=True, slots=True)
class Label:
    """What a node says.

    Attributes
    ----------
    width
        The node's least width in pixels, for the widest fonts that a browser may choose. Graphviz
        knows the metrics of Helvetica; DejaVu Sans, which many Linux machines show for it, is a
        sixth wider.
    """

    lines: tuple[str, ...]
    width: int


def label_of(card: Card) -> Label:
    """Return what a node says, and how much room that takes."""
    lines = label_lines(card)
    first, *rest = map(display_width, lines)
    return Label(tuple(lines), round(max(8.4 * first, 6.9 * max(rest, default=0)) + 22))


def label_lines(card: Card) -> list[str]:
    """Return what a node says: what made it, then name, cell, rows and state."""
    more = f"⋯ {card.hidden_inputs} not shown" if card.hidden_inputs else ""
    name = shortened(card.name, LABEL_COLUMNS - len(card.cell) - 1) if card.name else ""
    headline = " ".join(filter(None, (name, card.cell)))
    said = " · ".join(filter(None, (headline, card.status)))
    second = [said] if display_width(said) <= _ONE_LINE else [headline, card.status]
    lines = (shortened(card.operation, LABEL_COLUMNS), *second, more)
    return [line for line in lines if line]
