"""Where in a statement an error is: its line, with a mark below. Pure functions over texts."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_POSITION = re.compile(r"failed at position (\d+)")
_FAILED = re.compile(
    r"failed at position (\d+) \((.*?)\)(?: \(line \d+, col \d+\))?(?::.*)?\.?\Z", re.DOTALL
)
_NAMES = tuple(
    re.compile(pattern)
    for pattern in (
        r"[Ii]dentifier [`'](.+?)[`'](?=\W|$)",
        r"Function with name [`'](.+?)[`']",
        r"[Ss]etting [`']?(\w+)",
        r"Database (\S+) does not exist",
        r"Table (\S+) does not exist",
        r"No such column (.+?) in table",
        r"(?:no|find) column [`'](.+?)[`']",
        r"Unknown data type family: (\w+)",
        r"while executing 'FUNCTION (\w+)\(",
        r"executing function (\w+)",
        r"function [`']?(\w+)",
    )
)
"""What ClickHouse calls what it does not like, the surest first."""

_OPERATORS = {
    "plus": "+", "minus": "-", "multiply": "*", "divide": "/", "modulo": "%", "equals": "=",
    "notEquals": "!=", "less": "<", "greater": ">", "lessOrEquals": "<=", "greaterOrEquals": ">=",
    "concat": "||",
}  # fmt: skip
_WRAPPER = re.compile(r"\A(?:DESCRIBE TABLE view\(|DESCRIBE TABLE \(\n|SELECT \* FROM \(\n)")
_TOKEN = re.compile(r"`[^`\n]*`|\"[^\"\n]*\"|'[^'\n]*'|\w+|\S")
_WIDEST = 96
_INDENT = "    "


def marked_line(text: str, sql: str, shown: str) -> str | None:
    """Return the line of a statement that a message is about, and carets below the place.

    Parameters
    ----------
    text
        What ClickHouse says, in full.
    sql
        The statement that was sent.
    shown
        The same without credentials, which is what the line is taken from.

    Returns
    -------
    str or None
        Two lines; None where the message names no place.

    Examples
    --------
    >>> sql = "SELECT avg(dely) FROM late"
    >>> print(marked_line("Unknown expression identifier `dely`.", sql, sql))
        SELECT avg(dely) FROM late
                   ^^^^
    """
    span = _at_position(text, sql)
    if span is None:
        span = _named(text, shown)
    elif _line_at(sql, span[0]) != _line_at(shown, span[0]):
        span = None  # something before it was masked
    if span is None:
        return None
    wrapper = _WRAPPER.match(shown)
    before = wrapper.end() if wrapper is not None and span[0] >= wrapper.end() else 0
    return _drawn(shown[before:], span[0] - before, span[1] - before)


def with_names(place: str, names: Mapping[str, str]) -> str:
    """Return a line as `marked_line` draws it with other names in it, carets below the same.

    Parameters
    ----------
    names
        What stands there, and what to put there instead.

    Examples
    --------
    >>> sql = "SELECT a + b FROM `aai_t_1_2` WHERE"
    >>> place = marked_line("identifier 'WHERE'", sql, sql)
    >>> print(with_names(place, {"`aai_t_1_2`": "{x}"}))
        SELECT a + b FROM {x} WHERE
                              ^^^^^
    """
    line, _, carets = place.partition("\n")
    start, end = len(carets) - len(carets.lstrip()), len(carets)
    for old, new in names.items():
        while (found := line.find(old)) >= 0:
            first, last = _width(line[:found]), _width(line[: found + len(old)])
            line = f"{line[:found]}{new}{line[found + len(old) :]}"
            behind = first + _width(new)
            start = start + behind - last if start >= last else min(start, first)
            end = end + behind - last if end >= last else min(end, behind)
    return f"{line}\n{' ' * start}{'^' * max(end - start, 1)}"


def without_rest(message: str, sql: str) -> str:
    """Return a message about syntax without its position in what we sent and the rest of that."""
    found = _FAILED.search(message)
    if found is None:
        return message
    span = _at_position(message, sql)
    if found[2].startswith("line "):  # what stands there was taken out of the message
        return f"{message[: found.start()].rstrip(': ')}."
    at_end = span is not None and span[1] > len(_own(sql))
    return f"{message[: found.start()]}{'at its end' if at_end else f'at {found[2]}'}."


def name_in(text: str) -> str | None:
    """Return what ClickHouse's message calls unknown or wrong, or None."""
    found = next((match for pattern in _NAMES if (match := pattern.search(text))), None)
    return None if found is None else found[1]


def _at_position(text: str, sql: str) -> tuple[int, int] | None:
    """Return what is at the byte that a syntax error names; of what we put around it, its end."""
    found = _POSITION.search(text)
    if found is None:
        return None
    start = len(sql.encode()[: int(found[1]) - 1].decode(errors="ignore"))
    own = _own(sql)
    if start >= len(own):
        return len(own), len(own) + 1
    token = _TOKEN.match(sql, start)
    return start, token.end() if token else start + 1


def _own(sql: str) -> str:
    """Return a statement up to where what we put around the user's text goes on."""
    is_wrapped = _WRAPPER.match(sql) is not None and sql.endswith("\n)")
    return (sql[:-2] if is_wrapped else sql).rstrip()


def _named(text: str, sql: str) -> tuple[int, int] | None:
    name = name_in(text)
    if name is None:
        return None
    for spelled in (name, name.rpartition(".")[2], _OPERATORS.get(name, name)):
        edges = (r"(?<!\w)", r"(?!\w)") if spelled[:1].isalnum() or spelled[:1] == "_" else ("", "")
        found = list(re.finditer(rf"{edges[0]}{re.escape(spelled)}{edges[1]}", sql))
        if found and (spelled not in _OPERATORS.values() or len(found) == 1):
            return found[0].span()
    return None


def _line_at(sql: str, place: int) -> str:
    start = sql.rfind("\n", 0, place) + 1
    end = sql.find("\n", place)
    return sql[start:] if end < 0 else sql[start:end]


def _drawn(sql: str, start: int, end: int) -> str:
    line_start = sql.rfind("\n", 0, start) + 1
    line = _line_at(sql, start)
    start, end = start - line_start, min(end - line_start, len(line) + 1)
    cut = max(0, min(start - _WIDEST // 2, len(line) - _WIDEST))
    piece = line[cut : cut + _WIDEST]
    before = "…" if cut else ""
    after = "…" if cut + _WIDEST < len(line) else ""
    start, end = start - cut + len(before), min(end - cut, _WIDEST) + len(before)
    # Nothing in it may move the cursor, and the carets must stand below what they are for.
    piece = "".join(c if c.isprintable() else " " for c in f"{before}{piece}{after}")
    gap = " " * _width(piece[:start])
    carets = "^" * max(_width(piece[start:end]), 1)
    return f"{_INDENT}{piece}\n{_INDENT}{gap}{carets}"


def _width(text: str) -> int:
    """Return how many cells of a terminal a text takes."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) > 0 for c in text)
