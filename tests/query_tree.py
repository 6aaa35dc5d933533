"""What ClickHouse itself says a query reads: what is in ``EXPLAIN QUERY TREE``."""

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

    One rule: a column of a subquery that nothing around it names is read for nothing. ClickHouse
    leaves them out itself, but for one of a subquery of which none is named (it must have one), and
    in a scalar subquery, of which it keeps the tree as it was before that pass.
    """
    return tables_and_columns_read(engine, sql)[1]


def tables_and_columns_read(engine, sql: str) -> tuple[set[str], set[tuple[str, str]]]:
    """Return every table that a query reads, and what `columns_read` gives."""
    root = _tree_of(engine, sql)
    tables = {
        node.attribute("id"): node.attribute("table_name").split(".", 1)[-1]
        for node in root.walk()
        if node.kind == "TABLE" and node.attribute("table_name")
    }
    while _drop_unnamed(root):
        pass
    looked_up = list(_looked_up(root))
    tables |= {f"looked up {table}": table for table, _ in looked_up}
    columns = {
        (tables[node.attribute("source_id")], node.attribute("column_name"))
        for node in root.walk()
        if node.kind == "COLUMN" and node.attribute("source_id") in tables
    }
    columns |= {(table, name) for table, names in looked_up for name in names}
    columns |= {(table, name) for table in _sets(root) for name in _columns_of(engine, table)}
    return set(tables.values()), columns


def _looked_up(root: Node) -> Iterator[tuple[str, list[str]]]:
    """Yield the dictionaries and Join tables that functions name, with what they look up there."""
    for node in root.walk():
        function = node.attribute("function_name") or ""
        if node.kind == "FUNCTION" and function.startswith(("dict", "joinGet")):
            texts = [
                (argument.attribute("constant_value") or "").strip("'")
                for argument in node.children[0].children[0].children
                if argument.kind == "CONSTANT"
            ]
            has_column = not function.startswith(("dictHas", "dictIs"))
            yield texts[0].split(".", 1)[-1], texts[1:2] if has_column else []


def _sets(root: Node) -> Iterator[str]:
    """Yield the tables at the right of IN, of which all columns are read."""
    for node in root.walk():
        if node.kind == "FUNCTION" and (node.attribute("function_name") or "").endswith(
            ("in", "In")
        ):
            for argument in node.children[0].children[0].children:
                if argument.kind == "TABLE":
                    yield str(argument.attribute("table_name")).split(".", 1)[-1]


def _columns_of(engine, table: str) -> list[str]:
    sql = (
        "SELECT name FROM system.columns "
        "WHERE database = currentDatabase() AND table = {table:String}"
    )
    return [name for (name,) in engine.query_rows(sql, {"table": table})]


def _tree_of(engine, sql: str) -> Node:
    # Inside a SELECT: the driver takes a statement that ends in LIMIT 0 for one without rows.
    lines = [line for (line,) in engine.query_rows(f"SELECT * FROM (EXPLAIN QUERY TREE {sql})")]
    return _tree("\n".join(lines).splitlines())


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


def _drop_unnamed(root: Node) -> bool:
    """Drop what subqueries in a join tree compute and nothing names; say whether they did."""
    named = {
        (node.attribute("source_id"), node.attribute("column_name"))
        for node in root.walk()
        if node.kind == "COLUMN"
    }
    subqueries = [
        query
        for place in root.walk()
        if place.text == "JOIN TREE" or place.text.endswith("TABLE EXPRESSION")
        for query in place.children
        if query.kind in {"QUERY", "UNION"}
    ]
    dropped = False
    for query in subqueries:
        selects = _selects(query)
        used = {f"{name} " for source, name in named if source == query.attribute("id")}
        lines = _columns(selects[0]) if selects else []  # of name and type, which may have spaces
        for select in selects:
            keep = [any(line.startswith(name) for name in used) for line in lines]
            dropped |= _keep_columns(select, keep)
    return dropped


def _selects(query: Node) -> list[Node]:
    """Return the SELECTs that give a query's columns, where its rows need not all of them."""
    if query.kind == "QUERY":
        return [] if "is_distinct" in query.text else [query]
    if "UNION_ALL" not in query.text:
        return []
    parts = [part for part in query.children if part.kind == "QUERIES"]
    return [s for part in parts for one in part.children for q in one.children for s in _selects(q)]


def _columns(select: Node) -> list[str]:
    (columns,) = (child for child in select.children if child.text == "PROJECTION COLUMNS")
    return [child.text for child in columns.children]


def _keep_columns(select: Node, keep: list[bool]) -> bool:
    (projection,) = (child for child in select.children if child.text == "PROJECTION")
    nothing = Node("DROPPED")
    items = projection.children[0].children
    kept = [item if is_kept else nothing for item, is_kept in zip(items, keep, strict=True)]
    changed = kept != items
    projection.children[0].children = kept
    return changed
