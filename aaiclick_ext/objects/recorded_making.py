"""What the log says that a table was made of, where this kernel has no expression that says it.

So it is with tables of other kernels and with restored ones. The log has the inputs of every event
and its SQL, which cannot be looked into. But what only leaves rows out, or puts them in another
order or together, has the rows of its inputs as they are; and these are found again by their
values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aaiclick_ext.oplog.columns import unchanged_columns
from aaiclick_ext.oplog.graph import effective, is_table_name
from aaiclick_ext.oplog.queries import ancestors, living_tables
from aaiclick_ext.oplog.states import RESTORE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aaiclick_ext.objects.services import Services
    from aaiclick_ext.oplog import OperationEvent

_KEEPING_ROWS = frozenset(
    {
        "alias", "cache", "concat", "copy", "distinct", "drop_null", "filter", "head", "insert",
        "limit", "memtable", "order_by", "sample", "union", "view", RESTORE,
    }
)  # fmt: skip
"""Operations that change no value. Columns do not tell it: `fill_null` has those of its input."""

_EMPTY = "create_object"


@dataclass(frozen=True, slots=True)
class RecordedMaking:
    """What a table was made of, by the log.

    Attributes
    ----------
    sources
        The nearest tables that exist, with whether their rows came in as they were.
    gone
        Tables of which there is neither the table nor what it was made of.
    has_values
        Whether rows of its own came from values or files.
    """

    sources: Mapping[str, bool]
    gone: tuple[str, ...] = ()
    has_values: bool = False


def recorded_making(services: Services, table: str) -> RecordedMaking:
    """Return what a table was made of before this kernel had it, or restored it. A few queries."""
    services.oplog.flush()
    events = ancestors(services.engine, [table])
    made = effective(events)
    made[table] = [
        event
        for event in made.get(table, [])
        if event.operation == RESTORE or event.job_id != services.job_id
    ]
    names = {name for event in events for name in event.kwargs.values()} - {table}
    living = living_tables(services.engine, names)
    sources: dict[str, bool] = {}
    gone: dict[str, None] = {}
    has_values = False
    seen: set[tuple[str, bool]] = set()
    todo = [(table, True)]
    while todo:
        name, is_same = at = todo.pop()
        if at in seen:
            continue
        seen.add(at)
        if name in living:
            sources[name] = is_same and sources.get(name, True)
            continue
        known = made.get(name, [])
        if name == table:
            has_values = any(map(_has_values, known))
        elif is_table_name(name) and (not known or any(map(_has_values, known))):
            gone[name] = None
        todo.extend(_inputs(name, known, is_same=is_same))
    return RecordedMaking(sources, tuple(gone), has_values)


def _inputs(
    name: str, events: Sequence[OperationEvent], *, is_same: bool
) -> list[tuple[str, bool]]:
    """Return what events read, with whether its rows are still as they were."""
    return [
        (source, is_same and event.operation in _KEEPING_ROWS and _passes(event, source))
        for event in events
        for source in event.kwargs.values()
        if source != name
    ]


def _passes(event: OperationEvent, source: str) -> bool:
    return unchanged_columns([source])[0] in event.columns


def _has_values(event: OperationEvent) -> bool:
    """Say whether an event put values or a file into its table."""
    if set(event.kwargs.values()) <= {event.result_table}:
        return event.operation != _EMPTY
    return event.operation == "insert" and any(role.startswith("source_") for role in event.params)
