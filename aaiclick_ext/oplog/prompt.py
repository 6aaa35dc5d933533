"""A lineage graph as plain text for a reader who has nothing else."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from aaiclick_ext.oplog.graph import distances

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from aaiclick_ext.oplog.event import OperationEvent
    from aaiclick_ext.oplog.graph import OplogGraph, OplogNode

_LONGEST_VALUE = 500


def prompt_context(graph: OplogGraph, max_chars: int | None = None) -> str:
    """Return a graph as text: a line per step, then the SQL and the cells that are known.

    Parameters
    ----------
    max_chars
        What is least important goes first until the text is no longer: the cells, then the SQL,
        then the columns, then whole steps, each from the far end of the graph. A last line says
        how many of each are left out.
    """
    parts = _parts(graph)
    if max_chars is None:
        return _text(parts)
    left, missing = _fitting(parts, max_chars)
    text = _text(left, missing)
    return text if len(text) <= max_chars else text[: max(max_chars - 1, 0)] + "…"


def _fitting(parts: Sequence[_Part], max_chars: int) -> tuple[list[_Part], Counter[str]]:
    """Return the parts that there is room for, and how many of each kind there is none for."""
    missing: Counter[str] = Counter()
    cells = sum(part.kind == "cell" for part in parts)
    length = sum(_length(part.lines) for part in parts)
    dropped: set[int] = set()
    for part in sorted(parts, key=lambda part: part.importance):
        around = (*(_CELLS if cells > missing["cell"] else ()), *_left_out(missing))
        if length + _length(around) <= max_chars:
            break
        dropped.add(id(part))
        missing[part.kind] += 1
        length -= _length(part.lines)
    return [part for part in parts if id(part) not in dropped], missing


def _length(lines: Iterable[str]) -> int:
    return sum(len(line) + 1 for line in lines)


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Some lines of the text; what is least important is left out first."""

    kind: str
    lines: tuple[str, ...]
    distance: int
    order: int

    @property
    def importance(self) -> tuple[int, int, int]:
        """Kind before nearness to the root, before age."""
        return _KINDS.index(self.kind), -self.distance, self.order


_KINDS = ("cell", "SQL text", "list of columns", "step", "title")
"""From the least to the most important."""

_CELLS = ("", "Cells:")


def _text(parts: Sequence[_Part], missing: Mapping[str, int] = MappingProxyType({})) -> str:
    lines: list[str] = []
    is_in_cells = False
    for part in parts:
        if part.kind == "cell" and not is_in_cells:
            is_in_cells = True
            lines += _CELLS
        lines += part.lines
    return "\n".join([*lines, *_left_out(missing)]) + "\n"


def _left_out(missing: Mapping[str, int]) -> tuple[str, ...]:
    counts = [(missing.get(kind, 0), kind) for kind in reversed(_KINDS)]
    listed = ", ".join(f"{n} {kind}{'' if n == 1 else 's'}" for n, kind in counts if n > 0)
    return ("", f"Left out for want of room: {listed}.") if listed else ()


def _parts(graph: OplogGraph) -> list[_Part]:
    numbers = {node.table: number for number, node in enumerate(graph.nodes, 1)}
    away = distances(graph)
    title = f"Lineage of {_title(graph, graph.root)}. Inputs come before what was made of them."
    parts = [_Part("title", (title,), 0, 0)]
    for order, node in enumerate(graph.nodes):
        for kind, lines in _step(node, numbers):
            parts.append(_Part(kind, lines, away[node.table], order))
    by_event = {event.id: away[node.table] for node in graph.nodes for event in node.events}
    for event, lines in _cells(event for node in graph.nodes for event in node.events):
        parts.append(_Part("cell", lines, by_event[event.id], event.id))
    return parts


def _title(graph: OplogGraph, table: str) -> str:
    return next((_name(node) for node in graph.nodes if node.table == table), table)


def _name(node: OplogNode) -> str:
    variables = dict.fromkeys(name for event in node.events for name in event.variable_names)
    return f"{', '.join(variables)} ({node.table})" if variables else node.table


def _step(node: OplogNode, numbers: Mapping[str, int]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the lines of one node by kind: what it is, its further versions, its SQL."""
    state = _state(node)
    number = numbers[node.table]
    if node.event is None:
        yield "step", (f"[{number}] {_name(node)}: not recorded{_listed(state)}",)
        return
    first, *later = node.events
    head = f"[{number}] {_name(node)} = {_call(first, numbers)}"
    versions = [f"    then {_call(event, numbers)}{_listed(_facts(event))}" for event in later]
    yield "step", (f"{head}{_listed([*_facts(first), *state])}", *versions)
    schema = next((e.result_schema for e in reversed(node.events) if e.result_schema), {})
    if schema:
        columns = ", ".join(f"{name} {kind}" for name, kind in schema.items())
        yield "list of columns", (f"    columns: {columns}",)
    for event in node.events:
        if event.sql_template:
            yield "SQL text", (f"    sql: {_short(' '.join(event.sql_template.split()))}",)


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


def _cells(
    events: Iterable[OperationEvent],
) -> Iterator[tuple[OperationEvent, tuple[str, ...]]]:
    """Yield the source of each cell once, oldest first, with its first event."""
    seen: set[int] = set()
    for event in sorted(events, key=lambda event: event.id):
        if event.task_id is None or event.cell_source is None or event.task_id in seen:
            continue
        seen.add(event.task_id)
        number = "" if event.execution_count is None else event.execution_count
        source = (f"    {line}" for line in event.cell_source.splitlines())
        yield event, (f"In [{number}]:", *source)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}… ({len(text)} chars)"
