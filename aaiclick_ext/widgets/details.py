"""Details: what the panel of a picture says of one node besides its card, as text to be shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aaiclick_ext.sizes import size_text
from aaiclick_ext.untrusted import ELLIPSIS, visible
from aaiclick_ext.widgets.card import inputs_of, maker_of, name_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aaiclick_ext.oplog import OperationEvent, OplogGraph, OplogNode

MAX_DETAIL = 20_000
"""Characters kept of one text; what is left out is counted."""


@dataclass(frozen=True, slots=True)
class Details:
    """What is said of one node where there is room for it.

    Attributes
    ----------
    facts
        Label and text of everything that no card and no other attribute says, in order.
    columns
        Name and ClickHouse type of each column, as far as the log has them.
    sql, source, error
        Whole texts, possibly of many lines.
    """

    facts: tuple[tuple[str, str], ...]
    columns: tuple[tuple[str, str], ...]
    sql: str
    source: str
    error: str


def details(graph: OplogGraph) -> dict[str, Details]:
    """Return the details of each node by its table. Runs no query."""
    names = {node.table: name_of(node) for node in graph.nodes}
    return {node.table: _details(node, names) for node in graph.nodes}


def logged_columns(node: OplogNode) -> tuple[tuple[str, str], ...]:
    """Return what the last event that tells a schema tells, its end among them."""
    for event in (node.end, *reversed(node.events)):
        if event is not None and event.status == "ok" and event.result_schema:
            return tuple((visible(n), visible(t)) for n, t in event.result_schema.items())
    return ()


def _details(node: OplogNode, names: Mapping[str, str]) -> Details:
    maker = maker_of(node)
    return Details(
        facts=tuple((visible(label), whole(text)) for label, text in _facts(node, maker, names)),
        columns=logged_columns(node),
        sql=whole(None if maker is None else maker.sql_template),
        source=whole(None if maker is None else maker.cell_source),
        error=whole(None if maker is None else maker.error),
    )


def _facts(
    node: OplogNode, maker: OperationEvent | None, names: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    yield "table", node.table
    if maker is not None:
        for role, table in inputs_of(node, maker).items():
            name = names.get(table, "")
            yield role, f"{name} ({table})" if name and name != table else table
        yield from maker.params.items()
        yield from _figures(maker)
    if node.end is not None:
        yield "dropped", _when(node.end)
        if reason := node.end.params.get("reason"):
            yield "why", reason


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


def whole(text: str | None) -> str:
    """Return a text as it is shown, cut where it is too long."""
    if not text:
        return ""
    rest = len(text) - MAX_DETAIL
    more = f" {ELLIPSIS} {rest:,} more characters" if rest > 0 else ""
    return visible(text[:MAX_DETAIL], lines=True) + more
