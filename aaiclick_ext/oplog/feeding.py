"""What a file, a URL or a table has fed: all that was made of it, at any distance."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from aaiclick_ext.errors import UnknownObjectError
from aaiclick_ext.masking import mask_text
from aaiclick_ext.oplog.event import READ_FIELDS, OperationEvent
from aaiclick_ext.oplog.graph import OplogGraph, edges_of, graph_of, reached
from aaiclick_ext.oplog.log_table import LOG_TABLE
from aaiclick_ext.oplog.paths import is_glob, is_in_glob, location_of, locations
from aaiclick_ext.oplog.queries import MOST_STEPS, descendants, events_of, living_tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from aaiclick_ext.engine import Engine

_EXPORT = "export"
_ROLE = "file"
_MOST_LISTED = 10
_OF_FILES = f"""
SELECT {", ".join(READ_FIELDS)} FROM {LOG_TABLE}
WHERE mapContains(params, 'path') AND status = 'ok' ORDER BY id LIMIT 1 BY id
"""


def fed_by(engine: Engine, source: str, *, displays: bool = False) -> OplogGraph:
    """Return all that was made of a table, a file or a URL, near and far, by all kernels.

    A query for the files that were read, and for what follows as many as `descendants` runs; as
    many again for what was read of exports. What was exported to a file and read again counts, too.

    Parameters
    ----------
    source
        The name of a table or view in the log, else a path, a glob or a URL.
    displays
        As in `forward_oplog`.

    Returns
    -------
    OplogGraph
        Its root is the source. A file has no event of its own.

    Raises
    ------
    UnknownObjectError
        If the log knows no such table and no such file; lists files that were read.
    """
    of_files = events_of(engine, _OF_FILES, {})
    below = descendants(engine, [source], MOST_STEPS, displays=displays)
    found = {event.id: event for event in below}
    root = source
    if not any(source in (e.result_table, *e.kwargs.values()) for e in found.values()):
        root = location_of(source)
        readers = {e.id: root for e in of_files if _reads(e) and _is_of(e, source, root)}
        if not readers:
            raise UnknownObjectError(_unknown(source, of_files))
        found |= _follow(engine, of_files, readers, displays=displays)
    while readers := _read_again(found, of_files):
        found |= _follow(engine, of_files, readers, displays=displays)
    events = sorted(found.values(), key=lambda event: event.id)
    tables = reached(root, edges_of(events), "forward", MOST_STEPS)
    living = living_tables(engine, tables)
    return graph_of(root, tables, events, living=living, database=engine.identity)


def _follow(
    engine: Engine,
    of_files: Iterable[OperationEvent],
    readers: Mapping[int, str],
    *,
    displays: bool,
) -> dict[int, OperationEvent]:
    """Return the events that read a file, which becomes their input, and what was made of them."""
    reading = {
        event.id: replace(event, kwargs={**event.kwargs, _ROLE: readers[event.id]})
        for event in of_files
        if event.id in readers
    }
    tables = sorted({event.result_table for event in reading.values()})
    below = descendants(engine, tables, MOST_STEPS, displays=displays)
    return {event.id: event for event in below} | reading


def _read_again(
    found: Mapping[int, OperationEvent], of_files: Sequence[OperationEvent]
) -> dict[int, str]:
    """Return the events that read what was exported, with the export that they read."""
    written: dict[str, str] = {}
    readers = {}
    for event in of_files:  # by id, so that the last export counts
        places = locations(event.params)
        if event.operation == _EXPORT:
            for place in places:
                written[place] = event.result_table if event.id in found else ""
        elif event.id not in found or _ROLE not in found[event.id].kwargs:
            exports = [written[place] for place in places if written.get(place)]
            if exports:
                readers[event.id] = exports[0]
    return readers


def _reads(event: OperationEvent) -> bool:
    return event.operation != _EXPORT


def _is_of(event: OperationEvent, asked: str, location: str) -> bool:
    """Say whether an event is of a file: the same, one of a glob's, or a glob that it is in."""
    return any(
        place in (asked, location)
        or (is_glob(place) and is_in_glob(location, place))
        or (is_glob(location) and is_in_glob(place, location))
        for place in locations(event.params)
    )


def _unknown(source: str, of_files: Iterable[OperationEvent]) -> str:
    read = list(dict.fromkeys(p for e in of_files if _reads(e) for p in locations(e.params)))
    listed = ", ".join(read[-_MOST_LISTED:]) or "none"
    more = f", and {len(read) - _MOST_LISTED} more" if len(read) > _MOST_LISTED else ""
    return (
        f"the log knows no table and no file {mask_text(source)!r}; files that were read: "
        f"{listed}{more}"
    )
