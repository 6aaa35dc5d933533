"""Why not: the first step of an expression that lost chosen rows of one of its sources.

The same walk as a trace, from every operation between the source and the result: the source's rows
that are still there after an operation are those that all its rows are made of. All of it is
counted by one query.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.types as ir

from aaiclick_ext.errors import UnknownObjectError, UnsupportedTypeError
from aaiclick_ext.objects.loss_reasons import reason_of_loss
from aaiclick_ext.objects.row_choice import chosen_rows
from aaiclick_ext.objects.row_keys import moved, substituted
from aaiclick_ext.objects.row_steps import branches
from aaiclick_ext.objects.row_trace import Found, is_same_source, shown, sources, traced
from aaiclick_ext.objects.selection import Selection, is_unstable
from aaiclick_ext.objects.step_names import step_name
from aaiclick_ext.objects.window_steps import has_windows
from aaiclick_ext.untrusted import visible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aaiclick_ext.objects.backend import Backend

_SILENT = (ops.Reference, ops.AliasedRelation, ops.Sort, ops.DropColumns, ops.Project, ops.FillNull)
"""Operations that lose no row; a projection does where it unnests."""


@dataclass(frozen=True, slots=True)
class Step:
    """An operation between a source and a result, and what it did to the chosen rows.

    Attributes
    ----------
    text
        The operation in words.
    rows_in, rows_out
        How many of the chosen rows of the source went into it and still are in what came out.
    note
        Why it lost some, where that can be said.
    """

    text: str
    rows_in: int
    rows_out: int
    note: str = ""

    @property
    def lost(self) -> int:
        """How many of the chosen rows it lost."""
        return self.rows_in - self.rows_out

    def __repr__(self) -> str:
        note = f"  ({visible(self.note)})" if self.note else ""
        return f"{visible(self.text)}: {self.rows_in} → {self.rows_out}{note}"


@dataclass(frozen=True, slots=True)
class Way:
    """One way by which rows of the source get into the result; a self-join has two.

    Attributes
    ----------
    role
        How the result reads the source here.
    steps
        From the source to the result.
    """

    role: str
    steps: tuple[Step, ...]
    present: int

    @property
    def first_loss(self) -> Step | None:
        """The first step that lost some of the chosen rows."""
        return next((step for step in self.steps if step.lost), None)


@dataclass(frozen=True, slots=True)
class WhyNot:
    """Why chosen rows of a source are not in a result: the answer of `why_not`.

    Attributes
    ----------
    source
        The name of the source.
    chosen
        How many of its rows were asked about.
    present
        How many of them the result is made of.
    ways
        Each with its steps and their counts.
    """

    source: str
    chosen: int
    present: int
    ways: tuple[Way, ...]

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps of the first way."""
        return self.ways[0].steps

    @property
    def verdict(self) -> str:
        """What happened to the rows, in one line."""
        if not self.chosen:
            return f"no row of {self.source} is chosen"
        if self.present == self.chosen:
            rows = "the row is" if self.chosen == 1 else f"all {self.chosen} rows are"
            return f"{rows} in the result{_folded(self.ways)}"
        losses = [loss for way in self.ways for loss in _losses(way, self.chosen, len(self.ways))]
        there = "is" if self.present == 1 else "are"
        rest = [f"{self.present} of {self.chosen} {there} in the result"] if self.present else []
        return "; ".join([*losses, *rest])

    def __repr__(self) -> str:
        lines = [visible(self.verdict)]
        for way in self.ways:
            lines += [f"  as {way.role}:"] if len(self.ways) > 1 else []
            lines += [f"  {step!r}" for step in way.steps]
        return "\n".join(lines)


def _losses(way: Way, chosen: int, ways: int) -> list[str]:
    """Return every loss of a way in words, the first one first."""
    role = f"as {way.role}: " if ways > 1 else ""
    return [
        f"{role}lost at {step.text}: {step.lost} of {chosen}"
        + (f" ({step.note})" * bool(step.note))
        for step in way.steps
        if step.lost
    ]


def _folded(ways: tuple[Way, ...]) -> str:
    folding = ("group by", "aggregate", "distinct", "union of distinct")
    found = [s.text for way in ways for s in way.steps if s.text.startswith(folding)]
    return f"; what folds rows: {', '.join(dict.fromkeys(found))}" if found else ""


