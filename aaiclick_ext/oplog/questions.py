"""Questions to the log beyond what made a table: paths, what is stale, a variable's history."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from aaiclick_ext.oplog.columns import USES, VALUES, backward_columns, forward_columns
from aaiclick_ext.oplog.event import FIELD_NAMES, OperationEvent
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
    parts_of,
    recorded_tables,
)
from aaiclick_ext.oplog.staleness import StaleResult, stale

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from aaiclick_ext.engine import Engine
    from aaiclick_ext.oplog.columns import ColumnEdge, ColumnUse, Use

_FIELDS = ", ".join(FIELD_NAMES)

_OF_VARIABLE = f"""
SELECT {_FIELDS} FROM {LOG_TABLE} WHERE has(variable_names, {{name:String}})
ORDER BY id LIMIT 1 BY id
"""


def oplog_path(engine: Engine, source: str, target: str) -> OplogGraph:
    """Return the graph of all that lies between two tables, itself included. Two queries.

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

    The changes are inserts that the log knows of, and local files that were written later than
    they were read. Two queries, or a few where there are thousands of tables.

    Parameters
    ----------
    table
        Asks for this one and what it was made of; by default for all.
    """
    roots = recorded_tables(engine) if table is None else [table]
    events = {event.id: event for part in parts_of(roots) for event in ancestors(engine, part)}
    found = stale(events.values(), _written_at)
    living = living_tables(engine, [result.table for result in found])
    return [result for result in found if result.table in living]


def variable_history(engine: Engine, name: str) -> list[OperationEvent]:
    """Return what a variable stood for at the end of each cell that set it, oldest first.

    One query. Each event is the last that made or changed the result in that cell.
    """
    last: dict[tuple[int | None, int], OperationEvent] = {}
    for event in without_ends(events_of(engine, _OF_VARIABLE, {"name": name})):
        last[event.task_id, event.job_id] = event
    return list(last.values())


def column_sources(
    engine: Engine, table: str, column: str, uses: Collection[Use] = VALUES
) -> list[ColumnUse]:
    """Return the columns of sources that a column was made of, by name. One query."""
    edges = edges_by_result(ancestors(engine, [table]))
    return _in_order(backward_columns(edges, table, column, uses=uses))


def column_results(
    engine: Engine, table: str, column: str, uses: Collection[Use] = VALUES
) -> list[ColumnUse]:
    """Return the columns that a column went into, near and far, by name. A query for each step."""
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


def _written_at(path: str) -> dt.datetime | None:
    try:
        file = Path(path).expanduser()
        if not file.is_file():
            return None
        return dt.datetime.fromtimestamp(file.stat().st_mtime, dt.UTC)
    except (OSError, ValueError):
        return None
