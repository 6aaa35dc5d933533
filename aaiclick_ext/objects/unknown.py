"""Columns of a ClickHouse type that Ibis does not know: kept, fetched and copied, not computed on.

Int256, Dynamic, BFloat16 and their like have no Ibis type, so no Ibis operation applies to them.
Ibis would say that in several ways, none of which helps; here every one names the cast.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, NoReturn

import ibis.expr.operations as ops
import ibis.expr.types as ir

from aaiclick_ext.errors import UnsupportedTypeError
from aaiclick_ext.objects.leaf import DatabaseTable, services_of_source
from aaiclick_ext.objects.object_columns import refuse_operation
from aaiclick_ext.schema.python_objects import PythonObject

if TYPE_CHECKING:
    from collections.abc import Callable

_CASTS = {"BFloat16": "float64", "Dynamic": "string", "Variant": "string"}
"""What to advise; for anything else, text."""


class UnsupportedColumn(ir.UnknownColumn):  # type: ignore[misc]
    """A column that can be selected, cast, tested for null, grouped and ordered by, and no more."""

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and any(hasattr(kind, name) for kind in _KNOWN_COLUMNS):
            _refuse(self, f"{name}()")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    __hash__ = ir.UnknownColumn.__hash__


_KNOWN_COLUMNS = (
    ir.NumericColumn,
    ir.IntegerColumn,
    ir.StringColumn,
    ir.TimestampColumn,
    ir.ArrayColumn,
    ir.MapColumn,
    ir.StructColumn,
)
_OPERATORS = (
    "add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor", "lshift",
    "rshift", "radd", "rsub", "rmul", "rtruediv", "rfloordiv", "rmod", "rpow", "eq", "ne", "lt",
    "le", "gt", "ge", "neg", "invert", "abs",
)  # fmt: skip


def _refusing(name: str) -> Callable[..., Any]:
    symbol = getattr(operator, name.removeprefix("r"), None)
    shown = symbol.__name__ if symbol is not None else name

    def refuse(self: UnsupportedColumn, *_: Any) -> NoReturn:
        _refuse(self, shown)

    refuse.__name__ = f"__{name}__"
    return refuse


for _name in _OPERATORS:
    setattr(UnsupportedColumn, f"__{_name}__", _refusing(_name))


class ObjectColumn(UnsupportedColumn):
    """A column of Python objects: as above, and equal to another where both are the same object."""

    def __eq__(self, other: object) -> Any:
        return self._compared(other, "eq")

    def __ne__(self, other: object) -> Any:
        return self._compared(other, "ne")

    def _compared(self, other: object, name: str) -> Any:
        value = other if isinstance(other, ir.Value) else _scalar_of(self, other)
        if not isinstance(value.type(), PythonObject):
            _refuse(self, name)
        return getattr(ir.UnknownColumn, f"__{name}__")(self, value)

    __hash__ = ir.UnknownColumn.__hash__


def _scalar_of(column: ObjectColumn, value: object) -> ir.Scalar:
    """Return an object as a scalar to compare with. Runs two statements: it becomes a table."""
    from aaiclick_ext.objects.backend import backend_of
    from aaiclick_ext.objects.making import object_from_value

    backend = backend_of(column.op())
    if value is None or backend is None:
        remedy = f"Ask for null with x[{column.get_name()!r}].isnull()"
        refuse_operation(column.get_name(), "a comparison with None", remedy)
    table = object_from_value(backend, {"value": [value]}, objects=["value"])
    return ir.Table(table.op()).as_scalar()


def adopt_column(column: Any) -> Any:
    """Return a column of unknown type as one whose errors help, any other as it is."""
    if type(column) is ir.UnknownColumn and isinstance(column.type(), PythonObject):
        return ObjectColumn(column.op())
    if type(column) is ir.UnknownColumn:
        return UnsupportedColumn(column.op())
    return column


def _refuse(column: UnsupportedColumn, operation: str) -> NoReturn:
    if isinstance(column, ObjectColumn):
        refuse_operation(column.get_name(), operation)
    type_ = _clickhouse_type(column.op())
    cast = _CASTS.get(type_.split("(")[0], "string")
    name = column.get_name()
    raise UnsupportedTypeError(
        f"{operation}: column {name} is of a type that Ibis does not know ({type_}); it can be "
        f"kept, fetched and copied. Cast it to compute with it: x[{name!r}].cast({cast!r})"
    )


def _clickhouse_type(op: ops.Value) -> str:
    if isinstance(op, ops.Field) and isinstance(op.rel, DatabaseTable):
        services = services_of_source(op.rel.source)
        known = (
            None
            if services is None
            else services.schemas.known(op.rel.name, op.rel.namespace.database)
        )
        if known is not None:
            return known.types.get(op.name, "unknown")
    return "unknown"
