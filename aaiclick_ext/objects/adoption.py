"""Views of what others made: foreign tables, SQL text, plain Ibis expressions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis.expr.operations as ops
import ibis.expr.types as ir

from aaiclick_ext.engine import quote_identifier
from aaiclick_ext.errors import UnsupportedTypeError
from aaiclick_ext.lifecycle.names import TableName
from aaiclick_ext.objects.catalog import Catalog, qualified
from aaiclick_ext.objects.leaf import Leaves, SQLQueryResult
from aaiclick_ext.objects.provenance import numbered_roles
from aaiclick_ext.objects.sql_text import check_select, names_in, without_semicolon
from aaiclick_ext.objects.view import JoinView, View, make_view
from aaiclick_ext.objects.wrapping import adopt

if TYPE_CHECKING:
    from aaiclick_ext.objects.backend import Backend


def foreign_table(backend: Backend, name: str) -> View:
    """Return a View of a table that we never change or drop, as its columns are now."""
    database, table = qualified(name)
    if TableName.parse(table) is None and backend.services.schemas.refresh(table, database):
        backend.planner.cache.clear()  # plans know the columns' ClickHouse types
    return make_view(backend.leaf(table, database))


def sql_view(backend: Backend, catalog: Catalog, query: str) -> View:
    """Return a lazy View of a SELECT that holds a leaf of every table of ours it names."""
    services = backend.services
    services.check_open()
    tokens = check_select(query)
    text = without_semicolon(query, tokens)
    objects = catalog.names()
    named = names_in(tokens, objects)
    if named:
        for name in named:
            catalog.open(name)
        text = _with_objects(text, {name: objects[name] for name in named})
    tables = [objects[name] for name in named]
    tables += [t for t in names_in(tokens, services.worker.live_tables()) if t not in tables]
    leaves = Leaves(tuple(backend.leaf(table) for table in tables if TableName.parse(table)))
    schema = backend._get_schema_using_query(text)  # noqa: SLF001
    op = SQLQueryResult(text, schema, backend, leaves)
    backend.provenance.record_view("sql", op, numbered_roles(tables), sql_template=text)
    return make_view(op)


def _with_objects(text: str, tables: dict[str, str]) -> str:
    """Return the text with named objects as tables that it can name.

    As common table expressions, so that ClickHouse decides where a name means the table: a column,
    an alias or a table of the text's own may have the same one.
    """
    expressions = ", ".join(
        f"{quote_identifier(name)} AS (SELECT * FROM {quote_identifier(table)})"
        for name, table in tables.items()
    )
    return f"WITH {expressions} SELECT * FROM (\n{text}\n)"


def adopt_expression(backend: Backend, expr: ir.Table) -> View:
    """Return an Ibis table as a View of this context.

    Raises
    ------
    UnsupportedTypeError
        If it is no table, or one over another backend.
    """
    if not isinstance(expr, ir.Table):
        raise UnsupportedTypeError(
            f"view() adopts an Ibis table, got {type(expr).__name__}; "
            "create_object_from_value(value) makes a table of a value"
        )
    if isinstance(expr, (View, JoinView)):
        return expr
    sources = {leaf.source for leaf in expr.op().find((ops.DatabaseTable, ops.SQLQueryResult))}
    if sources - {backend} or expr.op().find(ops.UnboundTable):
        raise UnsupportedTypeError(
            "the expression reads tables of another backend; execute it there and make a table "
            "of the result with create_object_from_value"
        )
    op = backend.without_memtables(backend.relation_of(expr))
    view = adopt(ir.Table(op))
    backend.provenance.name_of(op)
    assert isinstance(view, View)
    return view
