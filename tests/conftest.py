"""What every test may use: settings that touch no home directory, and a real engine."""

from __future__ import annotations

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
