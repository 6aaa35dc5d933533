"""DOT in our fonts and colours, written by the graphviz package."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import graphviz
from graphviz import quoting

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

INK = "#1c2733"
SOFT = "#6f7b8a"
_FONT = "Helvetica,Arial,sans-serif"
_EDGE = "#8490a0"
_BOX = "#c3cad3"


class Drawing(graphviz.Digraph):  # type: ignore[misc]
    """A directed graph as DOT.

    Attributes are those of the package, in its order. It quotes every name and value of each node
    anew, at a microsecond each; here those that come again, nearly all, are quoted once.
    """

    _quote_edge = staticmethod(lru_cache(maxsize=4096)(quoting.quote_edge))

    @staticmethod
    def _attr_list(
        label: str | None = None,
        kwargs: Mapping[str, str | None] | None = None,
        attributes: Mapping[str, str | None] | None = None,
    ) -> str:
        listed = [] if label is None else [f"label={quoting.quote(label)}"]
        given = [*sorted((kwargs or {}).items()), *sorted((attributes or {}).items())]
        listed += [_attribute(name, value) for name, value in given if value is not None]
        return f" [{' '.join(listed)}]" if listed else ""


@lru_cache(maxsize=4096, typed=True)  # typed: text that must be no HTML equals text that may be
def _attribute(name: str, value: str) -> str:
    return f"{quoting.quote(name)}={quoting.quote(value)}"


def new_dot(attributes: Mapping[str, str], said: str = "") -> Drawing:
    """Return an empty drawing with our fonts and colours, and a sentence below it."""
    dot = Drawing("lineage")
    below = {"label": quoted([said]), "labelloc": "b", "fontname": _FONT, "fontsize": "11"}
    dot.attr("graph", **attributes, **(below | {"fontcolor": SOFT} if said else {}))
    dot.attr("node", fontname=_FONT, fontsize="12", fontcolor=INK, margin="0.14,0.07", height="0.3")
    dot.attr(
        "edge", fontname=_FONT, fontsize="10", fontcolor=SOFT, color=_EDGE, arrowsize="0.65"
    )  # fmt: skip
    return dot


def add_box_style(box: Drawing, id_: str, title: str) -> None:
    """Make a cluster a box with a title at its upper left."""
    box.attr(
        id=id_, label=quoted([title]), labeljust="l", style="rounded", color=_BOX, fontname=_FONT,
        fontsize="11", fontcolor=SOFT, margin="10", labelloc="t",
    )  # fmt: skip


def quoted(lines: Iterable[str]) -> str:
    """Return lines as one DOT label that is never an HTML-like one and keeps every character.

    `graphviz.escape` leaves ampersands, and Graphviz reads ``&lt;`` in a label as ``<``.
    """
    escaped = (line.replace("\\", "\\\\").replace("&", "&amp;") for line in lines)
    quoted: str = graphviz.nohtml("\\n".join(escaped))
    return quoted
