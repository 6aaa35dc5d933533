"""Renaming of tables: names that a reader knows, put into SQL in place of ours."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

import sqlglot.errors
from sqlglot.dialects import ClickHouse
from sqlglot.tokens import Token, TokenType

from aaiclick_ext.engine import quote_identifier

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_VALUES = {TokenType.STRING, TokenType.NUMBER}
_ESCAPED = {
    quote: re.compile(rf"\\x([0-9a-fA-F]{{2}})|\\(.)|({quote}){quote}", re.DOTALL)
    for quote in "'`\""
}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "0": "\0", "a": "\a", "v": "\v"}


def words_of(sql: str) -> set[str] | None:
    """Return every name and keyword of SQL; None where it cannot be read.

    Examples
    --------
    >>> sorted(words_of('SELECT "a" FROM t -- b'))
    ['FROM', 'SELECT', 'a', 't']
    """
    tokens = tokens_of(sql)
    if tokens is None:
        return None
    return {name_of_token(token, sql) for token in tokens if token.token_type not in _VALUES}


def calls_of(sql: str) -> list[str]:
    """Return the names of the functions that SQL calls, each once; none where it cannot be read.

    Examples
    --------
    >>> calls_of("SELECT now(), count (*), 'f()' FROM t -- g()")
    ['now', 'count']
    """
    tokens = tokens_of(sql) or []
    called = [
        token.text
        for token, after in pairwise(tokens)
        if after.token_type is TokenType.L_PAREN and token.text.isidentifier()
    ]
    return list(dict.fromkeys(called))


def statements_of(sql: str) -> list[str]:
    """Return the statements that semicolons separate.

    Examples
    --------
    >>> statements_of("INSERT INTO t SELECT ';'; INSERT INTO t SELECT 2;")
    ["INSERT INTO t SELECT ';'", 'INSERT INTO t SELECT 2']
    """
    tokens = tokens_of(sql) or []
    ends = [token.start for token in tokens if token.token_type is TokenType.SEMICOLON]
    bounds = pairwise([-1, *ends, len(sql)])
    parts = [sql[start + 1 : end].strip() for start, end in bounds]
    return [part for part in parts if part]


def renamed(sql: str, names: Mapping[str, str]) -> str:
    """Return SQL with tables under other names, quoted; without a database in front.

    Everything else stays as it is written, texts and comments too.

    Examples
    --------
    >>> renamed("SELECT aai_1.a, 'aai_1' FROM shop.aai_1", {"aai_1": "sales"})
    "SELECT `sales`.a, 'aai_1' FROM `sales`"
    """
    tokens = tokens_of(sql) or []
    parts, done = [], 0
    for number, token in enumerate(tokens):
        if token.token_type in _VALUES or (name := name_of_token(token, sql)) not in names:
            continue
        is_qualified = number > 1 and tokens[number - 1].token_type is TokenType.DOT
        first = tokens[number - 2] if is_qualified else token
        parts += [sql[done : first.start], quote_identifier(names[name])]
        done = token.end + 1
    return "".join([*parts, sql[done:]])


def unique_names(wanted: Iterable[tuple[str, str]], taken: Iterable[str]) -> dict[str, str]:
    """Return a name for each table, the wanted one or that with a number, none of them taken.

    Examples
    --------
    >>> unique_names([("aai_1", "x"), ("aai_2", "x"), ("aai_3", "y")], taken=["y"])
    {'aai_1': 'x', 'aai_2': 'x_2', 'aai_3': 'y_2'}
    """
    used, names = set(taken), {}
    for table, name in wanted:
        number, found = 1, name
        while found in used:
            number += 1
            found = f"{name}_{number}"
        used.add(found)
        names[table] = found
    return names


def name_of_token(token: Token, sql: str) -> str:
    r"""Return what a token names: sqlglot leaves ``\'`` in a quoted name as it is.

    ClickHouse also knows ``\x50`` there.
    """
    if token.token_type is not TokenType.IDENTIFIER:
        return token.text
    return unquoted(sql[token.start : token.end + 1])


def unquoted(text: str) -> str:
    r"""Return what stands between quotes, as ClickHouse reads it.

    Examples
    --------
    >>> unquoted(r"'it''s \x50'"), unquoted("`it''s`")
    ("it's P", "it''s")
    """
    return _ESCAPED[text[0]].sub(_unescaped, text[1:-1])


def _unescaped(match: re.Match[str]) -> str:
    code, letter, quote = match.groups()
    return chr(int(code, 16)) if code else quote or _ESCAPES.get(letter, letter)


def tokens_of(sql: str) -> list[Token] | None:
    """Return the tokens of SQL; None where it cannot be read."""
    try:
        return list(ClickHouse().tokenize(sql))
    except sqlglot.errors.TokenError:
        return None