def why_not(backend: Backend, result: Any, source: Any, where: Any = None) -> WhyNot:
    """Return the first step that lost chosen rows of a source. Runs one query, and one for notes.

    Raises
    ------
    UnknownObjectError
        If the source is none of the result's; lists those.
    UnsupportedTypeError
        If only SQL text reads it.
    """
    op, _ = traced(backend, result)
    op = one_condition_each(op)
    found = _ways_from(backend, op, source)
    leaf = max((each.source for each in found), key=lambda op: len(op.schema))  # with a position
    predicate = _chosen(backend, leaf, source, where)
    ways = [
        _Followed.of(each, Selection(predicate and moved(predicate, leaf, each.source)))
        for each in found
    ]
    counts = _counted(backend, Selection(predicate), leaf, ways)
    total = int(counts["total"])
    return WhyNot(
        backend.provenance.name_of(leaf),
        total,
        int(counts["present"]),
        tuple(way.counted(backend, number, counts, total) for number, way in enumerate(ways)),
    )


def _chosen(backend: Backend, leaf: ops.Relation, source: Any, where: Any) -> ops.Value | None:
    """Return the chosen rows as a predicate over the leaf, of which the user's is an equal."""
    given = leaf if isinstance(source, str) else backend.relation_of(source)
    predicate = chosen_rows(given, where)
    return None if predicate is None else moved(predicate, given, leaf)


def _ways_from(backend: Backend, op: ops.Relation, source: Any) -> list[Found]:
    """Return the ways from a source to the result, those through values only if there is no other.

    Raises
    ------
    UnknownObjectError, UnsupportedTypeError
    """
    found = list(sources(op, Selection()))
    name = backend.provenance.name_of
    names = list(dict.fromkeys(name(each.source) for each in found))
    if not isinstance(source, (str, ir.Table)):
        raise UnsupportedTypeError(
            f"source is a {type(source).__name__}; give a table that the result is made of, or "
            f"its name: {', '.join(names)}"
        )
    if isinstance(source, str):
        wanted, ways = source, [each for each in found if name(each.source) == source]
    else:
        given = backend.without_memtables(backend.relation_of(source))
        wanted, ways = name(given), [e for e in found if is_same_source(e.source, given)]
    if not ways:
        raise UnknownObjectError(
            f"{wanted} is no source of the result; its sources are {', '.join(names) or 'none'}"
        )
    followed = [way for way in ways if not any(_is_text(node) for node, _ in way.way)]
    if not followed:
        raise UnsupportedTypeError(
            f"{wanted} is read by SQL text only, which cannot be looked into; ask about the text's "
            f"own rows, or write the query with Ibis"
        )
    operands = [way for way in followed if way.is_operand]
    return operands or followed


def _is_text(node: ops.Relation) -> bool:
    return isinstance(node, (ops.SQLQueryResult, ops.SQLStringView))


def one_condition_each(op: ops.Relation) -> ops.Relation:
    """Return the expression with every filter of several conditions as several filters."""

    def split(node: Any, changed: Any) -> Any:
        node = node if changed is None else node.__recreate__(changed)
        if not isinstance(node, ops.Filter) or len(node.predicates) == 1:
            return node
        if has_windows(node.predicates) or any(map(is_unstable, node.predicates)):
            return node
        parent = node.parent
        for predicate in node.predicates:
            parent = ops.Filter(parent, [moved(predicate, node.parent, parent)])
        return parent

    done: ops.Relation = op.replace(split)
    return done


