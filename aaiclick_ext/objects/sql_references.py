"""``{name}`` in SQL text: the one place where a reference to a table becomes text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ibis.expr.operations as ops
import ibis.expr.types as ir
from sqlglot.tokens import TokenType

from aaiclick_ext.engine import quote_identifier
from aaiclick_ext.errors import SQLError
from aaiclick_ext.objects.adoption import Reference, adopt_expression, sql_view
from aaiclick_ext.objects.attempts import attempted
from aaiclick_ext.objects.making import object_from_value
from aaiclick_ext.objects.sql_text import tokens_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlglot.tokens import Token

    from aaiclick_ext.objects.backend import Backend
    from aaiclick_ext.objects.catalog import Catalog
    from aaiclick_ext.objects.view import View


def sql_of(backend: Backend, catalog: Catalog, query: str, tables: Mapping[str, Any]) -> View:
    """Return a lazy View of a SELECT in which ``{name}`` stands for the tables given."""
    with attempted(backend, "sql", sql_template=query):
        text, references = with_references(backend, query, tables)
        return sql_view(backend, catalog, text, given=references)


def with_references(
    backend: Backend, query: str, given: Mapping[str, Any]
) -> tuple[str, dict[str, Reference]]:
    """Return a text with tables in place of their ``{name}``, and what each name stands for.

    A table is put there by its quoted name, any other view as a subquery. ``{name:Type}``, which is
    ClickHouse's own parameter, and braces in strings, comments and maps are left as they are.

    Parameters
    ----------
    given
        By name: Ibis tables of ours, or values that `create_object_from_value` makes a table of.

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
    references = {name: _reference(backend, value) for name, value in given.items()}
    parts, end = [], 0
    for (start, stop), name in places.items():
        parts += [query[end:start], references[name].text]
        end = stop
    return "".join([*parts, query[end:]]), references


def parameters_in(query: str) -> dict[str, str]:
    """Return ClickHouse's own parameters, ``{name:Type}``, of a text, and their types.

    Examples
    --------
    >>> parameters_in("SELECT {a:Array(Int8)}, '{b:Int8}', {t}")
    {'a': 'Array(Int8)'}
    """
    tokens = tokens_of(query)
    found = {}
    for left, name, colon in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if left.token_type is TokenType.L_BRACE and colon.token_type is TokenType.COLON:
            end = query.find("}", colon.end)
            if name.text.isidentifier() and end > 0:
                found[name.text] = query[colon.end + 1 : end].strip()
    return found


def _places(tokens: Sequence[Token]) -> dict[tuple[int, int], str]:
    """Return where names stand in braces: from the first character to behind the last."""
    return {
        (left.start, right.end + 1): name.text
        for left, name, right in zip(tokens, tokens[1:], tokens[2:], strict=False)
        if left.token_type is TokenType.L_BRACE
        and right.token_type is TokenType.R_BRACE
        and name.text.isidentifier()
        and name.token_type not in (TokenType.STRING, TokenType.IDENTIFIER)
    }


def _reference(backend: Backend, value: Any) -> Reference:
    """Return what a value is in SQL; a frame or another value becomes a table first."""
    if not isinstance(value, ir.Expr):
        value = object_from_value(backend, value)
    relation = backend.without_memtables(backend.relation_of(adopt_expression(backend, value)))
    return Reference(relation, _text(backend, relation))


def _text(backend: Backend, relation: ops.Relation) -> str:
    if isinstance(relation, ops.DatabaseTable):
        database = relation.namespace.database
        parts = [relation.name] if database is None else [database, relation.name]
        return ".".join(map(quote_identifier, parts))
    return f"({backend.compile(relation.to_expr())})"
