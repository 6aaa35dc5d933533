"""Hashes of tables: what they hold, in numbers small enough to be kept when they are gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aaiclick_ext.engine import Role, quote_identifier
from aaiclick_ext.errors import AaiclickError
from aaiclick_ext.logs import logger_of
from aaiclick_ext.oplog.event import ContentHash
from aaiclick_ext.schema import POSITION, Shape

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aaiclick_ext.engine import Engine
    from aaiclick_ext.schema import TableSchema

logger = logger_of("objects")

_LONGEST_S = 5


def content_hashes(
    engine: Engine, tables: Mapping[str, TableSchema], role: Role = Role.USER
) -> dict[str, ContentHash]:
    """Return what tables hold, without those that could not be read. One query for all.

    A row's hash is ``cityHash64`` of the tuple of its values, which tells null from every value,
    and ``''`` and ``'ab'`` from ``'a'`` and ``'b'``. The order is that of an array's positions,
    else the one in which a single thread reads the table. 0.0 and -0.0 are not the same.
    """
    try:
        return _hashes(engine, tables, role)
    except AaiclickError as error:
        if len(tables) == 1:
            logger.debug("the content of a table could not be hashed: %s", error)
            return {}
    found: dict[str, ContentHash] = {}
    for table, schema in tables.items():  # one bad table must not keep the others
        found |= content_hashes(engine, {table: schema}, role)
    return found


def _hashes(
    engine: Engine, tables: Mapping[str, TableSchema], role: Role
) -> dict[str, ContentHash]:
    if not tables:
        return {}
    names = list(tables)
    parts = [_statement(number, name, tables[name]) for number, name in enumerate(names)]
    settings = f"SETTINGS max_threads = 1, max_execution_time = {_LONGEST_S}"
    rows = engine.query_rows(f"SELECT * FROM ({' UNION ALL '.join(parts)}) {settings}", role=role)
    # With aggregate_functions_null_for_empty the sums of an empty table are null.
    return {
        names[number]: ContentHash(count, content or 0, order or 0)
        for number, count, content, order in rows
    }


def _statement(number: int, table: str, schema: TableSchema) -> str:
    columns = ", ".join(quote_identifier(name) for name in schema.types)
    place = POSITION if schema.shape is Shape.ARRAY else "rowNumberInAllBlocks()"
    row = f"tuple({columns})"  # twice and not by an alias, which could be a column's name
    return (
        f"SELECT {number}, count(), sum(cityHash64({row})), sum(cityHash64({row}, {place})) "
        f"FROM {quote_identifier(table)}"
    )
