"""Restoring: a dropped table is made again, with what it needs, and compared with what it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aaiclick_ext.errors import OplogError
from aaiclick_ext.lifecycle.names import TableName
from aaiclick_ext.objects.attempts import attempted, record_failure
from aaiclick_ext.objects.content_hash import content_hashes
from aaiclick_ext.objects.creation import count_rows
from aaiclick_ext.objects.freshness import when
from aaiclick_ext.objects.named_views import revive_views
from aaiclick_ext.objects.replaying import ImpossibleError, is_of_file, replayed
from aaiclick_ext.objects.restoration import Restoration, RestoreStatus
from aaiclick_ext.oplog.columns import unchanged_columns
from aaiclick_ext.oplog.doubts import changing_functions, doubts_of
from aaiclick_ext.oplog.file_changes import file_changes
from aaiclick_ext.oplog.graph import is_table_name
from aaiclick_ext.oplog.paths import locations
from aaiclick_ext.oplog.staleness import read_through, stale
from aaiclick_ext.oplog.states import RESTORE, State, Version, states_before

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aaiclick_ext.objects.backend import Backend
    from aaiclick_ext.objects.object import Object
    from aaiclick_ext.oplog import OperationEvent, OplogGraph, OplogNode
    from aaiclick_ext.oplog.event import ContentHash

_SQL = "sql"
_NO_HASH = "the log has no hash of what it held to compare with"


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


def restore(
    backend: Backend, graph: OplogGraph, bind: Callable[[Object], str] | None = None
) -> Restoration:
    """Make the root of a graph again, and compare it with the tombstone in the log.

    Parameters
    ----------
    graph
        Backward from the table, all of the way.
    bind
        Binds what was restored to a variable and returns its name, for the log.

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
    with attempted(backend, RESTORE, kwargs={"original": graph.root}):
        return _Restorer(backend, graph, node, bind).run()


