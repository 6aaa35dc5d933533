"""Scripts in processes of their own: what signals, exits, forks and directories do."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

PREAMBLE = """
from __future__ import annotations
import os, signal, sys, threading, time
from pathlib import Path
from aaiclick_ext.engine import ClickHouseCreds, Engine, Role
from aaiclick_ext.errors import *
from aaiclick_ext.settings import Settings

FOLDER = Path(sys.argv[1])
SETTINGS = Settings(state_dir=FOLDER / "state", scratch_dir=FOLDER / "scratch")
SLOW = "SELECT sum(cityHash64(number)) FROM numbers(100000000000)"

def opened(creds=ClickHouseCreds()):
    engine = Engine(creds, SETTINGS)
    engine.wait_open(60)
    return engine

def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\\n")  # one piece, whatever the threads do
    sys.stdout.flush()

"""


@dataclass
class Script:
    """A running script."""

    process: subprocess.Popen

    def line(self) -> str:
        """Return its next line of output."""
        return self.process.stdout.readline().rstrip("\n")

    def end(self, timeout_s: float = 60) -> tuple[int, str, str]:
        """Return its exit status, and what it said on stdout and stderr."""
        out, err = self.process.communicate(timeout=timeout_s)
        return self.process.returncode, out, err


@pytest.fixture
def script(tmp_path: Path):
    """Return a function that starts a script; what is left running is killed."""
    running = []

    def start(code: str, *, folder: Path = tmp_path) -> Script:
        process = subprocess.Popen(
            [sys.executable, "-c", PREAMBLE + textwrap.dedent(code), str(folder)],
            cwd=Path(__file__).parents[2], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        running.append(process)
        return Script(process)

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


@pytest.fixture
def stray_presses():
    """A press that comes when nothing runs must not end the test run."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    yield
    signal.signal(signal.SIGINT, before)
