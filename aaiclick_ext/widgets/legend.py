"""The legend of a still picture: the shapes and outlines that occur in it, above it.

The live picture has one of its own, in its tool bar; ``static/drawing.js`` has the same list.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aaiclick_ext.untrusted import display_width
from aaiclick_ext.widgets.card import Kind
from aaiclick_ext.widgets.dot import SOFT
from aaiclick_ext.widgets.look import FAILED, LOOKS, STALE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True, slots=True)
class Key:
    """An entry of the legend.

    Attributes
    ----------
    name
        A kind of node, or a state.
    word
        What it is called.
    form
        What it looks like, without colour.
    path
        Its icon, 14 pixels square.
    """

    name: str
    word: str
    form: str
    path: str
    fill: str
    stroke: str


def _of_kind(kind: Kind, word: str, form: str, path: str) -> Key:
    return Key(kind, word, form, path, LOOKS[kind].fill, LOOKS[kind].stroke)


KEYS = (
    _of_kind(Kind.SOURCE, "source", "a sheet with a folded corner", "M1 1h9l3 3v9h-12z"),
    _of_kind(
        Kind.TABLE, "table", "a cylinder",
        "M1 3c0-2.6 12-2.6 12 0v8c0 2.6-12 2.6-12 0zM1 3c0 2.4 12 2.4 12 0",
    ),
    _of_kind(
        Kind.VIEW, "view", "a rounded box", "M4 2h6q3 0 3 3v4q0 3-3 3h-6q-3 0-3-3v-4q0-3 3-3z"
    ),
    _of_kind(Kind.SINK, "result", "a slanted box", "M4 2h9.5l-3.5 10h-9.5z"),
    _of_kind(Kind.FOLD, "folded steps", "a folder", "M1 12v-9h5l1.5-2h5.5v11z"),
    Key("alive", "alive", "a full outline", "M1.5 2h11v10h-11z", "none", SOFT),
    Key("stale", "stale", "a double outline", "M.5 1h13v12h-13zM3 3.5h8v7h-8z", *STALE),
    Key("dropped", "dropped", "a dashed outline", "M1.5 2h11v10h-11z", "none", SOFT),
    Key(
        "failed", "failed", "an octagon", "M4.5 1h5l3.5 3.5v5l-3.5 3.5h-5l-3.5-3.5v-5z",
        FAILED.fill, FAILED.stroke,
    ),
)  # fmt: skip

_HEAD = re.compile(
    r'(?P<start><svg [^>]*?)width="[\d.]+" height="[\d.]+" '
    r'viewBox="0\.00 0\.00 (?P<width>[\d.]+) (?P<height>[\d.]+)"(?P<rest>[^>]*)(?P<quote>["\'])>\n'
)
# No text has its first character: only markup does.
_NODE = re.compile(r'<g id="\w+" class="node kind-(\w+)(?: state-(\w+))?[ "]')
_ROW = 20
_WIDEST = 420  # pixels that a legend may take where its picture is narrower
_PIXELS_PER_COLUMN = 6.9  # of the widest font that a browser may choose, at 11 pixels
_BEFORE_WORD, _AFTER_WORD = 19, 14


def keys_of(svg: str) -> list[Key]:
    """Return what occurs in a picture: living tables are told where others are not living."""
    found = set()
    for kind, state in _NODE.findall(svg):
        found |= {state} if state == "failed" else {kind, state}
    if not found & {"stale", "dropped"}:
        found.discard("alive")
    return [key for key in KEYS if key.name in found]


def with_legend(svg: str) -> str:
    """Return a picture, as `cleaned` gives it, with a legend above it, in the same few elements.

    Its accessible name says the same. A picture without nodes has none.
    """
    keys, head = keys_of(svg), _HEAD.match(svg)
    if not keys or head is None:
        return svg
    said = "Legend: " + "; ".join(f"{key.word}, {key.form}" for key in keys) + "."
    room = max(float(head["width"]), _WIDEST)
    placed = list(_placed(keys, room))
    rows = placed[-1][2] + 1
    width = max(float(head["width"]), max(x + _width(key) - _AFTER_WORD for key, x, _ in placed))
    height = float(head["height"]) + _ROW * rows
    size = f'width="{width:.0f}" height="{height:.0f}"'
    box = f'viewBox="0.00 {-_ROW * rows:.2f} {width:.2f} {height:.2f}"'
    drawn = [f'<g class="legend" aria-label="{said}">', f"<title>{said}</title>"]
    drawn += [line for key, x, row in placed for line in _icon(key, x + 4, (row - rows) * _ROW)]
    return (
        f"{head['start']}{size} {box}{head['rest']}. {said}{head['quote']}>\n"
        + "\n".join([*drawn, "</g>\n"])
        + svg[head.end() :]
    )


def _width(key: Key) -> float:
    return _BEFORE_WORD + _PIXELS_PER_COLUMN * display_width(key.word) + _AFTER_WORD


def _placed(keys: Sequence[Key], room: float) -> Iterator[tuple[Key, float, int]]:
    """Yield each key with its place in a row, and the row's number."""
    x, row = 0.0, 0
    for key in keys:
        if x and x + _width(key) - _AFTER_WORD > room:
            x, row = 0.0, row + 1
        yield key, x, row
        x += _width(key)


def _icon(key: Key, x: float, y: float) -> Iterator[str]:
    dashed = ' stroke-dasharray="3,2"' if key.name == "dropped" else ""
    yield (
        f'<path transform="translate({x:.2f} {y + 4:.2f})" fill="{key.fill}" '
        f'stroke="{key.stroke}"{dashed} d="{key.path}"/>'
    )
    yield (
        f'<text x="{x + _BEFORE_WORD:.2f}" y="{y + 15:.2f}" fill="{SOFT}" '
        f'font-family="Helvetica,Arial,sans-serif" font-size="11">{key.word}</text>'
    )
