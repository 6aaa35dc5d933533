"""Views of what others made: foreign tables, SQL text, plain Ibis expressions."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
import sqlglot.errors

from aaiclick_ext.errors import SQLError, UnsupportedTypeError
from aaiclick_ext.lifecycle.names import TableName
from aaiclick_ext.objects.catalog import Catalog, qualified
from aaiclick_ext.objects.leaf import SQLQueryResult, SQLStringView, owned_tables
from aaiclick_ext.objects.provenance import numbered_roles
from aaiclick_ext.objects.sql_names import owning_text
from aaiclick_ext.objects.view import JoinView, View, make_view
from aaiclick_ext.objects.wrapping import adopt

if TYPE_CHECKING:
    from collections.abc import Mapping

    import ibis.expr.schema as sch

    from aaiclick_ext.objects.backend import Backend


def foreign_table(backend: Backend, name: str) -> View:
    """Return a View of a table that we never change or drop, as its columns are now."""
    database, table = qualified(name)
    if TableName.parse(table) is None and backend.services.schemas.refresh(table, database):
        backend.planner.cache.clear()  # plans know the columns' ClickHouse types
    return make_view(backend.leaf(table, database))


def sql_view(
    backend: Backend,
    catalog: Catalog,
    query: str,
    schema: sch.Schema | None = None,
    *,
    given: Mapping[str, ops.Relation] = MappingProxyType({}),
) -> View:
    """Return a lazy View of a SELECT that holds a leaf of every table of ours it names.

    Parameters
    ----------
    given
        What was put into the text, by name: the log has these as inputs, not what they read.
    """
    owned = owning_text(backend, catalog, query)
    if schema is None:
        schema = backend._get_schema_using_query(owned.text)  # noqa: SLF001
    op = SQLQueryResult(owned.text, schema, backend, owned.leaves)
    below = {table for relation in given.values() for table in owned_tables(relation)}
    roles = {name: backend.provenance.name_of(relation) for name, relation in given.items()}
    roles |= numbered_roles([table for table in owned.tables if table not in below])
    backend.provenance.record_view("sql", op, roles, sql_template=owned.text)
    return make_view(op)


def sql_over_view(view: View, query: str) -> View:
    """Return a lazy View of a SELECT over a view, which it names as `View.alias` said."""
    backend = view._backend  # noqa: SLF001
    op = backend.relation_of(view)
    aliased = isinstance(op, ops.AliasedRelation)
    name = op.name if aliased else ibis.util.gen_name("sql_query")
    owned = owning_text(backend, Catalog(backend), query, meant={name})
    source = (op.parent if aliased else op).to_expr()
    try:
        with_view = backend.compiler.add_query_to_expr(name=name, table=source, query=owned.text)
    except sqlglot.errors.ParseError as error:
        raise SQLError(f"the SQL cannot be read: {error}") from error
    schema = backend._get_schema_using_query(with_view)  # noqa: SLF001
    result = SQLStringView(op, owned.text, schema, owned.leaves)
    roles = numbered_roles([backend.provenance.name_of(op), *owned.tables])
    backend.provenance.record_view("sql", result, roles, sql_template=owned.text)
    return make_view(result)


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
