"""A lineage graph as plain text for a reader who has nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aaiclick_ext.oplog.event import OperationEvent
    from aaiclick_ext.oplog.graph import OplogGraph, OplogNode

_LONGEST_VALUE = 500


def prompt_context(graph: OplogGraph) -> str:
    """Return a graph as text: a line per step, then the SQL and the cells that are known."""
    numbers = {node.table: number for number, node in enumerate(graph.nodes, 1)}
    lines = [f"Lineage of {_title(graph, graph.root)}. Inputs come before what was made of them."]
    for node in graph.nodes:
        lines += _step(node, numbers)
    cells = _cells(event for node in graph.nodes for event in node.events)
    if cells:
        lines += ["", "Cells:", *cells]
    return "\n".join(lines) + "\n"


def _title(graph: OplogGraph, table: str) -> str:
    return next((_name(node) for node in graph.nodes if node.table == table), table)


def _name(node: OplogNode) -> str:
    variables = dict.fromkeys(name for event in node.events for name in event.variable_names)
    return f"{', '.join(variables)} ({node.table})" if variables else node.table


def _step(node: OplogNode, numbers: Mapping[str, int]) -> list[str]:
    """Return the lines of one node: what it is, its further versions, its SQL."""
    state = _state(node)
    number = numbers[node.table]
    if node.event is None:
        return [f"[{number}] {_name(node)}: not recorded{_listed(state)}"]
    first, *later = node.events
    lines = [
        f"[{number}] {_name(node)} = {_call(first, numbers)}{_listed([*_facts(first), *state])}"
    ]
    lines += [f"    then {_call(event, numbers)}{_listed(_facts(event))}" for event in later]
    schema = next((e.result_schema for e in reversed(node.events) if e.result_schema), {})
    if schema:
        columns = ", ".join(f"{name} {kind}" for name, kind in schema.items())
        lines.append(f"    columns: {columns}")
    texts = (event.sql_template for event in node.events if event.sql_template)
    return [*lines, *(f"    sql: {_short(' '.join(text.split()))}" for text in texts)]


def _state(node: OplogNode) -> list[str]:
    if node.alive is not False:
        return ["exists"] if node.alive else []
    reason = None if node.end is None else node.end.params.get("reason")
    return ["dropped" if reason is None else f"dropped: {reason}"]


def _call(event: OperationEvent, numbers: Mapping[str, int]) -> str:
    """Return an operation as a call: inputs by number, or by name where they are out of reach."""
    inputs = [
        f"{role}=[{numbers[table]}]" if table in numbers else f"{role}={table}"
        for role, table in event.kwargs.items()
        if table != event.result_table
    ]
    params = [f"{name}={_short(value)}" for name, value in event.params.items()]
    return f"{event.operation}({', '.join([*inputs, *params])})"


def _facts(event: OperationEvent) -> list[str]:
    facts = [f"cell {event.execution_count}"] if event.execution_count is not None else []
    facts += [f"{event.rows} rows"] if event.rows is not None else []
    if event.status != "ok":
        facts.append(f"failed: {_short(event.error or 'no message')}")
    return facts


def _listed(facts: Iterable[str]) -> str:
    text = "; ".join(facts)
    return f"; {text}" if text else ""


def _cells(events: Iterable[OperationEvent]) -> list[str]:
    """Return the source of each cell once, oldest first."""
    lines: list[str] = []
    seen: set[int] = set()
    for event in sorted(events, key=lambda event: event.id):
        if event.task_id is None or event.cell_source is None or event.task_id in seen:
            continue
        seen.add(event.task_id)
        number = "" if event.execution_count is None else event.execution_count
        lines.append(f"In [{number}]:")
        lines += [f"    {line}" for line in event.cell_source.splitlines()]
    return lines


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}… ({len(text)} chars)"
