"""Which rows are meant: `where` as a user gives it, as a predicate over a table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
from ibis.common.exceptions import IbisError

from aaiclick_ext.errors import AaiclickError, SchemaError
from aaiclick_ext.objects.row_keys import is_row_of
from aaiclick_ext.objects.window_steps import has_windows

if TYPE_CHECKING:
    from collections.abc import Iterable


def chosen_rows(op: ops.Relation, where: Any, parameter: str = "where") -> ops.Value | None:
    """Return a predicate over a relation, None where all rows are meant. Runs nothing.

    Raises
    ------
    SchemaError
        If `where` names a column that there is not, or is no condition; lists the columns.
    """
    if where is None:
        return None
    table = ir.Table(op)
    given = _equalities(table, where, parameter) if isinstance(where, Mapping) else where
    if isinstance(given, (list, tuple)) and not given:
        return None
    try:
        filtered = table.filter(*(given if isinstance(given, (list, tuple)) else [given])).op()
    except AaiclickError:
        raise
    except (IbisError, AttributeError, TypeError, ValueError) as error:
        said = (str(error) or type(error).__name__).splitlines()[0]
        raise SchemaError(
            f"{parameter} is no condition on these rows: {said}; {_columns(op)}"
        ) from error
    return _predicate(op, filtered)


def _predicate(op: ops.Relation, filtered: ops.Relation) -> ops.Value | None:
    if not isinstance(filtered, ops.Filter) or filtered.parent != op:
        return None if filtered == op else is_row_of(op, filtered)
    if has_windows(filtered.predicates):  # of `where`, not of what is traced
        return is_row_of(op, filtered)
    predicate = None
    for part in filtered.predicates:
        predicate = part if predicate is None else ops.And(predicate, part)
    return predicate


def _equalities(table: ir.Table, given: Mapping[Any, Any], parameter: str) -> list[ir.BooleanValue]:
    unknown = [name for name in given if name not in table.columns]
    if unknown:
        named = ", ".join(map(repr, unknown))
        raise SchemaError(f"{parameter} names {named}, which is no column; {_columns(table.op())}")
    try:
        return [_equality(table[name], value) for name, value in given.items()]
    except AaiclickError:
        raise
    except (IbisError, TypeError, ValueError) as error:
        said = (str(error) or type(error).__name__).splitlines()[0]
        raise SchemaError(
            f"{parameter} has a value that its column cannot equal: {said}; {_columns(table.op())}"
        ) from error


def _equality(column: ir.Column, value: Any) -> ir.BooleanValue:
    """Return whether a column has a value; null and NaN equal themselves."""
    if value is None:
        return column.isnull()
    if isinstance(value, float) and math.isnan(value):
        if not column.type().is_floating():
            return ibis.literal(False)
        return column.isnan()
    return column == value


def _columns(op: ops.Relation) -> str:
    names: Iterable[str] = op.schema
    return f"its columns are {', '.join(names)}"
