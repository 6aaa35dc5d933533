"""Runs inside a kernel: what each table held just before it was dropped, and what comes back."""

from __future__ import annotations

from typing import Any

import aaiclick_ext as aai
from aaiclick_ext.engine import Role, quote_identifier
from aaiclick_ext.objects.services import Services

saved: dict[str, list[str]] = {}

drop = Services.drop


def save_before_drops() -> None:
    """From now on keep the rows of each table that is dropped."""
    saved.clear()

    def save_and_drop(self: Services, tables: Any) -> None:
        for table in tables:
            if self.notes.has_history(table):
                saved[table] = contents(self.engine, table, Role.WORKER)
        drop(self, tables)

    Services.drop = save_and_drop  # type: ignore[method-assign]


def contents(engine: Any, table: str, role: Role) -> list[str]:
    """Return the rows of a table, each as the bytes of its values, in order."""
    sql = (
        f"SELECT hex(formatRow('RowBinary', *)) AS row FROM {quote_identifier(table)} ORDER BY row"
    )
    return [row for (row,) in engine.query_rows(sql, role=role)]


def restored() -> list[tuple[str, str, str, bool]]:
    """Restore every saved table; return its maker, the status, the reason and if rows are equal."""
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
