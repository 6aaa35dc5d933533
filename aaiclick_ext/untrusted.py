"""Untrusted text made fit to be looked at: names, SQL and errors that anybody may have written."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ELLIPSIS = "…"

# Control, format, surrogate, unassigned; line and paragraph separators. Bidirectional overrides
# are format characters (Unicode TR36, "Trojan Source", CVE-2021-42574).
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"})
_PLAIN = re.compile(r"[ -~]*")
_NARROW = re.compile(r"[\0-\u02ff…⋯↑→]*")  # a column each: what is written here, most of the time
_PLAIN_LINES = re.compile(r"[ -~\n\t]*")
_QUOTED = re.compile(r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`)""", re.DOTALL)
_JOINERS = frozenset("\u200c\u200d")  # Persian and emoji are written with them
_COMBINING = frozenset({"Mn", "Me"})
_WIDE = frozenset("WF")
_CHARACTERS_PER_COLUMN = 4  # combining marks take no column, and must not be endless


def visible(text: str, *, lines: bool = False) -> str:
    r"""Return text in which every character that would act instead of show is written out.

    Control characters, bidirectional overrides, lone surrogates and what XML cannot carry become
    Python's escapes. With `lines`, newlines and tabs stay.

    Examples
    --------
    >>> visible("a\x1b[31m\u202eb")
    'a\\x1b[31m\\u202eb'
    >>> visible("SELECT 1\nFROM t", lines=True)
    'SELECT 1\nFROM t'
    """
    if (_PLAIN_LINES if lines else _PLAIN).fullmatch(text):
        return text
    if lines:
        text = text.replace("\r\n", "\n")
    kept = "\n\t" if lines else ""
    return "".join(c if c in kept or not _is_hidden(c) else _escape(c) for c in text)


def visible_sql(sql: str) -> str:
    r"""Return ClickHouse's SQL that shows as it is and means the same.

    In quotes, what would act stands as bytes, which ClickHouse reads there; elsewhere it means
    nothing.

    Examples
    --------
    >>> visible_sql("SELECT 'a\x1b\u202eb'")
    "SELECT 'a\\x1B\\xE2\\x80\\xAEb'"
    """
    if _PLAIN_LINES.fullmatch(sql):
        return sql
    parts = _QUOTED.split(sql)
    parts[::2] = [visible(part, lines=True) for part in parts[::2]]
    parts[1::2] = ["".join(map(_as_bytes, part)) for part in parts[1::2]]
    return "".join(parts)


def _as_bytes(character: str) -> str:
    if character in "\n\t" or not _is_hidden(character):
        return character
    return "".join(f"\\x{byte:02X}" for byte in character.encode(errors="replace"))


def _is_hidden(character: str) -> bool:
    return unicodedata.category(character) in _HIDDEN and character not in _JOINERS


def _escape(character: str) -> str:
    code = ord(character)
    if character in "\n\r\t":
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}[character]
    return (
        f"\\x{code:02x}"
        if code < 0x100
        else f"\\u{code:04x}"
        if code < 0x10000
        else f"\\U{code:08x}"
    )


def display_width(text: str) -> int:
    """Return how many terminal columns text takes: wide characters two, combining marks none.

    Examples
    --------
    >>> display_width("naïve"), display_width("漢字"), display_width("e\u0301")
    (5, 4, 1)
    """
    return len(text) if _NARROW.fullmatch(text) else sum(map(_width, text))


def _width(character: str) -> int:
    if character in _JOINERS or unicodedata.category(character) in _COMBINING:
        return 0
    return 2 if unicodedata.east_asian_width(character) in _WIDE else 1


def shortened(text: str, columns: int) -> str:
    """Return text that fits into some columns, ending in an ellipsis where it was longer.

    Examples
    --------
    >>> shortened("departure_delay", 8)
    'departu…'
    >>> shortened("漢字かな", 5)
    '漢字…'
    """
    if len(text) <= columns * _CHARACTERS_PER_COLUMN and display_width(text) <= columns:
        return text
    return "".join(_prefix(text, columns - 1)) + ELLIPSIS


def _prefix(text: str, columns: int) -> Iterator[str]:
    used = 0
    for character in text[: columns * _CHARACTERS_PER_COLUMN]:
        used += _width(character)
        if used > columns:
            return
        yield character
