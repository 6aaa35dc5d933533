"""Looks: what of a table is looked at, and in which order, as conditions and keys of a View.

A look comes from a front end as text; here every text becomes a value of its column's type.
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.operations as ops

from aaiclick_ext.engine.type_tree import WIDE_INTEGERS, parse
from aaiclick_ext.errors import SchemaError, UnsupportedTypeError, ValueRangeError
from aaiclick_ext.objects.view import View

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import ibis.expr.datatypes as dty
    import ibis.expr.types as ir

_MOST_INT64, _MOST_UINT64 = 2**63, 2**64
_MOST_DIGITS = 6  # of a second, that Python's times have
_UNORDERED = frozenset(
    {
        "Array", "Map", "Tuple", "Nested", "JSON", "Object", "Dynamic", "Variant", "Nothing",
        "AggregateFunction", "Point", "Ring", "Polygon", "MultiPolygon", "LineString",
        "MultiLineString", "Geometry", "QBit",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Between:
    """Rows whose value is in a range; None is no bound. Nulls and NaN are in none.

    Attributes
    ----------
    is_below
        Whether `high` itself is out of it.
    """

    column: str
    low: str | None
    high: str | None
    is_below: bool = False


@dataclass(frozen=True, slots=True)
class Contains:
    """Rows whose text has this in it, in upper or lower case."""

    column: str
    text: str


@dataclass(frozen=True, slots=True)
class OneOf:
    """Rows whose value, as it is shown, is one of these; None is null."""

    column: str
    values: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class IsNull:
    """Rows without a value, or with one."""

    column: str
    is_null: bool = True


Filter = Between | Contains | OneOf | IsNull


@dataclass(frozen=True, slots=True)
class Sort:
    """A key of the order. Nulls come last in both directions, NaN before them."""

    column: str
    is_descending: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """What of a table is looked at.

    Attributes
    ----------
    filters
        All of them hold.
    search
        A text that is in one of the text columns, in upper or lower case; empty is no search.
    sorts
        The first is the outermost.
    """

    filters: tuple[Filter, ...] = ()
    search: str = ""
    sorts: tuple[Sort, ...] = ()


@dataclass(frozen=True, slots=True)
class BrowsedColumn:
    """A column of a table that is browsed.

    Attributes
    ----------
    type
        ClickHouse's.
    kind
        ``number``, ``time``, ``text``, ``boolean`` or ``other``.
    has_order
        Whether it can be sorted by.
    has_range
        Whether a range of it can be chosen.
    is_searched
        Whether parts of its text can be looked for.
    """

    name: str
    type: str
    kind: str
    has_order: bool
    has_range: bool
    is_searched: bool
    is_nullable: bool


def browsed_columns(
    schema: Mapping[str, dty.DataType], types: Mapping[str, str]
) -> tuple[BrowsedColumn, ...]:
    """Return what can be done with columns of Ibis and of ClickHouse types."""
    found = []
    for name, dtype in schema.items():
        text = types.get(name, "")
        inner = parse(text).inner.name if text else ""
        kind = _kind(dtype, inner)
        has_order = inner not in _UNORDERED and not dtype.is_nested()
        is_text = inner in ("String", "FixedString") and dtype.is_string()
        has_range = (kind in ("number", "time") or is_text) and inner not in WIDE_INTEGERS
        nullable = bool(text) and (parse(text).nullable or dtype.nullable)
        found.append(BrowsedColumn(name, text, kind, has_order, has_range, is_text, nullable))
    return tuple(found)


def _kind(dtype: dty.DataType, inner: str) -> str:
    if dtype.is_boolean():
        return "boolean"
    if dtype.is_numeric() or inner in WIDE_INTEGERS:
        return "number"
    if dtype.is_timestamp() or dtype.is_date():
        return "time"
    return "text" if dtype.is_string() else "other"


def looked(
    view: View,
    look: Look,
    columns: Sequence[BrowsedColumn],
    *,
    chosen: Sequence[str] | None = None,
) -> View:
    """Return a view as it is looked at: filtered, sorted, with the columns that were chosen.

    Runs no query; each step is recorded as an operation.

    Raises
    ------
    SchemaError
        If there is no such column, or it cannot be looked at so.
    ValueRangeError
        If a text is no value of its column.
    """
    found = view
    if conditions := conditions_of(view, look, columns):
        found = found.filter(*conditions)
    if look.sorts:
        found = found.order_by([_key(found, sort, columns) for sort in look.sorts])
    if chosen is not None and tuple(chosen) != tuple(view.columns):
        found = found.select(*[found[name] for name in chosen])
    return found


def conditions_of(
    table: ir.Table, look: Look, columns: Sequence[BrowsedColumn]
) -> list[ir.BooleanValue]:
    """Return the conditions of a look, over a table with these columns."""
    known = {column.name: column for column in columns}
    found = [_condition(table, each, _known(known, each.column)) for each in look.filters]
    if look.search:
        searched = [table[c.name].ilike(_pattern(look.search)) for c in columns if c.is_searched]
        if not searched:
            raise SchemaError("there is no column of text to search in")
        found.append(ibis.or_(*searched))
    return found


def check_sorts(look: Look, columns: Sequence[BrowsedColumn]) -> None:
    """Raise SchemaError where a look sorts by what has no order."""
    known = {column.name: column for column in columns}
    for sort in look.sorts:
        column = _known(known, sort.column)
        if not column.has_order:
            raise SchemaError(f"{column.name} is {column.type}, which has no order to sort by")


def _known(columns: Mapping[str, BrowsedColumn], name: str) -> BrowsedColumn:
    try:
        return columns[name]
    except KeyError:
        raise SchemaError(f"no column {name!r}; there are {', '.join(columns)}") from None


def _key(table: ir.Table, sort: Sort, columns: Sequence[BrowsedColumn]) -> ir.Value:
    check_sorts(Look(sorts=(sort,)), columns)
    column = table[sort.column]
    return column.desc() if sort.is_descending else column.asc()


def _condition(table: ir.Table, given: Filter, column: BrowsedColumn) -> ir.BooleanValue:
    value = table[column.name]
    if isinstance(given, IsNull):
        return value.isnull() if given.is_null else value.notnull()
    if isinstance(given, Contains):
        if not column.is_searched:
            raise SchemaError(f"{column.name} is {column.type}; only text can contain a text")
        return value.ilike(_pattern(given.text))
    if isinstance(given, OneOf):
        return _one_of(value, given, column)
    if not column.has_range:
        raise SchemaError(f"{column.name} is {column.type}, of which no range can be chosen")
    conditions = []
    if given.low is not None:
        conditions.append(value >= literal_of(column, value.type(), given.low))
    if given.high is not None:
        high = literal_of(column, value.type(), given.high)
        conditions.append(value < high if given.is_below else value <= high)
    if not conditions:
        raise ValueRangeError(f"{column.name}: a range needs a bound")
    return ibis.and_(*conditions)


def _one_of(value: ir.Column, given: OneOf, column: BrowsedColumn) -> ir.BooleanValue:
    dtype = value.type()
    conditions: list[ir.BooleanValue] = []
    texts = [text for text in given.values if text is not None]
    if len(texts) < len(given.values):
        conditions.append(value.isnull())
    if dtype.is_floating() and any(text.lower() == "nan" for text in texts):
        conditions.append(value.isnan())
        texts = [text for text in texts if text.lower() != "nan"]
    if texts:
        if not column.has_order:
            raise SchemaError(f"{column.name} is {column.type}; its values cannot be chosen")
        if _is_compared_as_text(dtype, texts):
            conditions.append(value.cast("string").isin(texts))  # as they are shown
        else:
            conditions.append(value.isin([literal_of(column, dtype, text) for text in texts]))
    if not conditions:
        raise ValueRangeError(f"{column.name}: choose at least one value")
    return ibis.or_(*conditions)


def _is_compared_as_text(dtype: dty.DataType, texts: Sequence[str]) -> bool:
    if dtype.is_timestamp():  # one of Python has microseconds
        return any(len(text.partition(".")[2]) > _MOST_DIGITS for text in texts)
    return not (dtype.is_numeric() or dtype.is_boolean() or dtype.is_string() or dtype.is_date())


def _pattern(text: str) -> str:
    r"""Return the pattern of ILIKE that finds a text anywhere.

    Examples
    --------
    >>> print(_pattern("50%_a\\b"))
    %50\%\_a\\b%
    """
    for special in "\\%_":
        text = text.replace(special, f"\\{special}")
    return f"%{text}%"


def literal_of(column: BrowsedColumn, dtype: dty.DataType, text: str) -> ir.Scalar:
    """Return a text as a value to compare a column with.

    Raises
    ------
    ValueRangeError
        If it is no value of the column's kind.
    """
    try:
        return _literal(dtype, text)
    except (KeyError, ValueError, InvalidOperation, OverflowError) as error:
        if isinstance(error, ValueRangeError):
            raise
        example = _EXAMPLES.get(column.kind, "text")
        raise ValueRangeError(
            f"{column.name} is {column.type}: {text[:80]!r} is none; write it like {example}"
        ) from error


_EXAMPLES = {
    "number": "12 or -0.5",
    "time": "2026-01-31 or 2026-01-31 23:59:59.5, up to microseconds",
    "boolean": "true or false",
}


def _literal(dtype: dty.DataType, text: str) -> ir.Scalar:
    given = text if dtype.is_string() else text.strip()
    if dtype.is_string():
        return ibis.literal(given)
    if dtype.is_boolean():
        return ibis.literal({"true": True, "1": True, "false": False, "0": False}[given.lower()])
    if dtype.is_floating():
        number = float(given)
        if math.isnan(number):
            raise ValueError(given)
        return ibis.literal(number)
    if dtype.is_integer() or dtype.is_decimal():
        exact = Decimal(given)
        if not exact.is_finite():
            raise ValueError(given)
        whole = exact == exact.to_integral_value()
        if whole and 0 <= exact < _MOST_UINT64 and dtype.is_unsigned_integer():
            return ibis.literal(int(exact), type="uint64")
        if whole and -_MOST_INT64 <= exact < _MOST_INT64 and not dtype.is_unsigned_integer():
            return ibis.literal(int(exact))
        return ibis.literal(exact)
    if dtype.is_date():
        return ibis.literal(dt.date.fromisoformat(given))
    if dtype.is_timestamp():
        return _moment(dtype, given)
    raise UnsupportedTypeError(f"no value of {dtype} can be written as text here")


def _moment(dtype: dty.DataType, text: str) -> ir.Scalar:
    digits = text.partition(".")[2]
    if len(digits) - len(digits.lstrip("0123456789")) > _MOST_DIGITS:
        raise ValueError(text)
    moment = dt.datetime.fromisoformat(text)
    if dtype.timezone is None:
        if moment.tzinfo is not None:
            raise ValueError(text)
        return ibis.literal(moment)
    if moment.tzinfo is None:
        from zoneinfo import ZoneInfo

        moment = moment.replace(tzinfo=ZoneInfo(dtype.timezone))
    return ibis.literal(moment.astimezone(dt.UTC), type="timestamp('UTC')")


def base_of(view: View) -> View:
    """Return a view as a plain table whatever its shape: to filter it is not elementwise."""
    op: Any = view._backend.relation_of(view)  # noqa: SLF001
    assert isinstance(op, ops.Relation)
    return View(op)
