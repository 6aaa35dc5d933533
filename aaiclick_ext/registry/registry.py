"""Registry: the rows of `table_registry`, one for each table of ours that exists."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from aaiclick_ext.errors import RegistryError
from aaiclick_ext.registry.row import TableRow

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sqlalchemy.engine import URL, Connection, Engine

_ROWS_PER_STATEMENT = 500


class Registry:
    """Which tables exist, in which database, and who made them.

    Making one does nothing: the database is opened, and its schema made or upgraded, at the first
    use. Any thread may use it, and any number of processes at once.

    Parameters
    ----------
    url
        ``sqlite:////path`` or ``postgresql://…``; None is a SQLite file in `state_path`.
    state_path
        The user's state directory.
    """

    def __init__(self, url: str | None, state_path: Path) -> None:
        self._url = url
        self._state_path = state_path
        self._lock = threading.Lock()
        self._opened: tuple[Engine, URL] | None = None
        self._is_closed = False

    def __repr__(self) -> str:
        from aaiclick_ext.registry.address import address_of, shown

        try:
            return f"Registry({shown(address_of(self._url, self._state_path))})"
        except RegistryError:
            return "Registry(<a URL that cannot be used>)"

    def record_table(
        self,
        table_name: str,
        database_identity: str,
        *,
        job_id: int,
        task_id: int | None,
        run_id: int,
        created_at: dt.datetime,
    ) -> None:
        """Add the row of a new table; one of the same name in the same database is replaced.

        Raises
        ------
        RegistryError
            If the registry cannot be opened or written.
        """
        row = TableRow(table_name, database_identity, job_id, task_id, run_id, created_at)
        self.record_tables([row])

    def record_tables(self, rows: Sequence[TableRow]) -> None:
        """Add the rows of new tables in one transaction."""
        if not rows:
            return
        with self._transaction() as connection:
            _upsert(connection, rows)

    def forget_tables(self, database_identity: str, names: Sequence[str]) -> None:
        """Delete the rows of dropped tables; names without a row are no error."""
        from sqlalchemy import delete

        from aaiclick_ext.registry.models import TableRecord

        if not names:
            return
        with self._transaction() as connection:
            for start in range(0, len(names), _ROWS_PER_STATEMENT):
                part = list(names[start : start + _ROWS_PER_STATEMENT])
                connection.execute(
                    delete(TableRecord).where(
                        TableRecord.database_identity == database_identity,
                        TableRecord.table_name.in_(part),
                    )
                )

    def tables(self, database_identity: str | None = None) -> list[TableRow]:
        """Return the rows of one database, or of all, oldest first."""
        from sqlalchemy import select

        from aaiclick_ext.registry.models import TableRecord

        query = select(TableRecord.__table__).order_by(
            TableRecord.created_at, TableRecord.table_name
        )
        if database_identity is not None:
            query = query.where(TableRecord.database_identity == database_identity)
        with self._transaction() as connection:
            return [TableRow(**row) for row in connection.execute(query).mappings()]

    def close(self) -> None:
        """Close the connections. Idempotent; the registry cannot be used again."""
        with self._lock:
            self._is_closed = True
            if self._opened is not None:
                self._opened[0].dispose()
                self._opened = None

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """Open the database if need be, and run one transaction in it."""
        from sqlalchemy.exc import SQLAlchemyError

        from aaiclick_ext.registry.address import address_of, shown, without_password

        address = address_of(self._url, self._state_path)
        try:
            with self._engine(address).begin() as connection:
                yield connection
        except (SQLAlchemyError, OSError) as error:
            # The chain is cut: the driver's own error may repeat the URL.
            reason = without_password(str(getattr(error, "orig", None) or error), address)
            raise RegistryError(
                f"the registry {shown(address)} cannot be used: {reason}. Check that it can be "
                "reached and written, or set AAICLICK_SQL_URL to another database."
            ) from None

    def _engine(self, address: URL) -> Engine:
        from aaiclick_ext.registry.store import open_store

        with self._lock:
            if self._is_closed:
                raise RegistryError("the registry was closed with its DataContext; open another")
            if self._opened is None:
                self._opened = (open_store(address), address)
            return self._opened[0]


def _upsert(connection: Connection, rows: Sequence[TableRow]) -> None:
    from sqlalchemy.dialects import postgresql, sqlite

    from aaiclick_ext.registry.models import TableRecord

    is_sqlite = connection.dialect.name == "sqlite"
    insert = sqlite.insert if is_sqlite else postgresql.insert
    statement = insert(TableRecord)
    changed = ("job_id", "task_id", "run_id", "created_at")
    statement = statement.on_conflict_do_update(
        index_elements=["database_identity", "table_name"],
        set_={name: statement.excluded[name] for name in changed},
    )
    connection.execute(statement, [_values(row) for row in rows])


def _values(row: TableRow) -> dict[str, object]:
    return {name: getattr(row, name) for name in TableRow.__dataclass_fields__}
