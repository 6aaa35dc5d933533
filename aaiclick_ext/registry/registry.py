"""Registry: the rows of `table_registry`, one for each table of ours that exists."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from aaiclick_ext.errors import RegistryError
from aaiclick_ext.importing import import_whole
from aaiclick_ext.registry import sqlite_file
from aaiclick_ext.registry.row import TableRow
from aaiclick_ext.registry.statements import SQLAlchemyStatements, SQLiteStatements

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sqlalchemy.engine import URL, Connection, Engine

    from aaiclick_ext.registry.statements import Statements

_ROWS_PER_STATEMENT = 500
_COLUMNS = tuple(TableRow.__dataclass_fields__)
_KEY = ("database_identity", "table_name")
_NEW = ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name not in _KEY)
_INSERT = (
    f"INSERT INTO table_registry ({', '.join(_COLUMNS)}) "
    f"VALUES ({', '.join(f':{name}' for name in _COLUMNS)}) ON CONFLICT ({', '.join(_KEY)}) "
)
_UPSERT = f"{_INSERT} DO UPDATE SET {_NEW}"
_ADD = f"{_INSERT} DO NOTHING"
_CLOSED = "the registry was closed with its DataContext; open another"


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
        self._is_ready = False  # the default file has the schema of this code

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
        self._write(_UPSERT, rows)

    def add_tables(self, rows: Sequence[TableRow]) -> None:
        """Add rows in one transaction; those that are there stay as they are."""
        self._write(_ADD, rows)

    def _write(self, sql: str, rows: Sequence[TableRow]) -> None:
        if not rows:
            return
        with self.statements() as statements:
            values = [_values(row) for row in rows]
            for value in values:
                value["created_at"] = statements.time(value["created_at"])
            statements.change_all(sql, values)

    def forget_tables(self, database_identity: str, names: Sequence[str]) -> None:
        """Delete the rows of dropped tables; names without a row are no error."""
        if not names:
            return
        with self.statements() as statements:
            for start in range(0, len(names), _ROWS_PER_STATEMENT):
                part = {
                    f"name_{number}": name
                    for number, name in enumerate(names[start : start + _ROWS_PER_STATEMENT])
                }
                statements.change(
                    "DELETE FROM table_registry WHERE database_identity = :identity "
                    f"AND table_name IN ({', '.join(f':{key}' for key in part)})",
                    identity=database_identity,
                    **part,
                )

    def tables(self, database_identity: str | None = None) -> list[TableRow]:
        """Return the rows of one database, or of all, oldest first."""
        import_whole("sqlalchemy.orm")
        from sqlalchemy import select

        from aaiclick_ext.registry.models import TableRecord

        columns = [getattr(TableRecord, name) for name in _COLUMNS]
        query = select(*columns).order_by(TableRecord.created_at, TableRecord.table_name)
        if database_identity is not None:
            query = query.where(TableRecord.database_identity == database_identity)
        with self.transaction() as connection:
            return [TableRow(**row) for row in connection.execute(query).mappings()]

    def identity(self) -> str:
        """Return the registry's own id, made once with it. Runs one query."""
        with self.statements() as statements:
            ((identity,),) = statements.rows("SELECT uuid FROM registry_info")
        return str(identity)

    def close(self) -> None:
        """Close the connections. Idempotent; the registry cannot be used again."""
        with self._lock:
            self._is_closed = True
            if self._opened is not None:
                self._opened[0].dispose()
                self._opened = None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open the database if need be, and run one transaction in it."""
        import_whole("sqlalchemy.orm")
        from sqlalchemy.exc import SQLAlchemyError

        from aaiclick_ext.registry.address import address_of, shown, without_password

        address = address_of(self._url, self._state_path)
        try:
            with self._engine(address).begin() as connection:
                yield connection
        except (SQLAlchemyError, sqlite3.Error, OSError) as error:
            # The chain is cut: the driver's own error may repeat the URL.
            reason = without_password(str(getattr(error, "orig", None) or error), address)
            raise _unusable(shown(address), reason) from None

    @contextmanager
    def statements(self) -> Iterator[Statements]:
        """Open the database if need be, and run SQL texts in one transaction.

        In the default file this imports no SQLAlchemy.
        """
        if self._url is not None:
            with self.transaction() as connection:
                is_file = connection.dialect.name == "sqlite"
                driver: Any = connection.connection.driver_connection
                yield SQLiteStatements(driver) if is_file else SQLAlchemyStatements(connection)
            return
        path = sqlite_file.default_path(self._state_path)
        with self._of_file(path) as statements:
            yield statements

    @contextmanager
    def _of_file(self, path: Path) -> Iterator[Statements]:
        if self._is_closed:
            raise RegistryError(_CLOSED)
        try:
            if not self._is_ready:
                self._make_ready(path)
            with sqlite_file.transaction(path) as connection:
                yield SQLiteStatements(connection)
        except (sqlite3.Error, OSError) as error:
            raise _unusable(f"sqlite:///{path}", str(error)) from None

    def _make_ready(self, path: Path) -> None:
        sqlite_file.make_file(path)
        with sqlite_file.transaction(path) as connection:
            is_ready = sqlite_file.is_ready(connection)
        if not is_ready:
            with self.transaction():  # migrates it, or refuses
                pass
        self._is_ready = True

    def _engine(self, address: URL) -> Engine:
        from aaiclick_ext.registry.store import open_store

        with self._lock:
            if self._is_closed:
                raise RegistryError(_CLOSED)
            if self._opened is None:
                self._opened = (open_store(address), address)
            return self._opened[0]


def _unusable(where: str, reason: str) -> RegistryError:
    return RegistryError(
        f"the registry {where} cannot be used: {reason}. Check that it can be reached and written, "
        "or set AAICLICK_SQL_URL to another database."
    )


def _values(row: TableRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in TableRow.__dataclass_fields__}
