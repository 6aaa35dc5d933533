"""IPython in a terminal: no front end, so trees instead of pictures."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys

import pexpect
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


SLOW = "aai.sql('SELECT sleepEachRow(0.06) AS s FROM numbers(%d) SETTINGS max_block_size=1')"
LEFT = "\x1b[D"


def test_sql_with_tab_progress_errors_and_an_interrupt(tmp_path, clean_environment):
    """In a pseudo-terminal: stderr elsewhere than on a screen gets no progress."""
    shell = pexpect.spawn(
        sys.executable,
        ["-m", "IPython", "--no-banner", "--no-confirm-exit", "--colors=NoColor"],
        env=clean_environment
        | {"AAICLICK_PROGRESS": "on", "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"},
        cwd=str(tmp_path),
        encoding="utf-8",
        timeout=30,
        dimensions=(40, 100),
    )
    numbers = itertools.count(1)

    def write(cell):
        shell.expect(rf"In \[{next(numbers)}\]:")
        shell.send(cell.replace("\n", "\r"))

    def run(cell):
        write(cell + ("\x1b\n" if cell.startswith("%%") else "\n"))  # Escape: it ends here

    try:
        run("%load_ext aaiclick_ext")
        run("import aaiclick_ext as aai; t = aai.create_object_from_value({'delay': [1.5, 0.5]})")
        run(f"{SLOW % 20}.s.sum().execute()")
        shell.expect(r"\r\x1b\[K\[[#.]{20}\] sum: ")
        shell.expect(r"\r\x1b\[Ksum: done in [^\r\n]*\r\n")
        shell.expect(r"Out\[3\]: ")
        write("%%sql\nSELECT max(dela) FROM {t}" + LEFT * len(") FROM {t}"))
        shell.send("\t")
        shell.expect("y")
        shell.send("\x1b\r")
        shell.expect(r"Out\[4\]:")
        shell.expect(r"max\(delay\)[^1]*1\.5")
        run("%%sql\nSELECT 1,\n  dely FROM {t}")
        shell.expect(r"UnknownColumnError[^\n]*Maybe you meant[^\n]*\r\n")
        shell.expect(r"      dely FROM {t}\r\n      \^\^\^\^\r\n")
        shell.expect("ClickHouse error 47; %tb shows the whole traceback")
        run(f"%%sql\nSELECT 1;\nSELECT sum(s) FROM ({SLOW[9:-2] % 100000})")
        shell.expect(r"\[[#.]{20}\] ")
        shell.sendintr()
        shell.expect(r"cancelled after [^\r\n]*\r\n")
        shell.expect("KeyboardInterrupt")
        run("exit")
        shell.expect(pexpect.EOF)
    finally:
        shell.close()
    assert shell.exitstatus == 0


def test_progress_is_silent_where_stderr_is_no_terminal(terminal):
    out = terminal(
        "%load_ext aaiclick_ext",
        "%config AaiclickExt.progress = 'off'",  # it is in the environment; so this is heard
        "%config AaiclickExt.progress = 'on'",
        "import aaiclick_ext as aai",
        f"{SLOW % 15}.s.sum().execute()",
    )
    assert re.search(r"Out\[5\]: .*0", out)
    assert "done in" not in out
