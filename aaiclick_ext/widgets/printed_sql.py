"""SQL printed so that it can be read: a line for each column and clause."""

from __future__ import annotations

import re

from aaiclick_ext.widgets.details import MAX_DETAIL

# The parser of sqlglot takes other statements too, but what it knows of ClickHouse's is little.
_QUERY = re.compile(r"[\s(]*(?:select|with|from)\b", re.IGNORECASE)


def printed(sql: str) -> str:
    """Return a query with line breaks and indents; other text, and what is too long, as it is.

    It means what it meant: what is printed reads back as the same query, or it is not printed.

    Examples
    --------
    >>> print(printed("SELECT a, count() AS n FROM t WHERE b != 2 GROUP BY a"))
    SELECT
      a,
      count() AS n
    FROM t
    WHERE
      b <> 2
    GROUP BY
      a
    >>> printed("SELECT a FROM")
    'SELECT a FROM'
    """
    if len(sql) > MAX_DETAIL or not _QUERY.match(sql):
        return sql
    import sqlglot
    import sqlglot.errors

    try:
        query = sqlglot.parse_one(sql, dialect="clickhouse")
        text = query.sql(dialect="clickhouse", pretty=True)
        return text if sqlglot.parse_one(text, dialect="clickhouse") == query else sql
    except (sqlglot.errors.SqlglotError, RecursionError):
        return sql
