"""What may be done with columns of Python objects: carried along, and told apart, and no more.

ClickHouse sees a number. Whether two are equal is a question with an answer: they refer to the same
object, or they do not. Everything else (an order, a sum, a text) would be the number's, so it is
refused, when an expression is planned and thus whatever way it was built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import ibis.expr.datatypes as dt
import ibis.expr.operations as ops

from aaiclick_ext.errors import UnsupportedTypeError
from aaiclick_ext.objects.row_keys import RowKey
from aaiclick_ext.schema.python_objects import PythonObject, object_columns, objects_in

if TYPE_CHECKING:
    from collections.abc import Iterator

_ALIKE = (
    ops.Equals, ops.NotEquals, ops.IdenticalTo, ops.InValues, ops.NullIf, ops.Coalesce, ops.IfElse,
    ops.SimpleCase, ops.SearchedCase, ops.Array, ops.ArrayConcat,
)  # fmt: skip
"""Operations that put values beside each other: all have to be objects of one kernel."""

_CARRYING = (
    *_ALIKE,
    ops.Alias, ops.Arbitrary, ops.ArrayCollect, ops.ArrayIndex, ops.ArrayLength, ops.ArraySlice,
    ops.ArgMax, ops.ArgMin, ops.CountDistinct, ops.ApproxCountDistinct, ops.Count, ops.CountStar,
    ops.ExistsSubquery, ops.Field, ops.First, ops.InSubquery, ops.IsNull, ops.Lag, ops.Last,
    ops.Lead, ops.MapLength, ops.NotNull, ops.NthValue, ops.ScalarSubquery, ops.StructColumn,
    ops.StructField, ops.Unnest, ops.WindowFunction, RowKey,
)  # fmt: skip


def check_uses(root: ops.Relation) -> None:
    """Refuse an expression that does more with a column of objects than to carry it.

    Raises
    ------
    UnsupportedTypeError
        If there is one; it names the column and the operation.
    """
    sources = root.find((ops.DatabaseTable, ops.SQLQueryResult, ops.SQLStringView))
    if not any(map(has_objects, [root, *sources])):
        return
    for op in root.find((ops.Value, ops.FillNull)):
        if isinstance(op, ops.FillNull):
            _check_fill(op)
        else:
            _check_value(op)


def has_objects(op: ops.Relation) -> bool:
    """Say whether a relation has a column that refers to objects."""
    return bool(object_columns(op.schema))


def refuse_operation(column: str, operation: str, remedy: str = "") -> NoReturn:
    """Raise UnsupportedTypeError for an operation on a column of objects."""
    remedy = remedy or (
        "They can be selected, filtered by other columns, and compared (==), grouped and joined by "
        "which object it is; for more, fetch them: x.data() or x.to_pandas()"
    )
    raise UnsupportedTypeError(
        f"{operation}: column {column!r} holds Python objects, which are in this kernel and not in "
        f"ClickHouse. {remedy}"
    )


def _check_value(op: ops.Value) -> None:
    if isinstance(op, ops.Literal) and objects_in((), op.dtype) and op.value is not None:
        refuse_operation(str(op.name), "a literal")
    arguments = [(a, objects_in((), a.dtype)) for a in _arguments(op)]
    carried = [(argument, kernels) for argument, kernels in arguments if kernels]
    if not carried:
        if isinstance(op, ops.Cast) and objects_in((), op.to) and not op.arg.dtype.is_null():
            raise UnsupportedTypeError(
                f"column {op.arg.name!r} cannot be cast to Python objects: a number that is not "
                "the reference of one would be taken for it"
            )
        return
    first = carried[0][0].name
    if not isinstance(op, _CARRYING):
        refuse_operation(first, _name(op))
    if isinstance(op, (ops.ArgMax, ops.ArgMin)) and objects_in((), op.key.dtype):
        refuse_operation(op.key.name, _name(op))
    if isinstance(op, _ALIKE):
        kernels = {kernel for _, found in carried for kernel in found.values()}
        others = [a for a, found in arguments if not found and _is_of_other_kind(op, a)]
        if len(kernels) > 1 or others:
            beside = "other values" if others else "objects of another kernel"
            refuse_operation(first, f"{_name(op)} with {beside}")


def _is_of_other_kind(op: ops.Value, argument: ops.Value) -> bool:
    """Say whether an argument is a value that is no object: neither a null nor a condition."""
    is_condition = isinstance(op, (ops.IfElse, ops.SearchedCase)) and argument.dtype.is_boolean()
    compared = isinstance(op, ops.SimpleCase) and not objects_in((), op.base.dtype)
    return not (argument.dtype.is_null() or is_condition or compared)


def _arguments(op: ops.Value) -> Iterator[ops.Value]:
    for child in op.__children__:
        if isinstance(child, ops.Value):
            yield child


def _check_fill(op: ops.FillNull) -> None:
    named = op.replacements if hasattr(op.replacements, "keys") else ()
    for name in named:
        if isinstance(op.parent.schema.get(name, dt.null), PythonObject):
            refuse_operation(name, "fill_null")


def _name(op: ops.Value) -> str:
    return "order_by" if isinstance(op, ops.SortKey) else type(op).__name__.lower()
