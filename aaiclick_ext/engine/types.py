"""What a fetch asks of ClickHouse and does to what arrives, so that no type is lost on the way.

Arrow as ClickHouse writes it says less than ClickHouse knows: a DateTime arrives as uint32, an
Enum as int8, an Int128 as 16 bytes. Most of that `restore` puts right from the bytes, without a
copy of what was right; what only ClickHouse can read is cast by it (`wrap_fetch`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aaiclick_ext.engine.arrow_sent import sent_schema
from aaiclick_ext.engine.restore import restore, restored_schema
from aaiclick_ext.engine.sql import quote_identifier
from aaiclick_ext.engine.type_tree import ChType, parse

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import pyarrow as pa

    from aaiclick_ext.engine.type_paths import Path

__all__ = [
    "ChType",
    "arrow_schema",
    "fetch_casts",
    "parse",
    "restore",
    "restored_schema",
    "wrap_fetch",
]

_CASTS = {
    "AggregateFunction": ChType("String"),  # Arrow would carry a memory address
    "BFloat16": ChType("Float32"),
    "IPv4": ChType("String"),
    "IPv6": ChType("String"),
    "Int256": ChType("String"),
    "QBit": ChType("Array", (ChType("Float32"),)),
    "UInt256": ChType("String"),
}


def fetch_casts(columns: Mapping[str, str]) -> dict[str, str]:
    """Return column → type to cast to, for the columns that Arrow cannot carry as they are.

    Parameters
    ----------
    columns
        Column to ClickHouse type, as DESCRIBE gives them.

    Examples
    --------
    >>> fetch_casts({"a": "Int64", "b": "Map(String, IPv4)", "c": "DateTime"})
    {'b': 'Map(String, String)'}
    """
    casts = {}
    for name, text in columns.items():
        found = parse(text)
        if (target := _castable(found)) is not found:
            casts[name] = str(target)
    return casts


def wrap_fetch(
    sql: str, columns: Mapping[str, str], overrides: Mapping[str, str] | None = None
) -> str:
    """Return the query with the casts a fetch needs around it; the query itself if there are none.

    Parameters
    ----------
    overrides
        Column to type, cast to in place of what `fetch_casts` says.

    Examples
    --------
    >>> wrap_fetch("SELECT 1 AS a", {"a": "UInt8"})
    'SELECT 1 AS a'
    >>> print(wrap_fetch("SELECT * FROM t", {"ip": "IPv6"}))
    SELECT * REPLACE (CAST(`ip` AS String) AS `ip`) FROM (
    SELECT * FROM t
    )
    """
    casts = fetch_casts(columns) | dict(overrides or {})
    if not casts:
        return sql
    replaced = ", ".join(
        f"CAST({(column := quote_identifier(name))} AS {target}) AS {column}"
        for name, target in casts.items()
    )
    # Lines of its own: the query may end in a comment.
    return f"SELECT * REPLACE ({replaced}) FROM (\n{sql}\n)"


def arrow_schema(columns: Mapping[str, str], *, binary: Collection[str | Path] = ()) -> pa.Schema:
    """Return the schema that a fetch of columns has, as `restore` gives it. Runs no query.

    Parameters
    ----------
    columns
        Column to ClickHouse type.
    binary
        Columns, or paths into them, whose Strings are bytes.

    Raises
    ------
    UnsupportedTypeError
        If it is not known how ClickHouse sends a type.

    Examples
    --------
    >>> print(arrow_schema({"t": "DateTime('UTC')", "ip": "Nullable(IPv4)"}))
    t: timestamp[s, tz=UTC] not null
    ip: string
    """
    sent = sent_schema({**columns, **fetch_casts(columns)})
    return restored_schema(sent, columns, binary=binary)


def _castable(type_: ChType) -> ChType:
    if type_.name in _CASTS:
        return _CASTS[type_.name]
    if type_.name == "SimpleAggregateFunction":
        inner = _castable(type_.args[0])
        return type_ if inner is type_.args[0] else inner
    if type_.name == "Variant":
        return type_  # two of its types might become one; `restore` reads them from the bytes
    return type_.with_args(tuple(map(_castable, type_.args)))
