"""What the front end of a browsed table may say: a closed set of messages, typed, with bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aaiclick_ext.objects.browsing import Between, Contains, IsNull, Look, OneOf, Sort

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aaiclick_ext.objects.browsing import Filter

ABOUT = ("rows", "count", "summaries", "copy", "cell", "query", "view", "refresh")

MAX_ROWS = 500
"""Rows of one page."""

_MAX_TEXT = 10_000
_MAX_VALUES = 1_000
_MAX_NAME = 64
_MOST = 2**63


@dataclass(frozen=True, slots=True)
class Viewer:
    """``{"type": "look" or "look_away", "viewer": name}``: somebody sees it, or no more."""

    viewer: str
    is_there: bool


@dataclass(frozen=True, slots=True)
class Stop:
    """``{"type": "stop", "request": id}``: that request need not be answered."""

    request: str


@dataclass(frozen=True, slots=True)
class Request:
    """``{"type": "ask", "request": id, "about": what, "look": …, "start": …, "count": …,
    "columns": […]}``.

    Attributes
    ----------
    about
        One of `ABOUT`.
    start, count
        Rows, by their place.
    columns
        Names.
    """  # noqa: D205

    request: str
    about: str
    look: Look
    start: int
    count: int
    columns: tuple[str, ...]


class _UnknownError(Exception):
    """The message is none of ours."""


def understood(content: Any, names: Sequence[str]) -> Viewer | Stop | Request | None:
    """Return what a message says of a table with these columns, or None: it is none of ours."""
    try:
        return _understood(content, names)
    except _UnknownError:
        return None


def _understood(content: Any, names: Sequence[str]) -> Viewer | Stop | Request:
    _check(isinstance(content, dict))
    kind, keys = content.get("type"), set(content)
    if kind in ("look", "look_away") and keys == {"type", "viewer"}:
        return Viewer(_text(content["viewer"], _MAX_NAME), kind == "look")
    if kind == "stop" and keys == {"type", "request"}:
        return Stop(_text(content["request"], _MAX_NAME))
    wanted = {"type", "request", "about", "look", "start", "count", "columns"}
    _check(kind == "ask" and keys == wanted and content["about"] in ABOUT)
    columns = _list(content["columns"], len(names))
    return Request(
        _text(content["request"], _MAX_NAME),
        content["about"],
        _look(content["look"], names),
        _number(content["start"], _MOST),
        _number(content["count"], _MOST),
        tuple(_name(column, names) for column in columns),
    )


def _look(given: Any, names: Sequence[str]) -> Look:
    _check(isinstance(given, dict) and set(given) == {"filters", "search", "sorts"})
    sorts = []
    for sort in _list(given["sorts"], len(names)):
        column, is_descending = _list(sort, 2, exactly=True)
        sorts.append(Sort(_name(column, names), _flag(is_descending)))
    _check(len({sort.column for sort in sorts}) == len(sorts))
    filters = tuple(_filter(each, names) for each in _list(given["filters"], _MAX_VALUES))
    return Look(filters, _text(given["search"], _MAX_TEXT), tuple(sorts))


def _filter(given: Any, names: Sequence[str]) -> Filter:
    kind, column, *rest = _list(given, 5, least=2)
    name = _name(column, names)
    if kind == "between" and len(rest) == 3:
        low, high, is_below = rest
        return Between(name, _bound(low), _bound(high), _flag(is_below))
    if kind == "contains" and len(rest) == 1:
        return Contains(name, _text(rest[0], _MAX_TEXT))
    if kind == "one_of" and len(rest) == 1:
        return OneOf(name, tuple(_bound(value) for value in _list(rest[0], _MAX_VALUES)))
    _check(kind == "null" and len(rest) == 1)
    return IsNull(name, _flag(rest[0]))


def _check(is_known: object) -> None:
    if not is_known:
        raise _UnknownError


def _list(value: Any, most: int, *, least: int = 0, exactly: bool = False) -> list[Any]:
    _check(isinstance(value, list) and (most if exactly else least) <= len(value) <= most)
    found: list[Any] = value
    return found


def _text(value: Any, most: int) -> str:
    _check(isinstance(value, str) and len(value) <= most)
    return str(value)


def _bound(value: Any) -> str | None:
    return None if value is None else _text(value, _MAX_TEXT)


def _flag(value: Any) -> bool:
    _check(isinstance(value, bool))
    return bool(value)


def _number(value: Any, below: int) -> int:
    _check(type(value) is int and 0 <= value < below)
    return int(value)


def _name(value: Any, names: Sequence[str]) -> str:
    return names[_number(value, len(names))]
