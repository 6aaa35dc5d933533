"""SchemaRegistry: one memoised schema per table."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from aaiclick_ext.errors import UnknownTableError
from aaiclick_ext.schema.ibis_types import ibis_schema
from aaiclick_ext.schema.shape import POSITION, SCALAR_COMMENT, Shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import ibis.expr.schema as sch

    from aaiclick_ext.engine import Engine

MEMORY = "Memory"
MERGE_TREE = "MergeTree"


@dataclass(frozen=True, slots=True)
class TableSchema:
    """The columns of one table.

    Attributes
    ----------
    types
        Column to ClickHouse type, without hidden columns.
    comments
        Column to comment, where it has one.
    engine
        ClickHouse's table engine.
    rows
        Number of rows where this kernel knows it without a query, else None.
    """

    types: Mapping[str, str]
    comments: Mapping[str, str] = field(default_factory=dict)
    shape: Shape = Shape.TABLE
    engine: str | None = None
    rows: int | None = None

    @property
    def ibis(self) -> sch.Schema:
        """The same columns as an Ibis schema."""
        return ibis_schema(self.types, self.comments)


class SchemaRegistry:
    """Answers what the columns of a table are, asking ClickHouse once per table.

    Thread-safe. Reading an unknown table runs one query on ``system.tables`` and one on
    ``system.columns``.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._schemas: dict[tuple[str | None, str], TableSchema] = {}

    def get(self, table: str, database: str | None = None) -> TableSchema:
        """Return a table's schema.

        Raises
        ------
        UnknownTableError
            If there is no such table.
        """
        known = self._schemas.get((database, table))
        if known is None:
            known = self._read(table, database)
            with self._lock:
                self._schemas[database, table] = known
        return known

    def refresh(self, table: str, database: str | None = None) -> bool:
        """Read a table's schema anew; say whether it was another before.

        Raises
        ------
        UnknownTableError
            If there is no such table.
        """
        found = self._read(table, database)
        with self._lock:
            known = self._schemas.get((database, table))
            self._schemas[database, table] = found
        return known is not None and known.types != found.types

    def known(self, table: str) -> TableSchema | None:
        """Return the schema of one of our tables if it is in memory."""
        return self._schemas.get((None, table))

    def put(self, table: str, schema: TableSchema) -> None:
        """Remember the schema of a table just made or changed."""
        with self._lock:
            self._schemas[None, table] = schema

    def set_rows(self, table: str, rows: int | None, engine: str | None = None) -> None:
        """Remember how many rows a table has now, and its engine if that changed."""
        with self._lock:
            known = self._schemas.get((None, table))
            if known is not None:
                self._schemas[None, table] = replace(
                    known, rows=rows, engine=engine or known.engine
                )

    def forget(self, tables: Iterable[str]) -> None:
        """Forget tables that are gone."""
        with self._lock:
            for table in tables:
                self._schemas.pop((None, table), None)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._schemas.clear()

    def _read(self, table: str, database: str | None) -> TableSchema:
        found = self._engine.query_rows(
            "SELECT comment, engine, total_rows FROM system.tables WHERE name = {table:String} "
            "AND database = if({database:String} = '', currentDatabase(), {database:String})",
            {"table": table, "database": database or ""},
        )
        if not found:
            shown = table if database is None else f"{database}.{table}"
            raise UnknownTableError(
                f"there is no table {shown} in {self._engine.identity}; "
                "`SHOW TABLES` lists what is there"
            )
        comment, engine, rows = found[0]
        columns = self._engine.columns_of_table(table, database)
        visible = [c for c in columns if c.default_kind not in ("MATERIALIZED", "EPHEMERAL")]
        ours = any(c.name == POSITION and c.default_kind == "MATERIALIZED" for c in columns)
        shape = Shape.ARRAY if ours else Shape.TABLE
        if comment.startswith(SCALAR_COMMENT):  # more may have been added
            shape = Shape.SCALAR
        return TableSchema(
            types={c.name: c.type for c in visible if c.default_kind != "ALIAS"},
            comments={c.name: c.comment for c in visible if c.comment},
            shape=shape,
            engine=engine,
            rows=rows,
        )
