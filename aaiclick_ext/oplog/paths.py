"""Paths and URLs in events: as they were given, and where that is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from aaiclick_ext.masking import mask_text

if TYPE_CHECKING:
    from collections.abc import Mapping

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
