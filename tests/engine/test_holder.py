"""Who holds a directory."""

from __future__ import annotations

import fcntl
import os

import pytest

from aaiclick_ext.engine.holder import holder_of, is_held


@pytest.fixture
def status(tmp_path):
    """Return a function that writes a status file and locks it as ClickHouse does."""
    files = []

    def write(text: str, *, lock: bool = True):
        path = tmp_path / "status"
        path.write_text(text)
        file = path.open("r+")
        files.append(file)
        if lock:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return tmp_path

    yield write
    for file in files:
        file.close()


def test_nobody_holds_what_is_not_locked(status, tmp_path):
    assert holder_of(tmp_path / "missing") is None
    assert holder_of(tmp_path) is None
    assert holder_of(status("PID: 1\n", lock=False)) is None
    assert not is_held(tmp_path)


def test_a_live_holder_is_named(status):
    holder = holder_of(
        status(f"PID: {os.getpid()}\nStarted at: 2026-11-21 02:39:56\nRevision: 1\n")
    )
    assert holder.pid == os.getpid()
    assert str(holder).startswith(f"process {os.getpid()} of user ")
    assert "python" in str(holder)
    assert str(holder).endswith(", since 2026-11-21 02:39:56")


@pytest.mark.parametrize("pid", [2**31 - 1, os.getpid()], ids=["nobody", "ourselves"])
def test_a_holder_that_cannot_be_seen(status, pid):
    """Of another container, or its id was given to a younger process since."""
    folder = status(f"PID: {pid}\n")
    os.utime(folder / "status", (1, 1))
    assert str(holder_of(folder)) == f"process {pid} of another host or container"


def test_a_status_that_says_nothing(status):
    assert str(holder_of(status("\xff garbage"))) == "another process"
