"""Text that would act where it is shown, and what a display of it may hold."""

from __future__ import annotations

import re
import unicodedata
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree as ET

TEXTS = {
    "markup": "<script>document.title='owned'</script>",
    "image": "<img src=x onerror=document.title='owned'>",
    "attribute": "\" onmouseover=document.title='owned' x=\"",
    "single": "' onfocus=document.title='owned' autofocus x='",
    "comment": "--><svg onload=document.title='owned'><!--",
    "end": "</td></tr></table></div></title></style></textarea><h1>owned</h1>",
    "cdata": "]]><script>owned</script><![CDATA[",
    "entity": "&lt;b&gt; &amp;owned; &#60;",
    "link": "javascript:document.title='owned'",
    "data link": "data:text/html,<script>owned</script>",
    "markdown": "[owned](javascript:alert(1)) ![owned](http://127.0.0.1:9/owned)",
    "label": "<<b>owned</b>>",  # Graphviz takes it for HTML
    "dot": '"; URL="javascript:owned"; x="',
    "mermaid": 'a"]\n  click n0 "javascript:owned"\n  %%{init: {}}%%',
    "template": "{{owned}} {% owned %} ${owned} {owned} {owned:String} :owned $owned",
    "sql": "'; DROP TABLE owned; -- `\" \\ /* owned */",
    "vega": "owned.a[0]['b'] datum.owned:Q\\.",
    "terminal": "\x1b]0;owned\x07\x1b[2J\x1b]8;;http://owned\x1b\\",
    "control": "a\x00b\x08owned\x7f\x9b2J",
    "lines": "owned\r\n\t\u2028\u2029\x85end",
    "direction": "gpj\u202eowned\u2066\u2069\u200b\ufeff",
    "surrogate": "owned\U000e0041\uffff",
    "long": "owned" * 400,
    "wide": "漢字🛩️ owned ünïcödé",
    "empty": "",
    "blank": " owned ",
    "null": "NULL",
}
"""By what they are; every one that can says `owned`, where it should never be more than text."""

_TAGS = {
    "a", "abbr", "b", "br", "button", "caption", "circle", "code", "col", "colgroup", "dd",
    "defs", "desc", "details", "div", "dl", "dt", "em", "figcaption", "figure", "g", "h2", "h3",
    "h4", "i", "input", "label", "li", "line", "ol", "p", "path", "polygon", "polyline", "pre",
    "progress", "rect", "section", "small", "span", "strong", "style", "sub", "summary", "sup",
    "svg", "table", "tbody", "td", "text", "tfoot", "th", "thead", "time", "title", "tr", "tspan",
    "ul", "ellipse", "meter", "nav", "header", "footer",
}  # fmt: skip
_ADDRESSES = {"href", "src", "xlink:href", "action", "formaction", "data", "poster", "srcset"}
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_UNSEEN = {"Cc", "Cs", "Zl", "Zp"}
_TURNING = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class _Parser(HTMLParser):
    """Collects what is wrong with a piece of HTML, as a browser reads it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.wrong: list[str] = []
        self._inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _TAGS:
            self.wrong.append(f"<{tag}>")
        self._inside.append(tag)
        for name, value in attrs:
            text = (value or "").strip().lower()
            if name.startswith("on"):
                self.wrong.append(f"<{tag} {name}={value!r}>")
            if name in _ADDRESSES and not text.startswith(("#", "data:image/png;base64,")):
                self.wrong.append(f"<{tag} {name}={value!r}>")
            if name in ("style", "class", "id") and "owned" in text:
                self.wrong.append(f"<{tag} {name}={value!r}>")

    def handle_data(self, data: str) -> None:
        if self._inside[-1:] == ["style"] and ("owned" in data or "url(" in data):
            self.wrong.append("a style sheet with text of others or an address")

    def handle_endtag(self, tag: str) -> None:
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_comment(self, data: str) -> None:
        if "owned" in data:
            self.wrong.append("a comment with text of others")


def wrong_with(mime: str, content: Any) -> list[str]:
    """Return what a display of such a type must not hold and does."""
    if mime in ("text/html", "image/svg+xml"):
        parser = _Parser()
        parser.feed(content)
        parser.close()
        found = parser.wrong
        if mime == "image/svg+xml":
            ET.fromstring(content)
        return found + [f"{c!r} in it" for c in unseen_in(content)]
    if mime.startswith(("text/", "stream", "error")):
        return [f"{c!r} in it" for c in unseen_in(_COLOUR.sub("", content))]
    if mime.startswith("application/vnd.vega"):
        return _acting_in(content)
    return []


def unseen_in(text: str) -> set[str]:
    """Return characters that a reader does not see and a terminal or a page acts on."""
    return {
        c for c in text if (unicodedata.category(c) in _UNSEEN and c not in "\n\t") or c in _TURNING
    }


def _acting_in(spec: Any, name: str = "") -> list[str]:
    """Return the places of a Vega-Lite specification that hold an address or an expression."""
    if isinstance(spec, dict):
        return [wrong for key, value in spec.items() for wrong in _acting_in(value, key)]
    if isinstance(spec, list):
        return [wrong for value in spec for wrong in _acting_in(value, name)]
    acting = name in ("href", "url", "expr", "calculate", "test", "signal", "field", "as")
    return [f"{name}: {spec!r}"] if acting and "owned" in str(spec) else []
