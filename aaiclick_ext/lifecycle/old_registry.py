"""A `table_registry` in ClickHouse, as aaiclick had it: copied to the SQL registry, and dropped.

In three steps, each of which can be done again, by whoever opens the database next or at the same
time. The table gets a name of its own, so that no older program writes to what is being read; its
rows are added to the registry in one transaction, those that are there already left as they are;
it is dropped.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

from aaiclick_ext.engine import Role, quote_identifier
from aaiclick_ext.errors import EngineError, RegistryError, UnknownTableError
from aaiclick_ext.ids import to_base36
from aaiclick_ext.logs import logger_of
from aaiclick_ext.registry import TableRow

if TYPE_CHECKING:
    from collections.abc import Callable

    from aaiclick_ext.engine import Engine
    from aaiclick_ext.registry import Registry

logger = logger_of("lifecycle")

OLD_TABLE = "table_registry"
_COPIED = f"{OLD_TABLE}_copied_"
_REQUIRED = {"table_name": r"String", "created_at": r"DateTime(64)?(\(.*\))?"}
_OPTIONAL = dict.fromkeys(("job_id", "task_id", "run_id"), r"(Nullable\(U?Int64\)|U?Int64)")


def copy_old_registry(engine: Engine, registry: Registry, new_id: Callable[[], int]) -> int:
    """Copy an old registry's rows to SQL and drop its table; return how many rows it had.

    Runs one query where there is none.

    Parameters
    ----------
    new_id
        Gives an id that nobody else has.

    Raises
    ------
    RegistryError
        If the table has other columns than an old registry. It is left as it is.
    """
    found = _columns(engine)
    copied = 0
    for table in sorted(found):
        _check(engine, found[table])
    if OLD_TABLE in found:
        renamed = f"{_COPIED}{to_base36(new_id())}"
        try:
            _run(engine, f"RENAME TABLE {OLD_TABLE} TO {quote_identifier(renamed)}")
            found[renamed] = found.pop(OLD_TABLE)
        except (UnknownTableError, EngineError):
            found = _columns(engine)  # another kernel was faster, or it cannot be renamed
            if OLD_TABLE in found:
                raise
    for table, columns in sorted(found.items()):
        try:
            rows = _rows(engine, table, columns)
        except UnknownTableError:
            continue  # another kernel has copied and dropped it
        registry.add_tables(rows)
        _run(engine, f"DROP TABLE IF EXISTS {quote_identifier(table)} SYNC")
        copied += len(rows)
    if copied:
        logger.info("copied %d rows of an old table_registry in ClickHouse to SQL", copied)
    return copied


def _columns(engine: Engine) -> dict[str, dict[str, str]]:
    """Return the columns of the old table, and of those that are being copied, by table."""
    found: dict[str, dict[str, str]] = {}
    for table, name, kind in engine.query_rows(
        "SELECT table, name, type FROM system.columns WHERE database = currentDatabase() "
        "AND (table = {old:String} OR startsWith(table, {copied:String})) ORDER BY table, position",
        {"old": OLD_TABLE, "copied": _COPIED},
        role=Role.WORKER,
    ):
        found.setdefault(table, {})[name] = kind
    return found


def _check(engine: Engine, columns: dict[str, str]) -> None:
    known = {**_REQUIRED, **_OPTIONAL}
    wrong = [f"{name} is missing" for name in _REQUIRED if name not in columns]
    wrong += [f"{name} {kind} is unknown" for name, kind in columns.items() if name not in known]
    wrong += [
        f"{name} is {kind}"
        for name, kind in columns.items()
        if name in known and not re.fullmatch(known[name], kind)
    ]
    if wrong:
        raise RegistryError(
            f"table {OLD_TABLE} in {engine.identity} is not the registry of an older version: "
            f"{'; '.join(wrong)} (such a one has {', '.join(known)}). It is left as it is, and "
            f"nothing was copied; if it is yours, RENAME TABLE {OLD_TABLE} TO another name and "
            "this is not said again."
        )


def _rows(engine: Engine, table: str, columns: dict[str, str]) -> list[TableRow]:
    """Return the rows of an old registry. It wrote times in UTC, whatever the column's zone."""
    numbers = ", ".join(name if name in columns else f"NULL AS {name}" for name in _OPTIONAL)
    return [
        TableRow(
            name,
            engine.identity,
            job_id,
            task_id,
            run_id,
            dt.datetime.fromisoformat(created_at).replace(tzinfo=dt.UTC),
        )
        for name, created_at, job_id, task_id, run_id in engine.query_rows(
            f"SELECT table_name, toString(created_at), {numbers} FROM {quote_identifier(table)} "
            "ORDER BY created_at, table_name",
            role=Role.WORKER,
        )
    ]


def _run(engine: Engine, sql: str) -> None:
    engine.command(sql, role=Role.WORKER)
