"""Views of what others made: foreign tables, SQL text, plain Ibis expressions."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
import sqlglot.errors

from aaiclick_ext.engine import quote_identifier
from aaiclick_ext.errors import SQLError, UnsupportedTypeError
from aaiclick_ext.objects.attempts import attempted
from aaiclick_ext.objects.catalog import Catalog, qualified
from aaiclick_ext.objects.foreign import foreign_leaf
from aaiclick_ext.objects.leaf import SQLQueryResult, SQLStringView, tables_below
from aaiclick_ext.objects.provenance import numbered_roles
from aaiclick_ext.objects.sql_names import owning_text
from aaiclick_ext.objects.view import JoinView, View, make_view
from aaiclick_ext.objects.wrapping import adopt
from aaiclick_ext.oplog.sql_columns import sql_column_edges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import ibis.expr.schema as sch

    from aaiclick_ext.objects.backend import Backend
    from aaiclick_ext.objects.sql_names import OwningText
    from aaiclick_ext.oplog.columns import ColumnEdge


@dataclass(frozen=True, slots=True)
class Reference:
    """A relation that was put into a text, and the text that stands there for it."""

    relation: ops.Relation
    text: str


def foreign_table(backend: Backend, name: str) -> View:
    """Return a View of a table that we never change or drop, as its columns are now."""
    database, table = qualified(name)
    return make_view(foreign_leaf(backend, table, database))


def sql_view(
    backend: Backend,
    catalog: Catalog,
    query: str,
    schema: sch.Schema | None = None,
    *,
    given: Mapping[str, Reference] = MappingProxyType({}),
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
    name_of = backend.provenance.name_of
    relations = {name: reference.relation for name, reference in given.items()}
    below = {name_of(leaf) for relation in relations.values() for leaf in tables_below(relation)}
    roles = {name: name_of(relation) for name, relation in relations.items()}
    named = map(name_of, owned.leaves.tables)
    roles |= numbered_roles([table for table in named if table not in below])
    backend.provenance.record_view(
        "sql",
        op,
        roles,
        _paths(owned),
        sql_template=owned.text,
        columns=_columns_of_text(backend, op, given.values()),
    )
    return make_view(op)


def _columns_of_text(
    backend: Backend, op: SQLQueryResult, given: Iterable[Reference]
) -> Callable[[], Sequence[ColumnEdge] | None]:
    """Return what finds out later what the columns of a text depend on; holds no table.

    A view that was put into the text is one of its tables, and not what its own SQL reads.
    """
    name_of = backend.provenance.name_of
    text, names = op.query, tuple(op.schema.names)
    relations = list(op.leaves.tables)
    for reference in sorted(given, key=lambda given: -len(given.text)):
        if not isinstance(reference.relation, ops.DatabaseTable):
            relations.append(reference.relation)
            text = text.replace(reference.text, quote_identifier(name_of(reference.relation)))
    schemas = {
        name_of(relation): {name: str(kind) for name, kind in relation.schema.items()}
        for relation in relations
    }
    return lambda: sql_column_edges(text, schemas, names=names)


def sql_over_view(view: View, query: str) -> View:
    """Return a lazy View of a SELECT over a view, which it names as `View.alias` said."""
    backend = view._backend  # noqa: SLF001
    op = backend.relation_of(view)
    name = op.name if isinstance(op, ops.AliasedRelation) else ibis.util.gen_name("sql_query")
    inputs = {"source": backend.provenance.name_of(op)}
    with attempted(backend, "sql", kwargs=inputs, sql_template=query):
        return _over_view(backend, op, name, query)


def _over_view(backend: Backend, op: ops.Relation, name: str, query: str) -> View:
    owned = owning_text(backend, Catalog(backend), query, meant={name})
    aliased = isinstance(op, ops.AliasedRelation)
    source = (op.parent if aliased else op).to_expr()
    try:
        with_view = backend.compiler.add_query_to_expr(name=name, table=source, query=owned.text)
    except sqlglot.errors.ParseError as error:
        raise SQLError(f"the SQL cannot be read: {error}") from error
    schema = backend._get_schema_using_query(with_view)  # noqa: SLF001
    result = SQLStringView(op, owned.text, schema, owned.leaves)
    roles = numbered_roles(map(backend.provenance.name_of, (op, *owned.leaves.tables)))
    backend.provenance.record_view("sql", result, roles, _paths(owned), sql_template=owned.text)
    return make_view(result)


def _paths(owned: OwningText) -> dict[str, str]:
    """Return the files and URLs that a text reads as parameters of its event."""
    return {f"path_{n}" if n else "path": path for n, path in enumerate(owned.paths)}


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
