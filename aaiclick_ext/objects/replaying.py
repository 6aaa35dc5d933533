"""Replaying: a table is made again by what the log says was done to it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aaiclick_ext.engine import quote_identifier
from aaiclick_ext.errors import AaiclickError
from aaiclick_ext.masking import MASK
from aaiclick_ext.objects.creation import (
    TableSpec,
    count_rows,
    create_table,
    create_table_as,
    new_table,
    with_position,
)
from aaiclick_ext.objects.files import read_files
from aaiclick_ext.objects.object import Object, make_object
from aaiclick_ext.oplog.file_changes import differ, file_changes
from aaiclick_ext.oplog.kept_values import values_of
from aaiclick_ext.oplog.paths import locations
from aaiclick_ext.oplog.renaming import renamed, statements_of
from aaiclick_ext.oplog.states import RESTORE
from aaiclick_ext.schema import MERGE_TREE
from aaiclick_ext.schema.python_objects import object_columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

    from aaiclick_ext.objects.backend import Backend
    from aaiclick_ext.oplog import OperationEvent

    Inputs = Mapping[int, Mapping[str, str]]

_READ = "read_"


class ImpossibleError(Exception):
    """Why a table cannot be made again."""


def replayed(
    backend: Backend, events: Sequence[OperationEvent], inputs: Inputs
) -> tuple[Object, list[str]]:
    """Make a table by its events, under a new name; return the files that are others now, too.

    Parameters
    ----------
    events
        Those that succeeded, by id: one that made it, then inserts.
    inputs
        By event, the tables that stand for those that it read, by the names of these.

    Raises
    ------
    ImpossibleError
        If the log does not have what is needed, or it cannot be done.
    """
    replay = _Replay(backend, inputs)
    first, *inserts = events
    try:
        made = replay.first(first, is_whole=not inserts)
        for event in inserts:
            if event.operation != RESTORE:  # tells of the table as it was made
                replay.insert(event, made)
    except AaiclickError as error:
        raise ImpossibleError(f"{first.operation}, which made {called(first)}: {error}") from error
    return made, replay.changed


def is_of_file(event: OperationEvent) -> bool:
    """Say whether an event read a file."""
    return event.operation.startswith(_READ)


def called(event: OperationEvent) -> str:
    """Return what a user knows a table by: variables and cell, then its name."""
    cell = "" if event.execution_count is None else f" of cell [{event.execution_count}]"
    names = ", ".join(event.variable_names)
    return f"{names}{cell} ({event.result_table})" if names else f"{event.result_table}{cell}"


class _Replay:
    def __init__(self, backend: Backend, inputs: Inputs) -> None:
        self._backend = backend
        self._engine = backend.services.engine
        self._inputs = inputs
        self.changed: list[str] = []
        """The path or URL that was read again and is not what it was."""

    def first(self, event: OperationEvent, *, is_whole: bool) -> Object:
        """Make a table of its first event."""
        if is_of_file(event):
            return self._from_file(event)
        spec = TableSpec.from_event(event)
        if not spec.types:
            raise ImpossibleError(f"the columns of {called(event)} are not in the log")
        with new_table(self._backend, spec) as table:
            if event.operation == RESTORE:
                (source,) = self._inputs[event.id].values()
                columns = ", ".join(quote_identifier(name) for name in spec.types)
                sql = f"SELECT {columns} FROM {quote_identifier(source)}"
                return make_object(create_table_as(self._backend, spec, sql, table=table)[0])
            if event.operation == "create_object":
                return make_object(create_table(self._backend, spec, table=table))
            if event.sql_template is not None:
                sql = self._sql(event, event.sql_template, table)
                return make_object(create_table_as(self._backend, spec, sql, table=table)[0])
            data = self._value(event, "value")
            if is_whole:
                return make_object(create_table(self._backend, spec, data, table=table))
            self._engine.command(spec.ddl(table, MERGE_TREE))
            self._engine.insert_arrow(table, with_position(data, spec.shape))
            self._backend.services.schemas.put(table, spec.schema(MERGE_TREE, data.num_rows))
            return make_object(self._backend.leaf(table))

    def insert(self, event: OperationEvent, made: Object) -> None:
        """Append what an insert appended, in its order."""
        table = made.table_name
        statements = iter(self._statements(event, table))
        shape = self._backend.services.schemas.get(table).shape
        for number in range(len(event.params) + len(event.kwargs)):
            role = f"source_{number}"
            if role in event.params:
                start = count_rows(self._backend, table)
                data = with_position(self._value(event, role), shape, start)
                self._engine.insert_arrow(table, data)
            elif (statement := next(statements, None)) is not None:
                self._engine.command(statement)
        self._backend.services.schemas.set_rows(table, count_rows(self._backend, table))

    def _statements(self, event: OperationEvent, table: str) -> Iterator[str]:
        if event.sql_template is not None:
            beginning = f"INSERT INTO {quote_identifier(table)} "
            for statement in statements_of(self._sql(event, event.sql_template, table)):
                if not statement.startswith(beginning):  # others can write to a server's log
                    raise ImpossibleError(f"what was put into {called(event)} is no INSERT")
                yield statement
        elif set(event.kwargs) != {"target"}:
            raise ImpossibleError(f"the SQL of an insert into {called(event)} is not known")

    def _sql(self, event: OperationEvent, sql: str, table: str) -> str:
        """Return an event's SQL over the tables that stand for those it read."""
        if MASK in sql:
            raise ImpossibleError(
                f"a credential in the SQL of {called(event)} looks masked ({MASK})"
            )
        return renamed(sql, {**self._inputs[event.id], event.result_table: table})

    def _value(self, event: OperationEvent, role: str) -> pa.Table:
        data = values_of(self._engine, event.result_table, event.id).get(role)
        if data is None:
            raise ImpossibleError(f"{called(event)} {self._why_not_kept(event)}")
        return data

    def _why_not_kept(self, event: OperationEvent) -> str:
        most = self._backend.services.settings.kept_value_bytes
        size = int(event.params.get("bytes", most + 1))
        spec = TableSpec.from_event(event)
        if object_columns(spec.schema(MERGE_TREE, None).ibis):
            return "held Python objects, which are not in the log"
        if size > most:
            return (
                f"was given a value of {size:,} bytes, and the log keeps values of up to {most:,} "
                "(setting kept_value_bytes)"
            )
        return (
            "was given a value that the log does not have: with a credential in it, or in a cell "
            "of very many values, or when an older version wrote the log"
        )

    def _from_file(self, event: OperationEvent) -> Object:
        """Read the file of an event again."""
        params = event.params
        if MASK in params["path"]:
            raise ImpossibleError(f"a credential in the path {params['path']} looks masked")
        options: dict[str, Any] = {
            name.removeprefix("option."): json.loads(text)
            for name, text in params.items()
            if name.startswith("option.")
        }
        schema = {
            name.removeprefix("schema."): type_
            for name, type_ in params.items()
            if name.startswith("schema.")
        }
        kind: Any = event.operation.removeprefix(_READ)
        (path,) = locations(params)
        made, facts = read_files(self._backend, path, kind, schema=schema, **options)
        if differ(params, facts) or file_changes()(event, event.created_at):
            self.changed.append(params["path"])
        return made
