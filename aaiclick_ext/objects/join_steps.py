"""One step back through a join: the rows of each table that have a part in chosen joined rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ibis.expr.datatypes as dt
import ibis.expr.operations as ops

from aaiclick_ext.objects.row_keys import hidden_names, is_among
from aaiclick_ext.objects.selection import NOTHING, Branch, Selection, across
from aaiclick_ext.objects.subquery_steps import subquery_branches

if TYPE_CHECKING:
    from collections.abc import Sequence

_ANY_PARTNER = {
    "any_inner": "an any_inner join takes any one of the partners; all are given",
    "any_left": "an any_left join takes any one of the partners; all are given",
    "asof": "an asof join takes any one of the partners that are equally near",
}
_KEEPS_FIRST = frozenset({"left", "outer", "any_left", "asof"})


def join_branches(op: ops.JoinChain, selection: Selection) -> list[Branch]:
    """Return the tables of a join with the rows that its selected rows are made of.

    Of a row without a partner only the side that has it contributes. The right of a semi join
    contributes the partners; the right of an anti join nothing, since it matters by its absence.
    """
    found = [
        Branch(reference.parent, _part(op, number, selection), join_role(op, number))
        for number, reference in enumerate(op.tables)
    ]
    conditions = [predicate for link in op.rest for predicate in link.predicates]
    return [*found, *subquery_branches(op, [*conditions, *op.values.values()], selection)]


def join_role(op: ops.JoinChain, number: int) -> str:
    """Return what a table is to a join."""
    if len(op.rest) == 1:
        return f"{'right' if number else 'left'} of the join"
    return f"table {number + 1} of the join"


def _part(op: ops.JoinChain, number: int, selection: Selection) -> Selection:
    links = [link.how for link in op.rest]
    own = links[number - 1] if number else ""
    if own == "anti":
        remark = "rows on the right of an anti join take rows away and give none"
        return Selection(NOTHING.predicate, (), (*selection.remarks, remark))
    for how in links:
        if how in _ANY_PARTNER:
            selection = selection.because(_ANY_PARTNER[how])
        elif how == "positional":
            reason = "a positional join cannot be followed; all rows are given"
            return selection.with_predicate(None).because(reason)
    if number == 0 and selection.predicate is None and set(links) <= _KEEPS_FIRST:
        return selection
    parent = op.tables[number].parent

    columns = _deciding(op, number, selection)

    def build(_: ops.Relation) -> ops.Value:
        rows, names = joined_with_keys(op, number, selection, columns)
        keys = [ops.Field(parent, column) for column in columns]
        return is_among(keys, rows, (ops.Field(rows, name) for name in names))

    return across(op, selection, build)


def _deciding(op: ops.JoinChain, number: int, selection: Selection) -> list[str]:
    """Return the columns of a table that decide whether a row has a part in selected rows.

    Those are what the join compares and what the selection is by; rows that are equal in them are
    joined alike. A key of all columns would be as true, and large.
    """
    values = [predicate for link in op.rest for predicate in link.predicates]
    if selection.predicate is not None:
        used = selection.predicate.find(ops.Field, filter=ops.Value)
        values += [op.values[field.name] for field in used if field.rel == op]
    found = {
        field.name
        for value in values
        for field in value.find(ops.Field, filter=ops.Value)
        if field.rel == op.tables[number]
    }
    return [name for name in op.tables[number].schema if name in found]


def joined_with_keys(
    op: ops.JoinChain, number: int, selection: Selection, keys: Sequence[str]
) -> tuple[ops.Relation, list[str]]:
    """Return the selected joined rows in which a table has a part, with columns of that table.

    Returns
    -------
    relation, names
        The names are those of the table's key columns in it.
    """
    reference = op.tables[number]
    columns = list(reference.parent.schema)
    *names, mark = hidden_names(op, len(keys) + 1, columns)
    # A literal beside the table's own columns is null in the rows in which the table has no part.
    marked = ops.Project(
        reference.parent,
        {**reference.parent.fields, mark: ops.Literal(1, dtype=dt.uint8)},
    )
    other = ops.JoinReference(marked, identifier=reference.identifier)
    fields = {ops.Field(reference, name): ops.Field(other, name) for name in columns}
    rest = [_link(link, at, number, other, fields) for at, link in enumerate(op.rest, 1)]
    values = {name: value.replace(fields, filter=ops.Value) for name, value in op.values.items()}
    values |= {name: ops.Field(other, c) for name, c in zip(names, keys, strict=True)}
    values[mark] = ops.Field(other, mark)
    chain = ops.JoinChain(op.first if number else other, rest, values)
    present = [ops.NotNull(ops.Field(chain, mark))]
    return ops.Filter(chain, [*present, *_predicates(selection.moved(op, chain))]), names


def _predicates(selection: Selection) -> list[ops.Value]:
    return [] if selection.predicate is None else [selection.predicate]


def _link(
    link: ops.JoinLink, at: int, number: int, other: ops.Relation, fields: dict[Any, Any]
) -> ops.JoinLink:
    """Return a link of the chain with one table exchanged for another."""
    predicates = [predicate.replace(fields, filter=ops.Value) for predicate in link.predicates]
    if at != number:
        return ops.JoinLink(link.how, link.table, predicates)
    # A semi join does not show its right side; as an inner join it has the same partners.
    return ops.JoinLink("inner" if link.how == "semi" else link.how, other, predicates)
