"""Column lineage: which columns a result's columns come from. Pure: values and walks over them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

Use = Literal["value", "filter", "join", "group", "order"]

USES: tuple[Use, ...] = ("value", "filter", "join", "group", "order")

VALUES: tuple[Use, ...] = ("value",)

ALL = "*"
"""Every column; as the output and the column of one edge, each from the one of its name."""
NONE = ""
"""No column in particular: as an output, the rows of the result; as a column, those of a source."""


class ColumnEdge(NamedTuple):
    """One column of an input and what it is for a column of the result.

    ``("total", "aai_1", "price", "value")`` says that `total` is computed from `price`. Two names
    stand for more than one column, so that what an operation does to all of them is said once:

    - ``("*", "view_1", "*", "value")``: every column of the result is the column of the same name
      of `view_1`, and all of those are there. A filter, a sort, a limit and a union say so.
    - ``("", "aai_1", "day", "filter")``: `day` decides about rows, hence about every column.
    - ``("", "aai_1", "*", "group")``: all columns of `aai_1` do, as in ``SELECT DISTINCT``.
    - ``("n", "aai_1", "", "value")``, ``("", "aai_1", "", "value")``: what counts is which rows
      `aai_1` has and none of its columns. The second is there for every source of the rows that
      has no other edge with the output ``""`` or ``"*"``; so ``count(*)`` needs no edge of its own.
    """

    output: str
    """A column of the result; ``""`` for all of its rows, ``"*"`` for all of its columns."""
    source: str
    """A table, view or sink by its name in the log, as in `OperationEvent.kwargs`."""
    column: str
    """A column of the source; ``""`` for its rows, ``"*"`` for all columns."""
    use: Use


def unchanged_columns(sources: Iterable[str]) -> tuple[ColumnEdge, ...]:
    """Return the edges of a result that has all columns of its sources as they are.

    Examples
    --------
    >>> unchanged_columns(["a"])
    (ColumnEdge(output='*', source='a', column='*', use='value'),)
    """
    return tuple(ColumnEdge(ALL, source, ALL, "value") for source in dict.fromkeys(sources))


@dataclass(frozen=True, slots=True)
class ColumnUse:
    """A column somewhere in the graph and what it is for the one that was asked about."""

    table: str
    column: str
    use: Use


def used_as(outer: Use, inner: Use) -> Use:
    """Return the use of what is used (`inner`) by something that is itself used (`outer`).

    The use nearest to the result counts: what computes a filter filters, and what groups a value
    that is computed with groups.
    """
    return inner if outer == "value" else outer


def backward_columns(
    edges: Mapping[str, Iterable[ColumnEdge] | None],
    table: str,
    column: str,
    *,
    uses: Collection[Use] = VALUES,
) -> frozenset[ColumnUse]:
    """Return the source columns that a column was made of.

    Parameters
    ----------
    edges
        The edges of each result, those of all the events that made or changed it; None where
        they are not known.
    table, column
        The column asked about; ``"*"`` asks about all of the table.
    uses
        The uses to follow. With others than ``"value"``, the rows of every relation on the way
        count too, and a source of which nothing but the rows does appears with the column ``""``.

    Returns
    -------
    frozenset of ColumnUse
        Columns of tables that have no edges: nothing is known to have gone into them, so the data
        begins there. A column that was made of literals alone has none.
    """
    made = {result: tuple(known) for result, known in edges.items() if known}
    follows_rows = not set(uses) <= {"value"}
    found: set[ColumnUse] = set()
    seen: set[ColumnUse] = set()
    todo = [ColumnUse(table, column, "value")]
    if follows_rows:
        todo.append(ColumnUse(table, NONE, "value"))
    while todo:
        at = todo.pop()
        if at in seen:
            continue
        seen.add(at)
        if at.table not in made:
            found.add(at)
            continue
        for edge in made[at.table]:
            todo.extend(
                before
                for before in _before(at, edge)
                if (follows_rows if before.column == NONE else before.use in uses)
            )
    with_columns = {end.table for end in found if end.column != NONE}
    return frozenset(end for end in found if end.column != NONE or end.table not in with_columns)


def _before(at: ColumnUse, edge: ColumnEdge) -> Iterator[ColumnUse]:
    """Yield where an edge comes from: a column, and the rows of its source.

    The rows have uses of their own, whatever the column is for: a filter below a sort filters the
    result.
    """
    asks_rows = at.column == NONE
    if edge.output == ALL and not asks_rows:
        yield ColumnUse(edge.source, at.column, used_as(at.use, edge.use))
    elif edge.output == at.column or (at.column == ALL and edge.output != NONE):
        yield ColumnUse(edge.source, edge.column, used_as(at.use, edge.use))
    elif not (asks_rows and edge.output == ALL):
        return
    yield ColumnUse(edge.source, NONE, at.use if asks_rows else "value")


def forward_columns(
    edges: Mapping[str, Iterable[ColumnEdge] | None],
    table: str,
    column: str,
    *,
    uses: Collection[Use] = VALUES,
) -> frozenset[ColumnUse]:
    """Return the columns of all results, near and far, that a column went into.

    Parameters are those of `backward_columns`. The column ``"*"`` of a result stands for all of
    them: the column decided about its rows.
    """
    readers: defaultdict[str, list[tuple[str, ColumnEdge]]] = defaultdict(list)
    for result, known in edges.items():
        for edge in known or ():
            readers[edge.source].append((result, edge))
    seen: set[ColumnUse] = set()
    start = ColumnUse(table, column, "value")
    todo = [start]
    while todo:
        at = todo.pop()
        if at in seen:
            continue
        seen.add(at)
        for result, edge in readers[at.table]:
            is_of_rows = at.column == ALL and at.use != "value"
            # From here to the result: what comes last is nearest to it. But rows stay decided
            # about in the way they were.
            use = at.use if is_of_rows else used_as(edge.use, at.use)
            if use in uses and (edge.column in (ALL, at.column) or at.column == ALL):
                todo.append(ColumnUse(result, _reached(edge, at.column), use))
    return frozenset(seen - {start})


def _reached(edge: ColumnEdge, column: str) -> str:
    """Return the column of a result that an edge leads to from a column of its source."""
    if edge.output == ALL:
        return column
    return ALL if edge.output == NONE else edge.output
