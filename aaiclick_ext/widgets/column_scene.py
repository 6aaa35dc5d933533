"""What is drawn of a graph in column mode: the columns that matter for the root, and their edges.

A column stands under its table. What decides about rows (a filter, a join, a group, an order) ends
at the table itself, and so does what counts rows and no column.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aaiclick_ext.oplog.columns import ALL, NONE
from aaiclick_ext.oplog.questions import edges_by_result
from aaiclick_ext.untrusted import visible
from aaiclick_ext.widgets.card import Card, cards
from aaiclick_ext.widgets.details import logged_columns
from aaiclick_ext.widgets.mode import Mode
from aaiclick_ext.widgets.scene import scene

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from aaiclick_ext.oplog import OplogEdge, OplogGraph
    from aaiclick_ext.oplog.columns import ColumnEdge

MAX_COLUMNS = 30
"""Columns of one table that are drawn; that there are more is said."""

Place = tuple[str, str]
"""A table and a column of it, ``""`` for the table itself."""

Step = tuple[Place, Place, str]
"""From where, to where, and the use: an edge of the picture."""


@dataclass(frozen=True, slots=True)
class ColumnItem:
    """A column that is drawn.

    Attributes
    ----------
    id
        ``n3c0``: of the table's card, and a number.
    of
        Id of the table's card.
    """

    id: str
    of: str
    name: str
    type: str


@dataclass(frozen=True, slots=True)
class ColumnScene:
    """What is drawn in column mode.

    Attributes
    ----------
    columns
        Of each card's id, the columns drawn under it.
    edges
        Ids from and to, and the use: ``value``, ``filter``, ``join``, ``group`` or ``order``.
    said
        What is left out, in a sentence; "" where nothing is.
    """

    cards: tuple[Card, ...]
    columns: Mapping[str, tuple[ColumnItem, ...]]
    edges: tuple[tuple[str, str, str], ...]
    said: str


def column_scene(
    graph: OplogGraph, mode: Mode | None = None, told: tuple[Card, ...] = ()
) -> ColumnScene:
    """Return what column mode draws of a graph. Runs no query."""
    told = told or cards(graph)
    drawn = scene(graph, mode or Mode(columns=True), told)
    shown = {card.table for card in drawn.cards}
    known = edges_by_result(event for node in graph.nodes for event in node.events)
    columns = columns_of(graph, known)
    steps = [
        step
        for table in columns
        if table in shown
        for step in _steps(table, known.get(table, ()), columns)
        if step[0][0] in shown
    ]
    wanted = _around(graph.root, columns.get(graph.root, {}), steps)
    said = [drawn.said.removesuffix(".")] if drawn.said else []
    kept: dict[Place, ColumnItem] = {}
    unused = cut = 0
    for card in drawn.cards:
        names = columns.get(card.table, {})
        used = [name for name in names if (card.table, name) in wanted]
        unused += len(names) - len(used)
        cut += len(used[MAX_COLUMNS:])
        for number, name in enumerate(used[:MAX_COLUMNS]):
            item = ColumnItem(f"{card.id}c{number}", card.id, visible(name), names[name])
            kept[card.table, name] = item
    if unused:
        said.append(f"{_counted(unused)} that the result does not depend on are left out")
    if cut:
        said.append(f"{_counted(cut)} more are not shown (at most {MAX_COLUMNS} of a table)")
    ids = {(card.table, NONE): card.id for card in drawn.cards}
    ids |= {place: item.id for place, item in kept.items()}
    edges = dict.fromkeys(
        (ids[start], ids[end], use) for start, end, use in steps if start in ids and end in ids
    )
    listed: defaultdict[str, list[ColumnItem]] = defaultdict(list)
    for item in kept.values():
        listed[item.of].append(item)
    return ColumnScene(
        drawn.cards,
        {of: tuple(items) for of, items in listed.items()},
        _with_tables(edges, drawn.edges, ids),
        "; ".join(said) and f"{'; '.join(said)}.",
    )


def _counted(count: int) -> str:
    return f"{count:,} column{'' if count == 1 else 's'}"


def _with_tables(
    edges: Iterable[tuple[str, str, str]], between: Iterable[OplogEdge], ids: Mapping[Place, str]
) -> tuple[tuple[str, str, str], ...]:
    """Return the edges with one from table to table wherever no column goes along it."""
    found = dict.fromkeys(edges)
    joined = {(start.split("c")[0], end.split("c")[0]) for start, end, _ in found}
    for edge in between:
        pair = ids[edge.source, NONE], ids[edge.target, NONE]
        if pair not in joined:
            found[(*pair, "")] = None
    return tuple(found)


def columns_of(
    graph: OplogGraph, known: Mapping[str, Iterable[ColumnEdge]]
) -> dict[str, dict[str, str]]:
    """Return the columns of each table with their types, "" where the log does not tell.

    A node comes after its inputs: what a filter passes on has been found.
    """
    found: dict[str, dict[str, str]] = {}
    for node in graph.nodes:
        columns = dict(logged_columns(node))
        if not columns:
            for edge in known.get(node.table, ()):
                if edge.output == ALL and edge.column == ALL:
                    columns = {**found.get(edge.source, {}), **columns}
                elif edge.output not in (ALL, NONE):
                    columns.setdefault(edge.output, "")
        found[node.table] = columns
    for edges in known.values():  # of what nobody made here, the columns that are read
        for edge in edges:
            if edge.column not in (ALL, NONE) and edge.source in found:
                found[edge.source].setdefault(edge.column, "")
    return found


def _steps(
    table: str, known: Iterable[ColumnEdge], columns: Mapping[str, Mapping[str, str]]
) -> Iterator[Step]:
    """Yield the edges that end at a table or at its columns, those of all columns one by one."""
    for edge in known:
        if edge.output == ALL and edge.column == ALL:
            for name in columns.get(edge.source, {}):
                if name in columns[table]:
                    yield (edge.source, name), (table, name), edge.use
            continue
        outputs = columns[table] if edge.output == ALL else [edge.output]
        column = NONE if edge.column == ALL else edge.column
        for output in outputs:
            yield (edge.source, column), (table, output), edge.use


def _around(root: str, columns: Iterable[str], steps: list[Step]) -> set[Place]:
    """Return the places that went into the root's columns and rows, and those they went into."""
    before: defaultdict[Place, list[Place]] = defaultdict(list)
    after: defaultdict[Place, list[Place]] = defaultdict(list)
    for start, end, _ in steps:
        before[end].append(start)
        after[start].append(end)
    found: set[Place] = set()
    for links in (before, after):
        waiting = [(root, NONE), *((root, column) for column in columns)]
        reached = set(waiting)
        while waiting:
            place = waiting.pop()
            # What decides about a table's rows decides about each of its columns.
            rows = [(place[0], NONE)] if links is before else []
            for other in [*links[place], *rows]:
                if other not in reached:
                    reached.add(other)
                    waiting.append(other)
        found |= reached
    return found
