"""Secrets in SQL, found among the tokens of sqlglot's ClickHouse tokenizer.

Tokens, not trees: the tokenizer copes with templates, EXPLAIN, ALTER and statements that
ClickHouse knows and the parser does not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from sqlglot.dialects.clickhouse import ClickHouse
from sqlglot.errors import TokenError
from sqlglot.tokenizer_core import Token, TokenType

from aaiclick_ext.masking.names import (
    HARMLESS_COLLECTION_KEYS,
    HARMLESS_HEADERS,
    Argument,
    Place,
    is_secret_name,
    secret_positions,
    takes_secrets,
)
from aaiclick_ext.masking.spellings import mask_literals
from aaiclick_ext.masking.text import MASK, mask_text, may_hold_secrets, text_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_COMMENT = re.compile(r"(--|#)([^\n]*)|/\*(.*?)(?:\*/|\Z)|\{#(.*?)#\}", re.DOTALL)
_CURLY_QUOTES = re.compile("[\u2018\u2019\u201c\u201d]")
_HEREDOC = re.compile(r"\$\w*\$")
_STRINGS = frozenset(kind for kind in TokenType if kind.name.endswith("STRING"))
_ATOMS = frozenset({TokenType.IDENTIFIER, TokenType.NUMBER, TokenType.VAR, *_STRINGS})
_QUOTED = frozenset({TokenType.IDENTIFIER, *_STRINGS})
_OPENING = {TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE}
_CLOSING = {TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE}
_SIGNS = {TokenType.EQ, TokenType.NEQ, TokenType.COLON, TokenType.LIKE, TokenType.FARROW}
_HIDDEN = f"'{MASK}'"


class _Tokenizer(ClickHouse.Tokenizer):  # type: ignore[misc, name-defined, unused-ignore]
    """ClickHouse's, without statements that swallow their text whole (EXPLAIN, SHOW)."""

    COMMANDS: ClassVar[set[TokenType]] = set()


@dataclass(slots=True)
class SQLSecrets:
    """What was found: where to write what instead, and the secrets themselves."""

    text: str
    replaced: dict[tuple[int, int], str] = field(default_factory=dict)
    values: set[str] = field(default_factory=set)

    def masked(self) -> str:
        """Return the text with each place replaced."""
        text, kept_from = [], 0
        for (start, end), instead in sorted(self.replaced.items()):
            if start >= kept_from:
                text += [self.text[kept_from:start], instead]
                kept_from = end
        return "".join([*text, self.text[kept_from:]])


@lru_cache(maxsize=256)
def scan(text: str) -> SQLSecrets | None:
    """Return the secrets of an SQL text, or None when it cannot be read."""
    tokens = _tokens(text)
    if tokens is None:
        return None
    if any(t.token_type not in _QUOTED and _CURLY_QUOTES.search(t.text) for t in tokens):
        return None  # ClickHouse quotes with them, the tokenizer does not
    return _Scan(text, tokens).run()


def _tokens(text: str) -> Sequence[Token] | None:
    tokenizer = _Tokenizer(dialect=ClickHouse())
    try:
        return tokenizer.tokenize(text)
    except TokenError:
        if "$" not in text or _HEREDOC.search(text):
            return None
    try:  # a template's $name opens no heredoc
        return tokenizer.tokenize(text.replace("$", "_"))
    except TokenError:
        return None


