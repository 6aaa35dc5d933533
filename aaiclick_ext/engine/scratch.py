"""Scratch directories: made for one process, removed at its exit or by a later process.

A directory holds a mark that its process keeps locked for as long as it lives, from before anything
else is in there. The operating system takes the lock away however the process ends, so that neither
ids that are given again nor other PID namespaces matter. Locks of a network file system may be
unknown to other hosts: a directory that was marked elsewhere, or before this boot, is only removed
where somebody who knows says that its process is dead.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from aaiclick_ext.engine.holder import is_held

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PREFIX = "scratch-"
_GONE_PREFIX = "gone-"
_MARK = "aaiclick-owner.json"
_MARK_BYTES = 200
"""All are as long, so that one written over another leaves nothing of it."""
_UNMARKED_S = 24 * 3600
"""An earlier version made directories without a mark; whether they are used, ClickHouse says."""
_MARKED_WITHIN_S = 60
"""A mark is locked and written at once, unless the host sleeps in between."""

_locked: dict[Path, int] = {}
"""The marks that this process holds, and their descriptors."""


@dataclass(frozen=True, slots=True)
class ScratchMark:
    """Who made a scratch directory.

    Attributes
    ----------
    boot_id
        The boot of the host it was made on, or None where the system has no such id.
    owner
        The kernel session, or None where the maker had none.
    """

    boot_id: str | None
    owner: int | None


@dataclass(frozen=True, slots=True)
class ScratchDirectory:
    """A scratch directory of another process, and whether it may be removed."""

    path: Path
    is_abandoned: bool
    reason: str


def make_scratch(parent: Path) -> Path:
    """Make a directory that only this user can read, and lock its mark.

    Raises
    ------
    OSError
        If the parent cannot be made or written.
    """
    import fcntl

    parent.mkdir(parents=True, exist_ok=True)
    while True:
        path = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=parent)).resolve()
        with contextlib.suppress(FileNotFoundError):  # taken for one left by a dead process
            mark = os.open(path / _MARK, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            fcntl.flock(mark, fcntl.LOCK_EX)
            _write(mark, ScratchMark(boot_id(), None))
            _locked[path] = mark
            return path


def mark_scratch(path: Path, owner: int) -> None:
    """Write down for which kernel session a directory of this process is; the first one counts."""
    mark = _locked.get(path)
    made = _read(path / _MARK)
    if mark is not None and made is not None and made.owner is None:
        _write(mark, replace(made, owner=owner))


def remove_scratch(path: Path) -> None:
    """Remove a scratch directory of this process and everything in it."""
    with contextlib.suppress(OSError):
        _remove(_renamed(path))
    mark = _locked.pop(path, None)
    if mark is not None:
        os.close(mark)


def forget_scratch() -> None:
    """Let this process, a forked child, hold no mark: its parent's life is what counts."""
    while _locked:
        os.close(_locked.popitem()[1])


def scratch_directories(
    parent: Path, is_dead: Callable[[int], bool] = lambda _: False
) -> Iterator[ScratchDirectory]:
    """Yield the scratch directories of other processes. Removes nothing.

    Parameters
    ----------
    is_dead
        Says of a kernel session whether it is known to be dead; asked only about directories that
        were made on another host or before this boot.
    """
    for path in sorted(parent.glob(f"{_GONE_PREFIX}*")):
        yield ScratchDirectory(path, True, "its removal was not finished")
    for path in sorted(parent.glob(f"{_PREFIX}*")):
        if path.resolve() not in _locked:
            with contextlib.suppress(OSError):  # another process removes it now
                yield ScratchDirectory(path, *_judged(path, is_dead))


def sweep_scratch(parent: Path, is_dead: Callable[[int], bool] = lambda _: False) -> list[Path]:
    """Remove the directories of processes that ended without doing so; return them.

    Several processes may do so at once. What one that is killed leaves half removed, the next one
    finishes.
    """
    return [
        found.path
        for found in scratch_directories(parent, is_dead)
        if found.is_abandoned and _take_away(found.path, is_dead)
    ]


def boot_id() -> str | None:
    """Return the id of this boot of the host, or None where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() or None
    except OSError:
        return None


def _judged(path: Path, is_dead: Callable[[int], bool]) -> tuple[bool, str]:
    """Say whether a directory is abandoned, and why."""
    mark = path / _MARK
    if not mark.exists():
        return _judged_unmarked(path)
    if _is_locked(mark):
        return False, "its process lives"
    made = _read(mark)
    if made is None:
        old = time.time() - mark.stat().st_mtime > _MARKED_WITHIN_S
        return old, "its process died as it made it" if old else "it is being made"
    if made.boot_id is not None and made.boot_id == boot_id():
        return True, "its process is dead"
    if made.owner is not None and is_dead(made.owner):
        return True, "its kernel is dead"
    return False, "made on another host or before this boot, and its kernel is not known to be dead"


def _judged_unmarked(path: Path) -> tuple[bool, str]:
    if not any(path.iterdir()):
        return True, "it is empty"  # a process that has just made it makes another
    if is_held(path):
        return False, "its process lives"
    old = time.time() - path.stat().st_mtime > _UNMARKED_S
    return old, "nobody has it open" if old else "it has no mark, and is not a day old"


def _take_away(path: Path, is_dead: Callable[[int], bool]) -> bool:
    """Remove a directory: first its name, so that nobody takes it for one in use."""
    if not path.name.startswith(_GONE_PREFIX):
        with contextlib.suppress(OSError):
            path.rmdir()
            return True
        try:
            if not _judged(path, is_dead)[0]:
                return False  # it was empty, and its process has marked it since
            path = _renamed(path)
        except OSError:
            return False  # another process was faster
    _remove(path)
    return True


def _renamed(path: Path) -> Path:
    return path.rename(path.with_name(f"{_GONE_PREFIX}{path.name.removeprefix(_PREFIX)}"))


def _remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)


def _write(descriptor: int, mark: ScratchMark) -> None:
    os.pwrite(descriptor, json.dumps(asdict(mark)).ljust(_MARK_BYTES).encode(), 0)


def _read(mark: Path) -> ScratchMark | None:
    try:
        found = json.loads(mark.read_text())
        return ScratchMark(found["boot_id"], found["owner"])
    except (ValueError, KeyError, TypeError):
        return None


def _is_locked(mark: Path) -> bool:
    import fcntl

    descriptor = os.open(mark, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two may ask at once
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)
