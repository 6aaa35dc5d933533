"""``aaiclick-ext`` from a shell."""

from __future__ import annotations

import ast
import datetime as dt
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from aaiclick_ext import cli
from aaiclick_ext.lifecycle.keep_plan import ExpiredJob
from aaiclick_ext.lifecycle.reaper import Reaped, Survey
from tests.lifecycle.processes import Process

ROOT = Path(__file__).parents[1]
LEAVES = """
    context = DataContext({url!r}, settings=settings())
    held = [context.create_object_from_value([number]) for number in range(3)]
    context.create_object_from_value({{"a": [1]}}, name="best")
    context.flush()
    assert context._opened.reaping.wait(60)  # what the test kills is for the program to find
    say(held[0].table_name)
    time.sleep(600)
"""

LOOKS = """
    from aaiclick_ext.engine import ClickHouseCreds, Engine
    engine = Engine(ClickHouseCreds.from_url({url!r}), settings())
    say(engine.query_rows(
        "SELECT result_table, params['reason'], rows, task_id FROM operation_log "
        "WHERE operation = 'drop_table'"
    ))
    engine.close()
"""


@pytest.fixture
def kept(tmp_path):
    """The URL of an embedded database that is kept."""
    return f"chdb://{tmp_path}/db"


@pytest.fixture
def leave(tmp_path):
    """Start a kernel that makes tables and waits; return it and the name of one."""
    running = []

    def leave(url):
        running.append(Process(LEAVES.format(url=url), tmp_path, None))
        return running[-1], running[-1].line()

    yield leave
    for process in running:
        process.close()


@pytest.fixture
def shell(tmp_path):
    """Return a function that runs the program: exit code, output, errors."""

    def shell(*arguments, url):
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path),
            "AAICLICK_CH_URL": url,
            "AAICLICK_STATE_DIR": str(tmp_path / "state"),
            "AAICLICK_SCRATCH_DIR": str(tmp_path / "scratch"),
        }
        code = "import sys; from aaiclick_ext.cli import main; sys.exit(main())"
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    return shell


def test_reaping_a_kept_database(shell, leave, kept, tmp_path):
    process, table = leave(kept)
    code, out, err = shell("sessions", url=kept)
    assert (code, err) == (0, "")
    assert "(1 alive)" in out
    code, out, err = shell("reap", url=kept)  # the kernel itself has it open
    assert (code, out) == (1, "")
    assert err.startswith("aaiclick-ext: The database ")
    assert f"is held by process {process.pid}" in err
    process.kill()
    code, out, err = shell("sessions", url=kept)
    assert "(1 dead)" in out
    code, out, err = shell("reap", "--dry-run", url=kept)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith(f"would be removed from {kept}: 3 tables, ")
    assert any(line.startswith(f"  {table}  ") for line in lines[1:4])
    assert "kept there: 0 tables, 0 bytes" in lines
    assert "events of expired jobs that would be removed: 0" in lines
    assert "dead kernels in the registry: 1" in lines
    assert f"process {process.pid} of user " in lines[-1]
    code, out, err = shell("reap", url=kept)  # the dry run has changed nothing
    assert (code, err) == (0, "")
    assert out.splitlines()[0].startswith(f"removed from {kept}: 3 tables, ")
    assert "dead kernels removed from the registry: 1" in out
    code, out, err = shell("reap", url=kept)
    assert (code, out.splitlines()[0]) == (0, f"removed from {kept}: 0 tables, 0 bytes")
    assert "(no kernels)" in shell("sessions", url=kept)[1]
    looking = Process(LOOKS.format(url=kept), tmp_path, None)  # one embedded database per process
    ends = ast.literal_eval(looking.line())
    looking.close()
    assert len(ends) == 3
    ((_, reason, rows, task),) = [end for end in ends if end[0] == table]
    assert "has closed the database, or died with it" in reason
    assert (rows, task) == (None, None)  # it was in the memory of the process


def test_reaping_scratch_directories(shell, leave, tmp_path):
    process, _ = leave("chdb://")
    live, _ = leave("chdb://")
    (left,) = [path for path in (tmp_path / "scratch").iterdir() if f"-{process.pid}-" in path.name]
    assert "scratch directories that would be removed: 0" in shell(
        "reap", "--dry-run", url="chdb://"
    )[1]  # fmt: skip
    process.kill()
    code, out, err = shell("reap", "--dry-run", url="chdb://")
    assert (code, err) == (0, "")
    assert f"  {left}  its process is dead" in out.splitlines()
    assert "scratch directories kept: 1" in out
    code, out, err = shell("reap", url="chdb://")
    assert (code, err) == (0, "")
    assert f"  {left}" in out.splitlines()
    assert "dead kernels removed from the registry: 1" in out
    assert [f"-{live.pid}-" in path.name for path in (tmp_path / "scratch").iterdir()] == [True]


def test_a_server_that_cannot_be_reached(shell):
    code, out, err = shell("reap", url="clickhouse://me:s3cret@127.0.0.1:1/default")
    assert (code, out) == (1, "")
    assert err.startswith("aaiclick-ext: ClickHouse at clickhouse://me:***@127.0.0.1:1/default ")
    assert "s3cret" not in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("arguments", [[], ["eat"], ["reap", "--all"]])
def test_asked_wrongly(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert "usage: aaiclick-ext" in capsys.readouterr().err


def test_help_says_what_the_exit_codes_mean(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    assert ended.value.code == 0
    assert "Exit codes: 0 it was done" in capsys.readouterr().out


def test_what_is_said_of_expired_jobs():
    last = dt.datetime(2026, 8, 1, tzinfo=dt.UTC)
    jobs = [ExpiredJob(7, last, 1200, 0), ExpiredJob(8, last, 3, 1)]
    said = [
        "events of expired jobs that would be removed: 1,203",
        "  job 7  1,200 events, its last one is of 2026-08-01",
        "  job 8  3 events, its last one is of 2026-08-01; 1 explain what is there and stay",
    ]
    assert list(cli._planned(Survey([], [], [], jobs), "db"))[4:7] == said
    done = list(cli._removed(Reaped(jobs=jobs), "db"))
    assert "events of expired jobs removed: 1,203" in done


def test_the_program_is_installed_under_its_name():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    module, _, function = scripts["aaiclick-ext"].partition(":")
    assert (module, getattr(cli, function)) == (cli.__name__, cli.main)
