"""Which types columns of text have, found in ClickHouse from every row.

A type is given only where no value changes by it: ``007`` is not the number 7, 2023-02-30 is not a
date, and a number of 20 digits is not a float. Whatever does not fit stays text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aaiclick_ext.engine import quote_identifier, quote_literal
from aaiclick_ext.engine.type_tree import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aaiclick_ext.engine import Engine

SAMPLE_ROWS = 20_000
_COLUMNS_PER_QUERY = 40
"""Keeps a query's text below ClickHouse's limit of 256 KiB."""

DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)?"
ZONE = "(Z|[+-][0-9]{2}:?[0-9]{2})"
_LEADING_ZERO = "^[+-]?0[0-9]"
_NO_DIGITS = "[eE].*|[^0-9]"
_SURE_LENGTH = 15
"""Every number of so many digits has a float of its own."""
NOT_FINITE = (
    "('nan', 'NaN', 'inf', '-inf', 'Inf', '-Inf', 'Infinity', '-Infinity', 'infinity', '-infinity')"
)
_DIGITS_OF_EVERY_YEAR = 6
_NANOSECOND_YEARS = (1678, 2261)
"""Beyond microseconds, fewer years fit 64 bits."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about the texts of one column.

    Attributes
    ----------
    rows, texts, blanks
        Rows, those that are not null, and those of white space alone.
    is_spaced
        Whether white space around a text may have been left out of account.
    matches
        How many texts are of each kind that was looked for.
    digits, first_year, last_year
        Of texts that are dates with time: most decimals of a second, and, if they are more than
        6, their years.
    """

    rows: int
    texts: int
    blanks: int
    is_spaced: bool
    matches: dict[str, int]
    digits: int
    first_year: int
    last_year: int

    def is_all(self, kind: str) -> bool:
        """Say whether every text that is not blank is of a kind, and there is one."""
        values = self.texts - self.blanks
        if kind not in self.matches or not values or self.matches[kind] != values:
            return False
        if kind not in ("timestamp", "instant") or self.digits <= _DIGITS_OF_EVERY_YEAR:
            return True
        first, last = _NANOSECOND_YEARS
        return first <= self.first_year and self.last_year <= last


@dataclass(frozen=True, slots=True)
class TextType:
    """The type of a column of text.

    Attributes
    ----------
    type
        The ClickHouse type, Nullable where a null occurs.
    sql
        The expression that makes it of the text column.
    """

    type: str
    sql: str


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of value that text can stand for: the test of a text, its type and its cast."""

    test: Callable[[str], str]
    type: Callable[[Facts], str]
    cast: Callable[[str, str], str]


def trimmed(column: str) -> str:
    """Return the SQL of a text without white space around it."""
    return f"trim(BOTH ' \\t' FROM {column})"


def is_date(text: str) -> str:
    """Return the SQL of whether a text is a date that exists."""
    return f"ifNull(toString(toDate32OrNull({text})) = {text}, 0)"


def is_moment(text: str, zone: str) -> str:
    """Return the SQL of whether a text is a date with time that exists."""
    pattern = quote_literal(f"^{DATE}[ T]{CLOCK}{zone}$")
    parsed = f"parseDateTime64BestEffortOrNull({text}, 0, 'UTC') IS NOT NULL"
    return f"(match({text}, {pattern}) AND {is_date(f'substring({text}, 1, 10)')} AND {parsed})"


def _is_integer(type_: str) -> Callable[[str], str]:
    return lambda text: f"ifNull(toString(accurateCastOrNull({text}, '{type_}')) = {text}, 0)"


def _is_float(text: str) -> str:
    number = f"accurateCastOrNull({text}, 'Float64')"
    is_same = f"{_significant(text)} = {_significant(f'toString({number})')}"
    return (
        f"((isFinite(ifNull({number}, inf)) AND NOT match({text}, {quote_literal(_LEADING_ZERO)}) "
        f"AND if(length({text}) > {_SURE_LENGTH}, {is_same}, 1)) OR {text} IN {NOT_FINITE})"
    )


def _significant(text: str) -> str:
    """Return the SQL of a number's digits without zeros around them."""
    digits = f"replaceRegexpAll({text}, {quote_literal(_NO_DIGITS)}, '')"
    return f"trim(BOTH '0' FROM {digits})"


def _moment_type(zone: str) -> Callable[[Facts], str]:
    return lambda facts: f"DateTime64({-(-facts.digits // 3) * 3}{zone})"


def plain_cast(text: str, type_: str) -> str:
    """Return the SQL that reads a text as a type, or fails."""
    return f"accurateCast({text}, {quote_literal(type_)})"


def moment_cast(text: str, type_: str) -> str:
    """Return the SQL that reads dates with time; those without an offset are in the type's zone.

    A null, and what is no date with time, is null: ClickHouse computes on what stands under a
    null too, and would fail there.
    """
    params = parse(type_).params
    scale = params[0] if type_.startswith("DateTime64") else 0
    zone = next((param for param in params if isinstance(param, str)), "UTC")
    return f"parseDateTime64BestEffortOrNull({text}, {scale}, {quote_literal(zone)})"


