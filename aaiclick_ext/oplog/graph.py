"""OplogGraph: the tables and operations around one table. Pure: made from events alone."""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from aaiclick_ext.oplog.event import OperationEvent
    from aaiclick_ext.oplog.staleness import StaleResult

Direction = Literal["backward", "forward", "both"]

VIEW_PREFIX = "view_"
SINK_PREFIX = "fetch_"

DISPLAY = "display"
"""The operation of the event that tells which rows were shown to a person."""

DISPLAY_PREFIX = f"{SINK_PREFIX}{DISPLAY}_"
"""Of its sink: there are many, and nothing is made of them, so that most questions pass by them."""

DROP_TABLE = "drop_table"
"""The operation of the event that tells a table's end; `Table.drop` of columns is another."""

CREATE_VIEW = "create_view"
"""The operation of the event that tells of a view that ClickHouse keeps under a name."""


@dataclass(frozen=True, slots=True)
class OplogNode:
    """A table, lazy view, sink or file, with what was done to make it."""

    table: str
    operation: str | None
    """Of `event`; None where the log has no event: a foreign table, or one made unseen."""
    event: OperationEvent | None
    """The latest that made or changed it; a failed one only where none succeeded."""
    events: tuple[OperationEvent, ...] = field(default=())
    """All that made or changed it, by id: an insert adds one."""
    alive: bool | None = None
    """Whether the table exists now; None for views, sinks and files, which are no tables."""
    end: OperationEvent | None = None
    """When and why it was dropped, and what it was by then; None where it was not, or unseen."""

    @property
    def is_named_view(self) -> bool:
        """Whether it is a view that ClickHouse keeps under a name: it has no rows of its own."""
        return self.operation == CREATE_VIEW


@dataclass(frozen=True, slots=True)
class OplogEdge:
    """Data that went from one table into another."""

    source: str
    target: str
    role: str
    """The input's role in the operation that made the target."""


@dataclass(frozen=True, slots=True)
class OplogGraph:
    """The tables around a root with the operations between them."""

    root: str
    nodes: tuple[OplogNode, ...]
    """Inputs before what was made of them, else in order of time; those in a cycle too."""
    edges: tuple[OplogEdge, ...]
    database: str | None = field(default=None, compare=False)
    """What names the database, as `Engine.identity`; None for a graph of events alone."""
    stale: Mapping[str, StaleResult] = field(default_factory=dict, compare=False)
    """Of the tables that exist, those made of something that has changed since, and of what."""

    @property
    def is_known(self) -> bool:
        """Whether the log has an event of anything in it, or a table in it exists."""
        return any(node.event is not None or node.alive for node in self.nodes)

    def node(self, table: str) -> OplogNode:
        """Return the node of a table; KeyError where there is none."""
        for node in self.nodes:
            if node.table == table:
                return node
        raise KeyError(table)

    def to_prompt_context(self, max_chars: int | None = None) -> str:
        """Return the graph as compact plain text, the same for the same graph.

        Parameters
        ----------
        max_chars
            Characters that the text may have. What is least important is left out first: cells,
            SQL, columns, then steps, the farthest from the root before nearer ones.
        """
        from aaiclick_ext.oplog.prompt import prompt_context

        return prompt_context(self, max_chars)

    def to_sql(self, selects: Mapping[str, str] | None = None) -> str:
        """Return one SQL script that rebuilds the root from its sources.

        Statements stand in the order in which they ran, tables under the names of the variables
        that held them. Of what came from Python or from files the log has the schema: the script
        makes the tables, says what goes into them, and goes on below a line that says so.
        Credentials are masked. `DataContext.lineage_sql` gives the script of a living view.

        Parameters
        ----------
        selects
            Name of a view to its SELECT, for views from which no table was made: the log has the
            SQL of tables alone.
        """
        from aaiclick_ext.oplog.sql_script import sql_script

        return sql_script(self, selects)

    def to_python(self) -> str:
        """Return the cells that made the root as a script, each under its number, in order.

        Credentials are masked, magics are comments. Cells that recorded nothing, of imports alone
        for example, are not in the log; the names that they set are listed at the top.
        """
        from aaiclick_ext.oplog.python_script import python_script

        return python_script(self)

    def to_openlineage(self, namespace: str | None = None) -> list[dict[str, Any]]:
        """Return OpenLineage run events, oldest first, as values that JSON can hold.

        One for each operation that made, changed, dropped or exported a table: COMPLETE, or FAIL.
        Lazy views are followed through to tables, column by column. The same event of the log has
        the same run id every time.

        Parameters
        ----------
        namespace
            Of jobs and datasets. By default that of the database, without credentials: of a server
            ``clickhouse://host:port``, with ``database.table`` as names, which is what other
            producers call them (https://openlineage.io/docs/spec/naming).
        """
        from aaiclick_ext.oplog.openlineage import run_events

        return run_events(self, namespace)


def is_table_name(name: str) -> bool:
    """Say whether a name in the log is a table's, and no lazy view's, sink's or file's."""
    return not name.startswith((VIEW_PREFIX, SINK_PREFIX)) and "/" not in name


def view_made(events: Iterable[OperationEvent], until: float = math.inf) -> OperationEvent | None:
    """Return the event that made a named view as it was at an id; None where it is no view.

    Parameters
    ----------
    events
        Those of one name, by id.
    """
    made = [e for e in events if e.operation == CREATE_VIEW and e.status == "ok" and e.id < until]
    return made[-1] if made else None


