"""The ends of tables: what they held by then, for the operation log."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from aaiclick_ext.engine import Role
from aaiclick_ext.objects.content_hash import content_hashes
from aaiclick_ext.oplog.graph import DROP_TABLE
from aaiclick_ext.oplog.queries import recorded_among
from aaiclick_ext.schema import MEMORY, POSITION, Shape, TableSchema

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from aaiclick_ext.engine import Engine
    from aaiclick_ext.lifecycle.reap_plan import Fate
    from aaiclick_ext.oplog import OplogCollector
    from aaiclick_ext.oplog.event import ContentHash
    from aaiclick_ext.settings import Settings

_COLUMNS = """
SELECT columns.table, columns.name, columns.type, tables.engine
FROM system.columns JOIN system.tables
  ON tables.database = columns.database AND tables.name = columns.table
WHERE columns.database = currentDatabase() AND columns.table IN {tables:Array(String)}
ORDER BY columns.table, columns.position
"""


def hashes_of_small(
    engine: Engine, settings: Settings, tables: Mapping[str, TableSchema]
) -> dict[str, ContentHash]:
    """Return what tables hold that are small enough to be hashed before they go. One query."""
    most = settings.content_hash_cells
    small = {
        table: schema
        for table, schema in tables.items()
        if schema.rows is not None and schema.rows * len(schema.types) <= most
    }
    return content_hashes(engine, small, Role.WORKER)


def ends_of_leftovers(
    engine: Engine, settings: Settings, oplog: OplogCollector, doomed: Mapping[str, Fate]
) -> Callable[[Collection[str]], None]:
    """Look at tables of dead kernels that are about to go; return what records those that went.

    Of tables that the log does not know there is nothing to say. Runs a few queries, as
    `Role.WORKER`.

    Parameters
    ----------
    doomed
        By the name that the table has now.
    """
    known = recorded_among(engine, [fate.table.name for fate in doomed.values()])
    told = {name: fate for name, fate in doomed.items() if fate.table.name in known}
    schemas = _schemas(engine, told)
    contents = hashes_of_small(engine, settings, schemas)

    def record(gone: Collection[str]) -> None:
        with oplog.outside_cells():
            for name in gone:
                if name in schemas:
                    oplog.record(
                        DROP_TABLE,
                        result_table=told[name].table.name,
                        params={"reason": told[name].reason},
                        rows=schemas[name].rows,
                        result_schema=schemas[name].types,
                        content=contents.get(name),
                    )

    return record


def _schemas(engine: Engine, tables: Mapping[str, Fate]) -> dict[str, TableSchema]:
    """Return the columns of tables, and their rows. One query.

    What was in the memory of an embedded database ended with its process: those rows are unknown.
    """
    columns: defaultdict[str, dict[str, str]] = defaultdict(dict)
    engines = {}
    rows = engine.query_rows(_COLUMNS, {"tables": list(tables)}, role=Role.WORKER)
    for table, name, type_, engines[table] in rows:
        columns[table][name] = type_
    found = {}
    for table, types in columns.items():
        shape = Shape.TABLE if types.pop(POSITION, None) is None else Shape.ARRAY
        is_lost = engine.creds.is_embedded and engines[table] == MEMORY
        count = None if is_lost else tables[table].table.rows
        found[table] = TableSchema(types=types, shape=shape, engine=engines[table], rows=count)
    return found
