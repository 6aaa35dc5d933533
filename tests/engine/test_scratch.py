"""Which scratch directories nobody needs any more, and who takes them away."""

from __future__ import annotations

import json
import os
import shutil
import time

import pytest

from aaiclick_ext.engine import scratch
from aaiclick_ext.engine.scratch import (
    boot_id,
    make_scratch,
    mark_scratch,
    remove_scratch,
    scratch_directories,
    sweep_scratch,
)

MARK = "aaiclick-owner.json"


def left_behind(parent, name, mark=None, *, age_s=0.0, files=("data",)):
    """Make a directory as a dead process leaves it."""
    path = parent / name
    path.mkdir(parents=True)
    for file in files:
        (path / file).write_text("x")
    if mark is not None:
        (path / MARK).write_text(mark)
        os.utime(path / MARK, (time.time() - age_s,) * 2)
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def marked(**changes):
    return json.dumps({"boot_id": boot_id(), "owner": 7} | changes)


@pytest.fixture
def own(tmp_path):
    path = make_scratch(tmp_path)
    mark_scratch(path, 7)
    yield path
    remove_scratch(path)


def test_ours_is_private_and_stays(tmp_path, own):
    assert (own.stat().st_mode & 0o077) == 0
    assert json.loads((own / MARK).read_text()) == {"boot_id": boot_id(), "owner": 7}
    mark_scratch(own, 8)
    assert json.loads((own / MARK).read_text())["owner"] == 7
    assert list(scratch_directories(tmp_path)) == []
    assert sweep_scratch(tmp_path, lambda _: True) == []
    assert own.is_dir()


def test_removing_ours_leaves_nothing(tmp_path):
    path = make_scratch(tmp_path)
    (path / "data").mkdir()
    remove_scratch(path)
    remove_scratch(path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "mark", "age_s", "files"),
    [
        ("scratch-1-a", marked(), 0, ["data"]),
        ("scratch-1-b", marked(boot_id="another", owner=666), 0, ["data"]),
        ("scratch-1-c", None, 0, []),
        ("scratch-1-d", None, 100_000, ["data"]),
        ("scratch-1-e", "", 100, []),
        ("gone-1-f", None, 0, ["data"]),
    ],
    ids=["died", "died elsewhere", "empty", "old", "died as it made it", "half removed"],
)
def test_what_nobody_needs_goes(tmp_path, own, name, mark, age_s, files):
    path = left_behind(tmp_path, name, mark, age_s=age_s, files=files)
    (found,) = scratch_directories(tmp_path, lambda owner: owner == 666)
    assert found.is_abandoned
    assert sweep_scratch(tmp_path, lambda owner: owner == 666) == [path]
    assert sorted(tmp_path.iterdir()) == [own]


@pytest.mark.parametrize(
    ("name", "mark", "age_s", "why"),
    [
        ("scratch-1-a", marked(boot_id="another"), 10**7, "not known to be dead"),
        ("scratch-1-b", marked(boot_id=None), 10**7, "not known to be dead"),
        ("scratch-1-c", marked(boot_id="another", owner=None), 10**7, "not known to be dead"),
        ("scratch-1-d", None, 10_000, "not a day old"),
        ("scratch-1-e", "", 0, "being made"),
    ],
    ids=["elsewhere", "no boot", "nobody's", "unmarked", "being made"],
)
def test_what_cannot_be_judged_stays(tmp_path, name, mark, age_s, why):
    path = left_behind(tmp_path, name, mark, age_s=age_s)
    (found,) = scratch_directories(tmp_path, lambda owner: owner == 666)
    assert not found.is_abandoned
    assert why in found.reason
    assert sweep_scratch(tmp_path, lambda owner: owner == 666) == []
    assert (path / "data").exists()


def test_what_is_not_ours_stays(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "scratch.txt").write_text("")
    assert sweep_scratch(tmp_path, lambda _: True) == []
    assert len(list(tmp_path.iterdir())) == 2


def test_without_a_directory_there_is_nothing_to_sweep(tmp_path):
    assert sweep_scratch(tmp_path / "none") == []


def test_one_taken_away_while_it_is_made_is_made_again(tmp_path, monkeypatch):
    """A sweep of another process comes between the making of a directory and its mark."""
    made = []

    def make_and_sweep(**options):
        path = tmp_path / f"scratch-{len(made)}"
        path.mkdir()
        made.append(str(path))
        if len(made) == 1:
            assert sweep_scratch(tmp_path) == [path]
        return str(path)

    monkeypatch.setattr(scratch.tempfile, "mkdtemp", make_and_sweep)
    path = make_scratch(tmp_path)
    assert (len(made), path.name) == (2, "scratch-1")
    remove_scratch(path)


def test_a_live_process_is_known_whatever_its_status_file_says(script, tmp_path):
    run = script("""
        from aaiclick_ext.engine.scratch import make_scratch
        say(make_scratch(FOLDER / "scratch"))
        time.sleep(60)
    """)
    path = tmp_path / "scratch" / run.line().rpartition("/")[2]
    (path / "status").write_text(f"PID: {os.getpid()}\n")
    assert sweep_scratch(tmp_path / "scratch") == []
    run.process.kill()
    run.process.wait()
    assert sweep_scratch(tmp_path / "scratch") == [path]


def test_the_scratch_of_a_killed_process_goes_at_once(script, tmp_path):
    run = script("engine = opened(); say(engine.identity[7:]); time.sleep(60)")
    left = run.line()
    assert sweep_scratch(tmp_path / "scratch") == []
    run.process.kill()
    run.process.wait()
    assert [str(path) for path in sweep_scratch(tmp_path / "scratch")] == [left]
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_forked_child_keeps_nothing(script, tmp_path):
    """The descriptor of a lock is inherited: a child that lives on held its parent's scratch."""
    run = script("""
        import warnings
        warnings.simplefilter("ignore")
        engine = opened()
        child = os.fork()
        if not child:
            time.sleep(60)
            os._exit(0)
        say(child)
        time.sleep(60)
    """)
    child = int(run.line())
    assert sweep_scratch(tmp_path / "scratch") == []
    run.process.kill()
    run.process.wait()
    try:
        assert len(sweep_scratch(tmp_path / "scratch")) == 1
    finally:
        os.kill(child, 9)


def test_several_sweeps_at_once(script, tmp_path):
    paths = [left_behind(tmp_path / "scratch", f"scratch-1-{n}", marked()) for n in range(200)]
    code = """
        from aaiclick_ext.engine.scratch import sweep_scratch
        say("ready")
        time.sleep(0.2)
        say(len(sweep_scratch(FOLDER / "scratch")))
    """
    sweeps = [script(code) for _ in range(3)]
    assert [sweep.line() for sweep in sweeps] == ["ready"] * 3
    ends = [sweep.end() for sweep in sweeps]
    assert [status for status, _, _ in ends] == [0] * 3, ends
    assert sum(int(out) for _, out, _ in ends) >= len(paths)
    assert list((tmp_path / "scratch").iterdir()) == []


def test_what_cannot_be_removed_is_no_error(tmp_path, monkeypatch):
    path = left_behind(tmp_path, "scratch-1-a", marked())
    monkeypatch.setattr(scratch.shutil, "rmtree", lambda path, ignore_errors: None)
    assert sweep_scratch(tmp_path) == [path]
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == ["gone-1-a"]
    sweep_scratch(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert shutil.rmtree is scratch.shutil.rmtree
