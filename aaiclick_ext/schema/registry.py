"""SchemaRegistry: the one place that knows what the columns of a table or query are."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aaiclick_ext.outcome import Outcome
from aaiclick_ext.schema.columns import Columns, TableSchema
from aaiclick_ext.schema.reading import read_table, versions_of
from aaiclick_ext.schema.reads import Reads, reads_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from aaiclick_ext.engine import Engine
    from aaiclick_ext.schema.statements import Changes

Key = tuple[str | None, str]
"""Database, None for the current one, and table."""

MAX_QUERIES = 500
"""Queries whose columns are remembered; then the one that was not asked for longest goes."""

_OURS_ALONE = object()


@dataclass(frozen=True, slots=True)
class SchemaStats:
    """How often the registry knew, since it was made.

    Attributes
    ----------
    hits, misses
        Schemas of tables that it had, and that it asked ClickHouse for.
    query_hits, query_misses
        The same of queries.
    looks
        How often it asked whether tables that others can change were changed.
    """

    hits: int
    misses: int
    query_hits: int
    query_misses: int
    looks: int


class SchemaRegistry:
    """Answers what the columns of tables and queries are, asking ClickHouse once per version.

    A table that this kernel alone can change is known from when it was made. Any other is looked
    at once in every cell that uses one, all that are known in one query on ``system.tables``, and
    read again if its definition is another; outside cells it is looked at whenever it is used.
    What a statement of this kernel changes is forgotten when the statement ends (`apply`).

    Thread-safe; a hit takes no lock. Threads that miss one table at the same time ask once. What
    was read while it was forgotten is not kept.

    Parameters
    ----------
    cell
        Returns the cell that is running, None outside of cells.
    is_ours_alone
        Says of a table of the current database whether only this kernel changes it.

    Attributes
    ----------
    generation
        How often a table was found to have other columns than before.
    sweeps
        How often a statement may have changed anything at all, functions too.

    Examples
    --------
    >>> from aaiclick_ext import DataContext
    >>> with DataContext() as ctx:
    ...     x = ctx.create_object_from_value({"a": [1, None], "b": ["x", "y"]})
    ...     schema = ctx.schemas.get(x.table_name)
    ...     print(schema.types, schema.rows)
    ...     print(ctx.schemas.of_query("SELECT 1 AS a, (SELECT 'x') AS b").arrow)
    {'a': 'Nullable(Int64)', 'b': 'String'} 2
    a: uint8 not null
    b: string
    """

    def __init__(
        self,
        engine: Engine,
        *,
        cell: Callable[[], object | None] = lambda: None,
        is_ours_alone: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._engine = engine
        self._cell = cell
        self._is_ours_alone = is_ours_alone
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        self._schemas: dict[Key, TableSchema] = {}
        self._old: dict[Key, TableSchema] = {}
        self._seen_in: dict[Key, object] = {}
        self._reading: dict[Key, Outcome[TableSchema | None]] = {}
        self._queries: OrderedDict[str, tuple[Columns, Mapping[Key, TableSchema]]] = OrderedDict()
        self._hits = self._misses = self._query_hits = self._query_misses = self._looks = 0
        self.generation = 0
        self.sweeps = 0

    # Asking.

    def get(self, table: str, database: str | None = None) -> TableSchema:
        """Return a table's schema.

        Runs no query where it is known; else three, or one that finds it unchanged in this cell.

        Raises
        ------
        UnknownTableError
            If there is no such table.
        """
        key = (database, table)
        known = self._schemas.get(key)
        if known is not None and not self._is_seen(key):
            self._look([key])
            known = self._schemas.get(key)
        if known is not None:
            self._hits += 1
            return known
        self._misses += 1
        return self._read(key)

    def of_query(self, sql: str, reads: Reads | None = None) -> Columns:
        """Return the columns of a SELECT, which does not run.

        Runs one query, or none where the text is known and no table that it reads has changed.
        Comments, which say what is bytes or Python objects, are not known of queries.

        Parameters
        ----------
        reads
            What the text reads; by default it is parsed. It is remembered only where all of that
            is known.
        """
        known = self._queries.get(sql)
        if known is not None and self._are_as_then(known[1]):
            self._query_hits += 1
            with self._lock:
                if sql in self._queries:
                    self._queries.move_to_end(sql)
            return known[0]
        self._query_misses += 1
        reads = reads_of(sql) if reads is None else reads
        witnesses = self._witnesses(reads)
        reads_view = any(self._is_view((database, table)) for table, database in reads.tables)
        columns = Columns(types=self._engine.columns_of(sql, reads_view=reads_view))
        if witnesses is not None:
            with self._lock:
                self._queries[sql] = columns, witnesses
                while len(self._queries) > MAX_QUERIES:
                    self._queries.popitem(last=False)
        return columns

    def known(self, table: str, database: str | None = None) -> TableSchema | None:
        """Return what is in memory of a table, also where that is to be read again."""
        key = (database, table)
        return self._schemas.get(key) or self._old.get(key)

    @property
    def stats(self) -> SchemaStats:
        """Counts since the registry was made; threads that race may lose a few."""
        return SchemaStats(
            self._hits, self._misses, self._query_hits, self._query_misses, self._looks
        )

    # Being told.

    def put(self, table: str, schema: TableSchema) -> None:
        """Remember the schema of a table just made or changed."""
        with self._lock:
            self._reading.pop((None, table), None)
            self._keep((None, table), schema, None)

    def set_rows(self, table: str, rows: int | None, engine: str | None = None) -> None:
        """Remember how many rows a table has now, and its engine if that changed."""
        key = (None, table)
        with self._lock:
            for memory in (self._schemas, self._old):
                if (known := memory.get(key)) is not None:
                    memory[key] = known.with_rows(rows, engine)

    def watch(self, tables: Iterable[str]) -> None:
        """Look at tables of ours from now on: other kernels can change them."""
        with self._lock:
            self._seen_in |= {(None, t): object() for t in tables if (None, t) in self._schemas}

    def apply(self, changes: Changes) -> None:
        """Forget what a statement may have changed."""
        with self._lock:
            others = [*self._seen_in, *self._reading]
            if changes.everything:
                self.sweeps += 1
                self._set_aside(others)
                self._queries.clear()
            if changes.tables:
                self._set_aside([(None, table) for table in changes.tables])
                self._set_aside([key for key in others if key[1] in changes.tables])
            ours: list[Key] = [(None, table) for table in changes.rows]
            for key in ours:
                if key in self._schemas and key not in self._seen_in:
                    self._schemas[key] = self._schemas[key].with_rows(None)
            for key in others:
                if key in self._seen_in and key[1] in changes.rows:
                    self._seen_in[key] = object()

    def invalidate(self, table: str, database: str | None = None) -> None:
        """Read a table anew when it is asked for next."""
        with self._lock:
            self._set_aside([(database, table)])

    def forget(self, tables: Iterable[str]) -> None:
        """Forget tables of ours that are gone, under whichever name they were asked for."""
        gone = set(tables)
        with self._lock:
            qualified = {key for key in (*self._seen_in, *self._old) if key[1] in gone}
            keys = {(None, table) for table in gone} | qualified
            self._set_aside(keys)
            for key in keys:
                self._old.pop(key, None)

    def clear(self) -> None:
        """Read everything anew when it is asked for next."""
        with self._lock:
            self.sweeps += 1
            self._set_aside([*self._schemas, *self._reading])
            self._queries.clear()

    # What is valid. `_seen_in` has the cell in which each table that others can change was last
    # looked at; a table of ours alone is not there.

    def _is_seen(self, key: Key) -> bool:
        seen = self._seen_in.get(key, _OURS_ALONE)
        return seen is _OURS_ALONE or seen is self._cell()

    def _are_as_then(self, witnesses: Mapping[Key, TableSchema]) -> bool:
        """Whether tables have the columns that they had then."""
        unseen = [key for key in witnesses if not self._is_seen(key)]
        if unseen:
            self._look(unseen)
        return all(
            (known := self._schemas.get(key)) is not None and known.types is then.types
            for key, then in witnesses.items()
        )

    def _witnesses(self, reads: Reads) -> dict[Key, TableSchema] | None:
        """Return what is known of the tables that a query reads; None if that is not all."""
        found = {}
        for table, database in reads.tables if reads.is_all else ():
            known = self._schemas.get((database, table))
            if known is not None:
                found[database, table] = known
            elif database is not None or table not in reads.named:
                return None
        return found if reads.is_all else None

    def _is_view(self, key: Key) -> bool:
        known = self._schemas.get(key)
        return known is not None and (known.engine or "").endswith("View")

    def _look(self, keys: Iterable[Key]) -> None:
        """Look at all tables that others can change, unless another thread has, in this cell."""
        with self._looking:
            cell = self._cell()
            with self._lock:
                unseen = {
                    key: (self._schemas[key], seen)
                    for key, seen in self._seen_in.items()
                    if seen is not cell and key in self._schemas
                }
            if unseen.keys().isdisjoint(keys):
                return
            self._looks += 1
            now = versions_of(self._engine, unseen)
            with self._lock:
                for key, (schema, seen) in unseen.items():
                    self._compare(key, schema, seen, now.get(key), cell)

    def _compare(
        self,
        key: Key,
        schema: TableSchema,
        seen: object,
        now: tuple[int, int | None] | None,
        cell: object | None,
    ) -> None:
        if self._schemas.get(key) is not schema or self._seen_in.get(key) is not seen:
            return  # it was changed, or forgotten, meanwhile
        if now is None or now[0] != schema.version:
            self._set_aside([key])
            return
        if now[1] != schema.rows:
            self._schemas[key] = schema.with_rows(now[1])
        self._seen_in[key] = object() if cell is None else cell

    # Reading.

    def _read(self, key: Key) -> TableSchema:
        while True:
            with self._lock:
                running = self._reading.get(key)
                ours: Outcome[TableSchema | None] = Outcome()
                if running is None:
                    self._reading[key] = ours
            if running is None:
                return self._read_for_all(key, ours)
            found = running.result()
            if found is not None:
                return found

    def _read_for_all(self, key: Key, reading: Outcome[TableSchema | None]) -> TableSchema:
        cell, found = self._cell(), None
        try:
            found = read_table(self._engine, key[1], key[0])
        finally:
            with self._lock:
                if self._reading.get(key) is reading:  # nobody forgot the table meanwhile
                    del self._reading[key]
                    if found is not None:
                        self._keep(key, found, cell)
            reading.set_result(found)  # None: whoever waits asks for themselves
        return found

    # Under the lock.

    def _keep(self, key: Key, schema: TableSchema, cell: object | None) -> None:
        old = self._old.pop(key, None)
        if old is not None and old.types != schema.types:
            self.generation += 1
        self._schemas[key] = schema
        if key[0] is None and self._is_ours_alone(key[1]):
            self._seen_in.pop(key, None)
        else:
            self._seen_in[key] = object() if cell is None else cell

    def _set_aside(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self._reading.pop(key, None)
            self._seen_in.pop(key, None)
            known = self._schemas.pop(key, None)
            if known is not None:
                self._old[key] = known
