"""What every test may use: settings that touch no home directory, and a real engine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from aaiclick_ext.engine import ClickHouseCreds, Engine
from aaiclick_ext.settings import Settings


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
def server_url(tmp_path_factory: pytest.TempPathFactory):
    """The URL of a ClickHouse server: `tests/gateway.py` in a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name("gateway.py"))]
    folder = tmp_path_factory.mktemp("server")
    with subprocess.Popen(
        [*command, str(folder), "alice", "s3cret/@w:rd"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as server:  # fmt: skip
        port = int(server.stdout.readline())
        yield f"clickhouse://alice:{quote('s3cret/@w:rd', safe='')}@127.0.0.1:{port}/default"
        server.stdin.close()
        server.wait(10)
