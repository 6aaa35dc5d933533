"""What ``%lineage`` prints where the answer is no graph; pure but for what `names` says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aaiclick_ext.oplog.columns import ALL, NONE, USES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from aaiclick_ext.oplog import OperationEvent, StaleResult
    from aaiclick_ext.oplog.columns import ColumnUse

    Names = Mapping[str, Sequence[str]]
    """Name in the log to the variables that hold it now."""


def column_lines(column: str, found: Sequence[ColumnUse], names: Names) -> Iterator[str]:
    """Yield a column and, indented, what it was made of or went into, each with its use."""
    yield column
    if not found:
        yield "    nothing that the log knows of"
    width = max((len(use.use) for use in found), default=0)
    for use in sorted(found, key=lambda use: USES.index(use.use)):
        told = {NONE: "its rows", ALL: "its rows"}.get(use.column)
        table = _names(use.table, names)
        yield f"    {use.use:<{width}}  {table}{f': {told}' if told else f'.{use.column}'}"


def history_lines(name: str, events: Iterable[OperationEvent]) -> Iterator[str]:
    """Yield what a variable stood for, the oldest first."""
    found = [
        f"    {event.created_at:%F %T} UTC{_cell(event)}: {event.operation}, "
        f"{'' if event.rows is None else f'{_rows(event.rows)}, '}{event.result_table}"
        for event in events
    ]
    yield f"{name}:" if found else f"No cell set {name} to a result."
    yield from found


def stale_lines(results: Sequence[StaleResult], names: Names) -> Iterator[str]:
    """Yield a sentence for each stale result."""
    if not results:
        yield "Nothing is stale."
    for result in results:
        yield stale_sentence(result, names)


def stale_sentence(result: StaleResult, names: Names) -> str:
    """Return what is stale and why, by the names that variables have now, else had then."""
    changes = []
    for change in result.changes:
        if change.event is None:
            now = f"it is now one of {change.changed_at:%F %T} UTC"
            changes.append(f"the file {change.source} changed ({now})")
            continue
        rows = _rows(change.event.rows)
        name = _called(change.source, names, change.event)
        changes.append(f"{name} got {rows}{_cell(change.event)}")
    what = _called(result.table, names, result.made)
    made = f"{result.made.operation}{_cell(result.made)}"
    return f"{what} is stale: {', and '.join(changes)}, after {made} had read it."


def _rows(count: int | None) -> str:
    return "rows" if count is None else f"{count:,} row{'' if count == 1 else 's'}"


def _called(table: str, names: Names, event: OperationEvent) -> str:
    return ", ".join(event.variable_names) or table if table not in names else _names(table, names)


def _names(table: str, names: Names) -> str:
    return ", ".join(names.get(table) or [table])


def _cell(event: OperationEvent) -> str:
    return "" if event.execution_count is None else f" in cell [{event.execution_count}]"
