"""Named views: expressions that ClickHouse keeps under a name, for every program to read."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from aaiclick_ext.engine import quote_identifier, quote_literal
from aaiclick_ext.errors import (
    EngineError,
    ObjectExistsError,
    SettingsError,
    UnknownTableError,
    ViewError,
)
from aaiclick_ext.lifecycle.liveness import user_name
from aaiclick_ext.lifecycle.named_views import (
    HIDDEN,
    ViewDefinition,
    kept_by,
    tables_under_views,
    views_of,
)
from aaiclick_ext.lifecycle.names import check_name
from aaiclick_ext.logs import logger_of
from aaiclick_ext.objects.adoption import foreign_table
from aaiclick_ext.objects.attempts import attempted
from aaiclick_ext.objects.creation import TableSpec
from aaiclick_ext.objects.error_fixes import note_missing_table
from aaiclick_ext.objects.foreign import foreign_leaf
from aaiclick_ext.objects.leaf import Leaves, SQLQueryResult, is_owned
from aaiclick_ext.objects.making import copy_view
from aaiclick_ext.objects.materialized import check_materialized, filled_target
from aaiclick_ext.objects.owners import contexts_of
from aaiclick_ext.objects.pinning import let_go, write_to_disk
from aaiclick_ext.objects.provenance import describe_argument, numbered_roles
from aaiclick_ext.objects.sql_references import sql_literal
from aaiclick_ext.objects.view import View, make_view
from aaiclick_ext.objects.view_problems import below_view, problems_of
from aaiclick_ext.objects.view_statements import statement_of
from aaiclick_ext.oplog.columns import ALL, unchanged_columns
from aaiclick_ext.oplog.graph import CREATE_VIEW, DROP_TABLE
from aaiclick_ext.oplog.renaming import renamed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import ibis.expr.types as ir

    from aaiclick_ext.objects.backend import Backend
    from aaiclick_ext.objects.catalog import Catalog
    from aaiclick_ext.objects.object import Object
    from aaiclick_ext.objects.services import Services
    from aaiclick_ext.objects.view_problems import ViewProblem
    from aaiclick_ext.objects.view_statements import ViewStatement

logger = logger_of("objects")

IfViewExists = Literal["fail", "replace"]
IF_VIEW_EXISTS = ("fail", "replace")


def create_view(
    backend: Backend,
    catalog: Catalog,
    name: str,
    query: ir.Table | str,
    tables: Mapping[str, Any],
    *,
    if_exists: IfViewExists,
    copy: bool,
    materialized: bool,
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
        statement = statement_of(backend, catalog, name, query, tables, views)
        event |= {"kwargs": dict(statement.inputs), "sql_template": statement.sql}
        if materialized:
            check_materialized(backend, name, statement, copy=copy)
            event["params"]["materialized"] = "true"
        definition, copies = _defined(backend, name, statement, copy=copy)
        _make(backend, definition, statement, views.get(name), materialized=materialized)
        if copies:  # it has them now, and reads nothing else of ours
            event |= {"kwargs": numbered_roles(definition.sources), "sql_template": definition.sql}
        del copies
        services.oplog.record(
            CREATE_VIEW,
            **event,
            result_schema=None if statement.spec is None else statement.spec.types,
            columns=None if copy else unchanged_columns(statement.inputs.values()),
        )
    return None if statement.parameters else make_view(foreign_leaf(backend, name, None))


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
    before = kept_by(definition)
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
    except EngineError as error:
        view = views_of(backend.services.engine).get(name)
        if view is None or not view.parameters:
            note_missing_table(backend.services, error, name)
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
    values = {each: sql_literal(backend, each, value) for each, value in arguments.items()}
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
    """Let the views that read a table, which is gone, read the restored one; return their names.

    Not those with a credential in them, of which ClickHouse shows no text that works.
    """
    services, new = backend.services, restored.table_name
    views = views_of(services.engine).values()
    found = [v for v in views if v.is_ours and table in v.sources and HIDDEN not in v.sql]
    if found:
        note_sources(services, [new])
        write_to_disk(backend, [new])
    revived = []
    for view in found:
        sources = {new if name == table else name: used for name, used in view.sources.items()}
        definition = replace(view, sql=renamed(view.sql, {table: new}), sources=sources)
        try:
            _redefine(services, definition)
        except EngineError as error:  # the table is restored all the same
            logger.warning("view %s could not be made to read %s: %s", view.name, new, error)
        else:
            revived.append(view.name)
    return revived


def _redefine(services: Services, view: ViewDefinition) -> None:
    """Give a view another SELECT, of the same columns."""
    if view.target is None:
        columns = None if view.parameters else services.schemas.get(view.name)  # as declared
        spec = None if columns is None else TableSpec(columns.types, columns.comments)
        services.engine.command(_ddl(view, spec, is_new=False))
    else:  # what it holds are the rows of the same source
        name, comment = quote_identifier(view.name), quote_literal(view.comment)
        services.engine.command(f"ALTER TABLE {name} MODIFY QUERY {view.sql}")
        services.engine.command(f"ALTER TABLE {name} MODIFY COMMENT {comment}")


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
            "pass if_exists='replace' (in SQL cells --replace), or drop_view"
            if views[name].is_ours
            else "others made it"
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


def _defined(
    backend: Backend, name: str, statement: ViewStatement, *, copy: bool
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
    statement: ViewStatement,
    replaced: ViewDefinition | None,
    *,
    materialized: bool,
) -> None:
    services, is_new = backend.services, replaced is None
    before = [] if replaced is None else kept_by(replaced)
    owned = kept_by(definition)
    note_sources(services, owned)
    write_to_disk(backend, owned)
    if materialized:
        with filled_target(backend, statement) as target:
            definition = replace(definition, target=target)
            note_sources(services, [target])
            services.engine.command(_ddl(definition, statement.spec, is_new=is_new))
    else:
        services.engine.command(_ddl(definition, statement.spec, is_new=is_new))
    services.schemas.forget([definition.name])
    if before:
        _let_go_of_unread(services, before)


def _ddl(definition: ViewDefinition, spec: TableSpec | None, *, is_new: bool) -> str:
    head = "CREATE" if is_new else "CREATE OR REPLACE"
    target = ""
    if definition.target is not None:
        head, target = f"{head} MATERIALIZED", f" TO {quote_identifier(definition.target)}"
    columns = "" if spec is None else f" {spec.column_list()}"
    return (
        f"{head} VIEW {quote_identifier(definition.name)}{target}{columns}\n"
        f"AS {definition.sql}\nCOMMENT {quote_literal(definition.comment)}"
    )


# Claims.


def note_sources(services: Services, tables: Iterable[str]) -> None:
    """Let every context of this process look for views before it drops one of these."""
    listed = list(tables)
    for each in contexts_of(services):
        each.kept.note(listed)


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
