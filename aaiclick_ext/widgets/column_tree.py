"""Column mode as text: of each column of the result, the columns of sources that it is made of.

::

    Columns of answer:
    carrier ← flights.carrier
    total ← flights.delay
    (rows) ← flights.carrier (join, group), flights.delay (filter)
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from aaiclick_ext.oplog.columns import ALL, NONE, USES, backward_columns
from aaiclick_ext.oplog.questions import edges_by_result
from aaiclick_ext.untrusted import visible
from aaiclick_ext.widgets.card import cards
from aaiclick_ext.widgets.column_scene import columns_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aaiclick_ext.oplog import OplogGraph
    from aaiclick_ext.oplog.columns import ColumnUse


def column_tree(graph: OplogGraph) -> str:
    """Return the lines for the root's columns, and one for its rows. Runs no query."""
    return "\n".join(_lines(graph))


def _lines(graph: OplogGraph) -> Iterator[str]:
    names = {card.table: card.name or visible(card.table) for card in cards(graph)}
    known = edges_by_result(event for node in graph.nodes for event in node.events)
    columns = columns_of(graph, known).get(graph.root, {})
    yield f"Columns of {names.get(graph.root) or visible(graph.root)}:"
    if not columns or not known.get(graph.root):
        yield "what they are made of is not known"
        return
    for column in columns:
        found = backward_columns(known, graph.root, column)
        yield f"{visible(column)} ← {_listed(found, names) or 'values'}"
    everything = backward_columns(known, graph.root, NONE, uses=USES)
    deciding = [use for use in everything if use.use != "value" and use.column != NONE]
    if deciding:
        yield f"(rows) ← {_listed(deciding, names)}"


def _listed(uses: Iterable[ColumnUse], names: dict[str, str]) -> str:
    """Return columns by their names, those that are no values with what they are for."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for use in uses:
        table = names.get(use.table) or visible(use.table)
        column = visible(use.column)
        whole = f"rows of {table}" if use.column == NONE else f"all of {table}"
        name = whole if use.column in (NONE, ALL) else f"{table}.{column}"
        found[name].add(use.use)
    return ", ".join(
        name if kinds == {"value"} else f"{name} ({', '.join(k for k in USES if k in kinds)})"
        for name, kinds in sorted(found.items())
    )
