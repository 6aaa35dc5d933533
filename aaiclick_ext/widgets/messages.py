"""What the front end of a lineage picture may say to Python: a closed set of messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aaiclick_ext.widgets.mode import Mode

if TYPE_CHECKING:
    from collections.abc import Collection

_MOST = 2**31


@dataclass(frozen=True, slots=True)
class Selection:
    """``{"type": "select", "node": id or null}``; the id "" is none."""

    node: str


@dataclass(frozen=True, slots=True)
class Question:
    """``{"type": "ask", "request": number, "about": what, "node": id, "row": number or null}``."""

    request: int
    about: str
    node: str
    row: int | None


@dataclass(frozen=True, slots=True)
class Stop:
    """``{"type": "stop", "request": number}``: that question need not be answered."""

    request: int


def understood(
    content: Any, drawn: Collection[str], known: Collection[str]
) -> Selection | Question | Stop | Mode | None:
    """Return what a message of the front end says, or None: this is the whole vocabulary.

    A mode comes as ``{"type": "draw", "mode": …}``.
    """
    if not isinstance(content, dict) or not isinstance(content.get("type"), str):
        return None
    keys, kind = set(content), content["type"]
    if kind == "select" and keys == {"type", "node"}:
        node = content["node"]
        if node is None:
            return Selection("")
        return Selection(node) if isinstance(node, str) and node in drawn else None
    if kind == "draw" and keys == {"type", "mode"}:
        return Mode.from_message(content["mode"], known)
    if kind == "stop" and keys == {"type", "request"}:
        request = content["request"]
        return Stop(request) if type(request) is int else None
    if kind == "ask" and keys == {"type", "request", "about", "node", "row"}:
        request, about, node, row = (content[k] for k in ("request", "about", "node", "row"))
        numbers = (request,) if row is None else (request, row)
        if not all(type(number) is int and 0 <= number < _MOST for number in numbers):
            return None
        if isinstance(about, str) and isinstance(node, str) and node in known:
            return Question(request, about, node, row)
    return None
