"""Whether the files that events read have changed: by what was recorded of them, and by time."""

from __future__ import annotations

import datetime as dt
import functools
import glob
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from aaiclick_ext.oplog.paths import is_glob, locations

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from aaiclick_ext.oplog.event import OperationEvent

_FACTS = ("files", "bytes", "modified")
FACTS = ("path", "directory", *_FACTS)
"""The parameters of an event that tell its files, besides ``path_…``."""

_EXPORT = "export"


class FileChange(NamedTuple):
    """Files that are others now.

    Attributes
    ----------
    location
        Their absolute path, or glob.
    changed_at
        When the newest of them was written, in UTC; earlier than they were read where an older
        file took the place.
    """

    location: str
    changed_at: dt.datetime


@dataclass(frozen=True, slots=True, eq=False)
class FilesRead:
    """Local files as they were when they were read.

    Attributes
    ----------
    name
        The path or glob as it was given.
    paths
        Absolute.
    facts
        As of `facts_of`.
    """

    name: str
    paths: tuple[Path, ...]
    facts: Mapping[str, str]

    @property
    def have_changed(self) -> bool:
        """Whether they are others now. Looks at each; one that is gone is no change."""
        try:
            return differ(self.facts, facts_of(self.paths))
        except OSError:
            return False


class Look(NamedTuple):
    """What local files are now: how many, and what was recorded of them when they were read."""

    number: int
    facts: Mapping[str, str]
    newest: dt.datetime


def facts_of(paths: Collection[Path]) -> dict[str, str]:
    """Return what local files are known by: their size, and when the newest was written."""
    stats = [path.stat() for path in paths]
    newest = dt.datetime.fromtimestamp(max(stat.st_mtime for stat in stats), dt.UTC)
    return {
        "bytes": str(sum(stat.st_size for stat in stats)),
        "modified": newest.isoformat(" ", "microseconds"),
    }


def differ(recorded: Mapping[str, str], facts: Mapping[str, str]) -> bool:
    """Say whether files are others than an event tells of, by what is known of both."""
    both = [name for name in _FACTS if name in recorded and name in facts]
    return any(recorded[name] != facts[name] for name in both)


def file_changes() -> Callable[[OperationEvent, dt.datetime], list[FileChange]]:
    """Return a function that gives the local files of an event which are others since a time.

    It looks at each file once. Where the event has no facts of its files (its SQL names them, or an
    older version wrote it), what counts is whether one was written after the time. Files that are
    gone are no change: what was made of them cannot be made again.
    """
    look = functools.cache(_look)

    def changes(event: OperationEvent, since: dt.datetime) -> list[FileChange]:
        if event.operation == _EXPORT:
            return []
        found = ((location, look(location)) for location in locations(event.params))
        return [
            FileChange(location, now.newest)
            for location, now in found
            if now is not None and _is_other(event.params, now, since)
        ]

    return changes


def _is_other(recorded: Mapping[str, str], now: Look, since: dt.datetime) -> bool:
    if "modified" not in recorded:
        return now.newest > since
    # An archive counts its members, so fewer files than recorded tell nothing.
    return differ(recorded, now.facts) or now.number > int(recorded.get("files", now.number))


def _look(location: str) -> Look | None:
    """Return what the files of a location are; None where there are none here."""
    if "://" in location:
        return None
    try:
        files = {path for path in _files(location) if path.is_file()}
        if not files:
            return None
        facts = facts_of(files)
    except (OSError, ValueError):
        return None
    return Look(len(files), facts, dt.datetime.fromisoformat(facts["modified"]))


def _files(location: str) -> Iterable[Path]:
    if not is_glob(location):
        return [Path(location)]
    return map(Path, glob.iglob(location, recursive=True))  # noqa: PTH207 -- an absolute pattern
