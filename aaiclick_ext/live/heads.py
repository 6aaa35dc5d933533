"""Heads: what a front end shows of a result, as a view that is bounded whatever the result is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir

from aaiclick_ext.errors import SchemaError

if TYPE_CHECKING:
    import ibis.expr.datatypes as dt


MAX_POINTS = 2_000
"""Points of a chart; where there are more rows, each is the mean of as many."""

BUCKET, ROWS = "aai_bucket", "aai_rows"


@dataclass(frozen=True, slots=True)
class TableHead:
    """The first rows and columns, and one row more where there is one."""

    rows: int
    columns: int
    kind: ClassVar[str] = "table"

    def __call__(self, op: ops.Relation) -> ops.Relation:
        """Return the head of a relation."""
        names = list(op.schema)
        if len(names) > self.columns:
            op = ops.DropColumns(op, columns_to_drop=frozenset(names[self.columns :]))
        return ops.Limit(op, n=self.rows + 1, offset=0)


@dataclass(frozen=True, slots=True)
class NumberHead:
    """The only cell, and one row more where there is one."""

    kind: ClassVar[str] = "number"

    def __call__(self, op: ops.Relation) -> ops.Relation:
        """Return the head of a relation."""
        return ops.Limit(op, n=2, offset=0)


@dataclass(frozen=True, slots=True)
class ChartHead:
    """Columns over one of them, in its order: every row, or the means of as many as there are.

    Attributes
    ----------
    x
        A column of numbers, times or text; what has none is not drawn.
    y
        Columns of numbers.
    points
        How many points there may be.
    """

    x: str
    y: tuple[str, ...]
    points: int = MAX_POINTS
    kind: ClassVar[str] = "chart"

    def __call__(self, op: ops.Relation) -> ops.Relation:
        """Return the head of a relation: bucket, x, each y, and how many rows are in the bucket."""
        table = ir.Table(op)
        at = table[self.x]
        is_there = [at.notnull()]
        if at.type().is_floating():
            is_there += [~at.isnan(), ~at.isinf()]
        table = table.filter(is_there)
        at = table[self.x]
        ys = {f"y{n}": table[name].cast("float64") for n, name in enumerate(self.y)}
        rows = table.select(
            x=at, **ys, place=ibis.row_number().over(order_by=at), all=table.count().over()
        )
        bucket = (rows.place * self.points) // ibis.greatest(rows["all"], self.points)
        means = {name: rows[name].mean() for name in ys}
        found = rows.group_by(**{BUCKET: bucket}).agg(
            x=rows.x.min(), **means, **{ROWS: rows.count()}
        )
        ordered: ops.Relation = found.order_by(BUCKET).op()
        return ordered


Head = TableHead | NumberHead | ChartHead


def number_head(op: ops.Relation) -> NumberHead:
    """Return the head of a view with one column.

    Raises
    ------
    SchemaError
        If it has several.
    """
    if len(op.schema) != 1:
        raise SchemaError(
            f"a live number is a view with one cell; this one has {len(op.schema)} columns: "
            f"{_some(list(op.schema))}. Take one, as in t.agg(total=t.n.sum())"
        )
    return NumberHead()


def chart_head(op: ops.Relation, x: str | None, y: str | tuple[str, ...] | None) -> ChartHead:
    """Return the head for a chart of columns over another; by default of all numbers over x.

    Raises
    ------
    SchemaError
        If there is no such column, or it cannot be drawn.
    """
    schema = op.schema
    if x is None:
        raise SchemaError(f"a live chart needs x, the column of {_some(list(schema))} to draw over")
    numbers = [n for n, dtype in schema.items() if dtype.is_numeric() and n != x]
    ys = tuple(numbers) if y is None else (y,) if isinstance(y, str) else tuple(y)
    missing = [name for name in (x, *ys) if name not in schema]
    if missing:
        raise SchemaError(f"no column {_some(missing)}; there are {_some(list(schema))}")
    if not is_axis(schema[x]):
        raise SchemaError(
            f"x is {x}, a column of {schema[x]}; it can be of numbers, dates, times or text"
        )
    wrong = [name for name in ys if not schema[name].is_numeric()]
    if wrong or not ys:
        raise SchemaError(
            f"y is columns of numbers; {_some(wrong) or 'none'} is not. There are "
            f"{_some(numbers) or 'none besides x'}"
        )
    return ChartHead(x, ys)


def is_axis(dtype: dt.DataType) -> bool:
    """Say whether a chart can be drawn over a column."""
    return bool(dtype.is_numeric() or dtype.is_timestamp() or dtype.is_date() or dtype.is_string())


def _some(names: list[str]) -> str:
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
