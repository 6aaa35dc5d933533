"""Selections: which rows of a relation are meant, how surely, and what makes that unsure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import ibis.expr.operations as ops

from aaiclick_ext.objects.ordering import POS
from aaiclick_ext.objects.row_keys import moved, substituted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_UNSTABLE_FUNCTIONS = ("rand", "generate", "now", "today", "yesterday", "rownumber", "blocknumber")


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows of a relation: those of which a predicate over its columns is true.

    Attributes
    ----------
    predicate
        None for all rows.
    reasons
        Why these may be more rows than are meant; never fewer. Empty where they are exactly those.
    remarks
        What is worth knowing otherwise.
    """

    predicate: ops.Value | None = None
    reasons: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    def over(self, op: ops.Relation) -> ops.Relation:
        """Return the selected rows of the relation."""
        if self.predicate is None:
            return op
        if not isinstance(op, ops.Aggregate):
            return ops.Filter(op, [self.predicate])
        rows = ops.Project(op, op.fields)  # Ibis takes the columns of an aggregate for reductions
        return ops.Filter(rows, [moved(self.predicate, op, rows)])

    def also(self, predicates: Iterable[ops.Value | None]) -> Selection:
        """Return the rows of which other predicates, evaluated first, are true as well."""
        found = [p for p in (*predicates, self.predicate) if p is not None]
        predicate = None
        for part in found:
            predicate = part if predicate is None else ops.And(predicate, part)
        return replace(self, predicate=predicate)

    def with_predicate(self, predicate: ops.Value | None) -> Selection:
        """Return a selection by another predicate that is as sure as this one."""
        return replace(self, predicate=predicate)

    def because(self, *reasons: str) -> Selection:
        """Return the selection as one that may have too many rows."""
        return replace(self, reasons=tuple(dict.fromkeys((*self.reasons, *reasons))))

    def remarking(self, remark: str) -> Selection:
        """Return the selection with something worth knowing."""
        return replace(self, remarks=tuple(dict.fromkeys((*self.remarks, remark))))

    def moved(self, op: ops.Relation, other: ops.Relation) -> Selection:
        """Return the selection of a relation's rows in another with the same columns."""
        if self.predicate is None:
            return self
        return self.with_predicate(moved(self.predicate, op, other))

    def substituted(self, op: ops.Relation, values: Mapping[str, ops.Value]) -> Selection:
        """Return the selection with values in place of the relation's columns."""
        if self.predicate is None:
            return self
        return self.with_predicate(substituted(self.predicate, op, values))

    def without(self, op: ops.Relation, columns: Iterable[str], reason: str) -> Selection:
        """Return the selection without the conditions that use some columns."""
        named = {ops.Field(op, name) for name in columns}
        parts = conditions(self.predicate)
        kept = [part for part in parts if not named & set(part.find(ops.Field, filter=ops.Value))]
        if len(kept) == len(parts):
            return self
        return self.with_predicate(None).also(kept).because(reason)


NOTHING = Selection(ops.Literal(False, dtype="boolean"))
"""The selection of no row."""


@dataclass(frozen=True, slots=True)
class Branch:
    """One input of an operation and the rows of it that went into the operation's selected rows.

    Attributes
    ----------
    role
        What the input is to the operation, where it has several: ``left of the join``.
    is_operand
        False for what only a condition or a value looks at: the relation in ``x.k.isin(y.k)``.
    """

    child: ops.Relation
    selection: Selection
    role: str = ""
    is_operand: bool = True


def conditions(predicate: ops.Value | None) -> list[ops.Value]:
    """Return the parts that a predicate joins with AND."""
    if predicate is None:
        return []
    if isinstance(predicate, ops.And):
        return [*conditions(predicate.left), *conditions(predicate.right)]
    return [predicate]


