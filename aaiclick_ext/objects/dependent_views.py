"""Materialized views that are fed by an insert: all or none of them, and the table with them.

ClickHouse feeds them as it writes, and leaves what it has written where one fails; what is moved
into a table by its partitions they never get. So what each is to get is computed from the staged
rows first, in a table like its target, and moved when all of it is there. Only then a kill between
two of these moves, which write no data, can leave rows in one place and not in another.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aaiclick_ext.engine import Role, quote_identifier, quote_literal
from aaiclick_ext.errors import EngineError, ViewError
from aaiclick_ext.lifecycle.named_views import HIDDEN
from aaiclick_ext.objects.creation import TableSpec, new_table
from aaiclick_ext.objects.sql_text import in_place_of, target_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from aaiclick_ext.objects.backend import Backend

Place = tuple[str, str]
"""Database and table."""


@dataclass(frozen=True, slots=True)
class Feed:
    """Rows that wait to be moved into the target of a view."""

    view: str
    target: Place
    staged: str


@contextlib.contextmanager
def staged_feeds(
    backend: Backend, source: Place, staged: str, views: Sequence[Place]
) -> Iterator[list[Feed]]:
    """Give what views over a table get of its staged rows, and what views over those get.

    Runs no query where there are no views; else two for each, and the view's own SELECT.

    Raises
    ------
    ViewError
        If one cannot be fed so.
    EngineError
        If a view's SELECT fails.
    """
    with contextlib.ExitStack() as stack:
        feeds: list[Feed] = []
        todo = [(source, staged, views)]
        while todo:
            above, rows, fed = todo.pop()
            for view in fed:
                select, target, next_views = _definition(backend, view, above)
                table = stack.enter_context(new_table(backend, TableSpec({}), beside=staged))
                _stage(backend, view, target, table, in_place_of(select, above, rows))
                feeds.append(Feed(".".join(view), target, table))
                todo.append((target, table, next_views))
        yield feeds


def _definition(backend: Backend, view: Place, above: Place) -> tuple[str, Place, Sequence[Place]]:
    """Return a view's SELECT, its target, and the views that this feeds in turn."""
    engine = backend.services.engine
    rows = engine.query_rows(
        "SELECT engine, create_table_query, as_select FROM system.tables "
        "WHERE database = {database:String} AND name = {name:String} "
        "SETTINGS show_table_uuid_in_table_create_query_if_not_nil = 1",
        {"database": view[0], "name": view[1]},
    )
    if not rows:  # dropped just now
        raise _refusal(view, above, "it is gone; try again")
    kind, statement, select = rows[0]
    if kind != "MaterializedView":
        raise _refusal(view, above, f"it is a {kind}")
    place = target_of(statement)
    found = engine.query_rows(
        "SELECT engine, arrayZip(dependencies_database, dependencies_table) FROM system.tables "
        "WHERE database = {database:String} AND name = {name:String}",
        {"database": place[0], "name": place[1]},
    )
    if not found:
        raise _refusal(view, above, f"its target {'.'.join(place)} is gone")
    target_engine, views = found[0]
    if not target_engine.endswith("MergeTree") or target_engine.startswith(("Rep", "Shared")):
        raise _refusal(view, above, f"its target {'.'.join(place)} is a {target_engine} table")
    if in_place_of(select, above, "x") is None or HIDDEN in select:
        raise _refusal(view, above, "its SELECT names the table more than once, or a credential")
    return select, place, [tuple(each) for each in views]


def _refusal(view: Place, above: Place, reason: str) -> ViewError:
    return ViewError(
        f"{above[1]}: no rows were inserted, since the materialized view {'.'.join(view)} could "
        f"not be fed with all of them or none: {reason}. Insert by SQL (INSERT INTO … SELECT), "
        "which promises less, or drop the view"
    )


def _stage(backend: Backend, view: Place, target: Place, table: str, select: str | None) -> None:
    engine = backend.services.engine
    q = quote_identifier
    place = ".".join(map(q, target))
    engine.command(f"CREATE TABLE {q(table)} AS {place} COMMENT ''")
    columns = engine.columns_of_table(view[1], view[0])
    into = {
        c.name
        for c in engine.columns_of_table(table)
        if c.default_kind not in ("MATERIALIZED", "ALIAS")
    }
    listed = ", ".join(q(column.name) for column in columns if column.name in into)
    engine.command(f"INSERT INTO {q(table)} ({listed}) SELECT {listed} FROM ({select})")


def moved_together(backend: Backend, feeds: Sequence[Feed], last: Callable[[], None]) -> None:
    """Move what is staged into the targets of views, then do the last step; Ctrl-C comes after.

    Raises
    ------
    EngineError
        If a move failed; it says which views have the rows already.
    """
    if not feeds:
        last()
        return
    errors: list[BaseException] = []

    def work() -> None:
        done: list[str] = []
        try:
            for feed in feeds:
                _attach(backend, feed)
                done.append(feed.view)
            last()
        except EngineError as error:
            said = f"; {', '.join(done)} have these rows already" if done else ""
            errors.append(EngineError(f"{error}{said}", sql=error.sql, code=error.code))
        except BaseException as error:  # noqa: BLE001  raised by who waits
            errors.append(error)

    thread = threading.Thread(target=work, name="aai-moving")
    thread.start()
    interrupted: KeyboardInterrupt | None = None
    while thread.is_alive():
        try:
            thread.join()
        except KeyboardInterrupt as error:
            interrupted = error
    if errors:
        raise errors[0]
    if interrupted is not None:
        raise interrupted


def _attach(backend: Backend, feed: Feed) -> None:
    engine = backend.services.engine
    partitions = engine.query_rows(
        "SELECT DISTINCT partition_id FROM system.parts WHERE active AND rows > 0 "
        "AND database = currentDatabase() AND table = {table:String}",
        {"table": feed.staged},
        role=Role.WORKER,
    )
    if not partitions:
        return
    place, staged = ".".join(map(quote_identifier, feed.target)), quote_identifier(feed.staged)
    steps = ", ".join(
        f"ATTACH PARTITION ID {quote_literal(id_)} FROM {staged}" for (id_,) in partitions
    )
    engine.command(f"ALTER TABLE {place} {steps}", role=Role.WORKER)
