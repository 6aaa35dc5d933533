"""Ibis's ClickHouse compiler, corrected where ClickHouse would change a value in silence."""

from __future__ import annotations

import re
from datetime import UTC
from typing import TYPE_CHECKING, Any

import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import sqlglot as sg
import sqlglot.expressions as sge
from ibis.backends.sql.compilers.base import NULL, STAR
from ibis.backends.sql.compilers.clickhouse import ClickHouseCompiler
from ibis.backends.sql.datatypes import ClickHouseType

from aaiclick_ext.schema.dialect import ClickHouse

if TYPE_CHECKING:
    from aaiclick_ext.objects.row_keys import RowKey

_OFFSET = re.compile(r"(?:UTC)?[+-]\d\d:\d\d(?::\d\d)?")


class _Types(ClickHouseType):  # type: ignore[misc]
    """Ibis's ClickHouse types, and references to Python objects."""

    @classmethod
    def _from_ibis_PythonObject(cls, dtype: dt.DataType) -> sge.DataType:  # noqa: N802
        kind: sge.DataType = cls.from_ibis(dt.UInt64(nullable=dtype.nullable))
        return kind


class Compiler(ClickHouseCompiler):  # type: ignore[misc]
    """Ibis's ClickHouse compiler; SQL text passes through it untouched."""

    __slots__ = ()
    dialect = ClickHouse
    type_mapper = _Types

    def visit_SQLQueryResult(  # noqa: N802  Ibis dispatches on the name
        self, _op: ops.SQLQueryResult, *, query: str, **_: Any
    ) -> sge.Subquery:
        """Put the user's own text in, not what a parser would make of it."""
        text = sge.Subquery(this=sge.Var(this=f"\n{query}\n"))  # it may end in a comment
        return sge.Subquery(this=sg.select(STAR).from_(text))

    def visit_SQLStringView(  # noqa: N802
        self, op: ops.SQLStringView, *, query: str, leaves: object = None, **arguments: Any
    ) -> sge.Expression:
        """Compile a SELECT over a relation; its leaves are only held."""
        del leaves
        text: sge.Expression = super().visit_SQLStringView(op, query=query, **arguments)
        return text

    def visit_Mode(  # noqa: N802
        self, _op: ops.Mode, *, arg: sge.Expression, where: sge.Expression | None
    ) -> sge.Expression:
        """Compile the most frequent value, which Ibis leaves out and `describe` needs."""
        name, given = ("topK", (arg,)) if where is None else ("topKIf", (arg, where))
        most = sge.ParameterizedAgg(
            this=name, expressions=[sge.Literal.number(1)], params=list(given)
        )
        value: sge.Expression = self.f.arrayElementOrNull(most, 1)  # null of nothing, not 0
        return value

    def visit_ScalarSubquery(  # noqa: N802
        self, _op: ops.ScalarSubquery, *, rel: sge.Expression
    ) -> sge.Expression:
        """Compile the one value of a relation; Ibis's own cannot where that is a bare table."""
        relation: Any = rel.this
        if not isinstance(relation, sge.Query):
            relation = sg.select(STAR).from_(rel)
        subquery: sge.Expression = relation.subquery(copy=False)
        return subquery

    def visit_LagLead(  # noqa: N802
        self, op: ops.Lag | ops.Lead, *, arg: sge.Expression, **arguments: Any
    ) -> sge.Expression:
        """Compile the value of another row; where there is no such row ClickHouse gives 0 or ''."""
        if arguments.get("default") is None:
            arg = self._nullable(op.arg, arg)
        value: sge.Expression = super().visit_LagLead(op, arg=arg, **arguments)
        return value

    visit_Lag = visit_Lead = visit_LagLead  # noqa: N815

    def visit_NthValue(  # noqa: N802
        self, op: ops.NthValue, *, arg: sge.Expression, nth: sge.Expression
    ) -> sge.Expression:
        """Compile the value of a row of the frame, null where the frame is shorter."""
        value: sge.Expression = self.f.nth_value(self._nullable(op.arg, arg), nth)
        return value

    def visit_RowKey(  # noqa: N802
        self, op: RowKey, *, columns: tuple[sge.Expression, ...]
    ) -> sge.Expression:
        """Compile a row as one value that can be compared, nulls included."""
        parts = [
            # An outer join makes columns nullable: both sides of a comparison have to be.
            self.f.array(column if has_no_null(given.dtype) else self.f.toNullable(column))
            for given, column in zip(op.columns, columns, strict=True)
        ]
        key: sge.Expression = self.f.tuple(*parts)
        return key

    def _nullable(self, op: ops.Value, arg: sge.Expression) -> sge.Expression:
        may_be = op.dtype.nullable or op.dtype.is_nested()  # ClickHouse has no null list
        nullable: sge.Expression = arg if may_be else self.f.toNullable(arg)
        return nullable

    def visit_ArrayIndex(  # noqa: N802
        self, op: ops.ArrayIndex, *, arg: sge.Expression, index: sge.Expression
    ) -> sge.Expression:
        """Compile an element, null where the list is shorter."""
        value: sge.Expression
        if op.dtype.is_nested():
            value = super().visit_ArrayIndex(op, arg=arg, index=index)
        else:
            value = self.f.arrayElementOrNull(arg, self.if_(index >= 0, index + 1, index))
        return value

    def visit_FloorDivide(  # noqa: N802
        self, op: ops.FloorDivide, *, left: sge.Expression, right: sge.Expression
    ) -> sge.Expression:
        """Compile the division of integers without the detour over Float64, which has 53 bits."""
        result: sge.Expression
        if not (op.left.dtype.is_integer() and op.right.dtype.is_integer()):
            result = super().visit_FloorDivide(op, left=left, right=right)
            return result
        quotient: sge.Expression = self.f.intDiv(left, right)
        if _is_never_negative(op.left) and _is_never_negative(op.right):
            return quotient
        has_rest = self.f.notEquals(self.f.modulo(left, right), 0)
        is_negative = self.f.notEquals(self.f.less(left, 0), self.f.less(right, 0))
        rounded = sge.Sub(this=quotient, expression=self.f.multiply(has_rest, is_negative))
        result = self.cast(rounded, op.dtype)
        return result

    def visit_DateDiff(  # noqa: N802
        self, _op: ops.DateDiff, *, left: sge.Expression, right: sge.Expression
    ) -> sge.Expression:
        """Compile the days between dates; ClickHouse subtracts no Date32."""
        days: sge.Expression = self.f.toIntervalDay(self.f.anon.dateDiff("day", right, left))
        return days

    def visit_NonNullLiteral(  # noqa: N802
        self, op: ops.Literal, *, value: Any, dtype: dt.DataType
    ) -> sge.Expression:
        """Compile a literal so that it is the value it is.

        A decimal without a precision has the one that it needs. An instant with a fixed offset is
        the same instant in UTC: ClickHouse knows no zone of Python's name for it (``UTC+01:00``).
        """
        if dtype.is_timestamp() and _OFFSET.fullmatch(dtype.timezone or ""):
            value, dtype = value.astimezone(UTC), dtype.copy(timezone="UTC")
        if isinstance(dtype, dt.Decimal) and dtype.precision is None:
            digits = value.as_tuple()
            scale = max(0, -digits.exponent)
            precision = max(len(digits.digits) + max(0, digits.exponent), scale, 1)
            dtype = dt.Decimal(precision, scale, nullable=dtype.nullable)
        literal: sge.Expression = super().visit_NonNullLiteral(op, value=value, dtype=dtype)
        return literal

    def visit_Cast(  # noqa: N802
        self, op: ops.Cast, *, arg: sge.Expression, to: dt.DataType
    ) -> sge.Expression:
        """Compile a cast that fails on a value which the type cannot hold.

        ClickHouse's own turns text that is no number into null where the type is nullable, as
        Ibis's are, wraps an integer that is too large, and reads '2020-13-45' as 1970-01-01.
        `try_cast` is there for who wants null.
        """
        given = op.arg.dtype
        result: sge.Expression
        if given.is_string() and to.is_date():
            result = self.f.toDate32(self.f.parseDateTime64(arg, "%Y-%m-%d"))
        elif (given.is_string() and _is_parsed(to)) or _is_narrower(to, given):
            type_ = self.type_mapper.to_string(to.copy(nullable=False))
            value = self.f.assumeNotNull(arg) if given.nullable else arg
            result = self.f.accurateCast(value, sge.convert(type_))
        else:
            result = super().visit_Cast(op, arg=arg, to=to)
            return result
        return self.if_(arg.is_(NULL), NULL, result) if given.nullable else result


def has_no_null(dtype: dt.DataType) -> bool:
    """Say whether a type has no nullable form in ClickHouse, or may have none."""
    return bool(dtype.is_nested() or dtype.is_unknown())


def _is_parsed(to: dt.DataType) -> bool:
    return bool(to.is_numeric() or to.is_uuid() or (to.is_timestamp() and to.timezone is None))


def _is_never_negative(op: ops.Value) -> bool:
    return op.dtype.is_unsigned_integer() or bool(isinstance(op, ops.Literal) and op.value >= 0)


def _is_narrower(to: dt.DataType, given: dt.DataType) -> bool:
    """Say whether an integer may not fit the other integer type."""
    if not (isinstance(to, dt.Integer) and isinstance(given, dt.Integer)):
        return False
    return bool(to.bounds.lower > given.bounds.lower or to.bounds.upper < given.bounds.upper)
