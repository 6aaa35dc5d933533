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
from aaiclick_ext.widgets.table_list import size_text
from aaiclick_ext.widgets.untrusted import ELLIPSIS, visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aaiclick_ext.oplog import OperationEvent, OplogGraph, OplogNode, StaleResult
    from aaiclick_ext.oplog.staleness import Change

MAX_DETAIL = 20_000
"""Characters kept of one text in the details; what is left out is counted."""

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
    """What is said of one node.

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
    facts
        Label and text of everything else that is known, in the order of showing.
    columns
        Name and ClickHouse type of each column, as far as the log has them.
    stale
        Why it is stale, a sentence for each change.
    sql, source, error
        Whole texts, possibly of many lines.
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
    facts: tuple[tuple[str, str], ...]
    columns: tuple[tuple[str, str], ...]
    stale: tuple[str, ...]
    sql: str
    source: str
    error: str
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
    names = {node.table: _name(node) for node in graph.nodes}
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
    maker = _maker(node)
    inputs = {} if maker is None else _inputs(node, maker)
    kind = _kind(node, inputs)
    return Card(
        id=id_,
        table=node.table,
        kind=kind,
        is_root=is_root,
        operation=visible(_operation(node, maker)),
        name=visible(_name(node)),
        cell="" if maker is None or maker.execution_count is None else f"[{maker.execution_count}]",
        rows=_rows(node),
        state="stale" if stale else _state(node, kind, maker),
        hidden_inputs=len(set(inputs.values()) - shown),
        facts=_facts(node, maker, inputs, names),
        columns=_columns(node),
        stale=stale,
        sql=_whole(None if maker is None else maker.sql_template),
        source=_whole(None if maker is None else maker.cell_source),
        error=_whole(None if maker is None else maker.error),
    )


def _maker(node: OplogNode) -> OperationEvent | None:
    """Return the event that made the node: an insert only adds to what something else made."""
    if node.event is None or node.event.operation != "insert":
        return node.event
    return next((event for event in node.events if event.operation != "insert"), node.event)


def _inputs(node: OplogNode, maker: OperationEvent) -> Mapping[str, str]:
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


def _name(node: OplogNode) -> str:
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


def _columns(node: OplogNode) -> tuple[tuple[str, str], ...]:
    """Return what the last event that tells a schema tells, its end among them."""
    for event in (node.end, *reversed(node.events)):
        if event is not None and event.status == "ok" and event.result_schema:
            return tuple((visible(n), visible(t)) for n, t in event.result_schema.items())
    return ()


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


def _facts(
    node: OplogNode,
    maker: OperationEvent | None,
    inputs: Mapping[str, str],
    names: Mapping[str, str],
) -> tuple[tuple[str, str], ...]:
    pairs: list[tuple[str, str]] = [("table", node.table)]
    for role, table in inputs.items():
        name = names.get(table, "")
        pairs.append((role, f"{name} ({table})" if name and name != table else table))
    if maker is not None:
        pairs += maker.params.items()
        pairs += _figures(maker)
    if node.end is not None:
        pairs.append(("dropped", _when(node.end)))
        pairs += [("why", reason) for reason in (node.end.params.get("reason"),) if reason]
    return tuple((visible(label), _whole(text)) for label, text in pairs)


def _figures(maker: OperationEvent) -> Iterator[tuple[str, str]]:
    """Yield what was counted of an operation; what nobody counted is left out."""
    if maker.read_rows is not None:
        yield "rows read", f"{maker.read_rows:,}"
    if maker.read_bytes is not None:
        yield "bytes read", size_text(maker.read_bytes)
    if maker.written_bytes is not None:
        yield "bytes written", size_text(maker.written_bytes)
    if maker.elapsed_s is not None:
        yield "took", _duration(maker.elapsed_s)
    yield "made", _when(maker)
    if maker.user_name:
        yield "by", maker.user_name
    if maker.notebook_path:
        yield "notebook", maker.notebook_path


def _when(event: OperationEvent) -> str:
    cell = "" if event.execution_count is None else f", cell [{event.execution_count}]"
    return f"{event.created_at:%Y-%m-%d %H:%M:%S} UTC{cell}"


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _whole(text: str | None) -> str:
    if not text:
        return ""
    rest = len(text) - MAX_DETAIL
    more = f" {ELLIPSIS} {rest:,} more characters" if rest > 0 else ""
    return visible(text[:MAX_DETAIL], lines=True) + more
