"""What is drawn of a graph: its cards and edges, folded and cut down as a mode asks. Pure.

A step is folded into the one drawn step of its run. A run is a way through steps of which each has
one input and is the input of one: unnamed views, or the middle of a long chain of any steps.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aaiclick_ext.oplog import OplogEdge
from aaiclick_ext.widgets.card import Card, Kind, cards, role_order
from aaiclick_ext.widgets.mode import NEAR_FROM, Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from aaiclick_ext.oplog import OplogGraph

LONG_CHAIN = 6
"""Steps in a row that make a long chain; its first and last step are always drawn."""

_NEAR_COLUMNS = 40
_NAMED_OPERATIONS = 3


@dataclass(frozen=True, slots=True)
class Group:
    """The steps of one run of a cell."""

    title: str
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scene:
    """What is drawn.

    Attributes
    ----------
    cards
        In the graph's order; a fold stands where its first step would.
    edges
        By the tables of the cards, in the order of their ids in the picture.
    groups
        Boxes around steps.
    said
        What is not drawn as it is, in a sentence; "" where all is.
    """

    cards: tuple[Card, ...]
    edges: tuple[OplogEdge, ...]
    groups: tuple[Group, ...] = ()
    said: str = ""


def scene(graph: OplogGraph, mode: Mode | None = None, told: tuple[Card, ...] = ()) -> Scene:
    """Return what a mode draws of a graph. Runs no query.

    Parameters
    ----------
    told
        The graph's cards, where there are some already.
    """
    mode = mode or Mode()
    told = told or cards(graph)
    shown, said = told, list[str]()
    edges = drawn_edges(graph, {card.table for card in shown})
    if mode.fold and not mode.columns:
        shown, edges = _folded(shown, edges, mode)
    most = _NEAR_COLUMNS if mode.columns else NEAR_FROM
    if mode.near and len(shown) > most:
        everything = _steps(shown)
        shown, edges = _nearest(shown, edges, most)
        said.append(f"{everything - _steps(shown):,} steps farther away are not shown")
    if folds := [len(card.members) for card in shown if card.members]:
        said.insert(0, f"{sum(folds):,} steps are folded into {len(folds):,}")
    groups = tuple(_groups(graph, shown)) if mode.cells and not mode.columns else ()
    return Scene(shown, tuple(edges), groups, "; ".join(said) and f"{'; '.join(said)}.")


def drawn_edges(graph: OplogGraph, tables: set[str]) -> list[OplogEdge]:
    """Return the edges between tables, in the order of their ids in the picture.

    An insert has its own table as target; that is no step.
    """
    drawn = [
        edge
        for edge in graph.edges
        if edge.source in tables and edge.target in tables and edge.source != edge.target
    ]
    return sorted(drawn, key=lambda edge: role_order(edge.role))


def _steps(shown: Iterable[Card]) -> int:
    return sum(len(card.members) or 1 for card in shown)


def _nearest(
    shown: tuple[Card, ...], edges: list[OplogEdge], most: int
) -> tuple[tuple[Card, ...], list[OplogEdge]]:
    """Return the cards nearest to the root, whichever way the data went, and their edges.

    A card whose inputs are not among them counts those as it does inputs that are out of reach.
    """
    neighbours: defaultdict[str, list[str]] = defaultdict(list)
    for edge in edges:
        neighbours[edge.source].append(edge.target)
        neighbours[edge.target].append(edge.source)
    ordered = dict.fromkeys(card.table for card in shown if card.is_root)
    for table in (waiting := list(ordered)):
        new = [n for n in dict.fromkeys(neighbours[table]) if n not in ordered]
        ordered |= dict.fromkeys(new)
        waiting += new
    near = set(list(ordered)[:most])
    hidden: defaultdict[str, set[str]] = defaultdict(set)
    for edge in edges:
        if edge.source not in near:
            hidden[edge.target].add(edge.source)
    kept = tuple(
        replace(card, hidden_inputs=card.hidden_inputs + len(hidden[card.table]))
        for card in shown
        if card.table in near
    )
    return kept, [edge for edge in edges if edge.source in near and edge.target in near]


def _folded(
    shown: tuple[Card, ...], edges: list[OplogEdge], mode: Mode
) -> tuple[tuple[Card, ...], list[OplogEdge]]:
    """Return cards and edges with runs folded."""
    told = {card.table: card for card in shown}
    runs = [
        run
        for run in _runs(told, edges)
        if len(run) > 1 and not any(told[table].id in mode.opened for table in run)
    ]
    into = {table: f"fold {told[run[0]].id}" for run in runs for table in run}
    folds = {run[0]: _fold([told[table] for table in run]) for run in runs}
    kept = tuple(
        folds.get(card.table, card)
        for card in shown
        if card.table not in into or card.table in folds
    )
    moved = [
        OplogEdge(into.get(e.source, e.source), into.get(e.target, e.target), e.role)
        for e in edges
        if into.get(e.source, e.source) != into.get(e.target, e.target)
    ]
    return kept, moved


def _fold(run: list[Card]) -> Card:
    operations = [card.operation for card in run]
    named = operations[:_NAMED_OPERATIONS]
    more = len(operations) - len(named)
    first = run[0]
    return replace(
        first,
        id=f"f{first.id[1:]}",
        table=f"fold {first.id}",
        kind=Kind.FOLD,
        operation=f"{len(run)} steps",
        name=" → ".join(named) + (" → …" if more > 0 else ""),
        cell="",
        rows="",
        state="",
        hidden_inputs=0,
        stale=(),
        members=tuple(card.id for card in run),
    )


def _runs(told: Mapping[str, Card], edges: list[OplogEdge]) -> list[list[str]]:
    """Return what may be folded: runs of unnamed views, then the middles of long chains."""
    unnamed = _in_rows(told, edges, lambda card: card.kind is Kind.VIEW and not card.name)
    found = [run for run in unnamed if len(run) > 1]
    taken = {table for run in found for table in run}
    left = {table: card for table, card in told.items() if table not in taken}
    chains = _in_rows(left, edges, lambda card: not card.failed)
    return found + [chain[1:-1] for chain in chains if len(chain) >= LONG_CHAIN]


def _in_rows(
    told: Mapping[str, Card], edges: list[OplogEdge], may: Callable[[Card], bool]
) -> list[list[str]]:
    """Return the longest runs of cards that may be in one, each in the order of the data."""
    inputs: defaultdict[str, set[str]] = defaultdict(set)
    uses: defaultdict[str, set[str]] = defaultdict(set)
    for edge in edges:
        inputs[edge.target].add(edge.source)
        uses[edge.source].add(edge.target)

    def is_serial(table: str) -> bool:
        card = told.get(table)
        return (
            card is not None
            and not card.is_root
            and may(card)
            and len(inputs[table]) == 1
            and len(uses[table]) == 1
        )

    runs, seen = [], set()
    for start in told:
        if start in seen or not is_serial(start):
            continue
        (before,) = inputs[start]
        if is_serial(before) and before != start and before not in seen:
            continue  # not the first of its run
        run = [start]
        seen.add(start)
        (after,) = uses[start]
        while is_serial(after) and after not in seen:
            run.append(after)
            seen.add(after)
            (after,) = uses[after]
        runs.append(run)
    return runs


def _groups(graph: OplogGraph, shown: Iterable[Card]) -> Iterator[Group]:
    """Yield a group for each run of a cell, in the order of its first step."""
    tables = {f"n{number}": node for number, node in enumerate(graph.nodes)}
    found: defaultdict[tuple[int, int | None, int], list[str]] = defaultdict(list)
    for card in shown:
        node = tables[card.members[-1] if card.members else card.id]
        event = node.events[0] if node.events else node.event
        if event is not None and event.execution_count is not None:
            found[event.job_id, event.task_id, event.execution_count].append(card.id)
    kernels = list(dict.fromkeys(job for job, _, _ in found))
    for (job, _, count), ids in found.items():
        kernel = f", kernel {kernels.index(job) + 1}" if len(kernels) > 1 else ""
        yield Group(f"cell [{count}]{kernel}", tuple(ids))
