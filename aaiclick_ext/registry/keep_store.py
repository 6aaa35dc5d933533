"""Tables that stay though nothing refers to them, as the registry knows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aaiclick_ext.registry.statements import change_in, rows_in, stored_time

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Iterable

    from aaiclick_ext.registry.registry import Registry
    from aaiclick_ext.registry.row import TableRow

_COLUMNS = "table_name, job_id, preservation, pinned_at"
_IS_KEPT = "(pinned_at IS NOT NULL OR preservation IS NOT NULL)"


@dataclass(frozen=True, slots=True)
class KeptTable:
    """A table, as the registry knows whether it stays though nothing refers to it.

    Attributes
    ----------
    job_id
        The kernel that made it; None where an old registry did not know it.
    is_preserved
        Whether it stays until that kernel's time to live is over.
    pinned_at
        When it was pinned; None where it is not.
    views
        The views that read it; the registry itself knows none.
    """

    table_name: str
    job_id: int | None
    is_preserved: bool
    pinned_at: dt.datetime | None = None
    views: tuple[str, ...] = ()

    @property
    def is_kept(self) -> bool:
        """Whether it stays, for a while or for good."""
        return self.is_preserved or self.is_pinned or bool(self.views)

    @property
    def is_pinned(self) -> bool:
        """Whether it stays until it is unpinned."""
        return self.pinned_at is not None


class KeepStore:
    """Each method is one transaction; any thread may call it.

    Parameters
    ----------
    database_identity
        As `Engine.identity`.
    """

    def __init__(self, registry: Registry, database_identity: str) -> None:
        self._registry = registry
        self._database = database_identity

    def pin(self, rows: Iterable[TableRow]) -> None:
        """Pin tables; what is pinned stays pinned. A row is added where there is none."""
        with self._registry.statements() as statements:
            for row in rows:
                statements.change(
                    "INSERT INTO table_registry (database_identity, table_name, job_id, task_id, "
                    "run_id, created_at, pinned_at) VALUES (:identity, :name, :job, :task, :run, "
                    f":created, {statements.now}) ON CONFLICT (database_identity, table_name) "
                    "DO UPDATE SET pinned_at = COALESCE(table_registry.pinned_at, "
                    "excluded.pinned_at)",
                    identity=self._database,
                    name=row.table_name,
                    job=row.job_id,
                    task=row.task_id,
                    run=row.run_id,
                    created=statements.time(row.created_at),
                )

    def note(self, tables: Iterable[tuple[KeptTable, dt.datetime]]) -> None:
        """Add rows of tables that stay, each with when it was made, or what they lack."""
        with self._registry.statements() as statements:
            for table, created_at in tables:
                statements.change(
                    "INSERT INTO table_registry (database_identity, table_name, job_id, "
                    "created_at, preservation, pinned_at) VALUES (:identity, :name, :job, "
                    ":created, :preservation, :pinned) "
                    "ON CONFLICT (database_identity, table_name) DO UPDATE SET "
                    "preservation = COALESCE(table_registry.preservation, excluded.preservation), "
                    "pinned_at = COALESCE(table_registry.pinned_at, excluded.pinned_at)",
                    identity=self._database,
                    name=table.table_name,
                    job=table.job_id,
                    created=statements.time(created_at),
                    preservation="FULL" if table.is_preserved else None,
                    pinned=None if table.pinned_at is None else statements.time(table.pinned_at),
                )

    def unpin(self, tables: Collection[str]) -> None:
        """Unpin tables; those that are not pinned are no error."""
        with self._registry.statements() as statements:
            change_in(
                statements,
                "UPDATE table_registry SET pinned_at = NULL WHERE table_name IN ({})",
                tables,
            )

    def known(self, tables: Collection[str]) -> dict[str, KeptTable]:
        """Return those of these tables that have a row. By name alone: names are unique."""
        with self._registry.statements() as statements:
            query = f"SELECT {_COLUMNS} FROM table_registry WHERE table_name IN ({{}})"
            return _by_name(rows_in(statements, query, tables))

    def kept(self, tables: Collection[str]) -> dict[str, KeptTable]:
        """Return which of these tables stay."""
        return {name: table for name, table in self.known(tables).items() if table.is_kept}

    def all(self) -> dict[str, KeptTable]:
        """Return the tables of the database that stay, the oldest first."""
        with self._registry.statements() as statements:
            return _by_name(
                statements.rows(
                    f"SELECT {_COLUMNS} FROM table_registry WHERE {_IS_KEPT} "
                    "AND database_identity = :identity ORDER BY created_at, table_name",
                    identity=self._database,
                )
            )


def _by_name(rows: Iterable[tuple[object, ...]]) -> dict[str, KeptTable]:
    found = {}
    for name, job, preservation, pinned_at in rows:
        number = None if job is None else int(str(job))
        found[str(name)] = KeptTable(
            str(name), number, preservation is not None, stored_time(pinned_at)
        )
    return found
