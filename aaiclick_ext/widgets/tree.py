"""The lineage graph as text: a tree for terminals, and for whatever shows no pictures.

::

    Lineage of worst: 5 steps
    worst [12] · order_by · view
    └─ by_carrier [9] · join · view
       ├─ left: late [5] · filter · view
       │  └─ flights [2] · read_parquet · 336,776 rows · alive
       └─ right: carriers [3] · read_csv · 16 rows · dropped

What more than one step uses is drawn once, with a mark, ``#1``, to which the others refer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING

from aaiclick_ext.untrusted import shortened, visible
from aaiclick_ext.widgets.card import Card, cards, role_order

if TYPE_CHECKING:
    from aaiclick_ext.oplog import OplogGraph

MAX_LINES = 400
"""Lines of one tree; that there are more is said."""

_NAME_COLUMNS = 60

Links = Mapping[str, list[tuple[str, str]]]
"""Table → (role, table) of what it leads to."""


def lineage_tree(graph: OplogGraph, *, width: int | None = None, columns: bool = False) -> str:
    """Return a graph as a tree of text, the asked for result at its top. Runs no query.

    Its inputs stand under it; what was made from it stands in a second tree, if the graph has any.

    Parameters
    ----------
    width
        Columns that a line may take, wide characters counted as two; longer ones end in an
        ellipsis. None is no limit.
    columns
        Whether lines for the columns follow.
    """
    told = {card.table: card for card in cards(graph)}
    count = len(told)
    root = told.get(graph.root)
    name = visible(graph.root) if root is None else root.name or root.operation
    lines = [f"Lineage of {name}: {count} {'step' if count == 1 else 'steps'}"]
    inputs, uses = _links(graph, told)
    if root is not None:
        if inputs[graph.root] or not uses[graph.root]:
            lines += _Tree(told, inputs).lines(graph.root)
        if uses[graph.root]:
            lines += ["Made from it:"] if inputs[graph.root] else []
            lines += _Tree(told, uses).lines(graph.root)
    if columns:
        from aaiclick_ext.widgets.column_tree import column_tree

        lines += column_tree(graph).split("\n")
    return "\n".join(lines if width is None else (shortened(line, width) for line in lines))


def _links(graph: OplogGraph, told: Mapping[str, Card]) -> tuple[Links, Links]:
    inputs: dict[str, list[tuple[str, str]]] = defaultdict(list)
    uses: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for edge in graph.edges:
        if edge.source in told and edge.target in told and edge.source != edge.target:
            role = "" if edge.role == "source" else visible(edge.role)
            inputs[edge.target].append((role, edge.source))
            uses[edge.source].append((role and f"as {role}", edge.target))
    for links in inputs.values():
        links.sort(key=lambda link: role_order(link[0]))
    return inputs, uses


class _Tree:
    """One walk along links, each table drawn at the place where it is first met."""

    def __init__(self, told: Mapping[str, Card], links: Links) -> None:
        self._told = told
        self._links = links
        self._drawn: set[str] = set()
        self._marks: dict[str, int] = {}

    def lines(self, root: str) -> list[str]:
        """Return the lines, top first. A loop, not a recursion: a chain may have any length."""
        found = list(islice(self._walk(root), MAX_LINES + 1))
        lines = [
            text + (self._mark(table) if first else self._reference(table))
            for text, table, first in found[:MAX_LINES]
        ]
        cut = len(found) > MAX_LINES
        return [*lines, "… and more; ask for a smaller --depth"] if cut else lines

    def _walk(self, root: str) -> Iterator[tuple[str, str, bool]]:
        waiting = [("", "", "", root)]
        while waiting:
            indent, branch, role, table = waiting.pop()
            card = self._told[table]
            lead = f"{indent}{branch}{f'{shortened(role, _NAME_COLUMNS)}: ' if role else ''}"
            if table in self._drawn:
                if table not in self._marks:
                    self._marks[table] = len(self._marks) + 1
                yield lead, table, False
                continue
            self._drawn.add(table)
            yield f"{lead}{' · '.join(_parts(card))}", table, True
            below = indent + {"├─ ": "│  ", "└─ ": "   "}.get(branch, "")
            waiting += _reversed(below, self._links[table])

    def _mark(self, table: str) -> str:
        return f"  #{self._marks[table]}" if table in self._marks else ""

    def _reference(self, table: str) -> str:
        card = self._told[table]
        name = card.headline or card.operation
        return f"↑ {shortened(name, _NAME_COLUMNS)}, see #{self._marks[table]}"


def _reversed(indent: str, links: list[tuple[str, str]]) -> Iterable[tuple[str, str, str, str]]:
    last = len(links) - 1
    for number in range(last, -1, -1):
        role, table = links[number]
        yield indent, "└─ " if number == last else "├─ ", role, table


def _parts(card: Card) -> Iterator[str]:
    headline = " ".join(filter(None, (shortened(card.name, _NAME_COLUMNS), card.cell)))
    hidden = card.hidden_inputs and f"⋯ {card.hidden_inputs} not shown"
    operation = shortened(card.operation, _NAME_COLUMNS)
    yield from filter(None, (headline, operation, card.status, hidden or ""))
