"""Who has an embedded database's directory open.

ClickHouse holds an exclusive ``flock`` on ``<path>/status`` for as long as it has the directory
open, and writes its process id and the time of its start into it (``src/Common/StatusFile.cpp``).
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_LONGEST_COMMAND = 160
_PID = re.compile(r"^PID: (\d+)", re.MULTILINE)
_STARTED = re.compile(r"^Started at: (\S+ \S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has a directory open.

    Attributes
    ----------
    pid
        Its process id, as it sees itself, or None where the file does not say.
    command, user
        Its command line and owner, or None where the process cannot be seen from here.
    started
        When it opened the directory, as it wrote it.
    """

    pid: int | None
    command: str | None
    user: str | None
    started: str | None

    def __str__(self) -> str:
        if self.pid is None:
            return "another process"
        since = f", since {self.started}" if self.started else ""
        if self.command is None:
            return f"process {self.pid} of another host or container{since}"
        user = f" of user {self.user}" if self.user else ""
        return f"process {self.pid}{user} ({self.command}){since}"


def is_held(path: Path) -> bool:
    """Return whether a process, also this one, has the directory open."""
    import fcntl

    try:
        status = os.open(path / "status", os.O_RDONLY)
    except OSError:
        return False
    try:
        # Shared, so that two who ask at once do not see each other.
        fcntl.flock(status, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(status)


def holder_of(path: Path) -> Holder | None:
    """Return who has the directory open, or None."""
    if not is_held(path):
        return None
    text = ""
    with contextlib.suppress(OSError):
        text = (path / "status").read_text(errors="replace")
    pid, started = _PID.search(text), _STARTED.search(text)
    if pid is None:
        return Holder(None, None, None, None)
    since = started.group(1) if started else None
    command, user = _seen(int(pid.group(1)), path / "status")
    return Holder(int(pid.group(1)), command, user, since)


def _seen(pid: int, status: Path) -> tuple[str | None, str | None]:
    """Return command line and owner of a process, unless it is younger than its status file."""
    import psutil

    from aaiclick_ext.masking import mask_text

    try:
        process = psutil.Process(pid)
        if process.create_time() > status.stat().st_mtime + 1:
            return None, None  # the id was given to another since, or means another elsewhere
        command = mask_text(" ".join(process.cmdline()) or process.name(), in_code=True)
        if len(command) > _LONGEST_COMMAND:
            command = f"{command[:_LONGEST_COMMAND]}…"
        return command, process.username()
    except (psutil.Error, OSError, KeyError):
        return None, None
