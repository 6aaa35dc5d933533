"""Questions to the log: what made a table, and what was made of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from aaiclick_ext.engine import Role
from aaiclick_ext.errors import UnknownTableError
from aaiclick_ext.oplog.closure import BACK, FORWARD, closure, parts_of, rows_of_each
from aaiclick_ext.oplog.event import READ_FIELDS, OperationEvent, from_arrow
from aaiclick_ext.oplog.file_changes import FACTS, file_changes
from aaiclick_ext.oplog.graph import (
    Direction,
    OplogGraph,
    build_graph,
    edges_of,
    is_table_name,
    reached,
    without_ends,
)
from aaiclick_ext.oplog.log_table import LOG_TABLE
from aaiclick_ext.oplog.staleness import StaleResult, stale

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from aaiclick_ext.engine import Engine
    from aaiclick_ext.oplog.closure import Link

_FIELDS = ", ".join(READ_FIELDS)
# To sort and to leave out what a retried insert wrote twice takes ClickHouse twice as long as us.
_MAKERS = f"SELECT {_FIELDS} FROM {LOG_TABLE} WHERE result_table IN {{names:Array(String)}}"
# What a table is stale by. SQL, sources of cells, schemas and columns are nearly all of an event.
_DATES = f"""
SELECT id, result_table, operation, kwargs, status, created_at,
    mapFilter((name, _) -> name IN {FACTS} OR startsWith(name, 'path_'), params) AS params,
    CAST(NULL, 'Nullable(String)') AS sql_template, task_id, job_id, run_id, node_id,
    CAST([], 'Array(String)') AS variable_names
FROM {LOG_TABLE} WHERE result_table IN {{names:Array(String)}}
"""
_EVENTS = f"""
SELECT {_FIELDS} FROM {LOG_TABLE}
WHERE result_table IN {{names:Array(String)}} AND id IN {{ids:Array(UInt64)}}
"""
_RECORDED = (
    f"SELECT DISTINCT result_table FROM {LOG_TABLE} WHERE result_table IN {{names:Array(String)}}"
)
_LIVING = """
SELECT database, name FROM system.tables
WHERE (database = currentDatabase() AND name IN {names:Array(String)})
   OR concat(database, '.', name) IN {names:Array(String)}