def across(
    op: ops.Relation, selection: Selection, build: Callable[[ops.Relation], ops.Value | None]
) -> Selection:
    """Return a selection for an input that follows from an operation's selected rows.

    Computing those rows again has to give the same rows; where it does not, all rows of the input
    are selected.

    Parameters
    ----------
    build
        Returns a predicate over the input for the selected rows of the operation.
    """
    unstable = instability(op)
    if unstable is not None:
        return selection.with_predicate(None).because(
            f"{unstable} does not give the same rows whenever it is run, so what was made of it "
            "cannot be followed by computing it again"
        )
    below = selection.with_predicate(build(selection.over(op)))
    tie = next((node for node in op.find(ops.Limit) if cuts(node) and may_tie(node)), None)
    if tie is None:
        return below
    return below.because(
        f"it depends on a limit of {tie.n} rows, which may take others of those that tie there"
    )


def instability(op: ops.Relation) -> str | None:
    """Return what, at or below an operation, gives other rows each time it is run, or None."""
    for node in op.find((ops.Sample, ops.Limit, ops.Impure, ops.ScalarUDF)):
        if isinstance(node, ops.Sample):
            return "sample"
        if isinstance(node, ops.Limit):
            if cuts(node) and sort_keys(node) is None:
                return "limit without an order"
        elif is_unstable(node):
            return function_name(node)
    return None


def is_unstable(value: ops.Value) -> bool:
    """Say whether a value has a function in it whose result is another one each time."""
    return any(
        isinstance(node, ops.Impure) or function_name(node).startswith(_UNSTABLE_FUNCTIONS)
        for node in value.find((ops.Impure, ops.ScalarUDF), filter=ops.Value)
    )


def function_name(node: ops.Value) -> str:
    """Return the name of a function that is called."""
    return str(getattr(node, "__func_name__", type(node).__name__)).lower()


def limits_first(op: ops.Relation) -> ops.Relation:
    """Return the expression with limits below the projections that are between them and an order.

    ``x.order_by("a").select("b").limit(3)`` takes the same rows before its ``select``.
    """

    def exchange(node: Any, changed: Any) -> Any:
        node = node if changed is None else node.__recreate__(changed)
        if not isinstance(node, ops.Limit) or not _is_row_wise(node.parent):
            return node
        project = node.parent
        limit = exchange(node.copy(parent=project.parent), None)
        if not (cuts(node) and isinstance(limit, (ops.Limit, ops.Project))):
            return node
        if isinstance(limit, ops.Limit) and sort_below(limit) is None:
            return node
        values = {name: moved(v, project.parent, limit) for name, v in project.values.items()}
        return ops.Project(limit, values)

    done: ops.Relation = op.replace(exchange)
    return done


def _is_row_wise(op: ops.Relation) -> bool:
    return isinstance(op, ops.Project) and not any(
        is_unstable(value) or value.find((ops.WindowFunction, ops.Unnest), filter=ops.Value)
        for value in op.values.values()
    )


def cuts(op: ops.Limit) -> bool:
    """Say whether a limit can leave rows out."""
    return op.n is not None or op.offset != 0


def may_tie(op: ops.Limit) -> bool:
    """Say whether a limit may choose between rows that are not equal, as far as one can see."""
    keys = sort_keys(op)
    if keys is None:
        return True
    names = {key.name for key in keys if isinstance(key, ops.Field)}
    return POS not in names and not names >= set(op.schema)


def sort_keys(op: ops.Limit) -> list[ops.Value] | None:
    """Return what a limit's rows are ordered by, as values over its input, or None."""
    sort = sort_below(op)
    return None if sort is None else [moved(key.arg, sort.parent, op.parent) for key in sort.keys]


def sort_below(op: ops.Limit) -> ops.Sort | None:
    """Return the operation that gives a limit its order, or None."""
    node = op.parent
    while isinstance(node, (ops.Filter, ops.DropNull, ops.Limit, ops.AliasedRelation)):
        node = node.parent
    return node if isinstance(node, ops.Sort) else None
