"""Text read as the types that a user names: every value exactly, or an error that shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aaiclick_ext.engine import quote_identifier, quote_literal
from aaiclick_ext.engine.type_tree import ChType, parse
from aaiclick_ext.errors import EngineError, SchemaError, UnsupportedTypeError, ValueRangeError
from aaiclick_ext.objects.text_types import (
    NOT_FINITE,
    ZONE,
    TextType,
    is_date,
    is_moment,
    moment_cast,
    plain_cast,
    trimmed,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aaiclick_ext.engine import Engine

NESTED = frozenset({"Array", "Map", "Tuple", "Variant", "Dynamic", "AggregateFunction", "Nothing"})
_DIGITS_OF_NANOSECONDS = 7
"""Decimals of a second from which on DateTime64 holds only the years 1678 to 2261."""


@dataclass(frozen=True, slots=True)
class CheckedCast:
    """How a text column is read as a type.

    Attributes
    ----------
    column
        The type, and the expression that makes it.
    test
        The expression that is true where that changes nothing.
    """

    column: TextType
    test: str


def canonical_types(engine: Engine, schema: Mapping[str, str]) -> dict[str, str]:
    """Return the types that a user wrote as ClickHouse writes them. Runs one query.

    Raises
    ------
    SchemaError
        If one is not a ClickHouse type.
    """
    for name, type_ in schema.items():
        if not isinstance(name, str) or not isinstance(type_, str):
            raise SchemaError(
                f"schema: {name!r}: {type_!r} is not a column and a ClickHouse type; "
                "write it as in {'price': 'Decimal(10, 2)'}"
            )
    if not schema:
        return {}
    columns = ", ".join(f"{quote_identifier(name)} {type_}" for name, type_ in schema.items())
    try:
        return engine.columns_of(f"SELECT * FROM null({quote_literal(columns)})")
    except EngineError as error:
        raise SchemaError(f"schema: {error}") from error


def checked_cast(name: str, type_: str) -> CheckedCast:
    """Return how a text column is read as a type.

    White space around anything but text, and a blank where null is allowed, do not count.

    Raises
    ------
    UnsupportedTypeError
        If a type holds more than one value, which text does not say how to read.
    """
    parsed = parse(type_)
    inner, column = parsed.inner, quote_identifier(name)
    if inner.name in NESTED:
        raise UnsupportedTypeError(
            f"column {name!r}: text cannot be read as {type_}; read it as String and take it "
            "apart with Ibis, or keep nested values in Parquet or JSON"
        )
    is_text = inner.name in ("String", "FixedString", "Enum8", "Enum16")
    text = column if is_text else f"nullIf({trimmed(column)}, '')"
    test = _TESTS.get(inner.name, _is_what_it_says)(text, inner)
    if inner.name in ("DateTime", "DateTime64"):
        sql = moment_cast(text, str(inner))
    elif inner.name == "Bool":
        sql = f"(lower({text}) IN ('true', '1'))"
    elif is_text:
        sql = text
    else:
        sql = plain_cast(text, f"Nullable({inner})" if inner.name != "JSON" else str(inner))
    null = f"{text} IS NULL" if parsed.nullable else "0"
    if not parsed.nullable:
        sql = f"assumeNotNull({sql})"
    return CheckedCast(TextType(type_, sql), f"({null} OR ifNull({test}, 0))")


def check_values(engine: Engine, table: str, casts: Mapping[str, CheckedCast]) -> None:
    """Return where every value of a table can be read as its column's type.

    Runs one query, and one more where a value cannot.

    Raises
    ------
    ValueRangeError
        With the first such value that ClickHouse finds.
    """
    if not casts:
        return
    counts = ", ".join(f"countIf(NOT {cast.test})" for cast in casts.values())
    source = quote_identifier(table)
    failed = engine.query_rows(f"SELECT {counts} FROM {source}")[0]
    for (name, cast), count in zip(casts.items(), failed, strict=True):
        if count:
            column = quote_identifier(name)
            rows = engine.query_rows(f"SELECT {column} FROM {source} WHERE NOT {cast.test} LIMIT 1")
            value = rows[0][0]
            shown = "null" if value is None else repr(value[:100])
            more = f" (and {count - 1} more rows)" if count > 1 else ""
            raise ValueRangeError(
                f"column {name!r}: {shown}{more} is not exactly a {cast.column.type}; "
                "name a wider type in the schema, a Nullable one for nulls, or String"
            )


def _is_number(text: str, type_: ChType) -> str:
    return f"accurateCastOrNull({text}, {quote_literal(str(type_))}) IS NOT NULL"


def _is_wide_integer(text: str, type_: ChType) -> str:
    # ClickHouse does not notice more digits than 128 or 256 bits hold, it wraps.
    return f"toString(accurateCastOrNull({text}, '{type_.name}')) = {text}"


def _is_float(text: str, type_: ChType) -> str:
    number = f"accurateCastOrNull({text}, {quote_literal(str(type_))})"
    return f"(isFinite(ifNull({number}, inf)) OR {text} IN {NOT_FINITE})"


def _is_decimal(text: str, type_: ChType) -> str:
    precision, scale = (int(p) for p in type_.params)
    pattern = rf"^[+-]?0*[0-9]{{0,{precision - scale}}}(\.[0-9]{{0,{scale}}}0*)?$"
    return f"(match({text}, {quote_literal(pattern)}) AND match({text}, '[0-9]'))"


def _is_date(text: str, type_: ChType) -> str:
    test = is_date(text)
    return (
        f"({test} AND {text} BETWEEN '1970-01-01' AND '2149-06-06')"
        if type_.name == "Date"
        else test
    )


def _is_moment(text: str, type_: ChType) -> str:
    scale = int(type_.params[0]) if type_.name == "DateTime64" else 0
    fits = f"NOT match({text}, {quote_literal(rf'[.][0-9]{{{scale}}}[0-9]*[1-9]')})"
    test = f"({is_moment(text, '')} OR {is_moment(text, ZONE)}) AND {fits}"
    if type_.name == "DateTime":
        seconds = f"toUnixTimestamp64Second({moment_cast(text, str(type_))})"
        return f"if({test}, {seconds} BETWEEN 0 AND 4294967295, 0)"
    if scale >= _DIGITS_OF_NANOSECONDS:
        return f"({test} AND substring({text}, 1, 4) BETWEEN '1678' AND '2261')"
    return f"({test})"


def _is_what_it_says(text: str, type_: ChType) -> str:
    cast = f"accurateCastOrNull({text}, {quote_literal(str(type_))})"
    return f"lower(toString({cast})) = lower({text})"


def _is_enum(text: str, type_: ChType) -> str:
    return f"{text} IN ({', '.join(quote_literal(name) for name, _ in type_.values)})"


_INTEGERS = [f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)]
_WIDE_INTEGERS = [f"{sign}Int{bits}" for sign in ("", "U") for bits in (128, 256)]
_TESTS: dict[str, Callable[[str, ChType], str]] = {
    **dict.fromkeys(_INTEGERS, _is_number),
    **dict.fromkeys(_WIDE_INTEGERS, _is_wide_integer),
    **dict.fromkeys(("Float32", "Float64", "BFloat16"), _is_float),
    **dict.fromkeys(("Enum8", "Enum16"), _is_enum),
    **dict.fromkeys(("Date", "Date32"), _is_date),
    **dict.fromkeys(("DateTime", "DateTime64"), _is_moment),
    **dict.fromkeys(("IPv4", "IPv6"), _is_number),
    "Bool": lambda text, _: f"lower({text}) IN ('true', 'false', '1', '0')",
    "Decimal": _is_decimal,
    "FixedString": lambda text, type_: f"length({text}) <= {type_.params[0]}",
    "JSON": lambda text, _: f"isValidJSON({text})",
    "String": lambda text, _: f"{text} IS NOT NULL",
}
