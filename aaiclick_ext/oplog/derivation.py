"""Derivation: what each column of a relation, and its rows, come from. Pure; becomes edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aaiclick_ext.oplog.columns import ALL, NONE, ColumnEdge, Use

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

Origin = tuple[str, str, Use]
"""Source, column and use, as in `ColumnEdge`."""


@dataclass(frozen=True, slots=True)
class Derivation:
    """What a relation is made of, in terms of named sources."""

    names: Collection[str]
    """Its columns, in order."""
    columns: Mapping[str, frozenset[Origin]]
    """The origins of each column; empty where `passes` says it."""
    rows: frozenset[Origin]
    """What decides which rows there are: every source with the column ``""``, at least."""
    passes: tuple[str, ...] = ()
    """Sources all of whose columns, and no others, are here under their own names."""

    def of(self, name: str) -> frozenset[Origin]:
        """Return the origins of a column."""
        if not self.passes:
            return self.columns[name]
        if len(self.passes) == 1:
            return frozenset(((self.passes[0], name, "value"),))
        return frozenset([(source, name, "value") for source in self.passes])

    def all_columns(self, use: Use) -> frozenset[Origin]:
        """Return the origins of all columns together, put to a use."""
        if self.passes:
            return frozenset([(source, ALL, use) for source in self.passes])
        return as_used(frozenset().union(*self.columns.values()), use)

    def with_rows(self, origins: Iterable[Origin]) -> Derivation:
        """Return the same columns with rows that depend on more."""
        return Derivation(self.names, self.columns, self.rows.union(origins), self.passes)


def named(name: str, columns: Collection[str]) -> Derivation:
    """Return the derivation of a relation that has a name: itself."""
    return Derivation(columns, {}, frozenset([(name, NONE, "value")]), (name,))


def as_used(origins: frozenset[Origin], use: Use) -> frozenset[Origin]:
    """Return the origins of something as those of what uses it."""
    if use == "value":
        return origins
    return frozenset([(source, column, use) for source, column, _ in origins])


def edges_of(derivation: Derivation) -> tuple[ColumnEdge, ...]:
    """Return the edges of a derivation: by column in order, then those of the rows."""
    of_rows = tuple(_edges_of_rows(derivation))
    if derivation.passes:
        unchanged = [ColumnEdge(ALL, source, ALL, "value") for source in derivation.passes]
        return (*unchanged, *of_rows)
    decided_by = {edge.source for edge in of_rows}
    found: list[ColumnEdge] = []
    for name in derivation.names:
        origins = derivation.columns[name]
        if len(origins) != 1:
            found.extend(_edges_of_column(name, origins, decided_by))
            continue
        ((source, column, use),) = origins  # so are most, and there can be hundreds
        if column != NONE or source not in decided_by:
            found.append(ColumnEdge(name, source, column, use))
    return (*found, *of_rows)


def _edges_of_column(
    name: str, origins: frozenset[Origin], decided_by: set[str]
) -> Iterator[ColumnEdge]:
    reached = decided_by.union(source for source, column, _ in origins if column != NONE)
    for source, column, use in sorted(origins):
        if column != NONE or source not in reached:
            yield ColumnEdge(name, source, column, use)


def _edges_of_rows(derivation: Derivation) -> Iterator[ColumnEdge]:
    rows = sorted(derivation.rows)
    reached = {source for source, column, _ in rows if column != NONE}.union(derivation.passes)
    for source, column, use in rows:
        if column != NONE or source not in reached:
            yield ColumnEdge(NONE, source, column, use)


def through(
    edges: Iterable[ColumnEdge], names: Collection[str], sources: Mapping[str, Derivation]
) -> Derivation:
    """Return the derivation of a relation known by its edges, over what its sources are made of.

    A source that is not in `sources` stays what it is.
    """
    columns: dict[str, set[Origin]] = {name: set() for name in names}
    rows: set[Origin] = set()
    for edge in edges:
        outputs = names if edge.output == ALL else [edge.output]
        for output in outputs:
            column = output if edge.output == ALL else edge.column
            target = rows if output == NONE else columns[output]
            target |= _origins(edge, column, sources)
        if (source := sources.get(edge.source)) is not None:
            use: Use = edge.use if edge.column == NONE else "value"
            target = rows if edge.output in (NONE, ALL) else columns[edge.output]
            target |= as_used(source.rows, use)
    return Derivation(
        names, {name: frozenset(found) for name, found in columns.items()}, frozenset(rows)
    )


def _origins(edge: ColumnEdge, column: str, sources: Mapping[str, Derivation]) -> frozenset[Origin]:
    source = sources.get(edge.source)
    if source is None:
        return frozenset([(edge.source, column, edge.use)])
    if column == NONE:
        return frozenset()
    if column == ALL:
        return source.all_columns(edge.use)
    return as_used(source.of(column), edge.use)
