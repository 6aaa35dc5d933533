"""What a SELECT reads: its tables, subqueries and variables, under which names."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, takewhile
from typing import TYPE_CHECKING

from aaiclick_ext.notebook.completion_tokens import Group

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aaiclick_ext.notebook.completion_tokens import Item

BEGINS_TABLE = ("FROM", "JOIN", "INTO", "TABLE", "VIEW", "UPDATE", "DESCRIBE", "DESC", "EXISTS")
"""Words behind which a table stands, some of them only where a statement begins."""

_ENDS_TABLES = (
    "WHERE", "PREWHERE", "ON", "USING", "GROUP", "ORDER", "LIMIT", "OFFSET", "HAVING", "WINDOW",
    "QUALIFY", "SETTINGS", "FORMAT", "SELECT", "VALUES", "SET", "UNION", "INTERSECT", "EXCEPT",
)  # fmt: skip
RESERVED = frozenset(
    {
        *_ENDS_TABLES, *BEGINS_TABLE, "ALL", "AND", "ANTI", "ANY", "ARRAY", "AS", "ASOF", "BETWEEN",
        "BY", "CASE", "CAST", "CROSS", "DISTINCT", "ELSE", "END", "FINAL", "FULL", "GLOBAL",
        "ILIKE", "IN", "INNER", "INTERVAL", "IS", "LEFT", "LIKE", "NOT", "NULL", "OR", "OUTER",
        "PASTE", "RIGHT", "SAMPLE", "SEMI", "THEN", "WHEN", "WITH", "TRUE", "FALSE", "INSERT",
    }
)  # fmt: skip
"""Words that are taken for no name where they stand without quotes."""


@dataclass(frozen=True, slots=True)
class Source:
    """Something that a SELECT reads.

    Attributes
    ----------
    name
        Of a table or of a variable.
    database
        Of a table, where the text gives it.
    alias
        What the text calls it, where it does.
    query
        A subquery.
    """

    name: str = ""
    database: str | None = None
    alias: str | None = None
    is_variable: bool = False
    query: Group | None = None

    def is_called(self, qualifier: str) -> bool:
        """Whether ``qualifier.`` is before its columns."""
        return qualifier == (self.alias or self.name)


@dataclass(frozen=True, slots=True)
class Star:
    """Columns of a source that stand in a SELECT as ``*``.

    Attributes
    ----------
    without
        Names behind EXCEPT.
    """

    source: Source
    without: frozenset[str] = frozenset()


def sources_of(items: Sequence[Item]) -> Iterator[Source]:
    """Yield what one SELECT, or another statement, reads, in order."""
    at, is_due, is_list = 0, False, False
    while at < len(items):
        item = items[at]
        if _begins_tables(items, at):
            is_due = is_list = True
        elif item.is_word(*_ENDS_TABLES):
            is_due = is_list = False
        elif is_list and item.kind == "sign" and item.text == ",":
            is_due = True
        elif is_due and not item.is_word("IF", "NOT", "EXISTS", "ONLY"):
            source, at = _source(items, at)
            if source is not None:
                yield source
            is_due = False
            continue
        at += 1


def is_table_due(items: Sequence[Item]) -> bool:
    """Say whether a table stands behind some items."""
    is_list = False
    for at, item in enumerate(items):
        if _begins_tables(items, at):
            is_list = True
        elif item.is_word(*_ENDS_TABLES):
            is_list = False
    end = len(items)
    while end > 1 and items[end - 1].is_word("IF", "NOT", "EXISTS"):
        end -= 1
    if not items or not is_list:
        return False
    last = items[end - 1]
    return _begins_tables(items, end - 1) or (last.kind == "sign" and last.text == ",")


def _begins_tables(items: Sequence[Item], at: int) -> bool:
    item = items[at]
    if item.is_word("DESC", "DESCRIBE", "EXISTS", "UPDATE"):
        return at == 0
    if item.is_word("JOIN"):
        return not (at and items[at - 1].is_word("ARRAY"))
    return item.is_word(*BEGINS_TABLE)


def _source(items: Sequence[Item], at: int) -> tuple[Source | None, int]:
    """Return what stands at a place, None where that is not known, and the place behind it."""
    item = items[at]
    name, known = "", True
    database: str | None = None
    query: Group | None = None
    if isinstance(item, Group):
        query, known = item, item.is_query
    elif item.kind == "variable":
        name = item.text
    elif item.is_name and not (item.kind == "word" and item.text.upper() in RESERVED):
        name = item.text
        if at + 2 < len(items) and items[at + 1].text == "." and items[at + 2].is_name:
            database, name, at = name, items[at + 2].text, at + 2
        following = items[at + 1] if at + 1 < len(items) else None
        if isinstance(following, Group) and following.opener == "(":
            # the columns of an INSERT or CREATE, or else a table function
            known = items[0].is_word("INSERT", "CREATE", "REPLACE")
            at += 1
    else:
        return None, at + (item.kind == "cursor")
    at += 1
    alias: str | None = None
    at += sum(1 for _ in takewhile(lambda i: i.is_word("FINAL", "AS"), items[at:]))
    named = items[at] if at < len(items) else None
    if named is not None and named.is_name and _is_free(named):
        alias, at = named.text, at + 1
    is_variable = item.kind == "variable"
    return (Source(name, database, alias, is_variable, query) if known else None), at


def _is_free(item: Item) -> bool:
    return item.kind == "quoted" or item.text.upper() not in RESERVED


def common_tables(items: Sequence[Item]) -> dict[str, tuple[Group, list[str]]]:
    """Return what WITH gives names to, and the names that it gives the columns."""
    found: dict[str, tuple[Group, list[str]]] = {}
    for at in range(2, len(items)):
        query = items[at]
        if not (isinstance(query, Group) and query.is_query and items[at - 1].is_word("AS")):
            continue
        name, names = items[at - 2], list[str]()
        if isinstance(name, Group) and at >= 3:
            names = [item.text for item in name.items if item.is_name]
            name = items[at - 3]
        if name.is_name:
            found[name.text] = query, names
    return found


def aliases_in(items: Sequence[Item]) -> list[str]:
    """Return the names that a SELECT gives to expressions, those of its tables left out."""
    tables = {source.alias for source in sources_of(items)}
    return [
        name.text
        for before, name, after in zip(items, items[1:], [*items[2:], None], strict=False)
        if before.is_word("AS")
        and name.is_name
        and name.text not in tables
        and not isinstance(after, Group)
    ]


def results_of(items: Sequence[Item]) -> Iterator[str | Star]:
    """Yield the columns that one SELECT gives: names, and sources all columns of which it gives."""
    sources = list(sources_of(items))
    for part in _selected(items):
        is_qualified = len(part) > 2 and part[1].text == "."
        if part[2 if is_qualified else 0].text == "*":
            without = _excepted(part)
            qualifier = part[0].text if is_qualified else None
            for source in sources:
                if qualifier is None or source.is_called(qualifier):
                    yield Star(source, without)
        elif part[-1].is_name:
            yield part[-1].text


def _excepted(part: Sequence[Item]) -> frozenset[str]:
    for before, after in pairwise(part):
        if before.is_word("EXCEPT"):
            inside = after.items if isinstance(after, Group) else [after]
            return frozenset(item.text for item in inside if item.is_name)
    return frozenset()


def _selected(items: Sequence[Item]) -> Iterator[list[Item]]:
    """Yield the items of each result of a SELECT."""
    start = next((at + 1 for at, item in enumerate(items) if item.is_word("SELECT")), len(items))
    part: list[Item] = []
    for item in items[start:]:
        if item.is_word("DISTINCT") and not part:
            continue
        if item.is_word("FROM", *_ENDS_TABLES) and not item.is_word("EXCEPT"):
            break
        if item.kind == "sign" and item.text == ",":
            if part:
                yield part
            part = []
        elif item.kind != "cursor":
            part.append(item)
    if part:
        yield part
