"""Processes that tests stop, continue and kill."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

PREAMBLE = """
from __future__ import annotations
import os, sys, threading, time
from pathlib import Path
from aaiclick_ext import errors
from aaiclick_ext.context import DataContext
from aaiclick_ext.lifecycle.lease import Lease
from aaiclick_ext.settings import Settings

FOLDER, URL = Path(sys.argv[1]), sys.argv[2] or None

def settings(**changes):
    return Settings(
        sql_url=URL, state_dir=FOLDER / "state", scratch_dir=FOLDER / "scratch"
    ).replace(**changes)

def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\\n")
    sys.stdout.flush()
"""


class Process:
    """A running script, which reads lines that `tell` writes and writes lines that `line` reads."""

    def __init__(self, code: str, folder: Path, url: str | None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PREAMBLE + textwrap.dedent(code), str(folder), url or ""],
            cwd=Path(__file__).parents[2], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    @property
    def pid(self) -> int:
        return self.process.pid

    def line(self) -> str:
        """Its next line of output; what it wrote to stderr if there is none."""
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        return line.rstrip("\n")

    def tell(self, text: str = "") -> None:
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as a crash would, and reap it."""
        self.process.kill()
        self.process.wait()

    def end(self, timeout_s: float = 60) -> tuple[int, str, str]:
        """Its exit status, and what it still said on stdout and stderr."""
        out, err = self.process.communicate(timeout=timeout_s)
        return self.process.returncode, out, err

    def close(self) -> None:
        if self.process.poll() is None:
            self.kill()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()
