"""Which tables were made of something that has changed since. Pure: from events alone."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aaiclick_ext.oplog.graph import is_table_name, view_made, without_ends
from aaiclick_ext.oplog.sql_operations import CHANGES
from aaiclick_ext.oplog.states import RESTORE

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from aaiclick_ext.oplog.event import OperationEvent
    from aaiclick_ext.oplog.file_changes import FileChange

    FileChanges = Callable[[OperationEvent, dt.datetime], Sequence[FileChange]]


@dataclass(frozen=True, slots=True)
class Change:
    """Something that a table was made of, and that changed afterwards.

    Attributes
    ----------
    source
        The table with other rows now, or the path of the file that is another now.
    event
        The insert, or another statement that changed it; None for a file, of which only the time is
        known.
    changed_at
        In UTC. Of a file, when it was written, which can be before it took its place.
    """

    source: str
    event: OperationEvent | None
    changed_at: dt.datetime


@dataclass(frozen=True, slots=True)
class StaleResult:
    """A table that would be another if it were made again.

    Attributes
    ----------
    table
        Its name.
    made
        The event that read what has changed, or read what had been made of it.
    changes
        What has changed since, the oldest first.
    """

    table: str
    made: OperationEvent
    changes: tuple[Change, ...]

    def __str__(self) -> str:
        sources = ", ".join(dict.fromkeys(change.source for change in self.changes))
        return f"{self.table} is stale: {sources} changed after {self.made.operation}"


def stale(
    events: Iterable[OperationEvent],
    file_changes: FileChanges = lambda _event, _since: (),
) -> list[StaleResult]:
    """Return the stale tables among those that events tell of, in the order they were made.

    Parameters
    ----------
    events
        Those of the tables in question and of all that they were made of.
    file_changes
        Which files of an event are others since a time; see `file_changes`.
    """
    made: defaultdict[str, list[OperationEvent]] = defaultdict(list)
    for event in without_ends(events):
        if event.status == "ok":
            made[event.result_table].append(event)
    found: dict[str, StaleResult] = {}
    for table in sorted(made, key=lambda table: made[table][0].id):
        is_table = is_table_name(table) and view_made(made[table]) is None
        if is_table and (result := _stale_table(table, made, found, file_changes)):
            found[table] = result
    return list(found.values())


def _stale_table(
    table: str,
    made: Mapping[str, Sequence[OperationEvent]],
    found: Mapping[str, StaleResult],
    file_changes: FileChanges,
) -> StaleResult | None:
    """Return whether a table is stale, once those made before it are known."""
    changes: dict[tuple[str, dt.datetime], Change] = {}
    reading = None
    for event in made[table]:
        before = len(changes)
        for change in _changes_since(event, made, found, file_changes):
            changes.setdefault((change.source, change.changed_at), change)
        if reading is None and len(changes) > before:
            reading = event
    if reading is None:
        return None
    in_order = sorted(changes.values(), key=lambda change: change.changed_at)
    return StaleResult(table, reading, tuple(in_order))


def _changes_since(
    event: OperationEvent,
    made: Mapping[str, Sequence[OperationEvent]],
    found: Mapping[str, StaleResult],
    file_changes: FileChanges,
) -> Iterator[Change]:
    tables, readers = read_through(event, made)
    for reader in (event, *readers):
        for file in file_changes(reader, event.created_at):
            yield Change(file.location, None, file.changed_at)
    for source in tables:
        for later in made.get(source, ()):
            if later.id > event.id and later.operation in CHANGES:
                yield Change(source, later, later.created_at)
        if source in found:
            yield from found[source].changes


def read_through(
    event: OperationEvent, made: Mapping[str, Sequence[OperationEvent]]
) -> tuple[list[str], list[OperationEvent]]:
    """Return the tables that an event read, and the events of views in between.

    Views are computed when they are read.
    """
    if event.operation == RESTORE and event is not made[event.result_table][0]:
        return [], []  # a file was read again, and not what had been made of it
    tables: list[str] = []
    readers: list[OperationEvent] = []
    seen = {event.result_table}
    todo = list(event.kwargs.values())
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        view = view_made(made.get(name, ()), event.id)
        if view is not None:
            readers.append(view)
            todo.extend(view.kwargs.values())
            continue
        if is_table_name(name):
            tables.append(name)
            continue
        for maker in made.get(name, ()):
            readers.append(maker)
            todo.extend(maker.kwargs.values())
    return tables, readers
