"""Reading from ClickHouse what a table is."""

from __future__ import annotations

from dataclasses import replace
from sys import intern
from typing import TYPE_CHECKING, Any

from aaiclick_ext.errors import UnknownTableError
from aaiclick_ext.schema.columns import ColumnDefault, TableSchema
from aaiclick_ext.schema.shape import POSITION, SCALAR_COMMENT, Shape

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aaiclick_ext.engine import Engine
    from aaiclick_ext.engine.stats import ColumnInfo

# The definition has columns, defaults, comments, keys and the engine. Its hash is the version:
# system.tables has times in seconds, and neither them nor uuids for every database engine.
_VERSION = "cityHash64(engine, create_table_query)"
_READ = (
    f"SELECT {_VERSION}, engine, comment, total_rows, sorting_key, primary_key, partition_key "
    "FROM system.tables WHERE name = {table:String} "
    "AND database = if({database:String} = '', currentDatabase(), {database:String})"
)
_VERSIONS = (
    f"SELECT database, name, database = currentDatabase(), {_VERSION}, total_rows "
    "FROM system.tables WHERE name IN {tables:Array(String)} "
    "AND (database = currentDatabase() OR database IN {databases:Array(String)})"
)
_TRIES = 5


def read_table(engine: Engine, table: str, database: str | None) -> TableSchema:
    """Read a table's schema. Runs three queries, or more while the table is being changed.

    Raises
    ------
    UnknownTableError
        If there is no such table.
    """
    facts = _facts(engine, table, database)
    for _ in range(_TRIES):
        columns = engine.columns_of_table(table, database)
        before, facts = facts, _facts(engine, table, database)
        if before[0] == facts[0]:
            break
    version, table_engine, comment, rows, sorting_key, primary_key, partition_key = facts
    # Tables of one kernel have much in common: the same text is kept once.
    columns = [replace(c, name=intern(c.name), type=intern(c.type)) for c in columns]
    visible = [c for c in columns if c.default_kind not in ("MATERIALIZED", "EPHEMERAL")]
    return TableSchema(
        types={c.name: c.type for c in visible if c.default_kind != "ALIAS"},
        **_given("comments", {c.name: c.comment for c in visible if c.comment}),
        **_given("defaults", _defaults(columns)),
        shape=_shape(columns, comment),
        engine=intern(table_engine),
        rows=rows,
        sorting_key=sorting_key,
        primary_key=primary_key,
        partition_key=partition_key,
        version=version,
    )


def versions_of(
    engine: Engine, tables: Iterable[tuple[str | None, str]]
) -> dict[tuple[str | None, str], tuple[int, int | None]]:
    """Return version and rows of the tables that are there. Runs one query.

    Parameters
    ----------
    tables
        Database, None for the current one, and table.
    """
    given = {
        "tables": [table for _, table in tables],
        "databases": sorted({database for database, _ in tables if database is not None}),
    }
    found: dict[tuple[str | None, str], tuple[int, int | None]] = {}
    for database, table, is_current, version, rows in engine.query_rows(_VERSIONS, given):
        found[database, table] = (version, rows)
        if is_current:
            found[None, table] = (version, rows)
    return found


def _facts(engine: Engine, table: str, database: str | None) -> tuple[Any, ...]:
    found = engine.query_rows(_READ, {"table": table, "database": database or ""})
    if not found:
        shown = table if database is None else f"{database}.{table}"
        raise UnknownTableError(
            f"there is no table {shown} in {engine.identity}; `SHOW TABLES` lists what is there"
        )
    return found[0]


def _defaults(columns: Iterable[ColumnInfo]) -> dict[str, ColumnDefault]:
    return {
        c.name: ColumnDefault(c.default_kind, c.default_expression)
        for c in columns
        if c.default_kind and c.name != POSITION
    }


def _given(name: str, found: dict[str, Any]) -> dict[str, Any]:
    """Return an argument, unless it is empty, as most are: those share one."""
    return {name: found} if found else {}


def _shape(columns: Iterable[ColumnInfo], comment: str) -> Shape:
    if comment.startswith(SCALAR_COMMENT):  # more may have been added
        return Shape.SCALAR
    is_array = any(c.name == POSITION and c.default_kind == "MATERIALIZED" for c in columns)
    return Shape.ARRAY if is_array else Shape.TABLE
