"""The words of ClickHouse and the names of its tables, for completion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aaiclick_ext.errors import AaiclickError, UnknownTableError
from aaiclick_ext.lifecycle.names import TableName

if TYPE_CHECKING:
    from aaiclick_ext.context import DataContext

MAX_NAMES = 500
"""As many tables are asked for, and no more: IPython shows no more."""


@dataclass(frozen=True, slots=True)
class Words:
    """What ClickHouse knows that is the same in every database.

    Attributes
    ----------
    functions, aggregates
        All functions, and those of them that aggregate.
    usual
        Those of them that aggregate or that ClickHouse takes in any case: those of standard SQL.
    combinators
        What can stand behind an aggregate's name: ``If``, ``Array``.
    """

    functions: tuple[str, ...]
    usual: tuple[str, ...]
    aggregates: tuple[str, ...]
    combinators: tuple[str, ...]
    table_functions: tuple[str, ...]
    keywords: tuple[str, ...]
    settings: tuple[str, ...]
    types: tuple[str, ...]


class Names:
    """Asks ClickHouse for words, which are kept, and names of tables, which never are.

    What is kept is asked for again when a statement of this kernel may have changed it, as the
    schema registry says: ``CREATE FUNCTION`` does.
    """

    def __init__(self, context: DataContext) -> None:
        self._context = context
        self._words: tuple[int, Words] | None = None

    def words(self) -> Words:
        """Return the words of this ClickHouse. Runs a few queries the first time."""
        sweeps = self._context.schemas.sweeps
        if self._words is None or self._words[0] != sweeps:
            self._words = sweeps, self._read()
        return self._words[1]

    def databases(self) -> list[str]:
        """Return the databases. Runs one query."""
        return self._column("SELECT name FROM system.databases ORDER BY name")

    def tables(self, start: str, database: str | None = None) -> list[str]:
        """Return tables and named objects whose names begin like a text. Runs one query.

        Tables that variables own are left out: a variable stands for them.

        Parameters
        ----------
        start
            In any case.
        database
            By default the current one.
        """
        context = self._context
        found = self._column(
            "SELECT name FROM system.tables WHERE "
            "database = if({database:String} = '', currentDatabase(), {database:String}) "
            "AND startsWith(lowerUTF8(name), {start:String}) "
            "AND NOT match(name, '^(aai_[ts]_[0-9]+_|\\\\.inner)') "
            f"ORDER BY name LIMIT {MAX_NAMES}",
            {"database": database or "", "start": start.lower()},
        )
        names = [name for name in found if TableName.parse(name) is None]
        if database is None:
            names += [name for name in self._objects() if name.lower().startswith(start.lower())]
        elif database == "aai":
            names += [n for n in dir(context.system) if n.startswith(start) and n not in names]
        return sorted(set(names))

    def columns(self, table: str, database: str | None) -> list[str]:
        """Return the columns of a table or a named object, none where there is none.

        The schema registry knows them, or asks.
        """
        schemas = self._context.schemas
        try:
            return list(schemas.get(table, database).types)
        except UnknownTableError:
            named = None if database is not None else self._objects().get(table)
        except AaiclickError:  # a view that takes parameters, or one whose source is gone
            return []
        return [] if named is None else list(schemas.get(named).types)

    def _objects(self) -> dict[str, str]:
        """Return named objects and their tables. Runs one query."""
        return self._context._opened.catalog.names()  # noqa: SLF001

    def _read(self) -> Words:
        functions = self._rows(
            "SELECT name, is_aggregate, case_insensitive FROM system.functions ORDER BY name"
        )
        return Words(
            functions=tuple(str(name) for name, *_ in functions),
            usual=tuple(str(name) for name, *is_usual in functions if any(is_usual)),
            aggregates=tuple(str(name) for name, is_aggregate, _ in functions if is_aggregate),
            combinators=tuple(
                self._column(
                    "SELECT name FROM system.aggregate_function_combinators "
                    "WHERE NOT is_internal ORDER BY name"
                )
            ),
            table_functions=tuple(
                name
                for name in self._column("SELECT name FROM system.table_functions ORDER BY name")
                if name.casefold() != "python"
            ),
            keywords=tuple(self._column("SELECT keyword FROM system.keywords ORDER BY keyword")),
            settings=tuple(self._column("SELECT name FROM system.settings ORDER BY name")),
            types=tuple(self._column("SELECT name FROM system.data_type_families ORDER BY name")),
        )

    def _column(self, sql: str, parameters: dict[str, str] | None = None) -> list[str]:
        return [str(row[0]) for row in self._rows(sql, parameters)]

    def _rows(self, sql: str, parameters: dict[str, str] | None = None) -> list[tuple[object, ...]]:
        return self._context.engine.query_rows(sql, parameters)
