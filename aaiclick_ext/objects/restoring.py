"""Restoring: a dropped table is made again, with what it needs, and compared with what it was."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aaiclick_ext.engine import quote_identifier
from aaiclick_ext.errors import AaiclickError, OplogError
from aaiclick_ext.lifecycle.names import Scope, TableName
from aaiclick_ext.masking import MASK
from aaiclick_ext.objects.content_hash import content_hashes
from aaiclick_ext.objects.creation import (
    TableSpec,
    count_rows,
    create_table,
    create_table_as,
    new_table,
    with_position,
)
from aaiclick_ext.objects.files import facts_of_files, object_from_file
from aaiclick_ext.objects.object import Object, make_object
from aaiclick_ext.objects.restoration import Restoration, RestoreStatus
from aaiclick_ext.oplog.columns import unchanged_columns
from aaiclick_ext.oplog.doubts import changing_functions, doubts_of
from aaiclick_ext.oplog.graph import is_table_name
from aaiclick_ext.oplog.kept_values import values_of
from aaiclick_ext.oplog.renaming import renamed, statements_of
from aaiclick_ext.oplog.states import RESTORE, State, Version, states_before
from aaiclick_ext.schema import MERGE_TREE, TableSchema
from aaiclick_ext.schema.python_objects import object_columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pyarrow as pa

    from aaiclick_ext.objects.backend import Backend
    from aaiclick_ext.oplog import OperationEvent, OplogGraph, OplogNode
    from aaiclick_ext.oplog.event import ContentHash

_READ = "read_"


class _ImpossibleError(Exception):
    """Why a table cannot be made again."""


@dataclass(frozen=True, slots=True)
class _Made:
    """A table that holds what another one held.

    Attributes
    ----------
    owner
        What keeps it; None where it is not ours to keep.
    doubts
        What makes that uncertain, unless it was proved.
    changed
        What it was made of that is not what it was.
    """

    table: str
    owner: Object | None = None
    doubts: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


def restore(backend: Backend, graph: OplogGraph) -> Restoration:
    """Make the root of a graph again, and compare it with the tombstone in the log.

    Parameters
    ----------
    graph
        Backward from the table, all of the way.

    Raises
    ------
    OplogError
        If it is no table, or exists.
    """
    node = graph.node(graph.root)
    if not is_table_name(graph.root) or TableName.parse(graph.root) is None:
        raise OplogError(
            f"{graph.root} is no table that aaiclick_ext made: restore takes the name of a dropped "
            "table, or of the variable that held it"
        )
    if node.alive:
        raise OplogError(f"{graph.root} exists: there is nothing to restore")
    return _Restorer(backend, graph, node).run()


def _called(event: OperationEvent) -> str:
    """Return what a user knows a table by: variables and cell, then its name."""
    cell = "" if event.execution_count is None else f" of cell [{event.execution_count}]"
    names = ", ".join(event.variable_names)
    return f"{names}{cell} ({event.result_table})" if names else f"{event.result_table}{cell}"


def _full_path(params: Mapping[str, str]) -> str:
    """Return a path as it was meant where the kernel then was."""
    return os.path.join(params.get("directory", ""), params["path"])  # noqa: PTH118  or a URL


def _changed_files(event: OperationEvent) -> list[str]:
    """Return the path of an event whose files are not what they were."""
    if "modified" not in event.params:
        return []
    kind: Any = event.operation.removeprefix(_READ)
    facts = facts_of_files(_full_path(event.params), kind)
    same = all(event.params.get(name) == fact for name, fact in facts.items())
    return [] if same else [event.params["path"]]


class _Restorer:
    def __init__(self, backend: Backend, graph: OplogGraph, root: OplogNode) -> None:
        self._backend = backend
        self._engine = backend.services.engine
        self._graph = graph
        self._root = root
        self._changing = changing_functions(self._engine)
        self._made: dict[Version, _Made | _ImpossibleError] = {}
        self._rebuilt: list[str] = []

    def run(self) -> Restoration:
        states = states_before(self._graph)
        for state in states:
            try:
                self._made[state.version] = self._state(state)
            except _ImpossibleError as error:
                self._made[state.version] = self._living_instead(state) or error
        made = self._made[states[-1].version]
        if isinstance(made, _ImpossibleError):
            return self._outcome(RestoreStatus.IMPOSSIBLE, str(made))
        return self._compared(made, self._content_of(made.table))

    # How it compares.

    def _compared(self, made: _Made, found: ContentHash | None) -> Restoration:
        expected = self._root.end.content if self._root.end else None
        rows = self._rows_of(made.table)
        reason = self._why_it_may_differ(made)
        if expected is None:
            known = self._expected_rows
            if made.doubts:
                nothing = f"{reason}; and the log has no hash of what it held to compare with"
                return self._outcome(RestoreStatus.IMPOSSIBLE, nothing, changed=made.changed)
            if known is not None and rows != known:
                status, reason = RestoreStatus.DIFFERS, f"it had {known} rows; {reason}"
            else:
                is_kept = self._is_all_kept() and not made.changed
                status = RestoreStatus.EXACT if is_kept else RestoreStatus.UNCHECKED
                reason = "" if is_kept else reason
        elif found == expected:
            status, reason = RestoreStatus.EXACT, ""
        elif found and (found.rows, found.content) == (expected.rows, expected.content):
            status, reason = RestoreStatus.UNORDERED, ""
        elif made.doubts:
            return self._outcome(RestoreStatus.IMPOSSIBLE, reason, changed=made.changed)
        else:
            status = RestoreStatus.DIFFERS
        return self._finished(made, status, reason or None, rows)

    def _why_it_may_differ(self, made: _Made) -> str:
        if made.doubts:
            return f"{', '.join(made.doubts)} gives another result each time"
        if made.changed:
            return f"changed since: {', '.join(made.changed)}"
        foreign = [
            node.table
            for node in self._graph.nodes
            if is_table_name(node.table) and TableName.parse(node.table) is None
        ]
        if foreign:
            return f"the log does not know whether these changed: {', '.join(foreign)}"
        return (
            "its SQL gave other rows this time: sums of floating-point numbers, any() and "
            "groupArray() depend on the order in which rows are read"
        )

    def _is_all_kept(self) -> bool:
        """Say whether every row of the root came from a value that the log has."""
        return all(
            e.sql_template is None and not e.operation.startswith(_READ) for e in self._events
        )

    @property
    def _events(self) -> tuple[OperationEvent, ...]:
        return tuple(event for event in self._root.events if event.status == "ok")

    @property
    def _expected_rows(self) -> int | None:
        """Return how many rows it had: by its end, or by the sum of what was put in."""
        if self._root.end is not None and self._root.end.rows is not None:
            return self._root.end.rows
        rows = [event.rows for event in self._events]
        return None if None in rows else sum(filter(None, rows))

    def _finished(
        self, made: _Made, status: RestoreStatus, reason: str | None, rows: int
    ) -> Restoration:
        restored = made.owner
        assert restored is not None
        services = self._backend.services
        services.oplog.record(
            RESTORE,
            result_table=made.table,
            kwargs={"original": self._root.table},
            params={"status": str(status)} | ({"reason": reason} if reason else {}),
            rows=rows,
            result_schema=services.schemas.get(made.table).types,
            columns=unchanged_columns([self._root.table]),
        )
        return self._outcome(status, reason, made.changed, rows=rows, restored=restored)

    def _outcome(
        self,
        status: RestoreStatus,
        reason: str | None,
        changed: tuple[str, ...] = (),
        *,
        rows: int | None = None,
        restored: Object | None = None,
    ) -> Restoration:
        root = self._root.table
        others = tuple(table for table in self._rebuilt if table != root)
        return Restoration(
            status, root, restored, reason, self._expected_rows, rows, others, changed
        )

    # How a state is made.

    def _state(self, state: State) -> _Made:
        table = state.version.table
        if state.is_there:
            return _Made(table)
        if not state.events:
            raise _ImpossibleError(f"how {table} was made is not in the log")
        made = self._built(state)
        self._rebuilt.append(table)
        return self._proved(state, made)

    def _living_instead(self, state: State) -> _Made | None:
        """Return the table as it is now, where it exists but cannot be made as it was."""
        table = state.version.table
        node = next((node for node in self._graph.nodes if node.table == table), None)
        if node is None or not node.alive:
            return None
        return _Made(table, changed=(f"{table} (rows were inserted)",))

    def _proved(self, state: State, made: _Made) -> _Made:
        """Return it without doubts where its hash is that of what was dropped."""
        end = self._graph.node(state.version.table).end
        if not state.is_last or not (made.doubts or made.changed) or end is None:
            return made
        expected = end.content
        if state.version.table == self._root.table or expected is None:
            return made
        found = self._content_of(made.table)
        same = found and (found.rows, found.content) == (expected.rows, expected.content)
        return _Made(made.table, made.owner) if same else made

    def _built(self, state: State) -> _Made:
        first, *inserts = state.events
        inputs = self._inputs(state)
        doubts = [doubt for made in inputs.values() for doubt in made.doubts]
        changed = [what for made in inputs.values() for what in made.changed]
        doubts += [d for e in state.events for d in doubts_of(e.sql_template or "", self._changing)]
        try:
            made = self._first(first, inputs, is_whole=not inserts)
            for event in inserts:
                if event.operation != RESTORE:  # tells of the table as it was made
                    self._insert(event, made, inputs)
        except AaiclickError as error:
            raise _ImpossibleError(
                f"{first.operation}, which made {_called(first)}: {error}"
            ) from error
        changed += _changed_files(first)
        reads = [made.table for made in inputs.values()]
        self._backend.services.freshness.made(made.table_name, reads)
        if first.result_table != self._root.table and not first.operation.startswith(_READ):
            self._backend.services.notes.made_in_passing(made.table_name)
        unique = tuple(dict.fromkeys(doubts)), tuple(dict.fromkeys(changed))
        return _Made(made.table_name, made, *unique)

    def _inputs(self, state: State) -> dict[Version, _Made]:
        needed = {version for versions in state.inputs.values() for version in versions}
        found = {}
        for version in sorted(needed):
            made = self._made[version]
            if isinstance(made, _ImpossibleError):
                raise made
            found[version] = made
        return found

    def _first(
        self, event: OperationEvent, inputs: dict[Version, _Made], *, is_whole: bool
    ) -> Object:
        """Make a table of its first event."""
        if event.operation.startswith(_READ):
            return self._from_file(event)
        spec = TableSpec.from_event(event)
        if not spec.types:
            raise _ImpossibleError(f"the columns of {_called(event)} are not in the log")
        with new_table(self._backend, spec) as table:
            if event.operation == RESTORE:
                (made,) = inputs.values()
                columns = ", ".join(quote_identifier(name) for name in spec.types)
                sql = f"SELECT {columns} FROM {quote_identifier(made.table)}"
                return make_object(create_table_as(self._backend, spec, sql, table=table)[0])
            if event.operation == "create_object":
                return make_object(create_table(self._backend, spec, table=table))
            if event.sql_template is not None:
                sql = self._sql(event, event.sql_template, inputs, table)
                return make_object(create_table_as(self._backend, spec, sql, table=table)[0])
            data = self._value(event, "value")
            if is_whole:
                return make_object(create_table(self._backend, spec, data, table=table))
            self._engine.command(spec.ddl(table, MERGE_TREE))
            self._engine.insert_arrow(table, with_position(data, spec.shape))
            schema = TableSchema(spec.types, spec.comments, spec.shape, MERGE_TREE, data.num_rows)
            self._backend.services.schemas.put(table, schema)
            return make_object(self._backend.leaf(table))

    def _insert(self, event: OperationEvent, made: Object, inputs: dict[Version, _Made]) -> None:
        """Append what an insert appended, in its order."""
        table = made.table_name
        statements = iter(self._statements(event, inputs, table))
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

    def _statements(
        self, event: OperationEvent, inputs: dict[Version, _Made], table: str
    ) -> Iterator[str]:
        if event.sql_template is not None:
            beginning = f"INSERT INTO {quote_identifier(table)} "
            for statement in statements_of(self._sql(event, event.sql_template, inputs, table)):
                if not statement.startswith(beginning):  # others can write to a server's log
                    raise _ImpossibleError(f"what was put into {_called(event)} is no INSERT")
                yield statement
        elif set(event.kwargs) != {"target"}:
            raise _ImpossibleError(f"the SQL of an insert into {_called(event)} is not known")

    def _sql(
        self, event: OperationEvent, sql: str, inputs: dict[Version, _Made], table: str
    ) -> str:
        """Return an event's SQL over the tables that stand for those it read."""
        if MASK in sql:
            raise _ImpossibleError(f"a credential in the SQL of {_called(event)} is masked")
        names = {version.table: made.table for version, made in inputs.items()}
        return renamed(sql, names | {event.result_table: table})

    def _value(self, event: OperationEvent, role: str) -> pa.Table:
        data = values_of(self._engine, event.result_table, event.id).get(role)
        if data is None:
            raise _ImpossibleError(f"{_called(event)} {self._why_not_kept(event)}")
        return data

    def _why_not_kept(self, event: OperationEvent) -> str:
        most = self._backend.services.settings.kept_value_bytes
        size = int(event.params.get("bytes", most + 1))
        spec = TableSpec.from_event(event)
        if object_columns(TableSchema(spec.types, spec.comments).ibis):
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
        path = params["path"]
        if MASK in path:
            raise _ImpossibleError(f"a credential in the path {path} is masked")
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
        return object_from_file(
            self._backend, _full_path(params), kind, schema=schema, scope=Scope.TEMP, **options
        )

    def _content_of(self, table: str) -> ContentHash | None:
        schema = self._backend.services.schemas.get(table)
        return content_hashes(self._engine, {table: schema}).get(table)

    def _rows_of(self, table: str) -> int:
        return count_rows(self._backend, table)
