"""One step back: from chosen rows of an operation to the rows of its inputs that they are made of.

`branches` knows each of Ibis's relational operations. Chosen rows are a predicate over the
operation's columns, and so is the answer, over each input's. Where an operation only renames,
computes or filters, the predicate is rewritten; where it makes other rows (a join, a group, a
window) the input's rows are those whose key is found when the operation is run with the key beside
its result.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import ibis.expr.operations as ops

from aaiclick_ext.objects.join_steps import join_branches
from aaiclick_ext.objects.ordering import POS
from aaiclick_ext.objects.row_keys import hidden_names, is_among, is_row_of, moved
from aaiclick_ext.objects.selection import (
    NOTHING,
    Branch,
    Selection,
    across,
    conditions,
    cuts,
    function_name,
    is_unstable,
    may_tie,
    sort_keys,
)
from aaiclick_ext.objects.subquery_steps import subquery_branches
from aaiclick_ext.objects.window_steps import (
    has_windows,
    through_filter,
    through_projection,
)

Step = Callable[[Any, Selection, bool], list[Branch]]


def branches(op: ops.Relation, selection: Selection, *, descent: bool = False) -> list[Branch]:
    """Return an operation's inputs with the rows that its selected rows are made of.

    Their number and order follow from the operation alone.

    Parameters
    ----------
    descent
        Whether to give the rows that became the selected ones, and not also those that only had a
        part in their values: a window's other rows, rows that tie at a limit.
    """
    for kind, step in _STEPS.items():
        if isinstance(op, kind):
            return step(op, selection, descent)
    child = getattr(op, "parent", None)
    if not isinstance(child, ops.Relation):
        return []
    reason = f"{type(op).__name__} is not known here; all rows of what it reads are given"
    return [Branch(child, Selection(None, selection.reasons, selection.remarks).because(reason))]


def _same_rows(op: Any, selection: Selection, _descent: bool) -> list[Branch]:
    return [Branch(op.parent, selection.moved(op, op.parent))]


def _filter(op: ops.Filter, selection: Selection, descent: bool) -> list[Branch]:
    values = subquery_branches(op, op.predicates, selection)
    if has_windows(op.predicates):
        return [Branch(op.parent, through_filter(op, selection, descent=descent)), *values]
    below = selection.moved(op, op.parent)
    for predicate in op.predicates:
        if is_unstable(predicate):
            below = below.because(f"a filter uses {_unstable_name(predicate)}: its rows differ")
    kept = [predicate for predicate in op.predicates if not is_unstable(predicate)]
    return [Branch(op.parent, below.also(kept)), *values]


def _project(op: ops.Project, selection: Selection, descent: bool) -> list[Branch]:
    values = subquery_branches(op, op.values.values(), selection)
    changing = [name for name, value in op.values.items() if is_unstable(value)]
    selection = selection.without(
        op, changing, f"{', '.join(changing)}: a value that is another one whenever it is run"
    )
    is_row_wise = not has_windows(op.values.values()) and not any(
        value.find(ops.Unnest, filter=ops.Value) for value in op.values.values()
    )
    below = (
        selection.substituted(op, op.values)
        if is_row_wise
        else through_projection(op, selection, descent=descent)
    )
    return [Branch(op.parent, below), *values]


def _aggregate(op: ops.Aggregate, selection: Selection, _descent: bool) -> list[Branch]:
    below = _of_groups(op, selection)
    for name, metric in op.metrics.items():
        if isinstance(metric, (ops.First, ops.Last, ops.Arbitrary)):
            below = below.because(
                f"{name} takes one row of a group ({function_name(metric)}); the group is given"
            )
    values = subquery_branches(op, op.values.values(), selection)
    return [Branch(op.parent, below, "" if not values else "rows grouped"), *values]


def _of_groups(op: ops.Aggregate, selection: Selection) -> Selection:
    """Return the rows of the selected groups."""
    if selection.predicate is None:
        return selection
    if any(is_unstable(value) for value in op.groups.values()):
        reason = "the groups are made by a value that is another one whenever it is run"
        return selection.with_predicate(None).because(reason)
    metrics = {ops.Field(op, name) for name in op.metrics}
    parts = conditions(selection.predicate)
    on_metrics = [p for p in parts if not op.groups or metrics & set(_fields(p))]
    if not on_metrics:
        return selection.substituted(op, op.groups)
    keys = [ops.Field(op, name) for name in op.groups]
    exact = across(op, selection, lambda chosen: _among_groups(op, keys, chosen))
    if exact.predicate is not None:
        return exact
    by_key = [part for part in parts if part not in on_metrics]
    return exact.also(by_key).substituted(op, op.groups)


def _among_groups(op: ops.Aggregate, keys: list[ops.Value], chosen: ops.Relation) -> ops.Value:
    return is_among(op.groups.values(), chosen, (moved(key, op, chosen) for key in keys))


def _fields(value: ops.Value) -> list[ops.Field]:
    return list(value.find(ops.Field, filter=ops.Value))


def _union(op: ops.Union, selection: Selection, _descent: bool) -> list[Branch]:
    if op.left == op.right:  # as equal rows have contributed alike, and x.union(x) may be nested
        return [Branch(op.left, selection.moved(op, op.left), "both parts of the union")]
    sides = (op.left, op.right)
    return [
        Branch(side, selection.moved(op, side), f"part {number} of the union")
        for number, side in enumerate(sides, 1)
    ]


def _intersection(op: ops.Intersection, selection: Selection, _descent: bool) -> list[Branch]:
    return [
        Branch(side, _equal_rows(op, side, selection), f"{name} of the intersection")
        for side, name in ((op.left, "left"), (op.right, "right"))
    ]


def _difference(op: ops.Difference, selection: Selection, _descent: bool) -> list[Branch]:
    gone = NOTHING.remarking("rows on the right of a difference take rows away and give none")
    return [
        Branch(op.left, _equal_rows(op, op.left, selection), "left of the difference"),
        Branch(op.right, gone, "right of the difference"),
    ]


def _equal_rows(op: ops.Relation, side: ops.Relation, selection: Selection) -> Selection:
    """Return the rows of one side that equal a selected row."""
    below = across(op, selection, lambda chosen: is_row_of(side, chosen))
    return below if below.predicate is not None else below.also([]).moved(op, side)


def _limit(op: ops.Limit, selection: Selection, descent: bool) -> list[Branch]:
    below = selection.moved(op, op.parent)
    if not cuts(op):
        return [Branch(op.parent, below)]
    if descent:
        return [Branch(op.parent, below.also([is_row_of(op.parent, op)]))]
    keys = sort_keys(op)
    if keys is None:
        reason = f"{limit_text(op)} without an order takes any rows; all it could take are given"
        return [Branch(op.parent, below.because(reason))]
    in_limit = across(
        op.parent,
        Selection(),
        lambda _: is_among(keys, op, (moved(key, op.parent, op) for key in keys)),
    )
    below = below.also([in_limit.predicate]).because(*in_limit.reasons)
    if _may_choose(op, keys):
        below = below.because(
            f"{limit_text(op)}: rows that tie at its edge cannot be told apart; all are given"
        )
    return [Branch(op.parent, below)]


def _may_choose(op: ops.Limit, keys: list[ops.Value]) -> bool:
    """Say whether a limit may choose between rows that tie and come from other rows of a source."""
    if any(isinstance(key, ops.Field) and key.name == POS for key in keys):
        return False
    node = op.parent
    while isinstance(node, (ops.Sort, ops.Filter, ops.DropNull, ops.Limit, ops.AliasedRelation)):
        node = node.parent
    return may_tie(op) or not isinstance(node, ops.DatabaseTable)  # equal rows contribute alike


def limit_text(op: ops.Limit) -> str:
    """Return a limit in words."""
    parts = [] if op.n is None else [f"limit {_number(op.n)}"]
    parts += [f"offset {_number(op.offset)}"] if op.offset != 0 else []
    return ", ".join(parts)


def _number(value: Any) -> str:
    return str(value) if isinstance(value, int) else "of a computed number"


def _sample(op: ops.Sample, selection: Selection, _descent: bool) -> list[Branch]:
    reason = "sample takes other rows whenever it is run; all it could take are given"
    return [Branch(op.parent, selection.moved(op, op.parent).because(reason))]


def _drop_null(op: ops.DropNull, selection: Selection, _descent: bool) -> list[Branch]:
    predicate = drop_null_predicate(op)
    return [Branch(op.parent, selection.moved(op, op.parent).also([predicate]))]


def drop_null_predicate(op: ops.DropNull) -> ops.Value:
    """Return the condition of the rows that are kept."""
    columns = op.parent.fields.values() if op.subset is None else op.subset
    found = [ops.NotNull(column) for column in columns]
    if not found:
        return ops.Literal(op.how != "all", dtype="boolean")
    return reduce(ops.And if op.how == "any" else ops.Or, found)


def _fill_null(op: ops.FillNull, selection: Selection, _descent: bool) -> list[Branch]:
    given = op.replacements
    values = {}
    for name, type_ in op.parent.schema.items():
        field = ops.Field(op.parent, name)
        other = given.get(name) if hasattr(given, "keys") else given if type_.nullable else None
        values[name] = field if other is None else ops.Coalesce((field, other))
    return [Branch(op.parent, selection.substituted(op, values))]


def _table_unnest(op: ops.TableUnnest, selection: Selection, _descent: bool) -> list[Branch]:
    names = hidden_names(op, len(op.parent.schema))
    columns = dict(zip(names, op.parent.fields.values(), strict=True))
    keyed = ops.Project(op.parent, {**op.parent.fields, **columns})
    unnested = op.copy(parent=keyed, column=moved(op.column, op.parent, keyed))
    below = across(
        op,
        selection,
        lambda _: is_among(
            op.parent.fields.values(),
            rows := selection.moved(op, unnested).over(unnested),
            (ops.Field(rows, name) for name in names),
        ),
    )
    return [Branch(op.parent, below)]


def _unstable_name(value: ops.Value) -> str:
    return function_name(next(iter(value.find((ops.Impure, ops.ScalarUDF), filter=ops.Value))))


_STEPS: dict[type[ops.Relation], Step] = {
    ops.Filter: _filter,
    ops.Project: _project,
    ops.JoinChain: lambda op, selection, _: join_branches(op, selection),
    ops.Aggregate: _aggregate,
    ops.Union: _union,
    ops.Intersection: _intersection,
    ops.Difference: _difference,
    ops.Limit: _limit,
    ops.Sample: _sample,
    ops.DropNull: _drop_null,
    ops.FillNull: _fill_null,
    ops.TableUnnest: _table_unnest,
    ops.Sort: _same_rows,
    ops.Distinct: _same_rows,
    ops.DropColumns: _same_rows,
    ops.AliasedRelation: _same_rows,
    ops.Reference: _same_rows,
}
