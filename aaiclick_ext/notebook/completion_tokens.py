"""SQL around a cursor as nested tokens, however unfinished it is.

sqlglot's tokenizer refuses a text that ends inside a quoted name, and that is where completion is
asked for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_TOKEN = re.compile(
    r"(?P<comment>--[^\n]*|\#[!\ ][^\n]*|/\*.*?(?:\*/|\Z))"
    r"|(?P<string>'(?:\\.|''|[^'\\])*(?:'|\Z)|\$(?P<tag>\w*)\$.*?(?:\$(?P=tag)\$|\Z))"
    r"|(?P<quoted>`(?:\\.|``|[^`\\])*(?:`|\Z)|\"(?:\\.|\"\"|[^\"\\])*(?:\"|\Z))"
    r"|(?P<variable>\{\s*[^\W\d]\w*\s*\})|(?P<parameter>\{\s*[^\W\d]\w*\s*:[^{}]*\})"
    r"|(?P<word>[^\W\d]\w*)|(?P<number>\d[\w.]*)|(?P<sign>::|<<|\S)",
    re.DOTALL,
)
_ENDED = re.compile(
    r"'(?:\\.|''|[^'\\])*'|`(?:\\.|``|[^`\\])*`|\"(?:\\.|\"\"|[^\"\\])*\"|\$(\w*)\$.*\$\1\$",
    re.DOTALL,
)
_ARMS = ("UNION", "INTERSECT", "EXCEPT")
_QUERY = ("SELECT", "WITH", "FROM")


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of SQL.

    Attributes
    ----------
    kind
        ``word``, ``quoted``, ``string``, ``variable`` (``{x}``), ``parameter``, ``number``,
        ``sign``, or ``cursor``.
    text
        Of a quoted name and of a variable, the name; else as it stands.
    """

    kind: str
    text: str

    def is_word(self, *words: str) -> bool:
        """Whether it is one of some words, given in capitals."""
        return self.kind == "word" and self.text.upper() in words

    @property
    def is_name(self) -> bool:
        """Whether it can be the name of something."""
        return self.kind in ("word", "quoted")


@dataclass(slots=True)
class Group:
    """What stands in a pair of brackets, or a whole statement."""

    items: list[Token | Group] = field(default_factory=list)
    opener: str = ""
    kind = "group"
    text = ""
    is_name = False

    def is_word(self, *_: str) -> bool:
        """Whether it is a word: it is none."""
        return False

    @property
    def is_query(self) -> bool:
        """Whether it is a SELECT."""
        first = next((item for item in self.items if item.kind != "cursor"), None)
        if isinstance(first, Group):
            return first.is_query
        return first is not None and first.is_word(*_QUERY)

    def arms(self) -> Iterator[list[Token | Group]]:
        """Yield the SELECTs that it unites; itself where it is one."""
        arm: list[Token | Group] = []
        for at, item in enumerate(self.items):
            if item.is_word(*_ARMS) and _begins_query(self.items[at + 1 :]):
                yield arm
                arm = []
            else:
                arm.append(item)
        yield arm


Item = Token | Group


@dataclass(frozen=True, slots=True)
class Cut:
    """A statement with a cursor in it.

    Attributes
    ----------
    path
        Groups around the cursor, the statement first.
    fragment
        What is being typed, as it stands in the text before the cursor.
    quote
        The quote that the fragment begins with; ``{`` of a variable; or nothing.
    rest
        What follows the cursor in the same name, up to its closing quote.
    is_closed
        Whether that quote is there.
    is_code
        False inside a string or a comment.
    """

    path: tuple[Group, ...]
    fragment: str = ""
    quote: str = ""
    rest: str = ""
    is_closed: bool = False
    is_code: bool = True


