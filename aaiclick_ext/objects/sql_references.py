"""``{name}`` in SQL text: the one place where a reference to a table becomes text."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
import numpy as np
from ibis.common.exceptions import IbisError
from sqlglot.tokens import TokenType

from aaiclick_ext.engine import quote_identifier, quote_literal
from aaiclick_ext.errors import SQLError, UnsupportedTypeError, ValueRangeError
from aaiclick_ext.objects.adoption import Reference, adopt_expression, sql_view
from aaiclick_ext.objects.attempts import attempted
from aaiclick_ext.objects.error_fixes import as_written
from aaiclick_ext.objects.making import object_from_value
from aaiclick_ext.objects.sql_text import tokens_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlglot.tokens import Token

    from aaiclick_ext.objects.backend import Backend
    from aaiclick_ext.objects.catalog import Catalog
    from aaiclick_ext.objects.view import View


_INT64 = 1 << 63
_INTEGER = re.compile(r"(?:Nullable\()?(U?)Int(8|16|32|64|128|256)\)?")


def sql_of(backend: Backend, catalog: Catalog, query: str, tables: Mapping[str, Any]) -> View:
    """Return a lazy View of a SELECT in which ``{name}`` stands for the tables given.

    ``{name:Type}`` stands for the value given by that name.
    """
    with attempted(backend, "sql", sql_template=query):
        text, references = with_given(backend, query, tables)
        with as_written(query, references):
            return sql_view(backend, catalog, text, given=references)


def with_given(
    backend: Backend, query: str, given: Mapping[str, Any], database: str | None = None
) -> tuple[str, dict[str, Reference]]:
    """Return a text with values and tables in place of what is in braces, as `sql_of` does it.

    Parameters
    ----------
    database
        Goes before the names of tables that are ours, where the text may be read in another one.
    """
    bound, tables = with_values(backend, query, given)
    return with_references(backend, bound, tables, database)


def with_references(
    backend: Backend, query: str, given: Mapping[str, Any], database: str | None = None
) -> tuple[str, dict[str, Reference]]:
    """Return a text with tables in place of their ``{name}``, and what each name stands for.

    A table is put there by its quoted name, any other view as a subquery; behind FROM and JOIN
    under the name in braces, where the text gives it no other. ``{name:Type}``, which is
    ClickHouse's own parameter, and braces in strings, comments and maps are left as they are.

    Parameters
    ----------
    given
        By name: Ibis tables of ours, or values that `create_object_from_value` makes a table of.
    database
        Goes before the names of tables that have none.

    Raises
    ------
    SQLError
        If the text has a name that is not given, or lacks one that is.
    """
    tokens = tokens_of(query)
    places = _places(tokens)
    unknown = [name for name in dict.fromkeys(places.values()) if name not in given]
    if unknown:
        listed = ", ".join(given) or "none"
        raise SQLError(
            f"{{{unknown[0]}}} stands for nothing: pass it, as in sql(…, {unknown[0]}=x). "
            f"Given: {listed}"
        )
    missing = [name for name in given if name not in places.values()]
    if missing:
        raise SQLError(f"{{{missing[0]}}} is not in the SQL, but {missing[0]} was given for it")
    references = {name: _reference(backend, value, database) for name, value in given.items()}
    parts, end = [], 0
    unaliased = _without_alias(tokens)
    for (start, stop), name in places.items():
        alias = f" AS {quote_identifier(name)}" if start in unaliased else ""
        parts += [query[end:start], references[name].text, alias]
        end = stop
    return "".join([*parts, query[end:]]), references


def parameters_in(query: str) -> dict[str, str]:
    """Return ClickHouse's own parameters, ``{name:Type}``, of a text, and their types.

    Examples
    --------
    >>> parameters_in("SELECT {a:Array(Int8)}, '{b:Int8}', {t}")
    {'a': 'Array(Int8)'}
    """
    return {name: kind for name, kind, _, _ in _parameters(query)}


def tables_in(query: str) -> list[str]:
    """Return the names that stand in braces for tables, once each.

    Examples
    --------
    >>> tables_in("SELECT {a:Int8} FROM {t} JOIN {u} USING (k) WHERE '{v}' != ''")
    ['t', 'u']
    """
    return list(dict.fromkeys(_places(tokens_of(query)).values()))


def with_values(
    backend: Backend, query: str, given: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Return a text with values in place of its ``{name:Type}``, and what else was given.

    Raises
    ------
    SQLError
        If a parameter has no value.
    UnsupportedTypeError
        If a value is none that SQL can write.
    ValueRangeError
        If a number is none of its integer type, which would change it.
    """
    parts, end, names = [], 0, set()
    for name, kind, start, stop in _parameters(query):
        if name not in given:
            raise SQLError(
                f"{{{name}:{kind}}} has no value: pass it, as in sql(…, {name}=1). "
                f"Given: {', '.join(given) or 'none'}"
            )
        parts += [query[end:start], _value(backend, name, kind, given[name])]
        names.add(name)
        end = stop
    rest = {name: value for name, value in given.items() if name not in names}
    return "".join([*parts, query[end:]]), rest


