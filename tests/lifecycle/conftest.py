"""A registry of a test, in both databases, and processes that use it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from aaiclick_ext.registry import Registry
from aaiclick_ext.settings import Settings
from tests.lifecycle.processes import Process

if TYPE_CHECKING:
    from pathlib import Path


class SharedRegistry:
    """A registry and a way to look into it and change it from outside."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.registry = Registry(url, folder)

    def settings(self, **changes: object) -> Settings:
        return Settings(
            sql_url=self.url, state_dir=self.folder / "state", scratch_dir=self.folder / "scratch"
        ).replace(**changes)

    def rows(self, query: str, **parameters: object) -> list[SimpleNamespace]:
        with self.registry.transaction() as connection:
            found = connection.execute(text(query), parameters).mappings()
            return [SimpleNamespace(**row) for row in found]

    def change(self, statement: str, **parameters: object) -> int:
        with self.registry.transaction() as connection:
            return connection.execute(text(statement), parameters).rowcount

    def sessions(self) -> dict[int, SimpleNamespace]:
        return {row.session_id: row for row in self.rows("SELECT * FROM sessions")}

    def leases(self) -> dict[int, int]:
        """Job id by node id."""
        return {row.node_id: row.job_id for row in self.rows("SELECT * FROM node_leases")}


@pytest.fixture
def shared(registry_url: str, tmp_path: Path):
    """A registry in SQLite and PostgreSQL in turn."""
    found = SharedRegistry(registry_url, tmp_path)
    yield found
    found.registry.close()


@pytest.fixture
def start(shared: SharedRegistry, tmp_path: Path):
    """Return a function that starts a script on the registry; what is left running is killed."""
    running: list[Process] = []

    def start(code: str) -> Process:
        running.append(Process(code, tmp_path, shared.url))
        return running[-1]

    yield start
    for process in running:
        process.close()
