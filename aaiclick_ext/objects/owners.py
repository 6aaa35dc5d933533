"""Which context of this process owns a table.

Several contexts of one process may use one database. A table is counted by the one that made it, so
what another of them reaches is claimed there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from aaiclick_ext.objects.services import Services

_opened: WeakValueDictionary[tuple[int, int], Services] = WeakValueDictionary()


def add_owner(services: Services) -> None:
    """Let the tables of a context be found, as long as the context is open."""
    _opened[services.job_id, services.run_id] = services


def owner_of(services: Services, table: str) -> Services:
    """Return the services of the context that counts a table; those given where none does."""
    if services.worker.is_live(table):
        return services
    return next((s for s in _others(services) if s.worker.is_live(table)), services)


def tables_in_reach(services: Services) -> frozenset[str]:
    """Return the living tables of every context of this process on the same database."""
    own = services.worker.live_tables()
    return own.union(*(other.worker.live_tables() for other in _others(services)))


def _others(services: Services) -> list[Services]:
    if len(_opened) < 2:
        return []
    identity = services.engine.identity
    return [
        other
        for other in list(_opened.values())
        if other is not services and not other.closed and other.engine.identity == identity
    ]
