"""What is wrong with named views: sources that are gone, or are not what they were."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aaiclick_ext.engine import Role
from aaiclick_ext.errors import AaiclickError, BrokenViewError, EngineError, SQLError
from aaiclick_ext.lifecycle.named_views import views_of
from aaiclick_ext.lifecycle.names import TableName
from aaiclick_ext.objects.sql_text import names_in, tokens_of
from aaiclick_ext.oplog.graph import DROP_TABLE
from aaiclick_ext.oplog.log_table import LOG_TABLE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from aaiclick_ext.engine import Engine
    from aaiclick_ext.lifecycle.named_views import ViewDefinition
    from aaiclick_ext.objects.services import Services

_MAY_BE_A_VIEW = frozenset({8, 10, 16, 43, 47, 53, 60, 70, 81, 386})
"""Codes of errors that a view gives whose sources are gone or changed: unknown tables and columns,
types that do not go together. From ClickHouse's src/Common/ErrorCodes.cpp."""


@dataclass(frozen=True, slots=True)
class ViewProblem:
    """One thing that is wrong with a view.

    Attributes
    ----------
    source
        The table or view that it reads, by name; or the table of a materialized one.
    column
        None where the source itself is gone, or another view.
    what
        What is wrong, in words.
    since
        Since when, in words; None where that is not known.
    """

    view: str
    source: str
    column: str | None
    what: str
    since: str | None = None

    def __str__(self) -> str:
        subject = self.source if self.column is None else f"{self.source}.{self.column}"
        since = f" ({self.since})" if self.since else ""
        return f"view {self.view}: {subject} {self.what}{since}"


def problems_of(
    services: Services,
    asked: Iterable[ViewDefinition],
    views: Mapping[str, ViewDefinition],
) -> list[ViewProblem]:
    """Return what is wrong with some views, and with those that they read.

    Up to three queries. A view that others made is only known to be broken by reading it, which is
    not done here.

    Parameters
    ----------
    views
        All views of the database.
    """
    todo = {view.name: view for view in asked}
    for name in list(todo):
        todo |= {below: views[below] for below in below_view(name, views)}
    reads = {view.name: dict(view.sources) for view in todo.values()}
    for view in todo.values():
        if view.target is not None:
            reads[view.name][view.target] = {}
    there = _columns_there(services, {s for sources in reads.values() for s in sources})
    found = [
        problem
        for view in todo.values()
        for source, columns in reads[view.name].items()
        for problem in _problems_with(view, source, columns, there.get(source))
    ]
    broken = {problem.view for problem in found}
    services.notes.seen(
        name for name in todo if broken.isdisjoint((name, *below_view(name, views)))
    )
    return _with_times(services, found, views)


def below_view(name: str, views: Mapping[str, ViewDefinition]) -> list[str]:
    """Return the views that a view reads, at any distance; itself only if it is in a circle."""
    found: dict[str, None] = {}
    todo = [name]
    while todo:
        for source in views_read_by(views[todo.pop()], views):
            if source not in found:
                found[source] = None
                todo.append(source)
    return list(found)


def tables_under(engine: Engine, name: str) -> list[str]:
    """Return the tables that a view reads, at any distance, as far as is known. Runs one query."""
    views = views_of(engine)
    over = [views[each] for each in dict.fromkeys((name, *below_view(name, views)))]
    return list(dict.fromkeys(s for view in over for s in view.sources if s not in views))


def views_read_by(view: ViewDefinition, views: Mapping[str, ViewDefinition]) -> list[str]:
    """Return the views among all that one reads, also where others made it."""
    named = {name for name in view.sources if name in views}
    try:
        named.update(names_in(tokens_of(view.sql), views))
    except SQLError:  # what ClickHouse wrote, the tokenizer should read
        pass
    return sorted(named)


def explain_broken_view(services: Services, error: EngineError) -> BrokenViewError | None:
    """Return the error of a statement that reads a broken view, where that is what it failed of.

    Runs queries, as `Role.WORKER`.
    """
    if error.code not in _MAY_BE_A_VIEW or not error.sql or services.closed:
        return None
    try:
        views = views_of(services.engine, role=Role.WORKER)
        named = names_in(tokens_of(error.sql), views) if views else []
        problems = problems_of(services, [views[name] for name in named], views) if named else []
    except AaiclickError:
        return None
    if not problems:
        return None
    lines = "; ".join(str(problem) for problem in problems)
    return BrokenViewError(
        f"{lines}. {_remedy(problems, views)}",
        sql=error.sql,
        code=error.code,
        query_id=error.query_id,
    )