@dataclass(frozen=True, slots=True)
class _Followed:
    """A way with, for each of its operations, the source's rows that are in what comes out.

    Attributes
    ----------
    operations
        From the source to the result, each with the branch that the way takes.
    reached, unknown
        Predicates over the source: what comes out of the operation, and for filters, of which rows
        that come in the condition is null.
    """

    found: Found
    chosen: Selection
    operations: tuple[tuple[ops.Relation, int], ...]
    reached: tuple[ops.Value | None, ...]
    unknown: tuple[ops.Value | None, ...]

    @classmethod
    def of(cls, found: Found, chosen: Selection) -> _Followed:
        way = found.way
        reached, unknown = [], []
        for at, (op, branch) in enumerate(way):
            reached.append(_descended(way[at:], Selection()))
            condition = _condition(op) if branch == 0 else None
            is_null = None if condition is None else Selection(ops.IsNull(condition))
            unknown.append(None if is_null is None else _descended(way[at + 1 :], is_null))
        backwards = slice(None, None, -1)
        return cls(
            found, chosen, way[backwards], tuple(reached[backwards]), tuple(unknown[backwards])
        )

    def result_over(self, source: ops.Relation) -> ops.Value | None:
        """Return which rows are in the result, over a leaf of the same table."""
        last = self.reached[-1] if self.reached else None
        return None if last is None else moved(last, self.found.source, source)

    def metrics(self, number: int, rows: _Rows) -> dict[str, ops.Value]:
        """Return the counts that are needed, by name, over the chosen rows."""
        found = {}
        for at, predicate in enumerate(self.reached):
            found[f"out_{number}_{at}"] = rows.count(self.found.source, predicate)
            if self.unknown[at] is not None:
                found[f"null_{number}_{at}"] = rows.count(self.found.source, self.unknown[at])
        return found

    def counted(self, backend: Backend, number: int, counts: Any, total: int) -> Way:
        """Return the way with its counts."""
        steps: list[Step] = []
        rows_in = total
        for at, (op, branch) in enumerate(self.operations):
            rows_out = int(counts[f"out_{number}_{at}"])
            step = Step(step_name(op, branch), rows_in, rows_out)
            if step.lost and not any(before.lost for before in steps):
                nulls = int(counts.get(f"null_{number}_{at}", 0))
                lost = self.chosen.also([])
                note = reason_of_loss(backend, op, branch, self.found.source, lost, nulls)
                step = replace(step, note=note)
            if step.lost or not isinstance(op, _SILENT):
                steps.append(step)
            rows_in = rows_out
        return Way(self.found.role, tuple(steps), rows_in)


def _condition(op: ops.Relation) -> ops.Value | None:
    """Return the condition of a filter, over its input, that can be asked for null."""
    if not isinstance(op, ops.Filter) or len(op.predicates) != 1 or has_windows(op.predicates):
        return None
    condition: ops.Value = op.predicates[0]
    return condition


def _descended(way: tuple[tuple[ops.Relation, int], ...], selection: Selection) -> ops.Value | None:
    """Return the source's rows that became the selected rows of the first operation of a way."""
    for op, number in way:
        selection = branches(op, selection, descent=True)[number].selection
    return selection.predicate


@dataclass(frozen=True, slots=True)
class _Rows:
    """The chosen rows of a source, with a column for each of its columns."""

    relation: ops.Relation
    names: Mapping[str, str]

    @classmethod
    def of(cls, chosen: Selection, source: ops.Relation) -> _Rows:
        relation, values = shown(source)
        rows = chosen.substituted(source, values).over(relation)
        return cls(rows, {name: value.name for name, value in values.items()})

    def count(self, source: ops.Relation, predicate: ops.Value | None) -> ops.Value:
        """Return how many there are of which a predicate over the source is true."""
        if predicate is None:
            return ops.CountStar(self.relation)
        fields = {name: ops.Field(self.relation, self.names[name]) for name in source.schema}
        false = ops.Literal(False, dtype=dt.boolean)
        condition = ops.Coalesce((substituted(predicate, source, fields), false))
        return ops.CountStar(self.relation, where=condition)


def _counted(
    backend: Backend, chosen: Selection, source: ops.Relation, ways: list[_Followed]
) -> dict[str, Any]:
    """Run the one query."""
    rows = _Rows.of(chosen, source)
    metrics: dict[str, ops.Value] = {"total": ops.CountStar(rows.relation)}
    metrics["present"] = rows.count(source, _any([way.result_over(source) for way in ways]))
    for number, way in enumerate(ways):
        metrics |= way.metrics(number, rows)
    table, _ = backend.fetch(ir.Table(ops.Aggregate(rows.relation, {}, metrics)), None)
    return {name: table.column(name)[0].as_py() for name in table.column_names}


def _any(predicates: list[ops.Value | None]) -> ops.Value | None:
    """Return whether any predicate is true; None, which all rows fulfil, if one is None."""
    found = [predicate for predicate in predicates if predicate is not None]
    if len(found) < len(predicates):
        return None
    return reduce(ops.Or, found)
