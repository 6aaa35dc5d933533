"""Which contexts of this process own a table, or hold it.

Several contexts of one process may use one database. A table is counted by the one that made it, so
what another of them reaches is claimed there. Some are counted by several, like those that are
pinned: what one of them lets go of, the last drops.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from aaiclick_ext.errors import ContextError
from aaiclick_ext.lifecycle.process import process
from aaiclick_ext.schema.statements import changes_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aaiclick_ext.objects.services import Services


def owner_of(services: Services, table: str) -> Services:
    """Return the services of the context that counts a table; those given where none does."""
    if services.worker.is_live(table):
        return services
    return next((s for s in _others(services) if s.worker.is_live(table)), services)


def tables_in_reach(services: Services) -> frozenset[str]:
    """Return the living tables of every context of this process on the same database."""
    return services.worker.live_tables() | _of_others(services)


def held_elsewhere(services: Services, tables: Iterable[str]) -> frozenset[str]:
    """Return which tables other contexts of this process count; the last to let go drops them."""
    return _of_others(services).intersection(tables)


def contexts_of(services: Services) -> list[Services]:
    """Return the open contexts of this process on the same database, the given one first."""
    return [services, *_others(services)]


def note_statement(services: Services, sql: str) -> None:
    """Let every context of this process on the same database forget what a statement changed."""
    changes = changes_of(sql)
    if changes:
        services.schemas.apply(changes)
        with contextlib.suppress(ContextError):  # the engine is being closed
            for other in _others(services):
                other.schemas.apply(changes)


def _of_others(services: Services) -> frozenset[str]:
    return frozenset().union(*(other.worker.live_tables() for other in _others(services)))


def _others(services: Services) -> list[Services]:
    if len(process.backends) < 2:
        return []
    identity = services.engine.identity
    return [
        other
        for other in [backend.services for backend in list(process.backends.values())]
        if other is not services and not other.closed and other.engine.identity == identity
    ]
