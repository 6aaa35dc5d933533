"""Which tables were made of something that has changed since. Pure: from events alone."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aaiclick_ext.oplog.graph import is_table_name, without_ends
from aaiclick_ext.oplog.paths import locations

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from aaiclick_ext.oplog.event import OperationEvent

INSERT = "insert"


@dataclass(frozen=True, slots=True)
class Change:
    """Something that a table was made of, and that changed afterwards.

    Attributes
    ----------
    source
        The table with more rows now, or the path of the file that is another now.
    event
        The insert; None for a file, of which only the time is known.
    changed_at
        In UTC.
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
    file_time: Callable[[str], dt.datetime | None] = lambda _: None,
) -> list[StaleResult]:
    """Return the stale tables among those that events tell of, in the order they were made.

    Parameters
    ----------
    events
        Those of the tables in question and of all that they were made of.
    file_time
        When a file was last written, or None where it is none.
    """
    made: defaultdict[str, list[OperationEvent]] = defaultdict(list)
    for event in without_ends(events):
        if event.status == "ok":
            made[event.result_table].append(event)
    found: dict[str, StaleResult] = {}
    for table in sorted(made, key=lambda table: made[table][0].id):
        if is_table_name(table) and (result := _stale_table(table, made, found, file_time)):
            found[table] = result
    return list(found.values())


def _stale_table(
    table: str,
    made: Mapping[str, Sequence[OperationEvent]],
    found: Mapping[str, StaleResult],
    file_time: Callable[[str], dt.datetime | None],
) -> StaleResult | None:
    """Return whether a table is stale, once those made before it are known."""
    changes: dict[tuple[str, dt.datetime], Change] = {}
    reading = None
    for event in made[table]:
        before = len(changes)
        for change in _changes_since(event, made, found, file_time):
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
    file_time: Callable[[str], dt.datetime | None],
) -> Iterator[Change]:
    path = next(iter(locations(event.params)), None)
    written = None if path is None or event.kwargs else file_time(path)
    if path is not None and written is not None and written > event.created_at:
        yield Change(path, None, written)
    for source in _tables_read(event, made):
        for later in made.get(source, ()):
            if later.id > event.id and later.operation == INSERT:
                yield Change(source, later, later.created_at)
        if source in found:
            yield from found[source].changes


def _tables_read(
    event: OperationEvent, made: Mapping[str, Sequence[OperationEvent]]
) -> Iterator[str]:
    """Yield the tables that an event read, through views, which are computed when they are read."""
    seen = {event.result_table}
    todo = list(event.kwargs.values())
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        if is_table_name(name):
            yield name
        else:
            todo.extend(source for maker in made.get(name, ()) for source in maker.kwargs.values())