"""
MOST_STEPS = 10_000


def backward_oplog(engine: Engine, table: str, max_depth: int = 10) -> list[OperationEvent]:
    """Return the events that made a table and what it was made of, by id, oldest first.

    Three queries where all was made in one kernel session, two more for each further one on the
    way. Each event of a table is returned: an insert adds one. The log must have been flushed;
    where there is none yet, the answer is empty.

    Parameters
    ----------
    engine
        The database with the log.
    table
        The name of a table, lazy view or sink.
    max_depth
        How many steps to follow from a table to its inputs; 0 gives the table's own events.
    """
    events = ancestors(engine, [table], max_depth)
    tables = reached(table, edges_of(events), "backward", max_depth)
    return [event for event in without_ends(events) if event.result_table in tables]


def forward_oplog(
    engine: Engine, table: str, max_depth: int = 10, *, displays: bool = False
) -> list[OperationEvent]:
    """Return the events that a table went into, and what came out of them, by id.

    As many queries as `backward_oplog`, each of which reads the inputs of all events. Each event of
    a result that has the table, or what was made of it, among its inputs is returned: an insert
    adds one.

    Parameters
    ----------
    engine, table
        As in `backward_oplog`.
    max_depth
        How many steps to follow from a table to what was made of it; 0 gives nothing.
    displays
        Whether rows that were shown are among it.
    """
    if max_depth < 1:
        return []
    events = descendants(engine, [table], max_depth, displays=displays)
    tables = reached(table, edges_of(events), "forward", max_depth)
    return [
        event
        for event in without_ends(events)
        if event.result_table in tables and not tables.isdisjoint(event.kwargs.values())
    ]


def oplog_subgraph(
    engine: Engine,
    table: str,
    direction: Direction = "backward",
    max_depth: int = 10,
    *,
    displays: bool = False,
) -> OplogGraph:
    """Return the graph around a table.

    Parameters
    ----------
    direction
        ``backward`` to what it was made of, ``forward`` to what was made of it, or ``both``.
    max_depth
        How many steps to follow each way.
    displays
        As in `forward_oplog`.

    Raises
    ------
    ValueError
        If the direction is none of these.
    """
    if direction not in ("backward", "forward", "both"):
        raise ValueError(f"direction can be 'backward', 'forward' or 'both', not {direction!r}")
    events: dict[int, OperationEvent] = {}
    if direction != "forward":
        events |= {event.id: event for event in ancestors(engine, [table], max_depth)}
    if direction != "backward":
        below = descendants(engine, [table], max_depth, displays=displays)
        events |= {event.id: event for event in below}
    found = sorted(events.values(), key=lambda event: event.id)
    tables = reached(table, edges_of(found), direction, max_depth)
    living = living_tables(engine, tables)
    graph = build_graph(
        table,
        found,
        direction=direction,
        max_depth=max_depth,
        living=living,
        database=engine.identity,
    )
    return replace(graph, stale=_stale_among(engine, tables & living, found))


def _stale_among(
    engine: Engine, living: Collection[str], events: Sequence[OperationEvent]
) -> dict[str, StaleResult]:
    """Return which living tables are stale. A few queries where their inputs are out of reach."""
    known = {event.result_table for event in events}
    inputs = {name for event in events for name in event.kwargs.values()}
    if inputs <= known:
        results = stale({event.id: event for event in events}.values(), file_changes())
    else:
        results = stale_below(engine, sorted(living))
    return {result.table: result for result in results if result.table in living}


def stale_below(engine: Engine, tables: Sequence[str]) -> list[StaleResult]:
    """Return which of some tables, and of those they were made of, are stale, dropped or not.

    As many queries as `ancestors`, and one more for every thousand events that the answer has: of
    all others nothing but the time and the inputs is read.
    """
    dates = _events_of_all(engine, closure(engine, tables, BACK, MOST_STEPS), _DATES)
    found = stale(dates, file_changes())
    changes = [change for result in found for change in result.changes]
    wanted = {result.made.id: result.made for result in found}
    wanted |= {change.event.id: change.event for change in changes if change.event is not None}
    whole = dict[int, OperationEvent]()
    for part in parts_of(list(wanted.values())):
        names = sorted({event.result_table for event in part})
        read = events_of(engine, _EVENTS, {"names": names, "ids": [event.id for event in part]})
        whole |= {event.id: event for event in read}
    return [_with_events(result, wanted | whole) for result in found]


def _with_events(result: StaleResult, events: Mapping[int, OperationEvent]) -> StaleResult:
    changes = (
        change if change.event is None else replace(change, event=events[change.event.id])
        for change in result.changes
    )
    return replace(result, made=events[result.made.id], changes=tuple(changes))


def ancestors(
    engine: Engine, tables: Sequence[str], max_depth: int = MOST_STEPS
) -> list[OperationEvent]:
    """Return the events of tables and of what they were made of, their ends too, by id.

    As many queries as `closure`: what made a table says what that was made of.
    """
    events: dict[int, OperationEvent] = {}

    def ask(names: Sequence[str]) -> list[Link]:
        made = _events_of_all(engine, names)
        events.update((event.id, event) for event in made)
        return [
            (event.result_table, source, event.job_id, event.id)
            for event in made
            for source in event.kwargs.values()
        ]

    closure(engine, tables, BACK, min(max_depth, MOST_STEPS), ask=ask)
    return sorted(events.values(), key=lambda event: event.id)


def descendants(
    engine: Engine, tables: Sequence[str], max_depth: int, *, displays: bool = False
) -> list[OperationEvent]:
    """Return all events of the tables within so many steps, by id.

    As many queries as `closure`, and another for every thousand names.
    """
    names = closure(engine, tables, FORWARD, max_depth, displays=displays)
    return _events_of_all(engine, names)


def _events_of_all(
    engine: Engine, names: Sequence[str], sql: str = _MAKERS
) -> list[OperationEvent]:
    parts = parts_of(sorted(names))
    events = {e.id: e for part in parts for e in events_of(engine, sql, {"names": part})}
    return sorted(events.values(), key=lambda event: event.id)


def events_of(engine: Engine, sql: str, parameters: dict[str, object]) -> list[OperationEvent]:
    """Return the events that a query finds; none where there is no log."""
    try:
        return from_arrow(engine.query_arrow(sql, parameters))
    except UnknownTableError:
        return []  # nothing was recorded in this database yet


def recorded_tables(engine: Engine) -> list[str]:
    """Return the tables that exist and that the log has events of. One query."""
    sql = (
        f"SELECT name FROM system.tables WHERE database = currentDatabase() "
        f"AND name IN (SELECT result_table FROM {LOG_TABLE}) ORDER BY name"
    )
    try:
        return [name for (name,) in engine.query_rows(sql)]
    except UnknownTableError:
        return []


def recorded_among(engine: Engine, tables: Sequence[str]) -> set[str]:
    """Return which of these tables the log has events of. One query, as `Role.WORKER`."""
    try:
        rows = engine.query_rows(_RECORDED, {"names": list(tables)}, role=Role.WORKER)
    except UnknownTableError:
        return set()
    return {name for (name,) in rows}


def living_tables(engine: Engine, tables: Collection[str]) -> set[str]:
    """Return which of these names are tables that exist."""
    names = sorted(name for name in tables if is_table_name(name))
    rows = rows_of_each(engine, _LIVING, names)
    return {name for database, table in rows for name in (table, f"{database}.{table}")}
