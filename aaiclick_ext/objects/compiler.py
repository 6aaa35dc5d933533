"""Ibis's ClickHouse compiler, corrected where ClickHouse would change a value in silence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ibis.expr.datatypes as dt
import sqlglot as sg
import sqlglot.expressions as sge
from ibis.backends.sql.compilers.base import NULL, STAR
from ibis.backends.sql.compilers.clickhouse import ClickHouseCompiler

if TYPE_CHECKING:
    import ibis.expr.operations as ops


class Compiler(ClickHouseCompiler):  # type: ignore[misc]
    """Ibis's ClickHouse compiler; SQL text passes through it untouched."""

    __slots__ = ()

    def visit_SQLQueryResult(  # noqa: N802  Ibis dispatches on the name
        self, _op: ops.SQLQueryResult, *, query: str, **_: Any
    ) -> sge.Subquery:
        """Put the user's own text in, not what a parser would make of it."""
        text = sge.Subquery(this=sge.Var(this=f"\n{query}\n"))  # it may end in a comment
        return sge.Subquery(this=sg.select(STAR).from_(text))

    def visit_Mode(  # noqa: N802
        self, _op: ops.Mode, *, arg: sge.Expression, where: sge.Expression | None
    ) -> sge.Expression:
        """Compile the most frequent value, which Ibis leaves out and `describe` needs."""
        name, given = ("topK", (arg,)) if where is None else ("topKIf", (arg, where))
        most = sge.ParameterizedAgg(
            this=name, expressions=[sge.Literal.number(1)], params=list(given)
        )
        value: sge.Expression = self.f.arrayElement(most, 1)
        return value

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


def _is_parsed(to: dt.DataType) -> bool:
    return bool(to.is_numeric() or to.is_uuid() or (to.is_timestamp() and to.timezone is None))


def _is_narrower(to: dt.DataType, given: dt.DataType) -> bool:
    """Say whether an integer may not fit the other integer type."""
    if not (isinstance(to, dt.Integer) and isinstance(given, dt.Integer)):
        return False
    return bool(to.bounds.lower > given.bounds.lower or to.bounds.upper < given.bounds.upper)