def _value(backend: Backend, name: str, kind: str, value: Any) -> str:
    if kind != "Identifier":
        _check_integer(name, kind, value)
        return f"CAST({sql_literal(backend, name, value)} AS {kind})"
    if not isinstance(value, str):
        raise UnsupportedTypeError(f"{name}: an Identifier is text, not {type(value).__name__}")
    return quote_identifier(value)


def _check_integer(name: str, kind: str, value: Any) -> None:
    """Raise ValueRangeError where a number is none of an integer type: CAST would change it."""
    found = _INTEGER.fullmatch(kind)
    if found is None or not isinstance(value, (int, float, np.integer, np.floating)):
        return
    bits, is_unsigned = int(found[2]), bool(found[1])
    least, most = (0, 2**bits - 1) if is_unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    is_whole = math.isfinite(value) and value == int(value)
    if not (is_whole and least <= value <= most):
        raise ValueRangeError(
            f"{{{name}:{kind}}}: {value!r} is no {kind}; give a type that holds it, "
            f"as in {{{name}:{'Int256' if is_whole else 'Float64'}}}"
        )


def sql_literal(backend: Backend, name: str, value: Any) -> str:
    """Return a Python value as SQL.

    Raises
    ------
    UnsupportedTypeError
        If it is none that SQL can write.
    """
    if isinstance(value, int) and not -_INT64 <= value < _INT64:
        return quote_literal(str(value))  # as a number, ClickHouse may take it for a Float64
    try:
        sql: str = backend.compile(ibis.literal(value).name("v"))
    except (IbisError, TypeError, ValueError, NotImplementedError) as error:
        raise UnsupportedTypeError(
            f"{name}: a {type(value).__name__} is no value of a parameter; give a number, text, "
            "a date, None, or a list of such"
        ) from error
    return sql.removeprefix("SELECT ").rpartition(" AS ")[0]


def _parameters(query: str) -> Iterator[tuple[str, str, int, int]]:
    """Yield name and type of each parameter, and its first character and the one behind it."""
    tokens = tokens_of(query)
    for left, name, colon in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if left.token_type is TokenType.L_BRACE and colon.token_type is TokenType.COLON:
            end = query.find("}", colon.end)
            if _is_bare(name) and end > 0:
                yield name.text, query[colon.end + 1 : end].strip(), left.start, end + 1


def _places(tokens: Sequence[Token]) -> dict[tuple[int, int], str]:
    """Return where names stand in braces: from the first character to behind the last."""
    return {
        (left.start, right.end + 1): name.text
        for left, name, right in zip(tokens, tokens[1:], tokens[2:], strict=False)
        if left.token_type is TokenType.L_BRACE
        and right.token_type is TokenType.R_BRACE
        and _is_bare(name)
    }


def _is_bare(name: Token) -> bool:
    """Say whether a token is a name without quotes: others are keys of a dictionary."""
    is_quoted = name.token_type in (TokenType.STRING, TokenType.IDENTIFIER)
    return not is_quoted and name.text.isidentifier()


def _without_alias(tokens: Sequence[Token]) -> set[int]:
    """Return where braces begin that stand for a table to which the text gives no name."""
    named = (TokenType.ALIAS, TokenType.VAR, TokenType.IDENTIFIER)
    return {
        left.start
        for before, left, at in zip(tokens, tokens[1:], range(4, len(tokens) + 4), strict=False)
        if before.token_type in (TokenType.FROM, TokenType.JOIN)
        and left.token_type is TokenType.L_BRACE
        and (at >= len(tokens) or tokens[at].token_type not in named)
    }


def _reference(backend: Backend, value: Any, database: str | None) -> Reference:
    """Return what a value is in SQL; a frame or another value becomes a table first."""
    if not isinstance(value, ir.Expr):
        value = object_from_value(backend, value)
    relation = backend.without_memtables(backend.relation_of(adopt_expression(backend, value)))
    return Reference(relation, _text(backend, relation, database))


def _text(backend: Backend, relation: ops.Relation, database: str | None) -> str:
    if isinstance(relation, ops.DatabaseTable):
        database = relation.namespace.database or database
        parts = [relation.name] if database is None else [database, relation.name]
        return ".".join(map(quote_identifier, parts))
    return f"({backend.compile(relation.to_expr())})"
