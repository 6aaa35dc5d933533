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
from aaiclick_ext.objects.leaf import SQLQueryResult, SQLStringView, is_owned, tables_below
from aaiclick_ext.objects.provenance import numbered_roles
from aaiclick_ext.objects.sql_names import owning_text
from aaiclick_ext.objects.view import JoinView, View, make_view
from aaiclick_ext.objects.wrapping import adopt
from aaiclick_ext.oplog.sql_columns import sql_column_edges

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import ibis.expr.schema as sch

    from aaiclick_ext.objects.backend import Backend
    from aaiclick_ext.objects.sql_names import OwningText
    from aaiclick_ext.oplog.columns import ColumnEdge


@dataclass(frozen=True, slots=True)
class Reference:
    """A relation that was put into a text, and the text that stands there for it."""

    relation: ops.Relation
    text: str


@dataclass(frozen=True, slots=True)
class TemporaryTable:
    """A table of a session: its name in the log, where others may be called alike; its types."""

    log_name: str
    types: Mapping[str, str]


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
    temporary: Mapping[str, TemporaryTable] = MappingProxyType({}),
    database: str | None = None,
) -> View:
    """Return a lazy View of a SELECT that holds a leaf of every table of ours it names.

    Parameters
    ----------
    given
        What was put into the text, by name: the log has these as inputs, not what they read.
    temporary, database
        Tables of the session that the text may name, and the database that is its current one.
    """
    owned = owning_text(backend, catalog, query)
    if schema is None:
        schema = backend._get_schema_using_query(owned.text)  # noqa: SLF001
    op = SQLQueryResult(owned.text, schema, backend, owned.leaves)
    reads = reads_of_text(backend, owned, given, temporary, database)
    backend.provenance.record_view(
        "sql",
        op,
        reads.roles,
        reads.paths,
        sql_template=owned.text,
        columns=reads.columns(tuple(schema.names)),
    )
    return make_view(op)


@dataclass(frozen=True, slots=True)
class TextReads:
    """What the log is told that a SELECT reads.

    Attributes
    ----------
    roles
        Its inputs by role.
    paths
        Files and URLs, as parameters of its event.
    columns
        Returns, for the names of the result's columns, what finds out later what these depend on;
        it holds no table.
    """

    roles: Mapping[str, str]
    paths: Mapping[str, str]
    columns: Callable[[Sequence[str]], Callable[[], Sequence[ColumnEdge] | None]]


def reads_of_text(
    backend: Backend,
    owned: OwningText,
    given: Mapping[str, Reference],
    temporary: Mapping[str, TemporaryTable] = MappingProxyType({}),
    database: str | None = None,
) -> TextReads:
    """Return what the log is told that a text reads.

    A view that was put into the text is one of its tables, and not what its own SQL reads.

    Parameters
    ----------
    database
        In which others' tables are that are named without one.
    """

    def name_of(relation: ops.Relation) -> str:
        name = backend.provenance.name_of(relation)
        is_leaf = isinstance(relation, ops.DatabaseTable) and not is_owned(relation)
        is_elsewhere = is_leaf and relation.namespace.database is None and database is not None
        return f"{database}.{name}" if is_elsewhere else name

    relations = {name: reference.relation for name, reference in given.items()}
    below = {name_of(leaf) for relation in relations.values() for leaf in tables_below(relation)}
    roles = {name: name_of(relation) for name, relation in relations.items()}
    passing = {name: table for name, table in temporary.items() if name in owned.names}
    named = [name_of(leaf) for leaf in owned.leaves.tables if leaf.name not in passing]
    others = [table for table in named if table not in below]
    roles |= numbered_roles([*others, *(table.log_name for table in passing.values())])
    text, schemas = owned.text, {}
    for leaf in owned.leaves.tables:
        schemas[name_of(leaf)] = _types(leaf)
    for reference in sorted(given.values(), key=lambda given: -len(given.text)):
        if not isinstance(reference.relation, ops.DatabaseTable):
            name = name_of(reference.relation)
            schemas[name] = _types(reference.relation)
            text = text.replace(reference.text, quote_identifier(name))
    schemas |= {name: dict(table.types) for name, table in passing.items()}
    log_names = {name: table.log_name for name, table in passing.items()}

    def columns(names: Sequence[str]) -> Callable[[], Sequence[ColumnEdge] | None]:
        def find() -> Sequence[ColumnEdge] | None:
            edges = sql_column_edges(text, schemas, names=names)
            if edges is None or not log_names:
                return edges
            return [e._replace(source=log_names.get(e.source, e.source)) for e in edges]

        return find

    return TextReads(roles, _paths(owned), columns)


def _types(relation: ops.Relation) -> dict[str, str]:
    return {name: str(kind) for name, kind in relation.schema.items()}


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
