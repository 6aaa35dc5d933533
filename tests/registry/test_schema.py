"""A new SQLite file gets by one script what the migrations would make.

``python tests/registry/test_schema.py`` writes the script; run it after adding a migration.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

import aaiclick_ext.registry
from aaiclick_ext.errors import RegistryError
from aaiclick_ext.registry import Registry
from aaiclick_ext.registry.generation import GENERATION, HEAD_REVISION, VERSION_TABLE
from aaiclick_ext.registry.sqlite_file import default_path
from aaiclick_ext.registry.store import _alembic_config, open_store

SCRIPT = Path(aaiclick_ext.registry.__file__).with_name("schema.sql")


def migrated() -> str:
    """The statements that make what the migrations make."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "r.db")
        open_store(make_url(f"sqlite:///{path}")).dispose()
        statements = schema(path)
    return ";\n".join(statements) + ";\n"


def schema(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    found = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid")
    statements = ["\n".join(line.rstrip() for line in sql.splitlines()) for (sql,) in found]
    connection.close()
    return statements


def test_the_script_is_what_the_migrations_make():
    assert SCRIPT.read_text() == migrated(), f"run: python {__file__}"


def test_a_new_file_gets_all_of_it(tmp_path):
    registry = Registry(None, tmp_path)
    identity = registry.identity()
    assert uuid.UUID(identity).version == 4
    assert registry.identity() == identity
    assert schema(default_path(tmp_path)) == [
        statement for statement in migrated().split(";\n") if statement
    ]
    registry.close()
    connection = sqlite3.connect(default_path(tmp_path))
    assert connection.execute("SELECT * FROM registry_info").fetchall() == [
        (1, GENERATION, identity)
    ]
    assert connection.execute(f"SELECT * FROM {VERSION_TABLE}").fetchall() == [(HEAD_REVISION,)]
    connection.close()
    other = Registry(None, tmp_path)
    assert other.tables() == []  # SQLAlchemy takes it as its own
    assert other.identity() == identity
    other.close()


def test_the_default_file_needs_no_sqlalchemy(tmp_path):
    code = (
        "import sys; from pathlib import Path; from aaiclick_ext.registry import Registry\n"
        f"Registry(None, Path({str(tmp_path)!r})).identity()\n"
        "print(sorted({'sqlalchemy', 'alembic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("revision", ["base", "0001"])
def test_an_earlier_file_is_migrated(tmp_path, revision):
    from alembic import command

    path = default_path(tmp_path)
    engine = open_store(make_url(f"sqlite:///{path}"))
    with engine.begin() as connection:
        command.downgrade(_alembic_config(connection), revision)
    engine.dispose()
    registry = Registry(None, tmp_path)
    assert uuid.UUID(registry.identity()).version == 4
    registry.close()
    made = {statement.replace('"', "") for statement in schema(path)}
    assert made == {statement.replace('"', "") for statement in migrated().split(";\n")} - {""}


def test_a_file_that_went_is_not_made_anew(tmp_path):
    registry = Registry(None, tmp_path)
    registry.identity()
    for path in tmp_path.iterdir():
        path.unlink()
    with pytest.raises(RegistryError, match=r"registry-1\.db cannot be used"):
        registry.identity()
    assert list(tmp_path.iterdir()) == []


if __name__ == "__main__":
    SCRIPT.write_text(migrated())
