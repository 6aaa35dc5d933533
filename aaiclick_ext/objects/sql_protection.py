"""What SQL given as text may not change: tables that variables own, the log, system tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aaiclick_ext.errors import SQLError
from aaiclick_ext.lifecycle.named_views import views_of
from aaiclick_ext.lifecycle.names import Scope, TableName
from aaiclick_ext.objects.owners import tables_in_reach
from aaiclick_ext.objects.sql_text import names_in, text_of
from aaiclick_ext.oplog.log_table import LOG_TABLE
from aaiclick_ext.oplog.system_names import SYSTEM_DATABASE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aaiclick_ext.objects.backend import Backend
    from aaiclick_ext.objects.sql_statements import Statement, Target

_INSTEAD = {
    "INSERT": "{name}.insert(rows) appends to it, whole or not at all, and views over it follow",
    "DELETE": "{name} = {name}.filter(…).copy() makes a table of the rows to keep",
    "TRUNCATE": "{name} = {name}.limit(0).copy() makes an empty one",
    "UPDATE": "{name} = {name}.mutate(…).copy() makes a table with other values",
    "ALTER": "{name} = {name}.mutate(…), .drop(…) or .cast(…), with .copy(), makes another",
    "DROP": "`del {name}` lets go of it, and it is dropped with the last that can reach it",
    "DETACH": "`del {name}` lets go of it; aai.pin({name}) keeps it",
    "RENAME": "aai.create_object_from_value(value, name=…) gives an object a name of its own",
}
_OTHERWISE = "{name}.copy() makes a table that is another variable's"
_FOUND_BY = ("log_comment",)
_NOT_SET = {
    "dialect": "only ClickHouse's own SQL is read here",
    "limit": "write LIMIT into the SELECT",
    "offset": "write OFFSET into the SELECT",
    "additional_result_filter": "write WHERE into the SELECT",
    "log_comment": "a statement is found by it, to be stopped",
}
"""Settings that would change, or hide, what is sent for the user's statements; what to do."""


def check_targets(
    backend: Backend, statements: Sequence[Statement], variables: Mapping[str, str]
) -> None:
    """Raise where a statement would change what is ours. Runs up to two queries.

    Parameters
    ----------
    variables
        Table to the name that the text had for it.

    Raises
    ------
    SQLError
        With the way to do what was meant.
    """
    changing = [statement for statement in statements if statement.kind == "change"]
    if not changing:
        return
    here = backend.services.engine.query_rows("SELECT currentDatabase()")[0][0]
    database = here
    views: Mapping[str, object] | None = None
    for statement in statements:
        if statement.verb == "USE":
            database = statement.used_database or database
        for target in statement.targets:
            in_database = target.database or database
            if views is None and in_database == here:
                views = {n: v for n, v in views_of(backend.services.engine).items() if v.is_ours}
            reason = _reason(backend, statement, target, in_database, here, variables, views or {})
            if reason:
                raise SQLError(f"{statement.shown(variables)}: {reason}")
        if statement.verb in ("CREATE", "REPLACE"):
            _check_lasting(backend, statement, variables)


def check_settings(statements: Sequence[Statement]) -> None:
    """Raise SQLError where settings would make something else of what we add, or hide a statement.

    Behind SETTINGS they hold for one statement: all but the one by which that is found are fine.
    """
    for statement in statements:
        refused = _NOT_SET if statement.verb == "SET" else _FOUND_BY
        for name in statement.settings:
            if name in refused:
                raise SQLError(f"{statement}: {name} cannot be set here: {_NOT_SET[name]}")


def _reason(
    backend: Backend,
    statement: Statement,
    target: Target,
    database: str,
    here: str,
    variables: Mapping[str, str],
    views: Mapping[str, object],
) -> str | None:
    """Return why a statement may not change its target; None where it may."""
    if database == SYSTEM_DATABASE:
        return f"the database {SYSTEM_DATABASE} holds the system tables, which are read only"
    if target.name is None:
        if target.database == here:
            return f"the database {here} holds tables of variables and the operation log"
        return None
    parsed = TableName.parse(target.name)
    if parsed is not None:
        return _of_object(backend, statement, target.name, parsed, variables)
    if database != here:
        return None
    if target.name == LOG_TABLE:
        return "the operation log is written by aaiclick_ext alone; it is read like any table"
    if target.name in views:
        instead = {
            "CREATE": "use %%sql --view NAME --replace",
            "REPLACE": "use %%sql --view NAME --replace",
            "INSERT": "its rows are those of what it reads: insert there",
        }.get(statement.verb, f"use aai.drop_view({target.name!r})")
        return f"aai.create_view made {target.name}, which keeps tables: {instead}"
    return None


def _of_object(
    backend: Backend,
    statement: Statement,
    table: str,
    parsed: TableName,
    variables: Mapping[str, str],
) -> str:
    holders = backend.services.oplog.names_of(table)
    variable = variables.get(table) or next(iter(holders), None)
    if parsed.scope is Scope.TEMP or variable is not None:
        owner = f"variable {variable}" if variable else "a variable"
    else:
        owner = f"the name {parsed.name!r}"
    instead = _INSTEAD.get(statement.verb, _OTHERWISE)
    if statement.verb == "DROP" and variable is None and parsed.name is not None:
        instead = f"aai.delete_object({parsed.name!r}) takes the name away, and drops it"
    return f"{owner} owns {table}. Instead, {instead.format(name=variable or 'x')}"


def _check_lasting(backend: Backend, statement: Statement, variables: Mapping[str, str]) -> None:
    """Raise where what is made by SQL alone would go on reading a table of a variable.

    A dictionary does, and a table whose engine names another (Buffer, Merge, Alias). A view keeps
    what it reads, whoever made it.
    """
    is_dictionary = statement.what == "DICTIONARY"
    tokens = list(statement.tokens) if is_dictionary else statement.engine_tokens
    reach = tables_in_reach(backend.services)
    texts = [text for token in tokens if (text := text_of(token, statement.text)) is not None]
    named = names_in(tokens, reach) or [t for t in reach if any(t in text for text in texts)]
    if named:
        read = variables.get(named[0], named[0])
        raise SQLError(
            f"{statement.shown(variables)}: it would read {read}, whose table goes with its "
            "variables. Instead, %%sql --view NAME, or aai.create_view(name, query), makes a view "
            "that keeps the table"
        )
