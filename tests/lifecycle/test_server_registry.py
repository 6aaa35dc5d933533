"""A ClickHouse server belongs to one registry, and refuses the kernels of another."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from aaiclick_ext.context import DataContext
from aaiclick_ext.engine import ClickHouseCreds, Engine
from aaiclick_ext.errors import OtherRegistryError
from aaiclick_ext.lifecycle.server_registry import TABLE
from aaiclick_ext.settings import Settings

GATEWAY = Path(__file__).parents[1] / "gateway.py"


@pytest.fixture
def server(tmp_path):
    """The URL of a server that no kernel has used."""
    with subprocess.Popen(
        [sys.executable, str(GATEWAY), str(tmp_path / "server"), "alice", "secret"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        port = int(process.stdout.readline())
        yield f"clickhouse://alice:secret@127.0.0.1:{port}/default"
        process.stdin.close()
        process.wait(60)


def test_the_kernels_of_one_registry_share_a_server_and_others_are_refused(
    server, registry_url, tmp_path
):
    ours = Settings(sql_url=registry_url, state_dir=tmp_path / "ours")
    theirs = Settings(state_dir=tmp_path / "theirs")
    with DataContext(server, settings=ours) as first:
        x = first.create_object_from_value([1, 2])
        with DataContext(server, settings=ours) as second:
            assert second.create_object_from_value([3]).data() == [3]
        other = DataContext(server, settings=theirs)
        with pytest.raises(OtherRegistryError) as caught:
            other.create_object_from_value([1])
        other.close()
        said = str(caught.value)
        for part in ("AAICLICK_SQL_URL", "PostgreSQL", "AAICLICK_CH_URL", f"DROP TABLE {TABLE}"):
            assert part in said
        assert str(tmp_path / "theirs") in said
        assert "secret" not in said
        assert x.data() == [1, 2]
    assert lease_count(theirs) == 0
    engine = Engine(ClickHouseCreds.from_url(server), ours)
    engine.command(f"DROP TABLE {TABLE}")
    engine.close()
    with DataContext(server, settings=theirs) as later:
        assert later.create_object_from_value([1]).data() == [1]


def lease_count(settings):
    from aaiclick_ext.registry import Registry

    registry = Registry(settings.sql_url, settings.state_path)
    with registry.statements() as statements:
        ((count,),) = statements.rows("SELECT count(*) FROM node_leases")
    registry.close()
    return count


def test_an_embedded_database_belongs_to_nobody(settings):
    with DataContext(settings=settings) as ctx:
        rows = ctx.engine.query_rows(f"SELECT 1 FROM system.tables WHERE name = '{TABLE}'")
    assert rows == []
