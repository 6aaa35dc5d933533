"""Completion of SQL: what fits at the cursor, the likeliest first."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aaiclick_ext.engine import quote_identifier
from aaiclick_ext.notebook.completion_place import Kind, place_of
from aaiclick_ext.notebook.completion_sources import (
    RESERVED,
    Star,
    aliases_in,
    common_tables,
    results_of,
    sources_of,
)
from aaiclick_ext.notebook.completion_tokens import cut_at, unquoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aaiclick_ext.notebook.completion_place import Place
    from aaiclick_ext.notebook.completion_sources import Source
    from aaiclick_ext.notebook.completion_tokens import Cut, Group
    from aaiclick_ext.notebook.completion_variables import Variables
    from aaiclick_ext.notebook.completion_words import Names

Candidate = tuple[str, str]
"""A text that takes the place of the fragment, and what it is."""

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DEEPEST = 8
_OF_QUERIES = (
    "FROM", "WHERE", "GROUP BY", "ORDER BY", "AS", "AND", "OR", "NOT", "IN", "LIKE", "ILIKE",
    "BETWEEN", "IS NULL", "IS NOT NULL", "NULL", "TRUE", "FALSE", "CASE", "WHEN", "THEN", "ELSE",
    "END", "DISTINCT", "JOIN", "LEFT JOIN", "INNER JOIN", "FULL JOIN", "ASOF JOIN", "ANY JOIN",
    "ARRAY JOIN", "CROSS JOIN", "ON", "USING", "HAVING", "LIMIT", "OFFSET", "PREWHERE", "QUALIFY",
    "WITH", "SELECT", "UNION ALL", "OVER", "PARTITION BY", "ROWS BETWEEN", "INTERVAL", "DESC",
    "ASC", "NULLS FIRST", "NULLS LAST", "SETTINGS", "FINAL", "SAMPLE", "EXISTS", "CAST", "FILTER",
)  # fmt: skip
"""The keywords of queries, the usual ones first."""


class SqlCompletion:
    """Finds what fits at a cursor in SQL.

    Parameters
    ----------
    names
        What ClickHouse has.
    variables
        What the user's namespace has.
    """

    def __init__(self, names: Names, variables: Variables) -> None:
        self._names = names
        self._variables = variables

    def prepare(self) -> None:
        """Ask for what is asked for once."""
        self._names.words()

    def candidates(self, text: str, cursor: int) -> tuple[str, list[Candidate]]:
        """Return the fragment before the cursor, and what can take its place, in order.

        Runs a few small queries, none over data.
        """
        cut = cut_at(text, cursor)
        place = place_of(cut)
        found = dict[str, str]()
        for name, kind in self._found(cut, place):
            written = _written(name, kind, cut)
            if written is not None:
                found.setdefault(written, kind)
        return cut.fragment, list(found.items())

    def _found(self, cut: Cut, place: Place) -> Iterator[Candidate]:
        kind = place.kind
        if kind is Kind.NOTHING:
            return
        start = _start(cut)
        if kind is Kind.VARIABLE:
            yield from _beginning(start, self._variables.tables(), "variable")
            if not place.is_table:
                yield from _beginning(start, self._variables.values(), "parameter")
        elif kind is Kind.TABLE:
            yield from self._tables(cut, place, start)
        elif kind is Kind.DATABASE:
            yield from _beginning(start, self._names.databases(), "database")
        elif kind is Kind.COLUMN:
            yield from _beginning(start, self._columns(cut, place), "column")
        elif kind is Kind.EXPRESSION:
            yield from self._expressions(cut, place, start)
        elif not cut.quote:
            words = self._names.words()
            if kind is Kind.TYPE:
                yield from _beginning(start, words.types, "type")
            elif kind is Kind.SETTING:
                yield from _beginning(start, words.settings, "setting")
            else:
                yield from _keywords(cut, _OF_QUERIES if len(cut.path[0].items) > 1 else ())
                yield from _keywords(cut, words.keywords)

    def _tables(self, cut: Cut, place: Place, start: str) -> Iterator[Candidate]:
        if place.qualifier:
            found = self._names.tables(start, place.qualifier[-1])
            yield from _beginning(start, found, "table")
            return
        if not cut.quote:
            yield from _beginning(start, self._variables.tables(), "variable")
        yield from _beginning(start, self._scope(cut).tables, "table")
        yield from _beginning(start, self._names.tables(start), "table")
        yield from _beginning(start, self._names.databases(), "database")
        if not cut.quote:
            words = self._names.words()
            yield from _keywords(cut, ("SELECT", "FINAL", "TABLE", "IF EXISTS", "IF NOT EXISTS"))
            yield from _beginning(start, words.table_functions, "function")

    def _expressions(self, cut: Cut, place: Place, start: str) -> Iterator[Candidate]:
        own = [
            *_beginning(start, self._columns(cut, place), "column"),
            *_beginning(start, aliases_in(_arm(cut.path[-1])), "alias"),
            *_beginning(start, self._scope(cut).qualifiers(), "table"),
        ]
        yield from own
        if cut.quote:
            return
        words = self._names.words()
        yield from _keywords(cut, _OF_QUERIES)
        # JupyterLab sorts by the alphabet: what is rare would hide the columns.
        is_short = bool(own and start)
        yield from _functions(start, words.usual if is_short else words.functions)
        for aggregate in words.aggregates:
            if start.startswith(aggregate):
                rest = start[len(aggregate) :]
                combined = (f"{aggregate}{c}" for c in words.combinators if c.startswith(rest))
                yield from ((name, "function") for name in combined)
        if not is_short:
            yield from _keywords(cut, words.keywords)

    def _columns(self, cut: Cut, place: Place) -> list[str]:
        scope = self._scope(cut)
        sources = scope.sources
        if place.qualifier:
            sources = [s for s in sources if _is_called(s, place.qualifier)]
        elif place.qualifier == () and place.kind is Kind.COLUMN and not cut.path[-1].is_query:
            sources = scope.sources
        return list(dict.fromkeys(c for s in sources for c in self._columns_of(s, scope, 0)))

    def _columns_of(self, source: Source, scope: Scope, depth: int) -> list[str]:
        if depth > _DEEPEST:
            return []
        if source.query is not None:
            return self._results(source.query, scope, depth)
        if source.is_variable:
            return self._variables.columns(source.name)
        if source.database is None and source.name in scope.queries:
            query, named = scope.queries[source.name]
            found = self._results(query, scope, depth)
            return [*named, *found[len(named) :]]
        return self._names.columns(source.name, source.database)

    def _results(self, query: Group, scope: Scope, depth: int) -> list[str]:
        """Return the columns that a SELECT gives."""
        inner = Scope.of([query], scope)
        found: list[str] = []
        arm = next(query.arms())
        if len(arm) == 1 and isinstance(arm[0], type(query)):  # in brackets once more
            return self._results(arm[0], scope, depth + 1)
        for result in results_of(arm):
            if isinstance(result, Star):
                columns = self._columns_of(result.source, inner, depth + 1)
                found += [column for column in columns if column not in result.without]
            else:
                found.append(result)
        return found

    def _scope(self, cut: Cut) -> Scope:
        return Scope.of(cut.path)


class Scope:
    """What can be named at a place: what is read there, innermost first, and what WITH names."""

    def __init__(self, sources: list[Source], queries: dict[str, tuple[Group, list[str]]]) -> None:
        self.sources = sources
        self.queries = queries

    @classmethod
    def of(cls, path: Iterable[Group], outer: Scope | None = None) -> Scope:
        """Return the scope inside groups that stand in each other, the outermost first."""
        sources: list[Source] = []
        queries = {} if outer is None else dict(outer.queries)
        for group in path:
            if group.opener == "" or group.is_query:
                queries |= common_tables(group.items)
                sources = [*sources_of(_arm(group)), *sources]
        return cls(sources, queries)

    @property
    def tables(self) -> list[str]:
        """What WITH gives names to."""
        return list(self.queries)

    def qualifiers(self) -> list[str]:
        """Return the names that can stand before a dot and a column."""
        names = [source.alias or source.name for source in self.sources]
        return list(dict.fromkeys(name for name in names if name))


def _arm(group: Group) -> list:  # type: ignore[type-arg]
    """Return the one SELECT of a group that has the cursor, or the first.

    Of INSERT INTO t SELECT …, the part before the SELECT or behind it.
    """
    arms = list(group.arms())
    arm = next((arm for arm in arms if _has_cursor(arm)), arms[0])
    if not arm or arm[0].is_word("SELECT", "WITH", "FROM"):
        return arm
    start = next((at for at, item in enumerate(arm) if item.is_word("SELECT", "WITH")), len(arm))
    return arm[start:] if _has_cursor(arm[start:]) else arm[:start]


def _has_cursor(items: Iterable) -> bool:  # type: ignore[type-arg]
    return any(
        item.kind == "cursor" or (item.kind == "group" and _has_cursor(item.items))
        for item in items
    )


def _is_called(source: Source, qualifier: tuple[str, ...]) -> bool:
    if len(qualifier) > 1 and source.alias is None:
        return (source.database, source.name) == qualifier[-2:]
    return source.is_called(qualifier[-1])


def _start(cut: Cut) -> str:
    """Return what the name begins with, without its quote."""
    if cut.quote == "{":
        return cut.fragment[1:].strip()
    return unquoted(cut.fragment) if cut.quote else cut.fragment


def _beginning(start: str, names: Iterable[str], kind: str) -> Iterator[Candidate]:
    """Yield names that begin like a text, those of the same case first."""
    low = start.lower()
    found = [name for name in names if name.lower().startswith(low)]
    found.sort(key=lambda name: not name.startswith(start))
    return ((name, kind) for name in found)


def _functions(start: str, functions: Iterable[str]) -> Iterator[Candidate]:
    # Of SUM and sum, the one that is written more like what was typed.
    found: dict[str, str] = {}
    for name, _ in _beginning(start, functions, ""):
        found.setdefault(name.lower(), name)
    return ((name, "function") for name in found.values())


def _keywords(cut: Cut, keywords: Iterable[str]) -> Iterator[Candidate]:
    typed = cut.fragment or next(
        (i.text for group in reversed(cut.path) for i in group.items if i.is_word(*RESERVED)), ""
    )
    for word, _ in _beginning(cut.fragment, keywords, ""):
        yield (word.lower() if typed.islower() else word), "keyword"


def _written(name: str, kind: str, cut: Cut) -> str | None:
    """Return a name as it stands in the place of the fragment, None where the rest does not fit."""
    if kind in ("variable", "parameter"):
        text = f"{{{name}" + ("" if cut.is_closed else "}")
        rest = cut.rest
    elif kind not in ("column", "table", "alias", "database"):
        text, rest = name, cut.rest
    elif cut.quote:
        escaped = quote_identifier(name)[1:-1]
        if cut.quote == '"':
            escaped = escaped.replace("\\`", "`").replace('"', '\\"')
        text, rest = cut.quote + escaped + ("" if cut.is_closed else cut.quote), cut.rest
    else:
        is_plain = _PLAIN.fullmatch(name) and name.upper() not in RESERVED
        text, rest = (name if is_plain else quote_identifier(name)), cut.rest
    return text.removesuffix(rest) if text.endswith(rest) else None
