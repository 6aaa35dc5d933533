"""Scratch directories: made for one process, removed at its exit or by a later process."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path

from aaiclick_ext.engine.holder import is_held

_PREFIX = "scratch-"
_LOCKED_AFTER_S = 10  # ClickHouse makes its status file, then locks it
_OPENED_AFTER_S = 24 * 3600  # its process may not have opened a directory yet


def make_scratch(parent: Path) -> Path:
    """Make a directory that only this user can read.

    Raises
    ------
    OSError
        If the parent cannot be made or written.
    """
    parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=parent)).resolve()


def remove_scratch(path: Path) -> None:
    """Remove a scratch directory and everything in it."""
    shutil.rmtree(path, ignore_errors=True)


def sweep_scratch(parent: Path) -> list[Path]:
    """Remove the scratch directories of processes that ended without doing so; return them.

    A live process holds ClickHouse's lock on its directory, whatever its id and wherever it runs.
    """
    gone = []
    for path in sorted(parent.glob(f"{_PREFIX}*")):
        if _is_abandoned(path):
            remove_scratch(path)
            gone.append(path)
    return gone


def _is_abandoned(path: Path) -> bool:
    status = path / "status"
    try:
        if status.exists():
            return time.time() - status.stat().st_mtime > _LOCKED_AFTER_S and not is_held(path)
        return time.time() - path.stat().st_mtime > _OPENED_AFTER_S
    except OSError:  # another process sweeps too
        return False
