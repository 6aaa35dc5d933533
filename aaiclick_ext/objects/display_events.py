"""The event that a display leaves: which rows of what were shown, by which SQL."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from aaiclick_ext.engine import quote_identifier
from aaiclick_ext.objects.provenance import numbered_roles
from aaiclick_ext.oplog.columns import NONE, ColumnEdge, unchanged_columns
from aaiclick_ext.oplog.graph import DISPLAY, DISPLAY_PREFIX

if TYPE_CHECKING:
    from collections.abc import Sequence

    import ibis.expr.operations as ops

    from aaiclick_ext.engine import QueryStats
    from aaiclick_ext.objects.backend import Backend
    from aaiclick_ext.objects.planning import Plan


def record_display(
    backend: Backend,
    shown: Sequence[ops.Relation],
    columns: Sequence[str],
    plan: Plan | None,
    started: float,
    *,
    operation: str | None = DISPLAY,
    most_rows: int | None = None,
    rows: int | None = None,
    stats: QueryStats | None = None,
    error: BaseException | None = None,
) -> None:
    """Record that rows were shown; a view that has no name in the log gets none by that.

    Parameters
    ----------
    shown
        What was shown, as the user has it and as it was run.
    operation
        How the log calls it.
    most_rows
        How many rows are shown, where more may have been fetched.
    """
    if operation is None:
        return
    provenance = backend.provenance
    op = shown[-1]
    sql = None if plan is None else plan.sql
    if sql is not None and operation != DISPLAY and len(columns) < len(op.schema):
        sql = f"SELECT {', '.join(map(quote_identifier, dict.fromkeys(columns)))} FROM ({sql})"
    source = next((name for name in map(provenance.name_below, shown) if name is not None), None)
    edges: Sequence[ColumnEdge] | None
    if source is None:
        names = provenance.names_below(op)
        edges = provenance.columns_of(op)
    elif len(columns) == len(shown[0].schema):
        names, edges = [source], unchanged_columns([source])
    else:
        names = [source]
        edges = [ColumnEdge(name, source, name, "value") for name in columns]
        edges.append(ColumnEdge(NONE, source, NONE, "value"))
    backend.services.oplog.record(
        operation,
        result_table=provenance.sink_name(DISPLAY_PREFIX),
        kwargs=numbered_roles(names),
        sql_template=sql,
        rows=rows if rows is None or most_rows is None else min(rows, most_rows),
        elapsed_s=time.perf_counter() - started,
        stats=stats,
        columns=edges,
        status="ok" if error is None else "error",
        error=None if error is None else str(error) or type(error).__name__,
    )
