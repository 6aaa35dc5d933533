"""Questions to the log beyond what made a table: paths, what is stale, a variable's history."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from aaiclick_ext.errors import OplogError
from aaiclick_ext.lifecycle.names import TableName
from aaiclick_ext.oplog.columns import USES, VALUES, backward_columns, forward_columns
from aaiclick_ext.oplog.event import READ_FIELDS, OperationEvent
from aaiclick_ext.oplog.graph import (
    OplogGraph,
    edges_of,
    effective,
    graph_of,
    reached,
    without_ends,
)
from aaiclick_ext.oplog.log_table import LOG_TABLE
from aaiclick_ext.oplog.queries import (
    MOST_STEPS,
    ancestors,
    descendants,
    events_of,
    living_tables,
    recorded_tables,
    stale_below,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from aaiclick_ext.engine import Engine
    from aaiclick_ext.oplog.columns import ColumnEdge, ColumnUse, Use
    from aaiclick_ext.oplog.staleness import StaleResult

_FIELDS = ", ".join(READ_FIELDS)

_OF_VARIABLE = f"""
SELECT {_FIELDS} FROM {LOG_TABLE} WHERE has(variable_names, {{name:String}})
ORDER BY id LIMIT 1 BY id
"""

_NAMED = f"""
SELECT {_FIELDS} FROM {LOG_TABLE}
WHERE has(variable_names, {{name:String}})
   OR (startsWith(result_table, 'aai_') AND endsWith(result_table, {{ending:String}}))
ORDER BY id LIMIT 1 BY id
"""


def oplog_path(engine: Engine, source: str, target: str) -> OplogGraph:
    """Return the graph of all that lies between two tables, itself included. A few queries.

    Parameters
    ----------
    source, target
        Names of tables, lazy views or sinks. Where the source did not go into the target, the
        graph has these two and no edge.
    """
    events = ancestors(engine, [target])
    edges = edges_of(events)
    before = reached(target, edges, "backward", MOST_STEPS)
    inner = [edge for edge in edges if edge.source in before and edge.target in before]
    between = reached(source, inner, "forward", MOST_STEPS)
    tables = between if target in between else {source, target}
    living = living_tables(engine, tables)
    return graph_of(target, tables, events, living=living, database=engine.identity)


def stale_results(engine: Engine, table: str | None = None) -> list[StaleResult]:
    """Return the tables that exist and were made of something that has changed since.

    The changes are inserts that the log knows of, and local files that are others than they were
    when they were read. A few queries, more where there are thousands of tables.

    Parameters
    ----------
    table
        Asks for this one and what it was made of; by default for all.
    """
    roots = recorded_tables(engine) if table is None else [table]
    found = stale_below(engine, roots)
    living = living_tables(engine, [result.table for result in found])
    return [result for result in found if result.table in living]


def variable_history(engine: Engine, name: str) -> list[OperationEvent]:
    """Return what a variable stood for at the end of each cell that set it, oldest first.

    One query. Each event is the last that made or changed the result in that cell.
    """
    last: dict[tuple[int, int], OperationEvent] = {}
    for event in without_ends(events_of(engine, _OF_VARIABLE, {"name": name})):
        last[event.task_id or event.id, event.job_id] = event  # outside cells each is one
    return list(last.values())


def last_table_named(engine: Engine, name: str) -> str:
    """Return the table that a variable held last, or the last of a named object. One query.

    Raises
    ------
    OplogError
        If the log has none.
    """
    events = events_of(engine, _NAMED, {"name": name, "ending": f"_{name}"})
    for event in reversed(without_ends(events)):
        parsed = TableName.parse(event.result_table)
        if parsed is not None and (name in event.variable_names or parsed.name == name):
            return event.result_table
    raise OplogError(
        f"the operation log knows no table of the name {name!r}, and of no variable {name!r} that "
        "held one when its cell ended"
    )


def column_sources(
    engine: Engine, table: str, column: str, uses: Collection[Use] = VALUES
) -> list[ColumnUse]:
    """Return the columns of sources that a column was made of, by name. A few queries."""
    edges = edges_by_result(ancestors(engine, [table]))
    return _in_order(backward_columns(edges, table, column, uses=uses))


def column_results(
    engine: Engine, table: str, column: str, uses: Collection[Use] = VALUES
) -> list[ColumnUse]:
    """Return the columns that a column went into, near and far, by name. A few queries."""
    edges = edges_by_result(descendants(engine, [table], MOST_STEPS))
    return _in_order(forward_columns(edges, table, column, uses=uses))


def edges_by_result(events: Iterable[OperationEvent]) -> dict[str, list[ColumnEdge]]:
    """Return the column edges of each result, of all events that made or changed it."""
    edges: defaultdict[str, list[ColumnEdge]] = defaultdict(list)
    for made in effective(events).values():
        for event in made:
            edges[event.result_table] += event.columns
    return dict(edges)


def _in_order(found: Iterable[ColumnUse]) -> list[ColumnUse]:
    return sorted(found, key=lambda use: (use.table, use.column, USES.index(use.use)))
