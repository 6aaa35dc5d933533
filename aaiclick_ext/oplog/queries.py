"""Questions to the log: what made a table, and what was made of it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from aaiclick_ext.errors import UnknownTableError
from aaiclick_ext.oplog.event import FIELD_NAMES, OperationEvent, from_arrow
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

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from aaiclick_ext.engine import Engine

_FIELDS = ", ".join(FIELD_NAMES)
# A retried insert may have written an event twice.
_ONCE = "ORDER BY id LIMIT 1 BY id"

# The step is an IN and not a join, which multiplies rows at every diamond. Each step sees only
# the rows of the step before, all of one depth: the CROSS JOIN carries it on, since a scalar
# subquery of the recursive table is computed once, before there are rows. A table that an insert
# names as its own input is no step, so that it does not turn for ever.
_UP = f"""
WITH RECURSIVE up AS (
    SELECT arrayJoin({{roots:Array(String)}}) AS name, toUInt32(0) AS depth
    UNION ALL
    SELECT DISTINCT arrayJoin(
        arrayFilter(input -> input != result_table, mapValues(kwargs))
    ) AS name, step.depth + 1 AS depth
    FROM {LOG_TABLE} CROSS JOIN (SELECT DISTINCT depth FROM up) AS step
    WHERE step.depth < {{max_depth:UInt32}}
      AND result_table IN (SELECT name FROM up)
)
SELECT {_FIELDS} FROM {LOG_TABLE} WHERE result_table IN (SELECT name FROM up) {_ONCE}
SETTINGS max_recursive_cte_evaluation_depth = {{steps}}
"""
# Inputs are no part of the sorting key, so each step reads the inputs of the whole log: 3 ms for
# 100,000 events, 15 ms for a million. A bloom filter on them made that 5 and 8 ms, and each write
# dearer; a recursive CTE took 12 to 20 ms a step for 100,000.
_DOWN = (
    f"SELECT DISTINCT result_table FROM {LOG_TABLE} "
    "WHERE hasAny(mapValues(kwargs), {names:Array(String)})"
)
_MAKERS = f"SELECT {_FIELDS} FROM {LOG_TABLE} WHERE result_table IN {{names:Array(String)}} {_ONCE}"
_LIVING = """
SELECT database, name FROM system.tables
WHERE (database = currentDatabase() AND name IN {names:Array(String)})
   OR concat(database, '.', name) IN {names:Array(String)}
"""
_NAMES_PER_QUERY = 1000
"""Bound values travel in the URL, which servers limit to 1 MB."""

MOST_STEPS = 10_000
_FIRST_STEPS = 16


def backward_oplog(engine: Engine, table: str, max_depth: int = 10) -> list[OperationEvent]:
    """Return the events that made a table and what it was made of, by id, oldest first.

    One query. Each event of a table is returned: an insert adds one. The log must have been
    flushed; where there is none yet, the answer is empty.

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


def forward_oplog(engine: Engine, table: str, max_depth: int = 10) -> list[OperationEvent]:
    """Return the events that a table went into, and what came out of them, by id.

    A query per step, and one more. Each event of a result that has
    the table, or what was made of it, among its inputs is returned: an insert adds one.

    Parameters
    ----------
    engine, table
        As in `backward_oplog`.
    max_depth
        How many steps to follow from a table to what was made of it; 0 gives nothing.
    """
    if max_depth < 1:
        return []
    events = descendants(engine, [table], max_depth)
    tables = reached(table, edges_of(events), "forward", max_depth)
    return [
        event
        for event in without_ends(events)
        if event.result_table in tables and not tables.isdisjoint(event.kwargs.values())
    ]


def oplog_subgraph(
    engine: Engine, table: str, direction: Direction = "backward", max_depth: int = 10
) -> OplogGraph:
    """Return the graph around a table.

    Parameters
    ----------
    direction
        ``backward`` to what it was made of, ``forward`` to what was made of it, or ``both``.
    max_depth
        How many steps to follow each way.

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
        events |= {event.id: event for event in descendants(engine, [table], max_depth)}
    found = sorted(events.values(), key=lambda event: event.id)
    tables = reached(table, edges_of(found), direction, max_depth)
    living = living_tables(engine, tables)
    return build_graph(
        table,
        found,
        direction=direction,
        max_depth=max_depth,
        living=living,
        database=engine.identity,
    )


def ancestors(
    engine: Engine, tables: Sequence[str], max_depth: int = MOST_STEPS
) -> list[OperationEvent]:
    """Return the events of tables and of what they were made of, their ends too.

    One query, and another for each time that the way back is eight times as long.
    """
    most = min(max(max_depth, 0), MOST_STEPS)
    steps = min(_FIRST_STEPS, most)
    while True:
        sql = _UP.replace("{steps}", str(steps + 2))
        events = events_of(engine, sql, {"roots": list(tables), "max_depth": steps})
        # Where a table was inserted into from a view of itself, the query goes round and round.
        if steps == most or _farthest(tables, events) < steps:
            return events
        steps = min(steps * 8, most)


def _farthest(tables: Sequence[str], events: Sequence[OperationEvent]) -> int:
    """Return how many steps back the farthest input of tables is."""
    inputs: defaultdict[str, set[str]] = defaultdict(set)
    for event in events:
        inputs[event.result_table].update(event.kwargs.values())
    seen, frontier, steps = set(tables), set(tables), -1
    while frontier:
        steps += 1
        frontier = {name for table in frontier for name in inputs[table]} - seen
        seen |= frontier
    return steps


def descendants(engine: Engine, tables: Sequence[str], max_depth: int) -> list[OperationEvent]:
    """Return all events of the tables within so many steps, found step by step."""
    seen, frontier = set(tables), list(tables)
    for _ in range(max_depth):
        results = _rows_of_each(engine, _DOWN, frontier)
        frontier = sorted({name for (name,) in results if name not in seen})
        seen.update(frontier)
        if not frontier:
            break
    parts = parts_of(sorted(seen))
    events = [event for names in parts for event in events_of(engine, _MAKERS, {"names": names})]
    return sorted(events, key=lambda event: event.id)


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


def living_tables(engine: Engine, tables: Collection[str]) -> set[str]:
    """Return which of these names are tables that exist."""
    names = sorted(name for name in tables if is_table_name(name))
    rows = _rows_of_each(engine, _LIVING, names)
    return {name for database, table in rows for name in (table, f"{database}.{table}")}


def _rows_of_each(engine: Engine, sql: str, names: Sequence[str]) -> list[tuple[Any, ...]]:
    """Run a query for each part of the names; no rows where there is no log."""
    try:
        return [row for part in parts_of(names) for row in engine.query_rows(sql, {"names": part})]
    except UnknownTableError:
        return []


def parts_of(names: Sequence[str]) -> list[list[str]]:
    """Return names in parts that one query can bind."""
    return [
        list(names[start : start + _NAMES_PER_QUERY])
        for start in range(0, len(names), _NAMES_PER_QUERY)
    ]
