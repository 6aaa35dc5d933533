"""Cards: what is said of one node of a lineage graph, wherever it is shown.

The picture, the tree and the widget all say the same, because they all read a card. Every text
of a card is already safe to show; nothing here is markup.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from aaiclick_ext.lifecycle.names import TableName
from aaiclick_ext.untrusted import visible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aaiclick_ext.oplog import OperationEvent, OplogGraph, OplogNode, StaleResult
    from aaiclick_ext.oplog.staleness import Change

_NUMBER = re.compile(r"\d+")


class Kind(StrEnum):
    """What a node is in the flow of data."""

    SOURCE = "source"
    TABLE = "table"
    VIEW = "view"
    SINK = "sink"
    FOLD = "fold"
    """No step, but several drawn as one."""


@dataclass(frozen=True, slots=True)
class Card:
    """What is said of one node in few words; `details` have the rest.

    Attributes
    ----------
    id
        The node's id in the picture: ``n0``, ``n1``, … in the graph's order.
    operation
        What made it; of what was not recorded, what it is.
    name
        The variables that held it, or the name it was given; "" where it had none.
    cell
        The cell's execution count as Jupyter shows it, ``[12]``, or "".
    rows
        ``336,776 rows``, or "" where nobody counted.
    state
        alive, stale, dropped, view, failed, or "" for what left the database.
    stale
        Why it is stale, a sentence for each change.
    members
        Ids of the steps that a fold stands for.
    """

    id: str
    table: str
    kind: Kind
    is_root: bool
    operation: str
    name: str
    cell: str
    rows: str
    state: str
    hidden_inputs: int
    stale: tuple[str, ...]
    members: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether the operation failed."""
        return self.state == "failed"

    @property
    def dropped(self) -> bool:
        """Whether there was a table that is gone."""
        return self.state == "dropped"

    @property
    def headline(self) -> str:
        """Name and cell, as far as there are any."""
        return " ".join(filter(None, (self.name, self.cell)))

    @property
    def status(self) -> str:
        """Rows and state, as far as they are known."""
        return " · ".join(filter(None, (self.rows, self.state)))

    @property
    def sentence(self) -> str:
        """All of it in one line, for a screen reader."""
        cell = self.cell and f"cell {self.cell[1:-1]}"
        hidden = self.hidden_inputs and f"{self.hidden_inputs} inputs not shown"
        parts = (self.operation, self.name, cell, self.rows, self.state, hidden)
        return ", ".join(part for part in parts if part)


def cards(graph: OplogGraph) -> tuple[Card, ...]:
    """Return a card for each node, in the graph's order. Runs no query."""
    shown = defaultdict(set)
    for edge in graph.edges:
        shown[edge.target].add(edge.source)
    names = {node.table: name_of(node) for node in graph.nodes}
    return tuple(
        _card(
            f"n{number}",
            node,
            node.table == graph.root,
            shown[node.table],
            names,
            _stale(graph.stale.get(node.table), names),
        )
        for number, node in enumerate(graph.nodes)
    )


def role_order(role: str) -> str:
    """Return what roles sort by: left before right, source_2 before source_10.

    Examples
    --------
    >>> sorted(["source_10", "right", "source_2", "left"], key=role_order)
    ['left', 'right', 'source_2', 'source_10']
    """
    return _NUMBER.sub(lambda number: number[0].zfill(9), role)


def _card(
    id_: str,
    node: OplogNode,
    is_root: bool,
    shown: set[str],
    names: Mapping[str, str],
    stale: tuple[str, ...],
) -> Card:
    maker = maker_of(node)
    inputs = {} if maker is None else inputs_of(node, maker)
    kind = _kind(node, inputs)
    return Card(
        id=id_,
        table=node.table,
        kind=kind,
        is_root=is_root,
        operation=visible(_operation(node, maker)),
        name=visible(names[node.table]),
        cell="" if maker is None or maker.execution_count is None else f"[{maker.execution_count}]",
        rows=_rows(node),
        state="stale" if stale else _state(node, kind, maker),
        hidden_inputs=len(set(inputs.values()) - shown),
        stale=stale,
    )


def maker_of(node: OplogNode) -> OperationEvent | None:
    """Return the event that made the node: an insert only adds to what something else made."""
    if node.event is None or node.event.operation != "insert":
        return node.event
    return next((event for event in node.events if event.operation != "insert"), node.event)


def inputs_of(node: OplogNode, maker: OperationEvent) -> Mapping[str, str]:
    """Return role → table of everything that went in, without the table itself."""
    found = {role: table for role, table in maker.kwargs.items() if table != node.table}
    for number, insert in enumerate(_inserts(node, maker), 1):
        found |= {
            f"insert {number} {role}": table
            for role, table in insert.kwargs.items()
            if table != node.table
        }
    return found


def _inserts(node: OplogNode, maker: OperationEvent) -> list[OperationEvent]:
    """Return the inserts that moved data; of a table that nothing succeeded on, all."""
    done = [e for e in node.events if e.status == "ok"] or node.events
    return [e for e in done if e is not maker and e.operation == "insert"]


def _kind(node: OplogNode, inputs: Mapping[str, str]) -> Kind:
    if node.table.startswith("fetch_"):
        return Kind.SINK
    if node.table.startswith("view_") or node.is_named_view:
        return Kind.VIEW
    return Kind.TABLE if inputs else Kind.SOURCE


def _operation(node: OplogNode, maker: OperationEvent | None) -> str:
    if maker is None:
        if node.operation:
            return node.operation
        if TableName.parse(node.table) is not None:
            return "create_object"  # records the table, not an operation
        return "not recorded" if node.alive is None or not node.alive else "foreign table"
    inserts = len(_inserts(node, maker))
    times = f" ({inserts}x)" if inserts > 1 else ""
    return f"{maker.operation} + insert{times}" if inserts else maker.operation


def name_of(node: OplogNode) -> str:
    """Return the variables that held a node, or the name it was given; "" where it had none."""
    names = dict.fromkeys(name for event in node.events for name in event.variable_names)
    if names:
        return ", ".join(names)
    parsed = TableName.parse(node.table)
    if parsed is not None:
        return parsed.name or ""
    return node.table if node.event is None or node.is_named_view else ""


def _rows(node: OplogNode) -> str:
    done = [event for event in node.events if event.status == "ok"]
    counts = [event.rows for event in done if event.rows is not None]
    if not counts or len(counts) < len(done):
        return ""
    total = sum(counts)
    return f"{total:,} row" if total == 1 else f"{total:,} rows"


def _state(node: OplogNode, kind: Kind, maker: OperationEvent | None) -> str:
    if maker is not None and maker.status != "ok":
        return "failed"
    if kind is Kind.VIEW:
        return "view"
    return "" if node.alive is None else "alive" if node.alive else "dropped"


def _stale(result: StaleResult | None, names: Mapping[str, str]) -> tuple[str, ...]:
    if result is None:
        return ()
    return tuple(visible(_changed(change, names)) for change in result.changes)


def _changed(change: Change, names: Mapping[str, str]) -> str:
    when = f"{change.changed_at:%Y-%m-%d %H:%M:%S} UTC"
    if change.event is None:
        return f"the file {change.source} changed, and is now one of {when}"
    rows = change.event.rows
    count = "rows" if rows is None else f"{rows:,} row{'' if rows == 1 else 's'}"
    cell = change.event.execution_count
    place = f"at {when}" if cell is None else f"in cell [{cell}]"
    return f"{names.get(change.source) or change.source} got {count} {place}"
