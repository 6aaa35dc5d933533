"""SVG: Graphviz's drawing cut down to an allow-list, with our texts and classes.

The front end (``static/lineage.js``) has the same two lists and applies them again: it does not
trust what it is sent, and a saved notebook does not trust either.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET
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
_PLAIN = re.compile(r"[0-9A-Za-z ,.#-]*")  # no address, and nothing to escape: nearly all values
_NAMESPACE = "http://www.w3.org/2000/svg"


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
    root = ET.fromstring(svg)  # noqa: S314  # Graphviz's own output, not a document
    for side in ("width", "height"):
        if side in root.attrib:
            root.set(side, root.attrib[side].removesuffix("pt"))  # a unit of the viewBox is a pixel
    root.attrib |= {"role": "img", "aria-label": description}
    for group in root.iter(f"{{{_NAMESPACE}}}g"):
        _label(group, labels)
    lines: list[str] = []
    _write(root, lines)
    return "\n".join(lines) + "\n"


def _label(group: ET.Element, labels: Mapping[str, str]) -> None:
    """Replace Graphviz's title (an id) by ours, and set the texts in two sizes."""
    for title in group.findall(f"{{{_NAMESPACE}}}title"):
        group.remove(title)
    text = labels.get(group.get("id", ""))
    if text is None:
        return
    group.set("aria-label", text)
    title = ET.Element("title")
    title.text = text
    group.insert(0, title)
    for number, line in enumerate(group.iter(f"{{{_NAMESPACE}}}text")):
        line.set("font-weight" if number == 0 else "font-size", "bold" if number == 0 else "11")


def _write(element: ET.Element, lines: list[str]) -> None:
    tag = element.tag.removeprefix(f"{{{_NAMESPACE}}}") if isinstance(element.tag, str) else ""
    if tag not in ELEMENTS:
        return
    given = "".join(_attribute(name, value) for name, value in element.items())
    namespace = f' xmlns="{_NAMESPACE}"' if tag == "svg" else ""
    if tag in {"text", "title"}:
        lines.append(f"<{tag}{given}>{escape(element.text or '')}</{tag}>")
    elif len(element) == 0 and tag not in {"svg", "g"}:
        lines.append(f"<{tag}{given}/>")
    else:
        lines.append(f"<{tag}{namespace}{given}>")
        for child in element:
            _write(child, lines)
        lines.append(f"</{tag}>")


def _attribute(name: str, value: str) -> str:
    """Return an attribute with a space before it; nothing of one that is not allowed."""
    if name not in ATTRIBUTES:
        return ""
    if _PLAIN.fullmatch(value):
        return f' {name}="{value}"'
    if name == "aria-label" or (_VALUE.fullmatch(value) and "url(" not in value.lower()):
        return f" {name}={quoteattr(value)}"
    return ""
