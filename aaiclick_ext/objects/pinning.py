"""Pinning: tables that stay though nothing refers to them, and how they are reached again."""

from __future__ import annotations

import datetime as dt
import warnings
from typing import TYPE_CHECKING

from aaiclick_ext.errors import UnknownObjectError
from aaiclick_ext.ids import time_of
from aaiclick_ext.lifecycle.comment_marks import (
    change_comment,
    outlives_registry,
    with_pin,
    without_pin,
)
from aaiclick_ext.lifecycle.names import TableName
from aaiclick_ext.lifecycle.process_leases import process_leases
from aaiclick_ext.objects.creation import rebuild_on_disk
from aaiclick_ext.objects.object import Object, make_object
from aaiclick_ext.objects.owners import owner_of, tables_in_reach
from aaiclick_ext.oplog.log_table import LOG_TABLE
from aaiclick_ext.registry import TableRow
from aaiclick_ext.schema import MEMORY, MERGE_TREE
from aaiclick_ext.schema.python_objects import object_columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from aaiclick_ext.objects.backend import Backend
    from aaiclick_ext.objects.services import Services


def pin_tables(backend: Backend, tables: Sequence[str]) -> None:
    """Pin tables that this kernel holds, or that stay already.

    Raises
    ------
    UnknownObjectError
        If one is neither.
    ReleasedError
        If one went with its session.
    """
    services = backend.services
    services.check_open()
    services.sessions.tables.check(tables)
    live = [table for table in tables if services.worker.is_live(table)]
    kept = services.kept.kept(tables)
    strange = [table for table in tables if table not in live and table not in kept]
    if strange:
        raise UnknownObjectError(
            f"{', '.join(strange)} cannot be pinned: this kernel holds no such table. Pin a "
            "variable; a table of another kernel first has to be shared (x.share(), aai.open_ref)"
        )
    if services.engine.creds.is_scratch:
        warnings.warn(
            "a pinned table in a scratch database ends with this kernel; open chdb:///path or a "
            "server to keep it",
            UserWarning,
            stacklevel=5,
        )
    else:
        _warn_of_objects(services, tables)
    write_to_disk(backend, live)
    if outlives_registry(services.engine):
        now = dt.datetime.now(dt.UTC)
        for table in tables:
            change_comment(services.engine, table, lambda comment: with_pin(comment, now))
    services.sharing.claim(live)  # so that who unpins it elsewhere sees that it is held here
    if not services.engine.creds.is_embedded:
        services.schemas.watch(live)
    services.sessions.tables.pin(live, True)
    services.kept.pin([_row(services, table) for table in tables], live)


def unpin_tables(services: Services, tables: Sequence[str]) -> bool:
    """Unpin tables; say whether the reaper has to look whether one of them can go.

    A table that nothing here refers to is dropped in the background.
    """
    services.check_open()
    pinned = {name for name, kept in services.kept.kept(tables).items() if kept.is_pinned}
    if outlives_registry(services.engine):
        for table in pinned:
            change_comment(services.engine, table, without_pin)
    services.sessions.tables.pin(tables, False)
    services.kept.unpin(tables)
    return let_go(services, pinned)


def let_go(services: Services, tables: Iterable[str]) -> bool:
    """Drop in the background what nothing keeps any more; say whether the reaper has to look."""
    elsewhere = False
    for table in tables:
        if table in tables_in_reach(services):
            continue
        name = TableName.parse(table)
        if services.engine.creds.is_embedded or (name and name.job_id in process_leases.jobs):
            services.kept.note([table])
            services.worker.hold(table).release()  # whoever lets go last drops it
        else:
            elsewhere = True
    return elsewhere


def open_kept(backend: Backend, table: str) -> Object | None:
    """Return the Object of a table that stays, by the table's own name; None where it does not."""
    services = backend.services
    if TableName.parse(table) is None or not services.kept.kept([table]):
        return None
    services.sharing.claim([table])
    services.kept.note([table])
    hold = services.worker.hold(table)
    try:
        return make_object(backend.leaf(table))
    finally:
        hold.release()


def pinned_for_variable(services: Services, variable: str) -> str | None:
    """Return the newest pinned table that a variable of a name has held. Runs one query."""
    pinned = [name for name, kept in services.kept.all().items() if kept.is_pinned]
    if not pinned or not variable.isidentifier():
        return None
    services.oplog.flush()
    rows = services.engine.query_rows(
        f"SELECT result_table FROM {LOG_TABLE} WHERE has(variable_names, {{name:String}}) "
        "AND result_table IN {tables:Array(String)} ORDER BY id DESC LIMIT 1",
        {"name": variable, "tables": pinned},
    )
    return str(rows[0][0]) if rows else None


def _row(services: Services, table: str) -> TableRow:
    name = TableName.parse(table)
    assert name is not None
    return TableRow(
        table, services.engine.identity, name.job_id, None, None, time_of(name.id), None
    )


def _warn_of_objects(services: Services, tables: Sequence[str]) -> None:
    """Say which columns lose what they hold though their table is pinned."""
    columns = [
        f"{table}.{column}"
        for table in tables
        for column in object_columns(services.schemas.get(table).ibis)
    ]
    if columns:
        warnings.warn(
            f"the Python objects in {', '.join(columns)} end with this kernel, though the table "
            "is pinned; keep what you need of them in columns of other types",
            UserWarning,
            stacklevel=6,
        )


def write_to_disk(backend: Backend, tables: Iterable[str]) -> None:
    """Rebuild tables in memory, whose rows end with the process, as such on disk."""
    services = backend.services
    if services.engine.creds.is_scratch:
        return
    for table in tables:
        with owner_of(services, table).inserting.lock(table):
            schema = services.schemas.get(table)
            if schema.engine == MEMORY:
                rebuild_on_disk(backend, table, schema)
                services.schemas.set_rows(table, schema.rows, MERGE_TREE)
