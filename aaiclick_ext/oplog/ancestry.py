"""Ancestry: the events that made what a graph's root holds, and none that came too late for it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from aaiclick_ext.oplog.graph import effective, is_table_name, view_made

if TYPE_CHECKING:
    from aaiclick_ext.oplog.event import OperationEvent
    from aaiclick_ext.oplog.graph import OplogGraph


def ancestry(graph: OplogGraph) -> list[OperationEvent]:
    """Return the events that the root's rows come from, by id.

    A table holds what went into it until it was read: an insert into a source after that is no
    part. A view has no rows of its own and is what its inputs are when it is used. What failed
    is there only where nothing else made the table.
    """
    made = effective(event for node in graph.nodes for event in node.events)
    needed: dict[int, OperationEvent] = {}
    read_until: dict[str, float] = {}
    todo: list[tuple[str, float]] = [(graph.root, math.inf)]
    while todo:
        name, until = todo.pop()
        if read_until.get(name, -math.inf) >= until:
            continue
        read_until[name] = until
        view = view_made(made.get(name, ()), until)
        if view is not None:
            needed[view.id] = view
            todo.extend((source, until) for source in view.kwargs.values())
            continue
        for event in made.get(name, ()):
            is_table = is_table_name(name)
            if is_table and event.id >= until:
                continue
            needed[event.id] = event
            before = event.id if is_table else until
            todo.extend((source, before) for source in event.kwargs.values() if source != name)
    return [needed[number] for number in sorted(needed)]