def cut_at(text: str, cursor: int) -> Cut:
    """Return the statement around a cursor, a number of characters.

    Examples
    --------
    >>> cut = cut_at("SELECT 1; SELECT de FROM {x}", 19)
    >>> cut.fragment, [item.text for item in cut.path[0].items]
    ('de', ['SELECT', '', 'FROM', 'x'])
    """
    before, after = text[:cursor], text[cursor:]
    matches = list(_TOKEN.finditer(before))
    last = matches[-1] if matches else None
    fragment = quote = ""
    is_code = True
    if last is not None and last.end() == cursor:
        kind, found = str(last.lastgroup), last[0]
        if kind == "word" or (kind == "quoted" and not _is_ended(found)):
            fragment = found
            quote = found[0] if kind == "quoted" else ""
            matches.pop()
        elif (kind == "string" and not _is_ended(found)) or (kind == "comment" and after[:1]):
            is_code = kind == "comment" and found.startswith("/*") and found.endswith("*/")
        elif kind == "comment":
            is_code = found.startswith("/*") and found.endswith("*/")
    if not is_code:
        return Cut((Group(),), is_code=False)
    if (
        matches
        and not quote
        and matches[-1][0] == "{"
        and matches[-1].end() >= cursor - len(fragment)
    ):
        fragment, quote = before[matches.pop().start() :], "{"
    rest, is_closed, after = _rest(fragment, quote, after)
    items = [*_tokens(matches), Token("cursor", ""), *_tokens(_TOKEN.finditer(after))]
    return Cut(_path(items), fragment, quote, rest, is_closed)


def _is_ended(found: str) -> bool:
    return _ENDED.fullmatch(found) is not None


def _rest(fragment: str, quote: str, after: str) -> tuple[str, bool, str]:
    """Return what follows of the name, whether its quote is closed, and what is behind that."""
    if not fragment:
        return "", False, after
    found = re.match(r"\w*", after)
    rest = found[0] if found else ""
    closing = {"{": "}"}.get(quote, quote)
    behind = after[len(rest) :]
    if closing and behind.startswith(closing):
        return rest, True, behind[1:]
    return rest, False, behind


def _tokens(matches: Iterable[re.Match[str]]) -> Iterator[Token]:
    for found in matches:
        kind, text = str(found.lastgroup), found[0]
        if found["string"] is not None:
            kind = "string"
        if kind == "comment":
            continue
        if kind == "quoted":
            text = unquoted(text)
        elif kind == "variable":
            text = text[1:-1].strip()
        yield Token(kind, text)


def unquoted(text: str) -> str:
    r"""Return what a quoted name, which may lack its end, stands for.

    Examples
    --------
    >>> unquoted("`a``b\\`c`"), unquoted('"my co')
    ('a`b`c', 'my co')
    """
    quote, inner = text[0], text[1:]
    if _is_ended(text):
        inner = inner[:-1]
    return re.sub(rf"\\(.)|{quote}({quote})", lambda m: m[1] or m[2], inner, flags=re.DOTALL)


def _path(items: Iterable[Token]) -> tuple[Group, ...]:
    """Nest the tokens of the statement that has the cursor; return the groups around that."""
    statement = Group()
    stack = [statement]
    path: tuple[Group, ...] = ()
    for item in items:
        if item.kind == "sign" and item.text == ";":
            if path:
                break
            stack = [Group()]
        elif item.kind == "sign" and item.text in "([{":
            inner = Group(opener=item.text)
            stack[-1].items.append(inner)
            stack.append(inner)
        elif item.kind == "sign" and item.text in ")]}":
            if len(stack) > 1:
                stack.pop()
        else:
            stack[-1].items.append(item)
            if item.kind == "cursor":
                path = tuple(stack)
    return path


def _begins_query(items: list[Item]) -> bool:
    following = (item for item in items if not item.is_word("ALL", "DISTINCT"))
    first = next(following, None)
    if isinstance(first, Group):
        return first.is_query
    return first is not None and (first.is_word(*_QUERY) or first.kind == "cursor")
