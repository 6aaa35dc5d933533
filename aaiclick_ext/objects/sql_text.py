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

from aaiclick_ext.errors import SQLError

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
