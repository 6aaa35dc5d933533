"""How far apart the ends of an edge are drawn: what makes a picture slow, and unreadable.

Graphviz draws an edge across many ranks as a chain of one invisible node for each. A table that
every step of a long notebook uses has edges across all of it: 80 such steps take Graphviz 30 s.
Edges that are too long then start at a reference to their source, drawn beside their end.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from aaiclick_ext.oplog import OplogEdge

MAX_CROSSINGS = 300
"""Ranks that all edges together may pass over before the long ones become references."""

MAX_SPAN = 6
"""The longest edge of a picture with references, in ranks."""


def ranks(tables: Iterable[str], edges: Iterable[OplogEdge]) -> dict[str, int]:
    """Return the longest path to each table (Kahn 1962), 0 for those in a cycle.

    Examples
    --------
    >>> from aaiclick_ext.oplog import OplogEdge
    >>> ranks("abc", [OplogEdge("a", "b", ""), OplogEdge("b", "c", ""), OplogEdge("a", "c", "")])
    {'a': 0, 'b': 1, 'c': 2}
    """
    after: defaultdict[str, list[str]] = defaultdict(list)
    waiting = dict.fromkeys(tables, 0)
    rank = dict.fromkeys(waiting, 0)
    for edge in edges:
        after[edge.source].append(edge.target)
        waiting[edge.target] += 1
    layer = [table for table, count in waiting.items() if count == 0]
    while layer:
        reached = []
        for table in layer:
            for target in after[table]:
                waiting[target] -= 1
                if waiting[target] == 0:
                    rank[target] = rank[table] + 1
                    reached.append(target)
        layer = reached
    return rank


def far_edges(edges: Sequence[OplogEdge], rank: Mapping[str, int]) -> frozenset[int]:
    """Return the numbers of the edges to be drawn from a reference; none in most pictures."""
    spans = [abs(rank[edge.target] - rank[edge.source]) for edge in edges]
    if sum(span - 1 for span in spans if span > 1) <= MAX_CROSSINGS:
        return frozenset()
    return frozenset(number for number, span in enumerate(spans) if span > MAX_SPAN)
