"""How one secret may be spelled, and its replacement wherever it stands."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from aaiclick_ext.masking.text import MASK

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

_FRAGILE = 4
"""Shorter secrets are replaced only where they stand alone, or they would shred the text."""


def mask_literals(text: str, secrets: AbstractSet[str]) -> str:
    """Return a text with each given secret replaced, however it is escaped there.

    Examples
    --------
    >>> mask_literals("wrong password it''s for it%27s", {"it's"})
    'wrong password *** for ***'
    """
    if not secrets:
        return text
    return _pattern(frozenset(secrets)).sub(MASK, text)


@lru_cache(maxsize=64)
def _pattern(secrets: frozenset[str]) -> re.Pattern[str]:
    spellings = {(len(s) < _FRAGILE, v) for s in secrets if s.strip(MASK) for v in _spellings(s)}
    ordered = sorted(spellings, key=lambda item: (-len(item[1]), item))
    return re.compile(
        "|".join(rf"(?<!\w){re.escape(v)}(?!\w)" if alone else re.escape(v) for alone, v in ordered)
        or r"(?!)"
    )


def _spellings(secret: str) -> set[str]:
    """Return a secret as SQL, Python, JSON and URLs may spell it."""
    escaped = secret.replace("\\", "\\\\")
    written = {
        secret,
        escaped,
        secret.replace("'", "''"),
        escaped.replace("'", "\\'"),
        escaped.replace('"', '\\"'),
        escaped.replace("\n", "\\n").replace("'", "\\'"),
        repr(secret)[1:-1],
        ascii(secret)[1:-1],
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        quote(secret, safe="", errors="replace"),
        quote(secret, errors="replace"),
        quote_plus(secret, errors="replace"),
    }
    return {spelling for spelling in written if spelling.strip()}