class _Restorer:
    def __init__(
        self,
        backend: Backend,
        graph: OplogGraph,
        root: OplogNode,
        bind: Callable[[Object], str] | None,
    ) -> None:
        self._backend = backend
        self._engine = backend.services.engine
        self._graph = graph
        self._root = root
        self._bind = bind
        self._changing = changing_functions(self._engine)
        self._made: dict[Version, _Made | ImpossibleError] = {}
        self._rebuilt: list[str] = []
        self._living = {node.table for node in graph.nodes if node.alive}
        self._events_of = {node.table: node.events for node in graph.nodes}
        self._file_changes = file_changes()

    def run(self) -> Restoration:
        states = states_before(self._graph)
        for state in states:
            try:
                self._made[state.version] = self._state(state)
            except ImpossibleError as error:
                self._made[state.version] = self._living_instead(state) or error
        made = self._made[states[-1].version]
        if isinstance(made, ImpossibleError):
            return self._impossible(str(made))
        return self._compared(made)

    # How it compares.

    def _compared(self, made: _Made) -> Restoration:
        expected = self._root.end.content if self._root.end else None
        found = None if expected is None else self._content_of(made.table)
        rows = count_rows(self._backend, made.table)
        reason = self._why_it_may_differ(made)
        if expected is None:
            known = self._expected_rows
            if made.doubts:
                return self._impossible(f"{reason}; and {_NO_HASH}", made.changed)
            if known is not None and rows != known:
                status, reason = RestoreStatus.DIFFERS, f"it had {known} rows; {reason}"
            elif self._is_all_kept() and not made.changed:
                status, reason = RestoreStatus.EXACT, ""
            else:
                changed = f"{reason}; and " if made.changed else ""
                status, reason = RestoreStatus.UNCHECKED, f"{changed}{_NO_HASH}"
        elif found == expected:
            status, reason = RestoreStatus.EXACT, ""
        elif found and (found.rows, found.content) == (expected.rows, expected.content):
            status, reason = RestoreStatus.UNORDERED, ""
        elif made.doubts:
            return self._impossible(reason, made.changed)
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
            if is_table_name(node.table)
            and TableName.parse(node.table) is None
            and not node.is_named_view
        ]
        if foreign:
            return f"the log does not know whether these changed: {', '.join(foreign)}"
        texts = (e.params for node in self._graph.nodes for e in node.events if e.operation == _SQL)
        if read := dict.fromkeys(path for params in texts for path in locations(params)):
            return f"its SQL reads {', '.join(read)}, which may have changed"
        return (
            "its SQL gave other rows this time: sums of floating-point numbers, any() and "
            "groupArray() depend on the order in which rows are read"
        )

    def _is_all_kept(self) -> bool:
        """Say whether every row of the root came from a value that the log has."""
        return not any(
            event.sql_template is not None or is_of_file(event) or event.operation == RESTORE
            for event in self._events
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
        services.freshness.stale(made.table, self._inserts_since())
        inputs = {name for event in self._events for name in event.kwargs.values()}
        if inputs - {self._root.table}:
            services.makings.recorded(made.table)
        is_same = status not in (RestoreStatus.DIFFERS, RestoreStatus.IMPOSSIBLE)
        views = revive_views(self._backend, self._root.table, restored) if is_same else []
        services.oplog.record(
            RESTORE,
            result_table=made.table,
            kwargs={"original": self._root.table},
            params={"status": str(status)} | ({"reason": reason} if reason else {}),
            rows=rows,
            result_schema=services.schemas.get(made.table).types,
            columns=unchanged_columns([self._root.table]),
            variable_names=() if self._bind is None else [self._bind(restored)],
        )
        return self._outcome(
            status, reason, made.changed, rows=rows, restored=restored, views=views
        )

    def _inserts_since(self) -> list[str]:
        """Return when tables got rows that the root was made of before, as a display says it."""
        events = [event for node in self._graph.nodes for event in node.events]
        found = next((r for r in stale(events) if r.table == self._root.table), None)
        inserts = [change.event for change in found.changes if change.event] if found else []
        return [when(event.execution_count) for event in inserts]

    def _impossible(self, reason: str, changed: tuple[str, ...] = ()) -> Restoration:
        event = {"kwargs": {"original": self._root.table}}
        record_failure(self._backend, RESTORE, event, ImpossibleError(reason))
        return self._outcome(RestoreStatus.IMPOSSIBLE, reason, changed)

    def _outcome(
        self,
        status: RestoreStatus,
        reason: str | None,
        changed: tuple[str, ...] = (),
        *,
        rows: int | None = None,
        restored: Object | None = None,
        views: Sequence[str] = (),
    ) -> Restoration:
        root = self._root.table
        others = tuple(table for table in self._rebuilt if table != root)
        return Restoration(
            status, root, restored, reason, self._expected_rows, rows, others, changed, tuple(views)
        )

    # How a state is made.

    def _state(self, state: State) -> _Made:
        table = state.version.table
        if state.is_there:
            return _Made(table)
        if not state.events:
            raise ImpossibleError(f"how {table} was made is not in the log")
        made = self._built(state)
        self._rebuilt.append(table)
        return self._proved(state, made)

    def _living_instead(self, state: State) -> _Made | None:
        """Return the table as it is now, where it exists but cannot be made as it was."""
        table = state.version.table
        if table not in self._living:
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
        first = state.events[0]
        inputs = {event: self._inputs(versions) for event, versions in state.inputs.items()}
        used = [made for read in inputs.values() for made in read.values()]
        doubts = [doubt for made in used for doubt in made.doubts]
        changed = [what for made in used for what in made.changed]
        doubts += [d for e in state.events for d in doubts_of(e.sql_template or "", self._changing)]
        names = {
            event: {version.table: made.table for version, made in read.items()}
            for event, read in inputs.items()
        }
        made, files = replayed(self._backend, state.events, names)
        changed += files
        changed += [path for event in state.events for path in self._changed_below(event)]
        services = self._backend.services
        services.freshness.made(made.table_name, [source.table for source in used])
        if first.result_table != self._root.table and not is_of_file(first):
            services.notes.made_in_passing(made.table_name)
        unique = tuple(dict.fromkeys(doubts)), tuple(dict.fromkeys(changed))
        return _Made(made.table_name, made, *unique)

    def _changed_below(self, event: OperationEvent) -> list[str]:
        """Return the files that an event's SQL read, and that were written after it."""
        if is_of_file(event):
            return []
        readers = read_through(event, self._events_of)[1]
        return [
            change.location
            for reader in (event, *readers)
            for change in self._file_changes(reader, event.created_at)
        ]

    def _inputs(self, versions: Sequence[Version]) -> dict[Version, _Made]:
        found = {}
        for version in versions:
            made = self._made[version]
            if isinstance(made, ImpossibleError):
                raise made
            found[version] = made
        return found

    def _content_of(self, table: str) -> ContentHash | None:
        schema = self._backend.services.schemas.get(table)
        return content_hashes(self._engine, {table: schema}).get(table)
