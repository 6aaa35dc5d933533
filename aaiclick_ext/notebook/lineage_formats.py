"""What ``%lineage --as`` prints: a graph in the formats of other tools."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aaiclick_ext.oplog import OplogGraph
    from aaiclick_ext.widgets import Mode

PICTURES = ("svg", "dot", "mermaid", "text", "openlineage")
"""Formats that tell the graph, whichever way it goes."""

SCRIPTS = ("sql", "python")
"""Formats that make the result again, from all that it was made of."""


def graph_as(graph: OplogGraph, format_name: str, mode: Mode | None = None) -> str:
    """Return a graph as text of one of `PICTURES`.

    Parameters
    ----------
    mode
        How ``svg``, ``dot`` and ``text`` tell it; by default every step and no column.

    Raises
    ------
    PictureError
        If it is too large for ``svg`` or ``dot``.
    """
    if format_name == "openlineage":
        return json.dumps(graph.to_openlineage(), indent=2)
    from aaiclick_ext.widgets import lineage_dot, lineage_mermaid, lineage_svg, lineage_tree

    if format_name in ("svg", "dot"):
        return (lineage_svg if format_name == "svg" else lineage_dot)(graph, mode)
    if format_name == "mermaid":
        return lineage_mermaid(graph)
    return lineage_tree(graph, columns=mode is not None and mode.columns)
