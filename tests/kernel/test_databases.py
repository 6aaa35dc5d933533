"""Kept databases: one kernel at a time, and everything global is there the next time."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.kernel


@pytest.fixture
def kept(start_kernel, tmp_path):
    """Start kernels on one kept database."""
    url = f"chdb://{tmp_path}/kept"
    state = {"AAICLICK_STATE_DIR": str(tmp_path / "state"), "AAICLICK_CH_URL": url}

    def start():
        kernel = start_kernel(**state)
        kernel.load()
        return kernel

    return start


def test_a_second_kernel_is_told_who_holds_the_database(kept):
    first, second = kept(), kept()
    first.check("x = aai.create_object_from_value([1])")
    error = second.run("aai.create_object_from_value([1])").error
    assert error is not None
    assert error.ename == "DatabaseHeldError"
    assert str(first.pid) in error.evalue
    assert "kept" in error.evalue
    assert len(error.text.splitlines()) <= 3
    assert first.value("x.data()") == [1]
    again = second.run("aai.create_object_from_value([1])").error
    assert again is not None
    assert again.evalue == error.evalue
    first.shutdown()
    second.check("%reload_ext aaiclick_ext")
    assert second.value("aai.create_object_from_value([2]).data()") == [2]


def test_after_a_restart_global_objects_and_their_lineage_are_there(kept):
    kernel = kept()
    kernel.check("raw = aai.create_object_from_value({'a': [1, 2, 3]})")
    kernel.check("kept = aai.create_object({'a': 'Int64'}, name='answer')")
    kernel.check("kept.insert(raw.filter(raw.a > 1))")
    kernel.restart()
    kernel.load()
    assert len(kernel.tables()) == 1
    kernel.check("again = aai.open_object('answer')")
    assert kernel.value("again.data()") == {"a": [2, 3]}
    for line in ("%lineage again", "%lineage answer"):  # the variable, the object's name
        shown = kernel.check(line).displays[0]
        assert "raw" in shown["text/plain"]
        assert "filter" in shown["text/plain"]


def test_after_a_crash_the_database_opens_again(kept):
    kernel = kept()
    kernel.check("kept = aai.create_object_from_value([1, 2], name='answer')")
    kernel.check("aai.context().flush(timeout_s=30)")
    kernel.kill()
    after = kept()
    assert after.value("aai.open_object('answer').data()") == [1, 2]


def test_exit_with_work_in_flight_is_clean(kept):
    kernel = kept()
    kernel.check(
        "import threading\n"
        "x = aai.create_object_from_value(list(range(1000)))\n"
        "def work():\n"
        "    while True:\n"
        "        (x + 1).copy()\n"
        "threading.Thread(target=work, daemon=True).start()\n"
        "y = [aai.create_object_from_value([n]) for n in range(50)]"
    )
    process = kernel.manager.provisioner.process
    kernel.shutdown()
    assert process.wait(timeout=30) == 0
    after = kept()
    assert after.tables() == []
