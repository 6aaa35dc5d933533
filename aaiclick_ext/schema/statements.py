"""What a statement may have changed, read off its beginning.

Every statement of a kernel passes here, so it is a regular expression and no parser: 1 µs where
sqlglot's tokenizer takes milliseconds for a CREATE of some length, and its parser does not read
ALTER. What is not known to be harmless is taken to change everything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_GAP = r"(?:\s|--[^\n]*(?:\n|$)|\#!?[^\n]*(?:\n|$)|/\*.*?\*/)*"
_PART = r"(?:`(?:[^`\\]|\\.|``)*`|\"(?:[^\"\\]|\\.|\"\")*\"|[A-Za-z_]\w*)"
_NAME = rf"{_PART}(?:{_GAP}\.{_GAP}{_PART})?"
_EXISTS = rf"(?:IF{_GAP}(?:NOT{_GAP})?EXISTS{_GAP})?"
_TABLES = r"(?:TABLES?|VIEW|DICTIONAR(?:Y|IES))\b"

_FLAGS = re.IGNORECASE | re.DOTALL
_VERB = re.compile(rf"{_GAP}(\w+|\()", _FLAGS)
_LAST_PART = re.compile(rf"{_PART}\Z", _FLAGS)
_NAMES = re.compile(_NAME, _FLAGS)

_HARMLESS = frozenset(
    {"(", "BACKUP", "CHECK", "DESC", "DESCRIBE", "EXISTS", "EXPLAIN", "FROM", "GRANT", "KILL"}
    | {"REVOKE", "SELECT", "SHOW", "SYSTEM", "WITH"}
)


def _after(head: str) -> re.Pattern[str]:
    return re.compile(rf"{_GAP}{head.replace(' ', _GAP)}", _FLAGS)


_INSERT = _after(
    rf"INSERT INTO (?P<function>(?:TABLE )?FUNCTION\b )?(?:TABLE\b )?(?P<name>{_NAME})"
)
_CHANGES_ROWS = _after(
    rf"(?:TRUNCATE (?!DATABASE\b|ALL\b)(?:TABLE\b )?{_EXISTS}"
    rf"|DELETE FROM |UPDATE |OPTIMIZE TABLE )(?P<name>{_NAME})"
)
_ALTER = _after(rf"ALTER (?:TEMPORARY )?TABLE {_EXISTS}(?P<name>{_NAME})(?P<rest>.*)")
_OF_ROWS = _after(r"(?:\w+ (?:PARTITION|PART)\b|UPDATE\b|DELETE\b)")
_OF_MORE = re.compile(r"\b(?:COLUMN|ORDER|QUERY|RENAME|TABLE)\b", re.IGNORECASE)
_MADE = _after(
    r"(?:CREATE (?:OR REPLACE )?|REPLACE |ATTACH )(?:(?:TEMPORARY|MATERIALIZED|LIVE|WINDOW) )*"
    rf"{_TABLES} {_EXISTS}(?P<name>{_NAME})"
)
_LISTED = _after(
    rf"(?:DROP|DETACH|UNDROP|RENAME|EXCHANGE) (?:TEMPORARY )?{_TABLES} {_EXISTS}(?P<rest>.*)"
)
_NOT_OF_TABLES = _after(
    r"(?:CREATE|ALTER|DROP|ATTACH) (?:OR REPLACE )?"
    r"(?:USER|ROLE|QUOTA|ROW|POLICY|SETTINGS|PROFILE|NAMED|INDEX|RESOURCE|WORKLOAD)\b"
)
_MAKES_DATABASE = _after(r"CREATE DATABASE\b")


@dataclass(frozen=True, slots=True)
class Changes:
    """What may be another than before.

    Attributes
    ----------
    tables
        Names, without databases, of tables whose columns may be others, or that are gone; words
        of the statement may be among them.
    rows
        Names of tables that may have got or lost rows.
    everything
        Whether it may be anything that ClickHouse knows.
    """

    tables: frozenset[str] = frozenset()
    rows: frozenset[str] = frozenset()
    everything: bool = False

    def __bool__(self) -> bool:
        return bool(self.tables or self.rows or self.everything)


NOTHING = Changes()
EVERYTHING = Changes(everything=True)


def changes_of(sql: str) -> Changes:
    """Return what a statement may have changed.

    Examples
    --------
    >>> changes_of("SELECT 1") is NOTHING
    True
    >>> sorted(changes_of("EXCHANGE TABLES db.a AND `b c`").tables)
    ['AND', 'a', 'b c']
    >>> changes_of("INSERT INTO t SELECT * FROM u").rows
    frozenset({'t'})
    >>> changes_of("DROP DATABASE db").everything
    True
    """
    verb = _VERB.match(sql)
    if verb is None:
        return EVERYTHING if sql.strip() else NOTHING
    if verb[1].upper() in _HARMLESS:
        found = _INSERT.search(sql) if verb[1].upper() == "WITH" else None
        return NOTHING if found is None else _rows(found["name"])
    if found := _INSERT.match(sql):
        return NOTHING if found["function"] else _rows(found["name"])
    if found := _CHANGES_ROWS.match(sql):
        return _rows(found["name"])
    if "parallel" in sql.lower():  # PARALLEL WITH: more statements
        return EVERYTHING
    if found := _ALTER.match(sql):
        rest = found["rest"]
        if not _OF_ROWS.match(rest):
            return _tables(found["name"])
        if not _OF_MORE.search(rest):
            return _rows(found["name"])
        return _tables(found["name"], *_NAMES.findall(rest))  # MOVE PARTITION … TO TABLE …
    if found := _MADE.match(sql):
        return _tables(found["name"])
    if found := _LISTED.match(sql):
        return _tables(*_NAMES.findall(found["rest"]))
    if _NOT_OF_TABLES.match(sql) or _MAKES_DATABASE.match(sql):
        return NOTHING
    return EVERYTHING


def _rows(name: str) -> Changes:
    plain = _plain(name)
    return EVERYTHING if plain is None else Changes(rows=frozenset({plain}))


def _tables(*names: str) -> Changes:
    plain = [_plain(name) for name in names]
    if None in plain:
        return EVERYTHING
    return Changes(tables=frozenset(name for name in plain if name is not None))


def _plain(name: str) -> str | None:
    """Return a table's name without its database and quotes, None where it has escapes."""
    last = _LAST_PART.search(name)
    assert last is not None
    text = last[0]
    if text[0] not in '`"':
        return text
    inner = text[1:-1]
    return None if "\\" in inner or text[0] in inner else inner
