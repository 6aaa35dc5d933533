"""What every test may use: settings that touch no home directory, and a real engine."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from xdist.scheduler import LoadScopeScheduling

from aaiclick_ext.engine import ClickHouseCreds, Engine
from aaiclick_ext.engine.embedded import embedded_process
from aaiclick_ext.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Generator

    from xdist.remote import Producer


def pytest_sessionstart() -> None:
    """Let Ctrl-C raise also where the shell that started this in the background ignores it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


_LONG = ("browser", "objects/test_kept", "test_cli", "kernel", "lifecycle", "notebooks")
"""Parts of paths of the files that take longest, the longest first."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put long files first, so that no process ends with one while the others are done.

    What is marked `soak` is left out, unless AAICLICK_SOAK is set, as `make soak` does.
    """
    items.sort(key=lambda item: _rank(item.path.as_posix()))
    if os.environ.get("AAICLICK_SOAK"):
        return
    left_out = [item for item in items if item.get_closest_marker("soak")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("soak")]


class _ByFile(LoadScopeScheduling):
    """Gives a file to one process, and all that drives a browser to one: two labs are too slow."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        return "browser" if file.startswith("tests/browser/") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Distribute tests by file."""
    return _ByFile(config, log)


def _rank(path: str) -> int:
    return next((rank for rank, part in enumerate(_LONG) if f"/{part}" in path), len(_LONG))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter,
) -> Generator[None, None, None]:
    """Show what failed at first also where the second try passed: nothing is hidden.

    Before all else: where the second try failed too, its reason is often what the first one left.
    """
    for report in terminalreporter.getreports("rerun"):
        terminalreporter.section(f"failed at first, in its {report.when}: {report.nodeid}")
        terminalreporter.line(report.longreprtext[-2500:])
    return (yield)


@pytest.fixture(scope="module", autouse=True)
def _collections_are_short() -> None:
    """Let no collection look at what the modules before left: in the end each would take a second.

    Many tests, and what they test, collect to see what is let go of.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _second_try_finds_no_leftovers(request: pytest.FixtureRequest) -> None:
    """Drop the tables of others that a first try left in this process's embedded database."""
    item = request.node
    if not request.config.getoption("reruns", None):
        return
    if item.execution_count == 1:
        item.tables_before = _tables_of_others()
        return
    left = _tables_of_others().items() - item.tables_before.items()
    for name, engine in sorted(left, key=lambda table: table[1] not in {"Dictionary", "View"}):
        kind = "DICTIONARY" if engine == "Dictionary" else "TABLE"
        embedded_process._spare.query(f"DROP {kind} IF EXISTS default.`{name}` SYNC")


def _tables_of_others() -> dict[str, str]:
    """Return the engines of tables that are not ours, by name; none before chdb was needed."""
    if embedded_process._spare is None:
        return {}
    found = embedded_process._spare.query(
        "SELECT name, engine FROM system.tables "
        "WHERE database = 'default' AND NOT startsWith(name, 'aai')", "JSONEachRow"
    )  # fmt: skip
    return {row["name"]: row["engine"] for row in map(json.loads, str(found).splitlines())}


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Defaults, with state and scratch in a directory of this run."""
    return Settings(
        state_dir=tmp_path_factory.mktemp("state"), scratch_dir=tmp_path_factory.mktemp("scratch")
    )


@pytest.fixture(scope="session")
def engine(settings: Settings):
    """An engine on the scratch database of this process, which all tests in it share."""
    engine = Engine(ClickHouseCreds(), settings)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def server_address(tmp_path_factory: pytest.TempPathFactory):
    """The URL, without a database, of a server: `tests/gateway.py` in a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name("gateway.py"))]
    folder = tmp_path_factory.mktemp("server")
    with subprocess.Popen(
        [*command, str(folder), "alice", "s3cret/@w:rd"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as server:  # fmt: skip
        port = int(server.stdout.readline())
        yield f"clickhouse://alice:{quote('s3cret/@w:rd', safe='')}@127.0.0.1:{port}"
        server.stdin.close()
        server.wait(60)


@pytest.fixture(scope="module")
def server_url(server_address: str, settings: Settings):
    """The URL of a database on a server; kernels with other registries use others."""
    name = f"tests_{uuid.uuid4().hex}"
    engine = Engine(ClickHouseCreds.from_url(f"{server_address}/default"), settings)
    engine.command(f"CREATE DATABASE {name}")
    yield f"{server_address}/{name}"
    engine.command(f"DROP DATABASE {name} SYNC")
    engine.close()


@pytest.fixture(scope="session")
def postgresql():
    """The directory of a PostgreSQL server's socket: `tests/postgresql.py` in its own process."""
    script = Path(__file__).with_name("postgresql.py")
    with subprocess.Popen(
        [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        folder = server.stdout.readline().strip()
        if not folder:
            said = "no PostgreSQL server could be started; on Debian: apt-get install postgresql"
            (pytest.fail if os.environ.get("CI") else pytest.skip)(said)
        yield folder
        server.stdin.close()
        server.wait(60)


@pytest.fixture(params=["sqlite", "postgresql"])
def registry_url(request: pytest.FixtureRequest, tmp_path: Path):
    """The URL of a new registry, in a SQLite file and on a PostgreSQL server in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/registry.db"
    import psycopg

    folder, name = request.getfixturevalue("postgresql"), f"registry_{uuid.uuid4().hex}"
    with psycopg.connect(f"host={folder} user=tests dbname=postgres", autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
    return f"postgresql://tests@/{name}?host={folder}"