_KINDS: dict[str, _Kind] = {
    "integer": _Kind(_is_integer("Int64"), lambda _: "Int64", plain_cast),
    "natural": _Kind(_is_integer("UInt64"), lambda _: "UInt64", plain_cast),
    "float": _Kind(_is_float, lambda _: "Float64", plain_cast),
    "boolean": _Kind(
        lambda text: f"lower({text}) IN ('true', 'false')",
        lambda _: "Bool",
        lambda text, _: f"(lower({text}) = 'true')",
    ),
    "date": _Kind(is_date, lambda _: "Date32", lambda text, _: f"toDate32OrNull({text})"),
    "timestamp": _Kind(lambda text: is_moment(text, ""), _moment_type(""), moment_cast),
    "instant": _Kind(lambda text: is_moment(text, ZONE), _moment_type(", 'UTC'"), moment_cast),
}
MOMENTS = ("date", "timestamp", "instant")
"""What text can stand for in a format that has numbers and booleans of its own."""

EVERY_KIND = tuple(_KINDS)


def text_types(
    engine: Engine, table: str, columns: Sequence[str], kinds: Sequence[str] = EVERY_KIND
) -> dict[str, TextType]:
    """Return what the text columns of a table are, from all rows.

    Runs one query on the first rows, and where there are more, one that verifies what they said
    and one for the columns of which it was not true; each for up to 40 columns.
    """
    found: dict[str, TextType] = {}
    for start in range(0, len(columns), _COLUMNS_PER_QUERY):
        part = columns[start : start + _COLUMNS_PER_QUERY]
        found |= _types_of(engine, table, part, kinds)
    return found


def _types_of(
    engine: Engine, table: str, columns: Sequence[str], kinds: Sequence[str]
) -> dict[str, TextType]:
    facts = _facts(engine, table, dict.fromkeys(columns, kinds), limit=SAMPLE_ROWS)
    if any(fact.rows >= SAMPLE_ROWS for fact in facts.values()):
        guesses = {name: _first_kind(fact) for name, fact in facts.items()}
        # Text stays text: only a column of nothing but blanks can still become something else.
        wanted = {
            name: (kind,) if kind else () if _has_value(facts[name]) else kinds
            for name, kind in guesses.items()
        }
        spaced = {name for name, fact in facts.items() if fact.is_spaced}
        facts = _facts(engine, table, wanted, spaced)
        wrong = {
            name: kinds for name, kind in guesses.items() if kind and not facts[name].is_all(kind)
        }
        if wrong:
            facts |= _facts(engine, table, wrong)
    return {name: _text_type(name, fact) for name, fact in facts.items()}


def _has_value(facts: Facts) -> bool:
    return facts.texts > facts.blanks


def _first_kind(facts: Facts) -> str | None:
    return next((kind for kind in facts.matches if facts.is_all(kind)), None)


def _text_type(name: str, facts: Facts) -> TextType:
    column = quote_identifier(name)
    kind = _first_kind(facts)
    if kind is None:
        if facts.texts == facts.rows and facts.rows:
            return TextType("String", f"assumeNotNull({column})")
        return TextType("Nullable(String)", column)
    text = trimmed(column) if facts.is_spaced else column
    type_ = _KINDS[kind].type(facts)
    if facts.texts == facts.rows and not facts.blanks:
        cast = _KINDS[kind].cast(f"assumeNotNull({text})", type_)
        return TextType(type_, f"assumeNotNull({cast})")
    cast = _KINDS[kind].cast(f"nullIf({text}, '')", type_)
    if kind in ("integer", "natural", "float"):
        cast = _KINDS[kind].cast(f"nullIf({text}, '')", f"Nullable({type_})")
    return TextType(f"Nullable({type_})", cast)


def _facts(
    engine: Engine,
    table: str,
    wanted: dict[str, Sequence[str]],
    spaced: set[str] | None = None,
    *,
    limit: int | None = None,
) -> dict[str, Facts]:
    """Return facts of columns: of every row, or of the first ones.

    Parameters
    ----------
    wanted
        Column to the kinds to look for.
    spaced
        Columns where white space around a text does not count; None: all.
    """
    selected = ["count()"]
    for name, kinds in wanted.items():
        column = quote_identifier(name)
        text = trimmed(column) if spaced is None or name in spaced else column
        selected += [f"count({column})", f"countIf({text} = '')", f"countIf({text} != {column})"]
        selected += [f"countIf({_KINDS[kind].test(text)})" for kind in kinds]
        selected.append(_decimals(text) if {"timestamp", "instant"} & set(kinds) else "0")
    names = ", ".join(map(quote_identifier, wanted))
    source = f"SELECT {names} FROM {quote_identifier(table)}"
    if limit is not None:
        source += f" LIMIT {limit}"
    row = iter(engine.query_rows(f"SELECT {', '.join(selected)} FROM ({source})")[0])
    rows = int(next(row))
    facts = {}
    for name, kinds in wanted.items():
        texts, blanks, is_spaced = int(next(row)), int(next(row)), bool(next(row))
        matches = {kind: int(next(row)) for kind in kinds}
        digits = int(next(row) or 0)
        years = _years(engine, source, name) if digits > _DIGITS_OF_EVERY_YEAR else (0, 0)
        facts[name] = Facts(rows, texts, blanks, is_spaced, matches, digits, *years)
    return facts


def _decimals(text: str) -> str:
    """Return the SQL of the most decimals of a second; only longer texts have any."""
    pattern = quote_literal(r":[0-9]+\.([0-9]+)")
    return f"maxIf(length(extract({text}, {pattern})), length({text}) BETWEEN 18 AND 40)"


def _years(engine: Engine, source: str, name: str) -> tuple[int, int]:
    text = trimmed(quote_identifier(name))
    year = f"toInt32OrZero(substring({text}, 1, 4))"
    sql = f"SELECT min({year}), max({year}) FROM ({source}) WHERE {text} != ''"
    first, last = engine.query_rows(sql)[0]
    return int(first or 0), int(last or 0)
