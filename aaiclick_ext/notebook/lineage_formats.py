"""What ``%lineage --as`` prints: a graph in the formats of other tools."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aaiclick_ext.oplog import OplogGraph

PICTURES = ("svg", "dot", "mermaid", "text", "openlineage")
"""Formats that tell the graph, whichever way it goes."""

SCRIPTS = ("sql", "python")
"""Formats that make the result again, from all that it was made of."""


def graph_as(graph: OplogGraph, format_name: str) -> str:
    """Return a graph as text of one of `PICTURES`.

    Raises
    ------
    PictureError
        If it is too large for ``svg`` or ``dot``.
    """
    if format_name == "openlineage":
        return json.dumps(graph.to_openlineage(), indent=2)
    from aaiclick_ext.widgets import lineage_dot, lineage_mermaid, lineage_svg, lineage_tree

    writers = {
        "svg": lineage_svg,
        "dot": lineage_dot,
        "mermaid": lineage_mermaid,
        "text": lineage_tree,
    }
    return writers[format_name](graph)
