"""Named views: expressions that ClickHouse keeps under a name, for every program to read."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Literal

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir

from aaiclick_ext.engine import quote_identifier, quote_literal
from aaiclick_ext.errors import (
    EngineError,
    ObjectExistsError,
    SettingsError,
    UnknownTableError,
    UnsupportedTypeError,
    ViewError,
)
from aaiclick_ext.lifecycle.liveness import user_name
from aaiclick_ext.lifecycle.named_views import ViewDefinition, tables_under_views, views_of
from aaiclick_ext.lifecycle.names import TableName, check_name
from aaiclick_ext.objects.adoption import adopt_expression, foreign_table
from aaiclick_ext.objects.attempts import attempted
from aaiclick_ext.objects.column_lineage import column_edges
from aaiclick_ext.objects.leaf import Leaves, SQLQueryResult, is_owned, tables_below
from aaiclick_ext.objects.making import copy_view, spec_of_plan
from aaiclick_ext.objects.object_columns import refuse_operation
from aaiclick_ext.objects.owners import contexts_of
from aaiclick_ext.objects.pinning import let_go, write_to_disk
from aaiclick_ext.objects.provenance import describe_argument, numbered_roles
from aaiclick_ext.objects.sql_names import owning_text
from aaiclick_ext.objects.sql_references import parameters_in, sql_of, with_references
from aaiclick_ext.objects.view import View, make_view
from aaiclick_ext.objects.view_problems import below_view, problems_of
from aaiclick_ext.oplog.columns import ALL, unchanged_columns
from aaiclick_ext.oplog.graph import DROP_TABLE
from aaiclick_ext.oplog.renaming import renamed
from aaiclick_ext.schema import Shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from aaiclick_ext.objects.backend import Backend
    from aaiclick_ext.objects.catalog import Catalog
    from aaiclick_ext.objects.leaf import DatabaseTable
    from aaiclick_ext.objects.object import Object
    from aaiclick_ext.objects.services import Services
    from aaiclick_ext.objects.view_problems import ViewProblem

IfViewExists = Literal["fail", "replace"]
IF_VIEW_EXISTS = ("fail", "replace")

CREATE_VIEW = "create_view"


class _Statement:
    """What a new view is to be.

    Attributes
    ----------
    columns
        The list of its columns with types and comments, in SQL; empty where ClickHouse finds them.
    leaves
        The tables that it reads.
    inputs
        What it was made of, in the log.
    """

    def __init__(
        self,
        sql: str,
        leaves: Sequence[DatabaseTable],
        inputs: Mapping[str, str],
        columns: str = "",
        types: Mapping[str, str] | None = None,
        used: Mapping[str, set[str]] | None = None,
        parameters: Mapping[str, str] | None = None,
    ) -> None:
        self.sql = sql
        self.leaves = leaves
        self.inputs = inputs
        self.columns = columns
        self.types = types
        self.used = used
        self.parameters = parameters or {}


def create_view(
    backend: Backend,
    catalog: Catalog,
    name: str,
    query: ir.Table | str,
    tables: Mapping[str, Any],
    *,
    if_exists: IfViewExists,
    copy: bool,
) -> View | None:
    """Make a view in ClickHouse; return it as a View, or None where it takes parameters."""
    services = backend.services
    services.check_open()
    if if_exists not in IF_VIEW_EXISTS:
        listed = ", ".join(IF_VIEW_EXISTS)
        raise SettingsError(f"if_exists is {if_exists!r}; for a view it can be {listed}")
    views = views_of(services.engine)
    _check_free(backend, catalog, name, views, if_exists)
    known = {"result_table": name, "params": {"name": name}}
    with attempted(backend, CREATE_VIEW, **known) as event:
        statement = _statement(backend, catalog, query, tables)
        event |= {"kwargs": dict(statement.inputs), "sql_template": statement.sql}
        _check_sources(backend, name, statement, views)
        definition, copies = _defined(backend, name, statement, copy=copy)
        _make(backend, definition, statement, views.get(name))
        del copies  # the view has them now
        services.oplog.record(
            CREATE_VIEW,
            **event,
            result_schema=statement.types,
            columns=unchanged_columns(statement.inputs.values()),
        )
    return None if statement.parameters else make_view(backend.leaf(name))


def drop_view(backend: Backend, name: str) -> bool:
    """Drop a view that we made; say whether the reaper has to look for what it kept."""
    services = backend.services
    services.check_open()
    views = views_of(services.engine)
    definition = _definition(name, views)
    if not definition.is_ours:
        raise ViewError(
            f"view {name} was not made by create_view; drop it by SQL: "
            f"DROP VIEW {quote_identifier(name)}"
        )
    over = [other for other in views if other != name and name in below_view(other, views)]
    if over:
        raise ViewError(
            f"view {name} cannot be dropped: {', '.join(over)} read it; drop those first"
        )
    before = _kept_by(definition)
    services.engine.command(f"DROP VIEW IF EXISTS {quote_identifier(name)}")
    services.schemas.forget([name])
    services.oplog.record(DROP_TABLE, result_table=name, params={"reason": "drop_view"})
    return _let_go_of_unread(services, before)


def list_views(services: Services) -> list[ViewDefinition]:
    """Return the views of the database, made by whomever, by name. Runs one query."""
    services.check_open()
    return list(views_of(services.engine).values())


def validate_views(services: Services) -> list[ViewProblem]:
    """Return what is wrong with the views that we made. Runs up to four queries."""
    services.check_open()
    services.oplog.flush()
    views = views_of(services.engine)
    return list(dict.fromkeys(problems_of(services, views.values(), views)))


def open_table(backend: Backend, name: str, arguments: Mapping[str, Any]) -> View:
    """Return the View of a table or view that is not ours, or of a named one of ours."""
    try:
        if not arguments:
            return foreign_table(backend, name)
    except EngineError:
        view = views_of(backend.services.engine).get(name)
        if view is None or not view.parameters:
            raise
    return _called(backend, name, arguments)


def _called(backend: Backend, name: str, arguments: Mapping[str, Any]) -> View:
    """Return the View of a view with parameters, with values for them. Its types are asked for."""
    definition = _definition(name, views_of(backend.services.engine))
    if definition.is_ours and definition.parameters.keys() != arguments.keys():
        listed = ", ".join(f"{name}={kind}" for name, kind in definition.parameters.items())
        raise ViewError(
            f"view {name} takes {listed or 'no parameters'}; "
            f"given: {', '.join(arguments) or 'none'}"
        )
    values = {
        parameter: backend.compile(ibis.literal(value).name("v")).removeprefix("SELECT ")
        for parameter, value in arguments.items()
    }
    values = {parameter: sql.rpartition(" AS ")[0] for parameter, sql in values.items()}
    listed = ", ".join(f"{quote_identifier(each)} = {sql}" for each, sql in values.items())
    text = f"SELECT * FROM {quote_identifier(name)}({listed})"
    schema = backend._get_schema_using_query(text)  # noqa: SLF001
    op = SQLQueryResult(text, schema, backend, Leaves())
    backend.provenance.record_view(
        "table",
        op,
        {"source": name},
        {each: describe_argument(value) for each, value in arguments.items()},
        sql_template=text,
        columns=unchanged_columns([name]),
    )
    return make_view(op)


def revive_views(backend: Backend, table: str, restored: Object) -> list[str]:
    """Let the views that read a table, which is gone, read the restored one; return their names."""
    services = backend.services
    views = views_of(services.engine)
    found = [view for view in views.values() if view.is_ours and table in view.sources]
    for view in found:
        sources = {restored.table_name if n == table else n: c for n, c in view.sources.items()}
        sql = renamed(view.sql, {table: restored.table_name})
        definition = ViewDefinition(
            view.name, sql, sources, view.created_at, view.created_by, view.parameters
        )
        _note(services, [restored.table_name])
        write_to_disk(backend, [restored.table_name])
        services.engine.command(_ddl(definition, "", is_new=False))
    return [view.name for view in found]


# Making.


def _check_free(
    backend: Backend,
    catalog: Catalog,
    name: str,
    views: Mapping[str, ViewDefinition],
    if_exists: IfViewExists,
) -> None:
    """Raise where a view cannot have a name."""
    check_name(name)
    if name.startswith("aai_"):
        raise ViewError(f"a view cannot be named {name!r}: names with aai_ are those of our tables")
    if catalog.resolve(name) is not None:
        raise ObjectExistsError(
            f"there is an object named {name!r}; give the view another name, or "
            f"delete_object({name!r})"
        )
    if name in views:
        if if_exists == "replace" and views[name].is_ours:
            return
        remedy = (
            "pass if_exists='replace', or drop_view" if views[name].is_ours else "others made it"
        )
        raise ObjectExistsError(f"there is a view named {name!r}; {remedy}")
    rows = backend.services.engine.query_rows(
        "SELECT engine FROM system.tables WHERE database = currentDatabase() "
        "AND name = {name:String}",
        {"name": name},
    )
    if rows:
        raise ObjectExistsError(
            f"there is a table named {name!r} ({rows[0][0]}) in {backend.services.engine.identity};"
            " give the view another name"
        )


def _statement(
    backend: Backend, catalog: Catalog, query: ir.Table | str, tables: Mapping[str, Any]
) -> _Statement:
    if isinstance(query, str):
        parameters = parameters_in(query)
        if parameters:
            return _with_parameters(backend, catalog, query, tables, parameters)
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
    plan = backend.planner.plan(op)
    for column in plan.objects:
        refuse_operation(column, "create_view", "They end with this kernel, and a view does not")
    spec = spec_of_plan(plan, Shape.TABLE)
    leaves = _leaves(op)
    return _Statement(
        plan.sql, leaves, inputs, spec.column_list(), spec.types, _used(backend, op, leaves)
    )


def _with_parameters(
    backend: Backend,
    catalog: Catalog,
    query: str,
    tables: Mapping[str, Any],
    parameters: Mapping[str, str],
) -> _Statement:
    """Return the statement of a view that is called: its types come with the call."""
    text, references = with_references(backend, query, tables)
    owned = owning_text(backend, catalog, text)
    name_of = backend.provenance.name_of
    inputs = {name: name_of(reference.relation) for name, reference in references.items()}
    below = {name_of(leaf) for each in references.values() for leaf in tables_below(each.relation)}
    others = [n for leaf in owned.leaves.tables if (n := name_of(leaf)) not in below]
    inputs |= numbered_roles(others)
    return _Statement(owned.text, list(owned.leaves.tables), inputs, parameters=parameters)


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
    backend: Backend, name: str, statement: _Statement, views: Mapping[str, ViewDefinition]
) -> None:
    """Raise where a source is gone, or reads the view itself."""
    services, here = backend.services, (None, backend.current_database)
    missing = [_shown(leaf) for leaf in statement.leaves if not _is_there(services, leaf)]
    if missing:
        raise ViewError(
            f"view {name} cannot be made: {', '.join(missing)}, which it reads, "
            f"{'is' if len(missing) == 1 else 'are'} not in {services.engine.identity}"
        )
    for leaf in statement.leaves:
        source = leaf.name
        if leaf.namespace.database not in here or source not in views:
            continue
        if source == name or name in below_view(source, views):
            through = "" if source == name else f", through {source}"
            raise ViewError(f"view {name} cannot be made: it would read itself{through}")


def _is_there(services: Services, leaf: DatabaseTable) -> bool:
    (row,) = services.engine.query_rows(
        "SELECT count() FROM system.tables WHERE name = {table:String} AND database = "
        "if({database:String} = '', currentDatabase(), {database:String})",
        {"table": leaf.name, "database": leaf.namespace.database or ""},
    )
    return bool(row[0])


def _shown(leaf: DatabaseTable) -> str:
    database = leaf.namespace.database
    return leaf.name if database is None else f"{database}.{leaf.name}"


def _defined(
    backend: Backend, name: str, statement: _Statement, *, copy: bool
) -> tuple[ViewDefinition, list[Object]]:
    """Return the definition of a new view, and the copies of tables that it is to have."""
    copies: dict[str, Object] = {}
    if copy:
        ours = [leaf for leaf in statement.leaves if is_owned(leaf)]
        copies = {leaf.name: copy_view(make_view(leaf)) for leaf in ours}
    new = {table: copied.table_name for table, copied in copies.items()}
    sources = {}
    for leaf in statement.leaves:
        types = backend.services.schemas.get(leaf.name, leaf.namespace.database).types
        source = backend.provenance.name_of(leaf)
        used = None if statement.used is None else statement.used.get(source, set())
        is_all = used is None or ALL in used
        sources[new.get(source, source)] = {
            column: kind for column, kind in types.items() if is_all or column in (used or ())
        }
    sql = renamed(statement.sql, new) if new else statement.sql
    definition = ViewDefinition(
        name, sql, sources, dt.datetime.now(dt.UTC), user_name(), statement.parameters
    )
    return definition, list(copies.values())


def _make(
    backend: Backend,
    definition: ViewDefinition,
    statement: _Statement,
    replaced: ViewDefinition | None,
) -> None:
    services = backend.services
    before = [] if replaced is None else _kept_by(replaced)
    owned = [table for table in definition.sources if TableName.parse(table) is not None]
    _note(services, owned)
    write_to_disk(backend, owned)
    services.engine.command(_ddl(definition, statement.columns, is_new=replaced is None))
    services.schemas.forget([definition.name])
    if before:
        _let_go_of_unread(services, before)


def _ddl(definition: ViewDefinition, columns: str, *, is_new: bool) -> str:
    head = "CREATE VIEW" if is_new else "CREATE OR REPLACE VIEW"
    return (
        f"{head} {quote_identifier(definition.name)} {columns}\nAS {definition.sql}\n"
        f"COMMENT {quote_literal(definition.comment)}"
    )


# Claims.


def _note(services: Services, tables: Iterable[str]) -> None:
    """Let every context of this process look for views before it drops one of these."""
    listed = list(tables)
    for each in contexts_of(services):
        each.kept.note(listed)


def _kept_by(view: ViewDefinition) -> list[str]:
    """Return the tables of ours that a view reads."""
    return [table for table in view.sources if TableName.parse(table) is not None]


def _let_go_of_unread(services: Services, tables: Sequence[str]) -> bool:
    """Let go of tables that a view has read and no view reads now."""
    still = tables_under_views(services.engine, tables)
    kept = services.kept.kept([table for table in tables if table not in still])
    return let_go(services, [t for t in tables if t not in still and t not in kept])


def _definition(name: str, views: Mapping[str, ViewDefinition]) -> ViewDefinition:
    if name not in views:
        there = ", ".join(views) or "none"
        raise UnknownTableError(f"there is no view named {name!r}; there are: {there}")
    return views[name]
