"""SQL given as text: what it may be, and which of our tables it names.

Read with sqlglot's tokenizer, not its parser: every statement ClickHouse accepts has tokens, and
text that the parser does not know must still run.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import sqlglot.errors
from sqlglot.dialects import ClickHouse
from sqlglot.tokens import Token, TokenType

from aaiclick_ext.engine import quote_identifier
from aaiclick_ext.errors import SQLError
from aaiclick_ext.oplog.renaming import name_of_token

if TYPE_CHECKING:
    from collections.abc import Container

_VALUES = {TokenType.STRING, TokenType.NUMBER}


def tokens_of(text: str) -> list[Token]:
    """Return the tokens of a SQL text.

    Raises
    ------
    SQLError
        If the text ends inside a string, a quoted name or a comment.
    """
    try:
        return list(ClickHouse().tokenize(text))
    except sqlglot.errors.TokenError as error:
        raise SQLError(f"the SQL cannot be read: {error}") from error


def check_select(text: str) -> list[Token]:
    """Return the tokens of a text that is one SELECT and stays out of Python.

    Raises
    ------
    SQLError
        If it is empty, another kind of statement, several statements, or calls the table function
        ``Python``, which would read variables of whatever frame happens to be on the stack.
    """
    tokens = tokens_of(text)
    if not tokens:
        raise SQLError("the SQL is empty; give one SELECT statement")
    if any(token.token_type is TokenType.SEMICOLON for token in tokens[:-1]):
        raise SQLError("the SQL has several statements; give one SELECT at a time")
    first = next((t for t in tokens if t.token_type is not TokenType.L_PAREN), tokens[0])
    if first.token_type not in (TokenType.SELECT, TokenType.WITH, TokenType.FROM):
        raise SQLError(f"the SQL begins with {first.text!r}; only a SELECT gives a view")
    refuse_python(tokens)
    return tokens


def refuse_python(tokens: list[Token]) -> None:
    """Raise SQLError where the table function ``Python`` is called, in any case or quoting."""
    for token, following in itertools.pairwise(tokens):
        if following.token_type is TokenType.L_PAREN and token.text.casefold() == "python":
            raise SQLError(
                "the table function Python() is not available in SQL given as text: it reads "
                "variables of any Python frame. Make the value a table first, with "
                "create_object_from_value(value)"
            )


def without_semicolon(text: str, tokens: list[Token]) -> str:
    """Return the text up to a closing semicolon."""
    if tokens and tokens[-1].token_type is TokenType.SEMICOLON:
        return text[: tokens[-1].start]
    return text


def names_in(tokens: list[Token], known: Container[str]) -> list[str]:
    """Return the known names that may stand as identifiers in a text, in order, once each.

    A keyword is one of them: ``date`` is a good name for a table.
    """
    found = (t.text for t in tokens if t.token_type not in _VALUES and t.text in known)
    return list(dict.fromkeys(found))


def in_place_of(select: str, table: tuple[str, str], other: str) -> str | None:
    """Return a SELECT that reads another table; None where it does not name the first just once.

    Parameters
    ----------
    select
        As ClickHouse writes it, with databases before all tables.

    Examples
    --------
    >>> in_place_of("SELECT a FROM shop.orders WHERE a > 1", ("shop", "orders"), "new")
    'SELECT a FROM `new` AS `orders` WHERE a > 1'
    >>> in_place_of("SELECT o.a FROM shop.orders AS o", ("shop", "orders"), "new")
    'SELECT o.a FROM `new` AS o'
    """
    tokens = tokens_of(select)
    found = [
        at
        for at in range(1, len(tokens) - 2)
        if tokens[at - 1].token_type in (TokenType.FROM, TokenType.JOIN)
        and tokens[at + 1].token_type is TokenType.DOT
        and _names(tokens[at : at + 3], select) == table
    ]
    named = sum(name_of_token(token, select) == table[1] for token in tokens)
    (at, *more) = found or (None,)
    if at is None or more:
        return None
    after = tokens[at + 3] if at + 3 < len(tokens) else None
    is_aliased = after is not None and after.token_type is TokenType.ALIAS
    if is_aliased and named > 1:  # by its name elsewhere
        return None
    alias = "" if is_aliased else f" AS {quote_identifier(table[1])}"
    start, end = tokens[at].start, tokens[at + 2].end + 1
    return f"{select[:start]}{quote_identifier(other)}{alias}{select[end:]}"


def target_of(statement: str) -> tuple[str, str]:
    """Return database and table that hold the rows of a materialized view.

    Parameters
    ----------
    statement
        Its CREATE as ClickHouse writes it, with UUIDs where it has them.

    Examples
    --------
    >>> target_of("CREATE MATERIALIZED VIEW a.v TO b.`t 1` (`x` Int8) AS SELECT 1 AS x")
    ('b', 't 1')
    >>> target_of("CREATE MATERIALIZED VIEW a.v UUID '0-1' TO INNER UUID '0-2' (`x` Int8) …")
    ('a', '.inner_id.0-1')
    """
    tokens = tokens_of(statement)
    database, view = _names(tokens[3:6], statement)
    after = 6
    inner = f".inner.{view}"
    if tokens[after].text.upper() == "UUID":
        inner, after = f".inner_id.{tokens[after + 1].text}", after + 2
    has_own = tokens[after].text.upper() != "TO" or tokens[after + 2].text.upper() == "UUID"
    return (database, inner) if has_own else _names(tokens[after + 1 : after + 4], statement)


def _names(tokens: list[Token], text: str) -> tuple[str, str]:
    return name_of_token(tokens[0], text), name_of_token(tokens[2], text)