def _remedy(problems: Iterable[ViewProblem], views: Mapping[str, ViewDefinition]) -> str:
    first = next(iter(problems))
    is_source = first.column is None and first.source != views[first.view].target
    if is_source and TableName.parse(first.source) is not None:
        return f"Restore it, aai.restore({first.source!r}), or drop the view"
    return (
        f"Bring it back, or make the view anew: aai.create_view({first.view!r}, …, "
        "if_exists='replace')"
    )


def _columns_there(services: Services, names: Collection[str]) -> dict[str, dict[str, str]]:
    """Return the columns of tables and views by ``table``, or ``database.table``."""
    if not names:
        return {}
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for is_here, table, qualified, column, type_ in services.engine.query_rows(
        "SELECT database = currentDatabase(), table, database || '.' || table, name, type "
        "FROM system.columns WHERE (database = currentDatabase() AND table IN "
        "{names:Array(String)}) OR database || '.' || table IN {names:Array(String)}",
        {"names": list(names)},
        role=Role.WORKER,
    ):
        for name in {table, qualified} if is_here else {qualified}:
            found[name][column] = type_
    return found


def _problems_with(
    view: ViewDefinition,
    source: str,
    columns: Mapping[str, str],
    there: Mapping[str, str] | None,
) -> Iterable[ViewProblem]:
    if there is None:
        yield ViewProblem(view.name, source, None, "is gone")
        return
    for column, type_ in columns.items():
        if column not in there:
            yield ViewProblem(view.name, source, column, "is gone")
        elif there[column] != type_:
            yield ViewProblem(
                view.name, source, column, f"is of type {there[column]} and was {type_}"
            )


def _with_times(
    services: Services, problems: Collection[ViewProblem], views: Mapping[str, ViewDefinition]
) -> list[ViewProblem]:
    """Return problems with since when they are there, as far as anything knows it."""
    if not problems:
        return []
    dropped = _dropped(services, {p.source for p in problems if p.column is None})
    changed = _changed(services, {p.source for p in problems if p.column is not None})
    dated = []
    since: str | None
    for problem in problems:
        seen = _last_seen(services, problem, views)
        found = (changed if problem.column else dropped).get(problem.source)
        if found is not None and (seen is None or found >= seen):  # else of another by that name
            since = f"{'changed' if problem.column else 'dropped'} at {_shown(found)}"
        else:
            since = f"it was as it should be at {_shown(seen)}" if seen else None
        dated.append(replace(problem, since=since))
    return dated


def _last_seen(
    services: Services, problem: ViewProblem, views: Mapping[str, ViewDefinition]
) -> dt.datetime | None:
    """Return when a source was last known to be what it should be.

    A view that was read, or that was made, had everything that it reads.
    """
    over = [name for name in views if problem.view in (name, *below_view(name, views))]
    times = [made for name in over if (made := views[name].created_at) is not None]
    read = [name for name in over if views[name].target is None]  # else it reads its own rows
    seen = [at for name in read if (at := services.notes.last_seen(name)) is not None]
    return max([*times, *(dt.datetime.fromtimestamp(at, dt.UTC) for at in seen)], default=None)


def _dropped(services: Services, tables: Collection[str]) -> dict[str, dt.datetime]:
    """Return when tables were dropped, of those that the log knows that of."""
    if not tables:
        return {}
    rows = services.engine.query_rows(
        f"SELECT result_table, toUnixTimestamp64Milli(max(created_at)) FROM {LOG_TABLE} "
        f"WHERE operation = '{DROP_TABLE}' AND result_table IN {{tables:Array(String)}} "
        "GROUP BY result_table",
        {"tables": list(tables)},
        role=Role.WORKER,
    )
    return {table: dt.datetime.fromtimestamp(at / 1000, dt.UTC) for table, at in rows}


def _changed(services: Services, tables: Collection[str]) -> dict[str, dt.datetime]:
    """Return when the columns of tables were changed, where ClickHouse knows that."""
    if not tables:
        return {}
    rows = services.engine.query_rows(
        "SELECT if(database = currentDatabase(), name, database || '.' || name), "
        "toUnixTimestamp(metadata_modification_time) AS at FROM system.tables "
        "WHERE at > 0 AND ((database = currentDatabase() AND name IN {tables:Array(String)}) "
        "OR database || '.' || name IN {tables:Array(String)})",
        {"tables": list(tables)},
        role=Role.WORKER,
    )
    return {table: dt.datetime.fromtimestamp(at, dt.UTC) for table, at in rows}


def _shown(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
