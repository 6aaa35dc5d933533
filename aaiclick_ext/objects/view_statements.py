"""What a named view is to be: its SELECT, what this reads, and whether that is there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import ibis.expr.operations as ops
import ibis.expr.types as ir

from aaiclick_ext.errors import SettingsError, UnsupportedTypeError, ViewError
from aaiclick_ext.objects.adoption import adopt_expression
from aaiclick_ext.objects.column_lineage import column_edges
from aaiclick_ext.objects.leaf import tables_below
from aaiclick_ext.objects.making import spec_of_plan
from aaiclick_ext.objects.object_columns import refuse_operation
from aaiclick_ext.objects.provenance import numbered_roles
from aaiclick_ext.objects.sql_names import owning_text
from aaiclick_ext.objects.sql_references import parameters_in, sql_of, with_references
from aaiclick_ext.objects.view_problems import below_view
from aaiclick_ext.schema import Shape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aaiclick_ext.lifecycle.named_views import ViewDefinition
    from aaiclick_ext.objects.backend import Backend
    from aaiclick_ext.objects.catalog import Catalog
    from aaiclick_ext.objects.creation import TableSpec
    from aaiclick_ext.objects.leaf import DatabaseTable


@dataclass(frozen=True, slots=True)
class ViewStatement:
    """What a new view is to be.

    Attributes
    ----------
    leaves
        The tables that it reads, once each.
    inputs
        What it was made of, in the log.
    spec
        Its columns; None where they come with each call, since it takes parameters.
    used
        The columns that it uses, by source; None where that is not known.
    relation
        The expression that it was made of; None where it takes parameters.
    """

    sql: str
    leaves: Sequence[DatabaseTable]
    inputs: Mapping[str, str]
    spec: TableSpec | None = None
    used: Mapping[str, set[str]] | None = None
    relation: ops.Relation | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)


def statement_of(
    backend: Backend,
    catalog: Catalog,
    name: str,
    query: ir.Table | str,
    tables: Mapping[str, Any],
    views: Mapping[str, ViewDefinition],
) -> ViewStatement:
    """Return what a view is to be; asks for its types.

    Raises
    ------
    ViewError
        If a source is gone, or reads the view itself.
    """
    if isinstance(query, str):
        parameters = parameters_in(query)
        if parameters:
            return _with_parameters(backend, catalog, name, query, tables, parameters, views)
        query = sql_of(backend, catalog, query, tables)
    elif tables:
        raise SettingsError(f"{', '.join(tables)}: tables are given for SQL text alone")
    if not isinstance(query, ir.Table):
        raise UnsupportedTypeError(
            f"a view is made of a View, an Ibis table or SQL text, not of {type(query).__name__}"
        )
    view = adopt_expression(backend, query)
    inputs = {"source": backend.provenance.name_of(view.op())}
    op = backend.without_memtables(backend.relation_of(view))
    leaves = _leaves(op)
    _check_sources(backend, name, leaves, views)
    plan = backend.planner.plan(op)
    for column in plan.objects:
        refuse_operation(column, "create_view", "They end with this kernel, and a view does not")
    spec = spec_of_plan(plan, Shape.TABLE)
    return ViewStatement(plan.sql, leaves, inputs, spec, _used(backend, op, leaves), op)


def _with_parameters(
    backend: Backend,
    catalog: Catalog,
    name: str,
    query: str,
    tables: Mapping[str, Any],
    parameters: Mapping[str, str],
    views: Mapping[str, ViewDefinition],
) -> ViewStatement:
    """Return the statement of a view that is called: its types come with the call."""
    text, references = with_references(backend, query, tables)
    owned = owning_text(backend, catalog, text)
    _check_sources(backend, name, owned.leaves.tables, views)
    name_of = backend.provenance.name_of
    inputs = {name: name_of(reference.relation) for name, reference in references.items()}
    below = {name_of(leaf) for each in references.values() for leaf in tables_below(each.relation)}
    others = [n for leaf in owned.leaves.tables if (n := name_of(leaf)) not in below]
    inputs |= numbered_roles(others)
    return ViewStatement(owned.text, owned.leaves.tables, inputs, parameters=parameters)


def _leaves(op: ops.Relation) -> list[DatabaseTable]:
    found = {(leaf.namespace.database, leaf.name): leaf for leaf in tables_below(op)}
    return list(found.values())


def _used(
    backend: Backend, op: ops.Relation, leaves: Sequence[DatabaseTable]
) -> dict[str, set[str]] | None:
    """Return which columns of which tables an expression uses; None where that is not known."""
    if isinstance(op, ops.DatabaseTable):
        return None
    names = {id(leaf): backend.provenance.name_of(leaf) for leaf in leaves}

    def name_of(relation: ops.Relation) -> str | None:
        is_leaf = isinstance(relation, ops.DatabaseTable)
        return names.get(id(relation), backend.provenance.name_of(relation)) if is_leaf else None

    edges = column_edges(op, name_of)
    if edges is None:
        return None
    used: dict[str, set[str]] = {name: set() for name in names.values()}
    for edge in edges:
        used.setdefault(edge.source, set()).add(edge.column)
    return used


def _check_sources(
    backend: Backend,
    name: str,
    leaves: Sequence[DatabaseTable],
    views: Mapping[str, ViewDefinition],
) -> None:
    """Raise where a source is gone, or reads the view itself. Runs a query."""
    engine = backend.services.engine
    rows = engine.query_rows(
        "SELECT database, name, currentDatabase() FROM system.tables "
        "WHERE name IN {names:Array(String)}",
        {"names": [leaf.name for leaf in leaves]},
    )
    there = {(database, table) for database, table, _ in rows}
    there |= {(None, table) for database, table, here in rows if database == here}
    missing = [leaf for leaf in leaves if (leaf.namespace.database, leaf.name) not in there]
    if missing:
        listed = ", ".join(map(backend.provenance.name_of, missing))
        raise ViewError(
            f"view {name} cannot be made: {listed}, which it reads, "
            f"{'is' if len(missing) == 1 else 'are'} not in {engine.identity}"
        )
    here = {None, *(current for _, _, current in rows)}
    for source in [leaf.name for leaf in leaves if leaf.namespace.database in here]:
        if source == name or (source in views and name in below_view(source, views)):
            through = "" if source == name else f", through {source}"
            raise ViewError(f"view {name} cannot be made: it would read itself{through}")
