"""What a user sees of node ids and the registry behind them."""

from __future__ import annotations

import re
import socket

import pytest

pytestmark = pytest.mark.kernel

OUTSIDE = {"AAICLICK_NODE_ID": "7"}


def test_two_kernels_cannot_have_one_node_id(start_kernel, tmp_path):
    state = {"AAICLICK_STATE_DIR": str(tmp_path / "shared")}
    first = start_kernel(**OUTSIDE, **state)
    first.load()
    first.check("x = aai.create_object_from_value([1])")
    assert first.value("x.table_name").startswith("aai_t_7_")
    second = start_kernel(**OUTSIDE, **state)
    second.load()
    error = second.run("aai.create_object_from_value([1])").error
    assert error is not None
    assert error.ename == "NodeTakenError"
    assert f"process {first.pid}" in error.evalue
    assert "AAICLICK_NODE_ID" in error.evalue
    assert len(error.text.splitlines()) <= 3
    first.kill()
    second.check("%reload_ext aaiclick_ext")
    assert second.value("aai.create_object_from_value([1]).table_name").startswith("aai_t_7_")


def test_the_node_id_is_in_every_id_log_row_and_table_name(start_kernel):
    kernel = start_kernel()
    kernel.load()
    kernel.check("x = aai.create_object_from_value([1]); y = x.copy()")
    node_id = kernel.value("aai.context().node_id")
    assert all(re.match(rf"aai_t_{node_id}_", table) for table in kernel.tables())
    for ids in kernel.value("probe.log('id, task_id, job_id, run_id')"):
        assert {number >> 12 & 1023 for number in ids} == {node_id}
    assert set(kernel.value("probe.log('node_id')")) == {(node_id,)}


def test_a_registry_that_cannot_be_reached_holds_up_no_cell(start_kernel):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never answers
        port = silent.getsockname()[1]
        url = f"postgresql://me:secret@127.0.0.1:{port}/registry?connect_timeout=3"
        kernel = start_kernel(AAICLICK_SQL_URL=url)
        kernel.check("%load_ext aaiclick_ext")
        assert kernel.check("1 + 1").text == "2"
        kernel.check("import aaiclick_ext as aai; before = repr(aai.context())")
        assert "job" not in kernel.value("before")
        error = kernel.run("aai.create_object_from_value([1])").error
    assert error is not None
    assert error.ename == "RegistryError"
    assert "cannot be used" in error.evalue
    assert "secret" not in error.text
    assert len(error.text.splitlines()) <= 6


def test_unloading_gives_the_node_id_back(start_kernel):
    kernel = start_kernel()
    kernel.load()
    kernel.check("x = aai.create_object_from_value([1])")
    kernel.check("registry = aai.context().backend.services.registry")
    count = "registry.__class__(registry._url, registry._state_path).statements()"
    kernel.check(
        "def leases():\n"
        f"    with {count} as statements:\n"
        "        return len(statements.rows('SELECT 1 FROM node_leases'))"
    )
    assert kernel.value("leases()") == 1
    kernel.check("%unload_ext aaiclick_ext")
    assert kernel.value("leases()") == 0


def test_plain_use_never_waits_for_sqlalchemy(start_kernel):
    """It takes 0.2 s to import; the registry in its default file needs none."""
    kernel = start_kernel()
    kernel.load()
    kernel.check("import sys\nx = aai.create_object_from_value([1]); y = x.copy(); del x")
    kernel.check("aai.context().flush()\naai.context().backend.services.lease.beat()")
    kernel.check("%unload_ext aaiclick_ext")
    assert kernel.value("[name for name in ('sqlalchemy', 'alembic') if name in sys.modules]") == []
