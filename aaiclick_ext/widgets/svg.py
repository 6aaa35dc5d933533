"""SVG: Graphviz's drawing cut down to an allow-list, with our texts and classes.

The front end (``static/lineage.js``) has the same two lists and applies them again: it does not
trust what it is sent, and a saved notebook does not trust either.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

if TYPE_CHECKING:
    from collections.abc import Mapping

ELEMENTS = frozenset({"svg", "g", "title", "path", "polygon", "polyline", "ellipse", "text"})
"""Elements that a picture is made of."""

ATTRIBUTES = frozenset({
    "aria-label", "class", "cx", "cy", "d", "fill", "font-family", "font-size", "font-weight",
    "height", "id", "points", "role", "rx", "ry", "stroke", "stroke-dasharray", "stroke-width",
    "text-anchor", "transform", "viewBox", "width", "x", "y",
})  # fmt: skip
"""Attributes that they may have. None takes an address, a style or code."""

_VALUE = re.compile(r"[^:]*")  # no scheme; and no url(…), below
_PLAIN = re.compile(r"[0-9A-Za-z_ ,.#-]*")  # no address, and nothing to escape: nearly all values
_NAMESPACE = "http://www.w3.org/2000/svg"
_TAGS = {f"{_NAMESPACE} {tag}": tag for tag in ELEMENTS}
_UNLABELLED = -1


def cleaned(svg: str, labels: Mapping[str, str], description: str) -> str:
    r"""Return Graphviz's SVG with allowed elements and attributes only, on one line for each.

    Parameters
    ----------
    svg
        What Graphviz drew.
    labels
        Group id → text: the group's title and accessible name.
    description
        The accessible name of the whole.

    Examples
    --------
    >>> cleaned('<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>', {}, "a & b")
    '<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="a &amp; b">\n</svg>\n'
    """
    return _Cleaner(labels, description).clean(svg)


class _Cleaner:
    """Writes what is allowed of a document while it is read: a tree of it takes twice the time."""

    def __init__(self, labels: Mapping[str, str], description: str) -> None:
        self._labels = labels
        self._description = description
        self._lines: list[str] = []
        self._text: list[str] | None = None
        self._texts = _UNLABELLED  # shown so far in the group that is read
        self._groups: list[int] = []
        self._ignored = 0  # how deep in an element of which nothing is written

    def clean(self, svg: str) -> str:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._say
        parser.Parse(svg, True)
        return "\n".join(self._lines) + "\n"

    def _start(self, name: str, given: dict[str, str]) -> None:
        tag = _TAGS.get(name)
        if self._ignored or tag is None or tag == "title":  # Graphviz's titles are ids
            self._ignored += 1
        elif tag == "text":
            if self._texts != _UNLABELLED:  # a node says what it is in two sizes
                size = {"font-weight": "bold"} if self._texts == 0 else {"font-size": "11"}
                given |= size
                self._texts += 1
            self._lines.append(f"<text{_attributes(given)}>")
            self._text = []
        elif tag == "g":
            self._groups.append(self._texts)
            label = self._labels.get(given.get("id", ""))
            if label is None:
                self._lines.append(f"<g{_attributes(given)}>")
            else:
                self._texts = 0
                self._lines.append(f"<g{_attributes(given | {'aria-label': label})}>")
                self._lines.append(f"<title>{escape(label)}</title>")
        elif tag == "svg":
            for side in {"width", "height"} & given.keys():
                given[side] = given[side].removesuffix("pt")  # a unit of the viewBox is a pixel
            given |= {"role": "img", "aria-label": self._description}
            self._lines.append(f'<svg xmlns="{_NAMESPACE}"{_attributes(given)}>')
        else:
            self._lines.append(f"<{tag}{_attributes(given)}/>")
            self._ignored = 1  # a shape has no children

    def _say(self, text: str) -> None:
        if self._text is not None and not self._ignored:
            self._text.append(text)

    def _end(self, name: str) -> None:
        if self._ignored:
            self._ignored -= 1
        elif self._text is not None:
            self._lines[-1] += f"{escape(''.join(self._text))}</text>"
            self._text = None
        else:
            tag = _TAGS[name]
            self._lines.append(f"</{tag}>")
            if tag == "g":
                self._texts = self._groups.pop()


def _attributes(given: Mapping[str, str]) -> str:
    """Return attributes, each with a space before it, without those that are not allowed."""
    values = tuple(given.values())
    if _PLAIN.fullmatch("".join(values)):
        return _template(tuple(given)) % values
    return "".join(
        f" {name}={quoteattr(value)}"
        for name, value in given.items()
        if name in ATTRIBUTES and _is_safe(name, value)
    )


@lru_cache(maxsize=256)
def _template(names: tuple[str, ...]) -> str:
    """Return what values are put into; those of no allowed attribute take no room there."""
    return "".join(f' {name}="%s"' if name in ATTRIBUTES else "%.0s" for name in names)


def _is_safe(name: str, value: str) -> bool:
    if name == "aria-label":
        return True
    return _VALUE.fullmatch(value) is not None and "url(" not in value.lower()
