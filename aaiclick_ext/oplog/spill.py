"""Spill: events that could not be written, kept in files of JSON lines until they can be."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from typing import TYPE_CHECKING

from aaiclick_ext.errors import OplogError
from aaiclick_ext.logs import logger_of
from aaiclick_ext.oplog.event import OperationEvent, from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

logger = logger_of("oplog")

_VERSION = 1


class SpillDirectory:
    """The spilled events of one database.

    Parameters
    ----------
    state_path
        Where this package keeps its state.
    identity
        Of the database; files of others are not touched.
    """

    def __init__(self, state_path: Path, identity: str) -> None:
        self._directory = state_path / "spill"
        self._identity = identity
        self._prefix = hashlib.sha256(identity.encode()).hexdigest()[:16]

    def write(self, events: Iterable[OperationEvent], name: str) -> Path:
        """Write events to a new file and return when they are on disk.

        Raises
        ------
        OplogError
            If they cannot be written.
        """
        header = {"version": _VERSION, "identity": self._identity}
        lines = [json.dumps(header), *(to_json(event) for event in events)]
        text = "".join(f"{line}\n" for line in lines)
        path = self._directory / f"{self._prefix}-{name}.jsonl"
        part = path.with_suffix(".part")
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write_private(part, text)
            part.replace(path)
            _sync_directory(self._directory)
        except OSError as error:
            raise OplogError(
                f"{len(lines) - 1} events of the operation log could not be kept in {path}: "
                f"{error}. "
                "Free space there, or set AAICLICK_STATE_DIR to another directory."
            ) from error
        return path

    def replay(self, write: Callable[[Sequence[OperationEvent]], None]) -> int:
        """Give the events of each file to `write`, then remove the file; return how many.

        A file that another process replays is left to it, and so is one that `write` fails on.
        `write` gets events again whose file could not be removed: it must not repeat them.
        """
        count = 0
        for path in sorted(self._directory.glob(f"{self._prefix}-*.jsonl")):
            try:
                with path.open(encoding="utf-8") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    events = self._read(path, file)
                    if events:
                        write(events)
                    path.unlink(missing_ok=True)
            except OSError as error:  # gone, or locked by another process
                logger.debug("spilled events in %s are left for later: %s", path, error)
                continue
            count += len(events)
        return count

    def _read(self, path: Path, lines: Iterable[str]) -> list[OperationEvent]:
        """Return the events of a file; one that is not ours is left with a warning."""
        rows = iter(lines)
        try:
            header = json.loads(next(rows, "null"))
            if header != {"version": _VERSION, "identity": self._identity}:
                raise BlockingIOError(f"{path} was written for another database or version")
            return [from_json(line) for line in rows]
        except (ValueError, KeyError, TypeError) as error:
            logger.warning("spilled events in %s cannot be read, and stay there: %s", path, error)
            raise BlockingIOError(f"{path} cannot be read") from error


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, and wait until it is on disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
