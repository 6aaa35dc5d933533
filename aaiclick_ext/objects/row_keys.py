"""Row keys: a row, or a part of one, as one value that equals another row's where both are equal.

SQL's ``=`` and ``IN`` say nothing of nulls, and NaN equals nothing. A key is a tuple of lists of
one element each, ``([a], [b])``, which ClickHouse compares by what is in them: null equals null and
NaN equals NaN, as in GROUP BY and DISTINCT.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis.expr.datashape as ds
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
from ibis.common.typing import VarTuple  # noqa: TC002  Ibis reads the annotation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_KEY = "key"


class RowKey(ops.Value):  # type: ignore[misc]
    """Columns as one value; only ever compared."""

    columns: VarTuple[ops.Value]
    dtype = dt.binary
    shape = ds.columnar


def is_among(
    columns: Iterable[ops.Value], relation: ops.Relation, others: Iterable[ops.Value]
) -> ops.Value:
    """Return whether columns equal, nulls included, those of some row of a relation."""
    key, other = tuple(columns), tuple(others)
    if not key:
        return has_rows(relation)
    return ops.InSubquery(ops.Project(relation, {_KEY: RowKey(other)}), RowKey(key))


def has_rows(relation: ops.Relation) -> ops.Value:
    """Return whether a relation has any row."""
    one = ops.Literal(1, dtype=dt.uint8)
    return ops.InSubquery(ops.Project(relation, {_KEY: one}), one)


def is_row_of(relation: ops.Relation, other: ops.Relation) -> ops.Value:
    """Return whether a row of one relation equals some row of another with the same columns."""
    return is_among(
        relation.fields.values(), other, (ops.Field(other, name) for name in relation.schema)
    )


def substituted(value: ops.Value, op: ops.Relation, values: Mapping[str, ops.Value]) -> ops.Value:
    """Return a value over a relation with other values in place of the relation's columns.

    What is inside a subquery stays as it is.
    """
    fields = {ops.Field(op, name): other for name, other in values.items()}
    return value.replace(fields, filter=ops.Value)


def moved(value: ops.Value, op: ops.Relation, other: ops.Relation) -> ops.Value:
    """Return a value over a relation as one over another that has the same columns."""
    return substituted(value, op, {n: ops.Field(other, n) for n in op.schema if n in other.schema})


def hidden_names(op: ops.Relation, count: int, *others: Iterable[str]) -> list[str]:
    """Return names for columns to be added, which no column has."""
    taken = {*op.schema, *(name for names in others for name in names)}
    prefix = "aai_row"
    while any(name.startswith(prefix) for name in taken):
        prefix += "_"
    return [f"{prefix}{number}" for number in range(count)]
