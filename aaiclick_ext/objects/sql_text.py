"""SQL given as text: what it may be, and which of our tables it names.

Read with sqlglot's tokenizer, not its parser: every statement ClickHouse accepts has tokens, and
text that the parser does not know must still run.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

import sqlglot.errors
from sqlglot.dialects import ClickHouse
from sqlglot.tokens import Token, TokenType

from aaiclick_ext.engine import quote_identifier
from aaiclick_ext.errors import SQLError
from aaiclick_ext.oplog.renaming import name_of_token, unquoted

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

_VALUES = {TokenType.STRING, TokenType.NUMBER}
_SQL_IN_STRINGS = frozenset(
    {"additional_result_filter", "additional_table_filters", "parallel_replicas_custom_key"}
)
"""Settings of which ClickHouse reads the strings as SQL."""

_COMMENT = r"/\*.*?\*/|--[^\n]*\n|\#[ !][^\n]*\n"
_GAP = re.compile(rf"(?:\s|{_COMMENT})*", re.DOTALL)
_LAST_GAP = re.compile(rf"(?:\s|{_COMMENT})*(?:(?:--|\#[ !])[^\n]*)?", re.DOTALL)
_QUOTED = re.compile(
    r"[NnXxBb]?'(?:[^'\\]|\\.|'')*'|`(?:[^`\\]|\\.|``)*`|\"(?:[^\"\\]|\\.|\"\")*\""
    r"|\$(\w*)\$.*?\$\1\$",
    re.DOTALL,
)
_QUOTES = re.compile("['\"`\u2018\u2019\u201c\u201d]")
_DOLLAR = re.compile(r"\$[A-Za-z_]")
_CURLY_QUOTES = re.compile("[\u2018\u2019\u201c\u201d]")


class _Tokenizer(ClickHouse.Tokenizer):  # type: ignore[misc, name-defined, unused-ignore]
    """sqlglot's, without what ClickHouse does not do.

    sqlglot takes all that follows EXPLAIN, SHOW or RENAME as one text, and its comments nest.
    """

    COMMANDS: ClassVar[set[TokenType]] = set()
    NESTED_COMMENTS = False


def tokens_of(text: str) -> list[Token]:
    """Return the tokens of a SQL text, which are those that ClickHouse finds.

    Where comments or quotes begin and end decides what else is there to be seen, so a text of
    which the two could think differently is refused.

    Raises
    ------
    SQLError
        If the text ends inside a string, a quoted name or a comment, or ClickHouse could read it
        in another way.
    """
    try:
        tokens = list(_Tokenizer(dialect=ClickHouse()).tokenize(text))
    except sqlglot.errors.TokenError as error:
        hint = ". A value of Python's is {name:Int64}" if _DOLLAR.search(text) else ""
        raise SQLError(f"the SQL cannot be read: {error}{hint}") from error
    end = 0
    for token in tokens:
        _check_read_alike(text, text[end : token.start], _GAP)
        raw = text[token.start : token.end + 1]
        if _QUOTES.search(raw):
            _check_read_alike(text, raw, _QUOTED)
        end = token.end + 1
    _check_read_alike(text, text[end:], _LAST_GAP)
    return tokens


def _check_read_alike(text: str, part: str, expected: re.Pattern[str]) -> None:
    if "\0" not in part and expected.fullmatch(part):
        return
    hint = "quotes must be straight ones" if _CURLY_QUOTES.search(part) else "is a comment open?"
    shown = " ".join(part.split())[:60]
    line = text.count("\n", 0, text.find(part)) + 1
    raise SQLError(f"the SQL cannot be read at line {line}, {shown!r}: {hint}")


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
    refuse_python(tokens, text)
    return tokens


def refuse_python(tokens: Sequence[Token], text: str, *, in_strings: bool = False) -> None:
    """Raise SQLError where ``Python`` is called, in any case or quoting, or is a table's engine.

    Also in the strings that ClickHouse reads as SQL, and where ``eval`` would make SQL of any text.

    Parameters
    ----------
    in_strings
        Whether its strings are SQL, whatever else it has.
    """
    before = ""
    for number, token in enumerate(tokens):
        is_call = any(t.token_type is TokenType.L_PAREN for t in tokens[number + 1 : number + 2])
        name = _name(token, text)
        if (is_call or before == "ENGINE") and name == "python":
            raise SQLError(_NO_PYTHON)
        if is_call and name == "eval":
            raise SQLError(
                "the table function eval() is not available in SQL given as text: it runs text "
                "that nobody has checked. Write the SELECT itself"
            )
        is_source = name == "source" and is_call  # of a dictionary, which has QUERY and WHERE
        is_collection = name == "collection" and before == "NAMED"
        in_strings = in_strings or is_source or is_collection or name in _SQL_IN_STRINGS
        if token.token_type is not TokenType.EQ:
            before = token.text.upper()
    if in_strings:
        for token in tokens:
            _refuse_python_in(token, text)


_NO_PYTHON = (
    "the table function Python() is not available in SQL given as text: it reads "
    "variables of any Python frame. Name the variable in braces, as in FROM {name}, or "
    "make the value a table with create_object_from_value(value)"
)


def _refuse_python_in(token: Token, text: str) -> None:
    """Raise SQLError where a string that ClickHouse reads as SQL calls ``Python``, or may do."""
    raw = text[token.start : token.end + 1]
    if not raw.endswith(("'", "$")):
        return
    inner = text_of(token, text)
    if inner is None or text[: token.start][-1:] in ("x", "X", "b", "B"):  # digits of characters
        raise SQLError(f"{raw[:60]}: SQL in a string is to be written in plain quotes")
    try:
        tokens = tokens_of(inner)
    except SQLError:
        if "python" in inner.casefold() or "\\" in inner:
            raise
        return  # a text that is no SQL, and so calls nothing
    refuse_python(tokens, inner, in_strings=True)


def text_of(token: Token, text: str) -> str | None:
    """Return the text that a string stands for; None of another token, and of one in digits."""
    raw = text[token.start : token.end + 1]
    return unquoted(raw) if token.token_type is TokenType.STRING and raw[0] == "'" else None


def _name(token: Token, text: str) -> str:
    """Return what a token names, in small letters; nothing for a value."""
    return "" if token.token_type in _VALUES else name_of_token(token, text).casefold()


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


def tables_by_tokens(text: str) -> tuple[tuple[str, str | None], ...]:
    """Return the tables behind FROM and JOIN, as a parser would find more surely.

    Examples
    --------
    >>> tables_by_tokens("SELECT * FROM db.t JOIN `u v` USING k, (SELECT * FROM f(1))")
    (('t', 'db'), ('u v', None))
    """
    tokens = tokens_of(text)
    found: dict[tuple[str, str | None], None] = {}
    for at in range(1, len(tokens)):
        name = tokens[at]
        is_name = name.token_type not in _VALUES | {TokenType.L_PAREN, TokenType.L_BRACE}
        if tokens[at - 1].token_type not in (TokenType.FROM, TokenType.JOIN) or not is_name:
            continue
        first = name_of_token(name, text)
        after = [token.token_type for token in tokens[at + 1 : at + 2]]
        if after == [TokenType.DOT] and at + 2 < len(tokens):
            found[name_of_token(tokens[at + 2], text), first] = None
        elif after != [TokenType.L_PAREN]:
            found[first, None] = None
    return tuple(found)


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
