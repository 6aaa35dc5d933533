"""What ClickHouse itself says a query reads: the columns in ``EXPLAIN QUERY TREE``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Node:
    """A line of the tree with the lines below it."""

    text: str
    children: list[Node] = field(default_factory=list)

    @property
    def kind(self) -> str:
        return self.text.split(" ", 1)[0]

    def attribute(self, name: str) -> str | None:
        found = re.search(rf"\b{name}: (.*?)(?:, \w+: |$)", self.text)
        return found and found[1]

    def walk(self) -> Iterator[Node]:
        yield self
        for child in self.children:
            yield from child.walk()


def columns_read(engine, sql: str) -> set[tuple[str, str]]:
    """Return table and column of everything that a query reads to compute its result.

    The tree is taken after the analyzer's passes, so columns that nothing uses are not in it. A
    constant that was computed keeps the expression that it was computed from.

    One rule: a subquery must have a column. Where nothing names one, as in ``count(*)`` over it,
    ClickHouse keeps an arbitrary one, which is not read *for* anything.
    """
    lines = [line for (line,) in engine.query_rows(f"EXPLAIN QUERY TREE {sql}")]
    root = _tree("\n".join(lines).splitlines())
    while _drop_arbitrary(root):
        pass
    tables = {
        node.attribute("id"): node.attribute("table_name").split(".", 1)[-1]
        for node in root.walk()
        if node.kind == "TABLE" and node.attribute("table_name")
    }
    return {
        (tables[node.attribute("source_id")], node.attribute("column_name"))
        for node in root.walk()
        if node.kind == "COLUMN" and node.attribute("source_id") in tables
    }


def _tree(lines: list[str]) -> Node:
    root = Node("ROOT")
    stack = [(-1, root)]
    for line in lines:
        indent = len(line) - len(line.lstrip())
        while stack[-1][0] >= indent:
            stack.pop()
        node = Node(line.strip())
        stack[-1][1].children.append(node)
        stack.append((indent, node))
    return root


def _drop_arbitrary(root: Node) -> bool:
    """Empty one subquery in a join tree of which no column is used; say whether there was one."""
    used = {node.attribute("source_id") for node in root.walk() if node.kind == "COLUMN"}
    for place in root.walk():
        if place.kind not in {"JOIN", "LEFT", "RIGHT", "TABLE"} and place.text != "JOIN TREE":
            continue
        for query in place.children:
            if query.kind in {"QUERY", "UNION"} and query.attribute("id") not in used:
                if any([_empty(one) for one in _selects(query)]):  # noqa: C419  all of them
                    return True
    return False


def _selects(query: Node) -> list[Node]:
    """Return the SELECTs whose columns are those of a query: itself, or the parts of a UNION ALL."""
    if query.kind == "QUERY":
        return [query]
    if "UNION_ALL" not in query.text:
        return []
    parts = [part for part in query.children if part.kind == "QUERIES"]
    lists = [one for part in parts for one in part.children]
    return [s for one in lists for part in one.children for s in _selects(part)]


def _empty(query: Node) -> bool:
    if "is_distinct" in query.text:
        return False
    projections = [child for child in query.children if child.text == "PROJECTION"]
    for projection in projections:
        query.children.remove(projection)
    return bool(projections)
