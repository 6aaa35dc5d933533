"""Names and text inside SQL."""

from __future__ import annotations

import re

_PYTHON = re.compile(r"[Pp](?=[Yy][Tt][Hh][Oo][Nn]\s*\()")


def quote_identifier(name: str) -> str:
    r"""Return a name of a table, column or database as it stands in ClickHouse SQL.

    Always in backticks, so that no name is a keyword, and never taken for already quoted.

    Examples
    --------
    >>> print(quote_identifier("a `b` c"))
    `a \`b\` c`
    """
    from clickhouse_connect.driver.binding import escape_str

    return f"`{escape_str(name)}`"


def quote_literal(text: str) -> str:
    r"""Return a text as a ClickHouse string literal.

    Examples
    --------
    >>> print(quote_literal("it's"))
    'it\'s'
    """
    from clickhouse_connect.driver.binding import format_str

    return str(format_str(text))


def qualified_name(table: str, database: str | None = None) -> str:
    """Return the name of a table as it stands in SQL, with its database where one is given.

    Examples
    --------
    >>> print(qualified_name("a b", "db"), qualified_name("t"))
    `db`.`a b` `t`
    """
    name = quote_identifier(table)
    return name if database is None else f"{quote_identifier(database)}.{name}"


def inline_json(lines: str) -> str:
    r"""Return rows of JSON as they may stand in a statement; they mean the same.

    chdb searches the whole text of a statement for ``Python(name)``, also inside data, and looks
    for a variable of that name in every function that is running. Up to Python 3.12 a frame that is
    looked into keeps the values that its variables have then, and so the tables.

    Examples
    --------
    >>> print(inline_json('{"sql": "SELECT * FROM python(secret)"}'))
    {"sql": "SELECT * FROM \u0070ython(secret)"}
    """
    return _PYTHON.sub(lambda found: f"\\u{ord(found[0]):04x}", lines)