def effective(events: Iterable[OperationEvent]) -> dict[str, list[OperationEvent]]:
    """Return by result the events that moved data: failed ones only where none succeeded."""
    by_result: defaultdict[str, list[OperationEvent]] = defaultdict(list)
    for event in without_ends(events):
        by_result[event.result_table].append(event)
    return {
        result: [event for event in made if event.status == "ok"] or made
        for result, made in by_result.items()
    }


def without_ends(events: Iterable[OperationEvent]) -> list[OperationEvent]:
    """Return the events that made or changed something, by id."""
    return sorted((e for e in events if e.operation != DROP_TABLE), key=lambda event: event.id)


def edges_of(events: Iterable[OperationEvent]) -> list[OplogEdge]:
    """Return the edges that events make. A table is no input of itself: an insert changes it."""
    return list(
        dict.fromkeys(
            OplogEdge(source, event.result_table, role)
            for made in effective(events).values()
            for event in made
            for role, source in event.kwargs.items()
            if source != event.result_table
        )
    )


def reached(
    root: str, edges: Iterable[OplogEdge], direction: Direction, max_depth: int
) -> frozenset[str]:
    """Return the tables within so many steps of the root, itself included.

    A step goes from a table to one of its inputs (backward) or to what was made of it (forward);
    ``both`` is what each way reaches alone.
    """
    edges = list(edges)
    found = {root}
    if direction in ("backward", "both"):
        found |= _walk(root, [(edge.target, edge.source) for edge in edges], max_depth)
    if direction in ("forward", "both"):
        found |= _walk(root, [(edge.source, edge.target) for edge in edges], max_depth)
    return frozenset(found)


def distances(graph: OplogGraph) -> dict[str, int]:
    """Return how many steps each table is away from the root, whichever way the data went."""
    neighbours: defaultdict[str, list[str]] = defaultdict(list)
    for edge in graph.edges:
        neighbours[edge.source].append(edge.target)
        neighbours[edge.target].append(edge.source)
    away, frontier = {graph.root: 0}, [graph.root]
    for table in frontier:
        for neighbour in neighbours[table]:
            if neighbour not in away:
                away[neighbour] = away[table] + 1
                frontier.append(neighbour)
    return {node.table: away.get(node.table, len(graph.nodes)) for node in graph.nodes}


def _walk(root: str, steps: Iterable[tuple[str, str]], max_depth: int) -> set[str]:
    neighbours: defaultdict[str, list[str]] = defaultdict(list)
    for start, end in steps:
        neighbours[start].append(end)
    found, frontier = {root}, [root]
    for _ in range(max_depth):
        frontier = list(dict.fromkeys(n for table in frontier for n in neighbours[table]))
        frontier = [table for table in frontier if table not in found]
        if not frontier:
            break
        found.update(frontier)
    return found


def build_graph(
    root: str,
    events: Sequence[OperationEvent],
    *,
    direction: Direction = "backward",
    max_depth: int = 10,
    living: Collection[str] | None = None,
    database: str | None = None,
) -> OplogGraph:
    """Return the graph around a root.

    Parameters
    ----------
    root
        A table, view or sink; it needs no event.
    events
        Those of at least every table within reach; more do no harm.
    direction, max_depth
        As in `reached`.
    living
        The tables that exist, or None where it is not known.
    database
        What names the database.
    """
    tables = reached(root, edges_of(events), direction, max_depth)
    return graph_of(root, tables, events, living=living, database=database)


def graph_of(
    root: str,
    tables: Collection[str],
    events: Sequence[OperationEvent],
    *,
    living: Collection[str] | None = None,
    database: str | None = None,
) -> OplogGraph:
    """Return the graph of these tables, with what lies between them."""
    edges = edges_of(events)
    made: defaultdict[str, list[OperationEvent]] = defaultdict(list)
    for event in without_ends(events):
        made[event.result_table].append(event)
    ends = {event.result_table: event for event in events if event.operation == DROP_TABLE}
    makers = effective(events)
    kept = [edge for edge in edges if edge.source in tables and edge.target in tables]
    nodes = []
    for table in _ordered(tables, kept, makers):
        latest = makers[table][-1] if table in makers else None
        alive = table in living if living is not None and is_table_name(table) else None
        operation = None if latest is None else latest.operation
        end = ends.get(table)
        nodes.append(OplogNode(table, operation, latest, tuple(made[table]), alive, end))
    position = {node.table: number for number, node in enumerate(nodes)}
    kept.sort(key=lambda edge: (position[edge.target], position[edge.source], edge.role))
    return OplogGraph(root, tuple(nodes), tuple(kept), database)


def _ordered(
    tables: Collection[str],
    edges: Iterable[OplogEdge],
    makers: Mapping[str, Sequence[OperationEvent]],
) -> list[str]:
    """Return tables with inputs first; where a cycle leaves no such order, the oldest first."""
    age = {t: (makers[t][0].id if t in makers else -1, t) for t in tables}
    after: defaultdict[str, set[str]] = defaultdict(set)
    waiting = dict.fromkeys(tables, 0)
    for edge in edges:
        if edge.target not in after[edge.source]:
            after[edge.source].add(edge.target)
            waiting[edge.target] += 1
    ready = [age[table] for table in tables if waiting[table] == 0]
    heapq.heapify(ready)
    left = sorted((age[table] for table in tables), reverse=True)
    ordered: dict[str, None] = {}
    while len(ordered) < len(waiting):
        table = (heapq.heappop(ready) if ready else left.pop())[1]  # none is ready in a cycle
        if table in ordered:
            continue
        ordered[table] = None
        for target in after[table]:
            waiting[target] -= 1
            if waiting[target] == 0 and target not in ordered:
                heapq.heappush(ready, age[target])
    return list(ordered)