class _Scan:
    """One pass over the tokens of one text."""

    def __init__(self, text: str, tokens: Sequence[Token]) -> None:
        self.text = text
        self.tokens = tokens
        self.found = SQLSecrets(text)

    def run(self) -> SQLSecrets:
        for index, token in enumerate(self.tokens):
            word = token.text
            self._value_of(index)
            if self._type(index + 1) is TokenType.L_PAREN and token.token_type not in _STRINGS:
                if takes_secrets(word):
                    self._call(index)
                elif word.lower() in ("headers", "header", "extra_credentials"):
                    self._headers(index)
            elif word.upper() == "IDENTIFIED":
                self._identified(index)
            elif word.upper() == "COLLECTION" and self._word(index - 1) == "NAMED":
                self._collection(index)
            self._literal(token)
        for start, end in self._gaps():
            self._comments(start, end)
        values = {value for value in self.found.values if value.strip() and value.strip(MASK)}
        self.found.values = values
        for token in self.tokens:  # the same secret elsewhere, however it is escaped there
            if token.token_type in _STRINGS and mask_literals(token.text, values) != token.text:
                self._rewrite(token, mask_literals(token.text, values))
        return self.found

    def _type(self, index: int) -> TokenType | None:
        return self.tokens[index].token_type if 0 <= index < len(self.tokens) else None

    def _word(self, index: int) -> str:
        return self.tokens[index].text.upper() if 0 <= index < len(self.tokens) else ""

    def _hide(self, first: int, last: int) -> None:
        """Hide the tokens from first to last, a bound parameter excepted."""
        tokens = self.tokens[first : last + 1]
        if not tokens or tokens[0].token_type is TokenType.L_BRACE:
            return
        readable = _ATOMS if len(tokens) == 1 else _STRINGS
        texts = {token.text for token in tokens if token.token_type in readable and token.text}
        if texts:  # an expression without literals holds no secret
            self.found.values |= texts
            self.found.replaced[tokens[0].start, tokens[-1].end + 1] = _HIDDEN

    def _value_of(self, index: int) -> None:
        """``password = 'x'``, ``PASSWORD 'x'`` and ``{'password': 'x'}``."""
        token, value = self.tokens[index], index + 1
        if self._type(value) in _SIGNS:
            value += 1
        elif token.token_type in _STRINGS:
            return
        kind = self._type(value)
        is_number = kind is TokenType.NUMBER and len(self.tokens[value].text) >= 4
        if (kind in _STRINGS or (is_number and value > index + 1)) and is_secret_name(token.text):
            self._hide(value, value)

    def _place(self, index: int) -> Place:
        before = index - 1 if self._type(index - 1) is not TokenType.EQ else index - 2
        if self._word(before) != "ENGINE":
            return "function"
        start = before
        while start > 0 and self._type(start - 1) is not TokenType.SEMICOLON:
            start -= 1
        return (
            "database" if "DATABASE" in (self._word(start + 1), self._word(start + 3)) else "engine"
        )

    def _call(self, index: int) -> None:
        """Hide the secret arguments of a function or engine whose name stands at index."""
        positional: list[tuple[int, int]] = []
        arguments: list[Argument] = []
        for first, last in self._arguments(index + 1):
            if self._type(first + 1) is TokenType.EQ:
                if is_secret_name(self.tokens[first].text):
                    self._hide(first + 2, last)
            elif self._word(first) not in ("HEADERS", "EXTRA_CREDENTIALS"):
                positional.append((first, last))
                arguments.append(self._argument(first, last))
        for position in secret_positions(self.tokens[index].text, arguments, self._place(index)):
            if position < len(positional):
                self._hide(*positional[position])

    def _arguments(self, opening: int) -> Iterator[tuple[int, int]]:
        """Yield the first and last token of each argument after an opening parenthesis."""
        depth, first = 0, opening + 1
        for index in range(opening, len(self.tokens)):
            kind = self.tokens[index].token_type
            depth += (kind in _OPENING) - (kind in _CLOSING)
            if depth == 0 or (depth == 1 and kind is TokenType.COMMA):
                if first < index:
                    yield first, index - 1
                first = index + 1
                if depth == 0:
                    return
        if first < len(self.tokens):  # a fragment: the call is cut off
            yield first, len(self.tokens) - 1

    def _argument(self, first: int, last: int) -> Argument:
        single = self.tokens[first].text if first == last else None
        kinds = {self.tokens[i].token_type for i in range(first, last + 1)}
        return Argument(
            text=single,
            is_string=single is not None and kinds <= _STRINGS,
            is_call=TokenType.L_PAREN in kinds,
            is_dotted=TokenType.DOT in kinds or (single is not None and "." in single),
        )

    def _headers(self, index: int) -> None:
        """``headers('name' = 'value')`` and a dictionary's ``header(name 'a' value 'b')``."""
        for first, last in self._arguments(index + 1):
            if self._word(index) == "HEADER":
                name, value = first + 1, last
            elif self._type(first + 1) is TokenType.EQ:
                name, value = first, first + 2
            else:
                continue
            plain = re.sub(r"[^a-z]", "", self.tokens[name].text.lower())
            if plain not in HARMLESS_HEADERS and self.tokens[name].text.lower() != "role_arn":
                self._hide(value, last)

    def _identified(self, index: int) -> None:
        """Hide ``IDENTIFIED WITH … BY 'x' SALT 'y'``, up to the end of the statement."""
        for later in range(index + 1, len(self.tokens)):
            if self._type(later) is TokenType.SEMICOLON:
                return
            after = self._word(later - 1) in ("BY", "HASH", "SALT", "KEY", "IDENTIFIED", ",")
            if after and self._type(later) in {*_STRINGS, TokenType.IDENTIFIER}:
                self._hide(later, later)

    def _collection(self, index: int) -> None:
        """Values of ``CREATE NAMED COLLECTION c AS a = 'x', b = 'y'``, harmless keys excepted."""
        for later in range(index + 1, len(self.tokens) - 1):
            if self._type(later) is TokenType.SEMICOLON:
                return
            key = self.tokens[later - 1].text.lower()
            if self._type(later) is TokenType.EQ and key not in HARMLESS_COLLECTION_KEYS:
                self._hide(later + 1, later + 1)

    def _literal(self, token: Token) -> None:
        """URLs, connection strings and tokens inside one literal or quoted identifier."""
        if token.token_type in _STRINGS or token.token_type is TokenType.IDENTIFIER:
            found = text_secrets(token.text)
            if found:
                self.found.values |= found
                self._rewrite(token, mask_text(token.text))

    def _rewrite(self, token: Token, text: str) -> None:
        """Write a literal with another text, unless it is replaced as a whole."""
        quote = "`" if token.token_type is TokenType.IDENTIFIER else "'"
        text = text.replace("\\", "\\\\").replace(quote, "\\" + quote)
        self.found.replaced.setdefault((token.start, token.end + 1), f"{quote}{text}{quote}")

    def _gaps(self) -> Iterator[tuple[int, int]]:
        """Yield what stands between tokens: blanks and comments."""
        last = 0
        for token in self.tokens:
            if token.start > last:
                yield last, token.start
            last = token.end + 1
        if last < len(self.text):
            yield last, len(self.text)

    def _comments(self, start: int, end: int) -> None:
        """Mask each comment as SQL of its own; hide what cannot be read."""
        gap = self.text[start:end]
        if not gap.strip():
            return
        for match in _COMMENT.finditer(gap):
            if not may_hold_secrets(match[0]):
                continue
            group = next(number for number in (2, 3, 4) if match[number] is not None)
            inner = scan(match[group])
            if inner is not None:
                self.found.values |= inner.values
                instead = mask_text(inner.masked(), in_code=True)
                self.found.values |= text_secrets(match[group], in_code=True)
            else:
                instead = MASK
            if instead != match[group]:
                span = (start + match.start(group), start + match.end(group))
                self.found.replaced[span] = instead


_CALL = re.compile(r"\b(\w+)`?\s*\(")
_STATEMENT = re.compile(r"\bIDENTIFIED\b|\bNAMED\s+COLLECTION\b", re.IGNORECASE)


def names_secret_function(text: str) -> bool:
    """Say whether a text that cannot be read as SQL may still be SQL with secrets in it."""
    calls = (match[1] for match in _CALL.finditer(text))
    return any(takes_secrets(name) for name in calls) or _STATEMENT.search(text) is not None
