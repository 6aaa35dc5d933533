"""The registry's database: connections, transactions and the schema brought up to date."""

from __future__ import annotations

import importlib.util
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event, inspect, select, text

from aaiclick_ext.errors import RegistryError
from aaiclick_ext.registry.address import shown
from aaiclick_ext.registry.generation import GENERATION, HEAD_REVISION, VERSION_TABLE
from aaiclick_ext.registry.models import RegistryInfo
from aaiclick_ext.registry.sqlite_file import BUSY_TIMEOUT_S, make_file, prepare

if TYPE_CHECKING:
    from sqlalchemy.engine import URL, Connection, Engine

_CONNECT_TIMEOUT_S = 10
_LOCK_KEY = 0x6161_6963_6C69_636B
"""The PostgreSQL advisory lock under which one process migrates: ``aaiclick`` in ASCII."""

# Alembic keeps the migration that runs in module globals.
_migration_lock = threading.Lock()


def open_store(address: URL) -> Engine:
    """Return an engine on a registry whose schema is up to date.

    Several processes may do so at once: one migrates, the others wait.

    Raises
    ------
    RegistryError
        If the schema is of another generation or newer than this code, or a driver is missing.
    """
    if address.drivername == "sqlite":
        engine = _open_sqlite(address)
    else:
        if importlib.util.find_spec("psycopg") is None:
            raise RegistryError(
                "a registry in PostgreSQL needs the psycopg driver: "
                "pip install 'aaiclick-ext[postgres]'"
            )
        is_set = "connect_timeout" in address.query
        patience = {} if is_set else {"connect_timeout": _CONNECT_TIMEOUT_S}
        engine = create_engine(address, pool_pre_ping=True, connect_args=patience)
    try:
        _bring_up_to_date(engine, address)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _open_sqlite(address: URL) -> Engine:
    path = Path(str(address.database)).expanduser()
    make_file(path)
    engine = create_engine(
        address.set(database=str(path)), connect_args={"timeout": BUSY_TIMEOUT_S}
    )
    event.listen(engine, "connect", _prepare_connection)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare_connection(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver
    prepare(connection)


def _begin(connection: Connection) -> None:
    # A transaction that reads before it writes would fail at once when another has written.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _bring_up_to_date(engine: Engine, address: URL) -> None:
    with engine.begin() as connection:
        if _is_current(connection, address):
            return
    with _migration_lock, engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
        if not _is_current(connection, address):  # another process may have been faster
            _migrate(connection)


def _is_current(connection: Connection, address: URL) -> bool:
    """Say whether the schema is ours and up to date; raise if it is not for this code."""
    tables = set(inspect(connection).get_table_names())
    if VERSION_TABLE not in tables:
        return False
    revisions = set(connection.scalars(text(f"SELECT version_num FROM {VERSION_TABLE}")))
    if RegistryInfo.__tablename__ in tables:
        generation = connection.scalar(select(RegistryInfo.generation))
        if generation is not None and generation != GENERATION:
            raise _other_version(address, f"generation {generation}", newer=generation > GENERATION)
    if revisions == {HEAD_REVISION}:
        return True
    unknown = revisions - _known_revisions()
    if unknown:
        raise _other_version(address, f"revision {', '.join(sorted(unknown))}", newer=True)
    return False


def _other_version(address: URL, found: str, *, newer: bool) -> RegistryError:
    age, what = ("a newer", "upgrade aaiclick-ext, or") if newer else ("an older", "")
    return RegistryError(
        f"the registry {shown(address)} was made by {age} version of aaiclick-ext: it has {found}, "
        f"and this code generation {GENERATION}, revision {HEAD_REVISION}. It is left as it is; "
        f"{what} set AAICLICK_SQL_URL to another database.".replace(";  ", "; ")
    )


def _known_revisions() -> set[str]:
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(_alembic_config())
    return {script.revision for script in scripts.walk_revisions()}


def _alembic_config(connection: Connection | None = None) -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "aaiclick_ext.registry:migrations")
    config.attributes["connection"] = connection
    return config


def _migrate(connection: Connection) -> None:
    from alembic import command

    command.upgrade(_alembic_config(connection), "head")
