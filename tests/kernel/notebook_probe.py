"""Runs inside a kernel beside a notebook: what its tables held and its views would run.

Imported before the extension is loaded, as a kernel that starts has it.
"""

from __future__ import annotations

from typing import Any

import aaiclick_ext as aai

saved: dict[str, list[str]] = {}
"""The rows of each table just before it was dropped."""

sql_of_views: dict[str, str] = {}
"""The SQL of views, by name: a view is recorded as a call, without SQL, and most only display."""


watched: list[bool] = []
told: set[int] = set()
"""The events of notebooks that this kernel ran before."""


def watch(shell: Any) -> None:
    """From now on keep the rows of each table that is dropped, and the SQL of each view."""
    saved.clear()
    if watched:
        told.update(event.id for event in _events())
        return
    watched.append(True)
    _save_before_drops()

    def note_views(result: Any) -> None:
        context = aai.context()
        for value in [result.result, *shell.user_ns.values()]:
            if isinstance(value, aai.View):
                name = context.node_name(value)
                if name.startswith("view_") and name not in sql_of_views:
                    backend = context.backend
                    sql_of_views[name] = backend.planner.plan(backend.relation_of(value)).sql

    shell.events.register("post_run_cell", note_views)


def events() -> list[str]:
    """Return the events of this notebook, as lines of JSON, those of views with their SQL."""
    from dataclasses import replace

    from aaiclick_ext.oplog.event import to_json

    return [
        to_json(replace(e, sql_template=sql_of_views.get(e.result_table, e.sql_template)))
        for e in _events()
        if e.id not in told
    ]


def _events() -> list[Any]:
    from aaiclick_ext.oplog.event import FIELD_NAMES
    from aaiclick_ext.oplog.queries import events_of

    context = aai.context()
    context.flush()
    sql = f"SELECT {', '.join(FIELD_NAMES)} FROM operation_log ORDER BY id LIMIT 1 BY id"
    return list(events_of(context.engine, sql, {}))


def _save_before_drops() -> None:
    from aaiclick_ext.engine import Role
    from aaiclick_ext.objects.services import Services

    drop = Services.drop

    def save_and_drop(self: Services, tables: Any) -> None:
        for table in tables:
            if self.notes.has_history(table):
                saved[table] = contents(self.engine, table, Role.WORKER)
        drop(self, tables)

    Services.drop = save_and_drop  # type: ignore[method-assign]


def contents(engine: Any, table: str, role: Any) -> list[str]:
    """Return the rows of a table, each as the bytes of its values, in order."""
    from aaiclick_ext.engine import quote_identifier

    sql = (
        f"SELECT hex(formatRow('RowBinary', *)) AS row FROM {quote_identifier(table)} ORDER BY row"
    )
    return [row for (row,) in engine.query_rows(sql, role=role)]


def restored() -> list[tuple[str, str, str, bool]]:
    """Restore every saved table; return its maker, the status, the reason and if rows are equal."""
    from aaiclick_ext.engine import Role

    context = aai.context()
    context.flush()
    found = []
    originals = dict(saved)
    for table, rows in originals.items():
        made = context.backward_oplog(table, 0)
        outcome = context.restore(table)
        is_same = outcome.object is not None and (
            contents(context.engine, outcome.object.table_name, Role.USER) == rows
        )
        operation = made[0].operation if made else ""
        found.append((operation, str(outcome.status), outcome.reason or "", is_same))
    return found
