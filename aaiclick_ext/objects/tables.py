"""The tables of this kernel: how large, made where and when, and what keeps them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aaiclick_ext.ids import time_of
from aaiclick_ext.lifecycle.names import Scope, TableName
from aaiclick_ext.objects.holders import find_chains
from aaiclick_ext.objects.why import claims_on

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aaiclick_ext.lifecycle.roots import Namer
    from aaiclick_ext.lifecycle.why import Chain
    from aaiclick_ext.objects.backend import Backend

_PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class TableInfo:
    """One table of this kernel, or one that is pinned or preserved.

    Attributes
    ----------
    table_name
        In ClickHouse.
    chains
        What keeps it, the user's variables first.
    rows, bytes
        As ClickHouse has them; None where it does not know.
    cell
        Execution count of the cell that made it; None outside cells and of another kernel's.
    made_at, last_used
        In UTC; `last_used` is when it was last read or written, None where this kernel did neither.
    name
        The name of a session or global object.
    claims
        Claims that the table worker counts: one per leaf of an expression, one per name.
    """

    table_name: str
    chains: tuple[Chain, ...]
    rows: int | None
    bytes: int | None
    cell: int | None
    made_at: dt.datetime
    last_used: dt.datetime | None
    scope: Scope
    name: str | None
    claims: int

    @property
    def holders(self) -> tuple[str, ...]:
        """What keeps it, as text: ``variable best``, ``Out[7]``."""
        return tuple(chain.text for chain in self.chains)


def list_tables(backend: Backend, roots: Mapping[int, Namer]) -> list[TableInfo]:
    """Return the tables that this kernel keeps, or that stay here, the oldest first. One query.

    See `find_chains` for what finding the holders costs.
    """
    services = backend.services
    services.worker.flush(_PATIENCE_S)
    found = {
        table: parts
        for table in services.worker.live_tables() | set(services.kept.all())
        if (parts := TableName.parse(table)) is not None
    }
    if not found:
        return []
    sizes = {
        table: (rows, size)
        for table, rows, size in services.engine.query_rows(
            "SELECT name, total_rows, total_bytes FROM system.tables "
            "WHERE database = currentDatabase() AND name IN {tables:Array(String)}",
            {"tables": list(found)},
        )
    }
    chains, _complete = find_chains(backend, list(found), roots)
    infos = [
        TableInfo(
            table,
            tuple(chains[table]),
            *sizes[table],
            services.notes.cell_of(table),
            time_of(parts.id),
            _moment(services.notes.last_used(table)),
            parts.scope,
            parts.name,
            claims_on(backend, table),
        )
        for table, parts in found.items()
        if table in sizes  # the others are being made, or dropped by another kernel
    ]
    return sorted(infos, key=lambda info: (info.made_at, info.table_name))


def _moment(seconds: float | None) -> dt.datetime | None:
    return None if seconds is None else dt.datetime.fromtimestamp(seconds, dt.UTC)
