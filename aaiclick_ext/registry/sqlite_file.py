"""The registry's SQLite file, without SQLAlchemy: connections, and the schema of a new one."""

from __future__ import annotations

import sqlite3
import time
import uuid
from contextlib import closing, contextmanager
from importlib import resources
from typing import TYPE_CHECKING

from aaiclick_ext.registry.generation import GENERATION, HEAD_REVISION, VERSION_TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUSY_TIMEOUT_S = 30.0
_WAL_PATIENCE_S = 10.0


def default_path(state_path: Path) -> Path:
    """Return the SQLite file of this generation; each generation has its own."""
    return state_path / f"registry-{GENERATION}.db"


def make_file(path: Path) -> None:
    """Make an empty file, and its directory, that only this user can read; one may exist."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        path.touch(mode=0o600)


def connect(path: Path) -> sqlite3.Connection:
    """Return a connection to a file that exists; the caller begins its transactions."""
    address = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(address, timeout=BUSY_TIMEOUT_S, isolation_level=None, uri=True)
    try:
        prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(path: Path) -> Iterator[sqlite3.Connection]:
    """Run one transaction in a file that exists."""
    with closing(connect(path)) as connection:
        # One that reads before it writes would fail at once when another has written.
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.rollback()
            raise
        connection.execute("COMMIT")


def prepare(connection: sqlite3.Connection) -> None:
    """Let readers and one writer go on side by side, and wait instead of failing."""
    deadline = time.monotonic() + _WAL_PATIENCE_S
    while True:
        try:
            # SQLite does not wait for a lock here, whatever the timeout. Without a fetch of its
            # row this stays a write in progress, for as long as something sees the cursor.
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            break
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")


def is_ready(connection: sqlite3.Connection) -> bool:
    """Say whether the schema is up to date; give an empty file its schema. In a transaction.

    The schema is what the migrations make, as one script: Alembic takes 0.4 s, this 3 ms.
    """
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    if not tables:
        _make_schema(connection)
        return True
    if not {VERSION_TABLE, "registry_info"} <= tables:
        return False
    found = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchall()
    return found == [(HEAD_REVISION,)] and connection.execute(
        "SELECT generation FROM registry_info"
    ).fetchall() == [(GENERATION,)]


def _make_schema(connection: sqlite3.Connection) -> None:
    script = resources.files("aaiclick_ext.registry").joinpath("schema.sql").read_text("utf-8")
    for statement in script.split(";\n"):
        connection.execute(statement)
    connection.execute(
        "INSERT INTO registry_info (id, generation, uuid) VALUES (1, ?, ?)",
        (GENERATION, str(uuid.uuid4())),
    )
    connection.execute(f"INSERT INTO {VERSION_TABLE} VALUES (?)", (HEAD_REVISION,))
