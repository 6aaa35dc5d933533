"""IPython in a terminal: no front end, so trees instead of pictures."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.kernel


@pytest.fixture
def terminal(tmp_path, clean_environment):
    """Run cells in a terminal IPython; return what it printed."""

    def run(*cells: str) -> str:
        script = tmp_path / "cells.ipy"
        script.write_text("\n".join(cells))
        command = [
            sys.executable,
            "-m",
            "IPython",
            "--simple-prompt",
            "--no-banner",
            "--no-confirm-exit",
        ]
        process = subprocess.run(
            command,
            input="\n".join(cells) + "\n",
            capture_output=True,
            text=True,
            timeout=120,
            env=clean_environment,
            cwd=tmp_path,
        )
        assert process.returncode == 0, process.stderr
        return process.stdout + process.stderr

    return run


def test_lineage_prints_a_tree(terminal):
    out = terminal(
        "%load_ext aaiclick_ext",
        "import aaiclick_ext as aai",
        "flights = aai.create_object_from_value({'a': [1, 2]})",
        "late = flights.filter(flights.a > 1)",
        "%lineage late",
    )
    tree = out[out.index("In [5]") :]
    assert "late" in tree
    assert "flights" in tree
    assert "filter" in tree
    assert "<svg" not in tree


def test_results_are_shown_and_released(terminal):
    out = terminal(
        "%load_ext aaiclick_ext",
        "import aaiclick_ext as aai",
        *[f"aai.create_object_from_value([{n}])" for n in range(5)],
        "Out[3]",
        "import kernel_probe as probe",
        "print('tables', len(probe.tables()))",
        "aai.create_object_from_value({'a': [1, 2]}).a.sum()",
        "%unload_ext aaiclick_ext",
        "print('threads', [n for n in probe.threads() if n.startswith('aai')])",
    )
    assert "Out[3] was released" in out
    assert "tables 3" in out
    assert "threads []" in out


def test_the_debugger_works_right_after_an_error_and_keeps_nothing(terminal):
    out = terminal(
        "%load_ext aaiclick_ext",
        "import aaiclick_ext as aai, kernel_probe as probe",
        "def work():",
        "    local = aai.create_object_from_value([1, 2])",
        "    1 / 0",
        "",
        "work()",
        "%debug",
        "print('found', local.data())",
        "nosuch",
        "up",
        "quit",
        "print('tables', len(probe.tables()))",
        "print('tables', len(probe.tables()))",
    )
    assert "found [1, 2]" in out
    assert out.rstrip().count("tables 0") == 2


def test_our_errors_are_short(terminal):
    out = terminal(
        "%load_ext aaiclick_ext",
        "import aaiclick_ext as aai",
        "aai.open_object('nosuch')",
    )
    assert "UnknownObjectError" in out
    assert "Traceback" not in out
