"""The `aaiclick` package in an environment and a process of its own.

Both packages carry an embedded ClickHouse and a process has room for one; and their
dependencies are not each other's business.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.contestants.contestant import Contestant

ROOT = Path(__file__).parent.parent.parent
ENVIRONMENT = ROOT / ".venv-aaiclick"
PYTHON = ENVIRONMENT / "bin" / "python"


class UnavailableError(Exception):
    """The package cannot be installed or started here."""


def make_environment() -> None:
    """Make or reuse `.venv-aaiclick`.

    Raises
    ------
    UnavailableError
        If the package cannot be installed, with pip's last line.
    """
    if PYTHON.exists() and _succeeds([PYTHON, "-c", "import aaiclick"]):
        return
    print(f"installing into {ENVIRONMENT.name}: aaiclick", file=sys.stderr)
    for command in (
        [sys.executable, "-m", "venv", "--clear", ENVIRONMENT],
        [PYTHON, "-m", "pip", "install", "--quiet", "--upgrade", "pip"],
        [PYTHON, "-m", "pip", "install", "--quiet", "aaiclick"],
    ):
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
            raise UnavailableError(f"aaiclick could not be installed: {said[-1]}")


def _succeeds(command: list[str | Path]) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


class Aaiclick(Contestant):
    """The process that `benchmarks.peer` serves in."""

    name: ClassVar[str] = "aaiclick"

    def __init__(self, rows: int, directory: Path) -> None:
        make_environment()
        self.refusals: dict[str, str] = {}
        self.process = subprocess.Popen(
            [PYTHON, "-m", "benchmarks.peer", str(rows)],
            cwd=ROOT,
            env={**os.environ, "AAICLICK_LOCAL_ROOT": str(directory / "aaiclick")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reply()

    def run(self, case: str, step: int) -> tuple[float, float] | None:
        if case in self.refusals:
            return None
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"case": case, "step": step}) + "\n")
        self.process.stdin.flush()
        reply = self._reply()
        if "error" in reply:
            self.refusals[case] = reply["error"]
            return None
        return reply["elapsed_s"], reply["answer"]

    def _reply(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise UnavailableError(f"aaiclick's process ended with {self.process.wait()}")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=60)
