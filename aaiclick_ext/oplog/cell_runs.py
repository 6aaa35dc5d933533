"""What changed between two runs of a cell: its code, its inputs, and what came out."""

from __future__ import annotations

import difflib
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aaiclick_ext.errors import OplogError
from aaiclick_ext.oplog.event import READ_FIELDS, OperationEvent
from aaiclick_ext.oplog.graph import DISPLAY_PREFIX, without_ends
from aaiclick_ext.oplog.log_table import LOG_TABLE
from aaiclick_ext.oplog.queries import events_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from aaiclick_ext.engine import Engine

_FIELDS = ", ".join(READ_FIELDS)

_OF_CELL = f"""
SELECT {_FIELDS} FROM {LOG_TABLE}
WHERE cell_id = {{cell_id:String}} AND NOT startsWith(result_table, '{DISPLAY_PREFIX}') ORDER BY id
"""
_OF_RUN = f"""
SELECT {_FIELDS} FROM {LOG_TABLE}
WHERE job_id = {{job_id:UInt64}} AND execution_count = {{count:UInt32}}
  AND NOT startsWith(result_table, '{DISPLAY_PREFIX}') ORDER BY id
"""
_CHANGED = f"""
SELECT {_FIELDS} FROM {LOG_TABLE}
WHERE result_table IN {{tables:Array(String)}} AND operation = 'insert' AND status = 'ok'
  AND id > {{after:UInt64}} AND id < {{before:UInt64}} ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class CellRun:
    """One run of a cell, by what it recorded.

    Attributes
    ----------
    execution_count
        The number in ``In[…]``; None where history was not kept.
    source
        As it was stored: masked, or None where the settings say so.
    events
        By id.
    """

    task_id: int
    execution_count: int | None
    source: str | None
    events: tuple[OperationEvent, ...]


@dataclass(frozen=True, slots=True)
class ResultChange:
    """A result of both runs that is not the same, or of one of them only.

    Attributes
    ----------
    name
        The variable that held it; else its operation, with a number where there are several.
    before, after
        What made it in either run, or None.
    differences
        Phrases for people: of inputs, parameters, schema, rows and status.
    """

    name: str
    before: OperationEvent | None
    after: OperationEvent | None
    differences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CellChanges:
    """What changed between two runs of a cell.

    Attributes
    ----------
    before, after
        The runs.
    source_diff
        The lines of a unified diff of the code; empty where it is the same, or is not known.
    results
        Those that changed, in the order in which they were made.
    """

    before: CellRun
    after: CellRun
    source_diff: tuple[str, ...]
    results: tuple[ResultChange, ...]

    def __bool__(self) -> bool:
        return bool(self.source_diff or self.results)

    def __str__(self) -> str:
        runs = f"[{self.before.execution_count}] and [{self.after.execution_count}]"
        if not self:
            return f"Nothing changed between {runs}."
        lines = [f"Between {runs}:", *self.source_diff]
        for result in self.results:
            lines += [f"{result.name}: {difference}" for difference in result.differences]
        return "\n".join(lines)


def cell_changes(engine: Engine, job_id: int, execution_count: int) -> CellChanges:
    """Return what changed in a run of a cell, compared with its run before. Three queries.

    Parameters
    ----------
    job_id, execution_count
        The kernel session and the number of the run. The run before may be of another session.

    Raises
    ------
    OplogError
        If that run recorded nothing, the front end does not name its cells, or there is no
        earlier run that did.
    """
    run = events_of(engine, _OF_RUN, {"job_id": job_id, "count": execution_count})
    if not run:
        raise OplogError(
            f"cell [{execution_count}] of this kernel recorded no operation; the numbers of those "
            "that did are in %lineage and in backward_oplog(x)"
        )
    cell_id, task_id = run[0].cell_id, run[0].task_id
    if cell_id is None:
        raise OplogError("the front end gives cells no ids, so that runs of one are not known")
    runs = runs_of(events_of(engine, _OF_CELL, {"cell_id": cell_id}))
    position = next(n for n, found in enumerate(runs) if found.task_id == task_id)
    if position == 0:
        raise OplogError(f"cell [{execution_count}] was not run before, or recorded nothing then")
    before, after = runs[position - 1], runs[position]
    tables = sorted({name for event in after.events for name in event.kwargs.values()})
    span = {"after": before.events[0].id, "before": after.events[0].id}
    changed = events_of(engine, _CHANGED, {"tables": tables, **span})
    return compared(before, after, changed)


def runs_of(events: Iterable[OperationEvent]) -> list[CellRun]:
    """Return the runs of a cell by its events, oldest first."""
    by_task: defaultdict[int, list[OperationEvent]] = defaultdict(list)
    for event in without_ends(events):
        if event.task_id is not None:
            by_task[event.task_id].append(event)
    return [
        CellRun(task, made[0].execution_count, made[0].cell_source, tuple(made))
        for task, made in by_task.items()
    ]


def compared(
    before: CellRun, after: CellRun, changed: Sequence[OperationEvent] = ()
) -> CellChanges:
    """Return what changed between two runs. Pure.

    Parameters
    ----------
    changed
        Inserts between the runs into what the later one read.
    """
    old, new = _named(before.events), _named(after.events)
    names = {
        old[name].result_table: new[name].result_table for name in old if name in new
    }  # what is made anew in each run has another table, and is the same for all that
    results = []
    for name in dict.fromkeys([*new, *old]):
        one, other = old.get(name), new.get(name)
        differences = tuple(_differences(one, other, names, changed))
        if differences:
            results.append(ResultChange(name, one, other, differences))
    return CellChanges(before, after, _diff(before.source, after.source), tuple(results))


def _named(events: Iterable[OperationEvent]) -> dict[str, OperationEvent]:
    """Return events by a name that the same result has in another run."""
    found: dict[str, OperationEvent] = {}
    for event in events:
        name = ", ".join(event.variable_names) or event.operation
        number = 2
        while name in found:
            name = f"{name.partition(' #')[0]} #{number}"
            number += 1
        found[name] = event
    return found


def _differences(
    before: OperationEvent | None,
    after: OperationEvent | None,
    names: Mapping[str, str],
    changed: Sequence[OperationEvent],
) -> Iterator[str]:
    if before is None or after is None:
        yield "is new" if before is None else "is not made any more"
        return
    if before.operation != after.operation:
        yield f"made by {after.operation} instead of {before.operation}"
    inputs = {role: names.get(table, table) for role, table in before.kwargs.items()}
    for role in dict.fromkeys([*after.kwargs, *inputs]):
        if inputs.get(role) != after.kwargs.get(role):
            yield f"{role} is {after.kwargs.get(role)} instead of {before.kwargs.get(role)}"
    read = set(after.kwargs.values())
    for insert in changed:
        if insert.result_table in read:
            rows = "rows" if insert.rows is None else f"{insert.rows:,} rows"
            yield f"{insert.result_table} got {rows} in between"
    yield from _facts(before, after)


def _facts(before: OperationEvent, after: OperationEvent) -> Iterator[str]:
    for name in dict.fromkeys([*before.params, *after.params]):
        old, new = before.params.get(name), after.params.get(name)
        if old != new:
            yield f"{name} is {new} instead of {old}"
    if dict(before.result_schema) != dict(after.result_schema):
        for name in dict.fromkeys([*before.result_schema, *after.result_schema]):
            was, is_ = before.result_schema.get(name), after.result_schema.get(name)
            if was is None or is_ is None:
                yield f"column {name} {'is new' if was is None else 'is gone'}"
            elif was != is_:
                yield f"column {name} is {is_} instead of {was}"
        if list(before.result_schema) != list(after.result_schema) and set(
            before.result_schema
        ) == set(after.result_schema):
            yield "the columns are in another order"
    if before.rows != after.rows:
        yield f"{_count(after.rows)} instead of {_count(before.rows)}"
    if before.status != after.status:
        yield f"failed: {after.error}" if after.status == "error" else "succeeded this time"


def _count(rows: int | None) -> str:
    return "an unknown number of rows" if rows is None else f"{rows:,} rows"


def _diff(before: str | None, after: str | None) -> tuple[str, ...]:
    if before is None or after is None or before == after:
        return ()
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=1, lineterm="")
    return tuple(line for line in lines if not line.startswith(("---", "+++", "@@")))
