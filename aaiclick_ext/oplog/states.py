"""States: what a table held after each event, and what has to be there to make that again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from aaiclick_ext.lifecycle.names import TableName
from aaiclick_ext.oplog.renaming import words_of
from aaiclick_ext.oplog.view_texts import over_tables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aaiclick_ext.oplog.event import OperationEvent
    from aaiclick_ext.oplog.graph import OplogGraph

RESTORE = "restore"
"""The operation of the event that tells of a table that was made again."""


class Version(NamedTuple):
    """A table after the first so many of its events."""

    table: str
    length: int


@dataclass(frozen=True, slots=True)
class State:
    """What a table held at a time.

    Attributes
    ----------
    events
        Those up to then that succeeded, by id: one that made it, then inserts.
    is_last
        Whether nothing happened to the table after them.
    is_there
        Whether the table exists and holds this now.
    inputs
        For each event the states of tables that its SQL reads.
    """

    version: Version
    events: tuple[OperationEvent, ...]
    is_last: bool
    is_there: bool
    inputs: Mapping[int, tuple[Version, ...]]


def states_before(graph: OplogGraph) -> list[State]:
    """Return what has to be there to make the root again, each after what it is made of.

    The root is the last. What exists as it was then needs nothing else. A table of ours that
    changed after it was read is to be made as it was.
    """
    events = {
        node.table: tuple(event for event in node.events if event.status == "ok")
        for node in graph.nodes
    }
    events = {
        table: tuple(over_tables(event, events) for event in made) for table, made in events.items()
    }
    living = {node.table for node in graph.nodes if node.alive}
    states: dict[Version, State] = {}
    todo = [Version(graph.root, len(events.get(graph.root, ())))]
    while todo:
        version = todo.pop()
        if version in states:
            continue
        table, length = version
        made = events.get(table, ())
        is_last = length == len(made)
        is_there = is_last and table in living
        used = (
            () if is_there else [e for e in made[:length] if e is made[0] or e.operation != RESTORE]
        )
        inputs = {event.id: _inputs(event, events) for event in used}
        states[version] = State(version, made[:length], is_last, is_there, inputs)
        todo.extend(needed for versions in inputs.values() for needed in versions)
    # An input's events are older than the event that read it.
    return sorted(states.values(), key=lambda state: state.events[-1].id if state.events else -1)


def _inputs(
    event: OperationEvent, events: Mapping[str, tuple[OperationEvent, ...]]
) -> tuple[Version, ...]:
    if event.operation == RESTORE:
        names = set(event.kwargs.values())
    else:
        names = words_of(event.sql_template or "") or set()
    return tuple(
        Version(name, sum(earlier.id < event.id for earlier in events.get(name, ())))
        for name in sorted(names)
        if name != event.result_table and TableName.parse(name) is not None
    )
