"""Paths and URLs in events: as they were given, and where that is."""

from __future__ import annotations

import glob
import os
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from aaiclick_ext.masking import mask_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DIRECTORY = "directory"


def recorded_path(path: str | os.PathLike[str]) -> dict[str, str]:
    """Return what an event tells of a path: itself, and the directory where a relative one begins.

    Without credentials.
    """
    given = mask_text(os.fsdecode(path))
    is_absolute = "://" in given or os.path.isabs(os.path.expanduser(given))  # noqa: PTH111, PTH117
    return {"path": given} if is_absolute else {"path": given, _DIRECTORY: str(Path.cwd())}


def location_of(path: str, directory: str = "") -> str:
    """Return an absolute path, or a URL without credentials."""
    if "://" in path:
        return mask_text(path)
    whole = os.path.join(directory, os.path.expanduser(path))  # noqa: PTH111, PTH118  -- globs, too
    return os.path.abspath(whole)  # noqa: PTH100


def locations(params: Mapping[str, str]) -> list[str]:
    """Return where the files and URLs of an event are."""
    directory = params.get(_DIRECTORY, "")
    paths = (text for name, text in params.items() if name == "path" or name.startswith("path_"))
    return [location_of(path, directory) for path in paths]


def is_glob(location: str) -> bool:
    """Say whether a location stands for the files that match it: no URL, and no file as it is."""
    return glob.has_magic(location) and "://" not in location and not os.path.lexists(location)


def is_in_glob(location: str, pattern: str) -> bool:
    """Say whether `glob` would find a file by a pattern, if the file is there.

    Examples
    --------
    >>> is_in_glob("/data/a.csv", "/data/*.csv"), is_in_glob("/data/x/a.csv", "/data/*.csv")
    (True, False)
    >>> is_in_glob("/data/x/a.csv", "/data/**/*.csv"), is_in_glob("/data/.a.csv", "/data/*.csv")
    (True, False)
    """
    return _fits(Path(location).parts, Path(pattern).parts)


def _fits(names: Sequence[str], patterns: Sequence[str]) -> bool:
    if not names or not patterns:
        return not names and set(patterns) <= {"**"}
    name, pattern = names[0], patterns[0]
    is_hidden = name.startswith(".") and not pattern.startswith(".")
    if pattern == "**":
        return _fits(names, patterns[1:]) or (not is_hidden and _fits(names[1:], patterns))
    return not is_hidden and fnmatchcase(name, pattern) and _fits(names[1:], patterns[1:])
