"""What a session can be given, checked before anything is written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from aaiclick_ext.errors import SettingsError

Tags = Mapping[str, Any] | Iterable[str]
_MAX_ID = 2**63 - 1


def check_number(name: str, value: object, least: int) -> None:
    """Raise SettingsError where a value is no whole number from `least` up."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _MAX_ID:
        raise SettingsError(f"{name} is {value!r}; it is a whole number from {least}")


def stored_tags(tags: Tags) -> dict[str, Any]:
    """Return tags as they are stored: names with values that JSON can hold.

    Raises
    ------
    SettingsError
        If they cannot be.
    """
    if isinstance(tags, (str, bytes)):
        raise SettingsError(f"tags is {tags!r}; give names, as in tags=[{tags!r}], or a dict")
    given = dict(tags) if isinstance(tags, Mapping) else dict.fromkeys(tags, True)
    try:
        stored = json.loads(json.dumps(given))
    except (TypeError, ValueError) as error:
        raise SettingsError(f"tags {given!r} cannot be stored: {error}") from error
    if not all(isinstance(name, str) for name in given):
        raise SettingsError(f"the names of tags are texts, got {list(given)}")
    return dict(stored)


def check_seconds(name: str, value: object) -> None:
    """Raise SettingsError where a value is no number of seconds."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
        raise SettingsError(f"{name} is {value!r}; it is a number of seconds")
