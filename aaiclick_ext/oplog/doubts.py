"""Doubts: why SQL may give another result when it runs again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlglot
import sqlglot.errors
from sqlglot import exp

from aaiclick_ext.oplog.renaming import calls_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from aaiclick_ext.engine import Engine

_CHANGING = "SELECT name FROM system.functions WHERE NOT deterministic"

# ClickHouse calls these non-deterministic too; here they give the same for the same data.
_SAME_EACH_TIME = {
    "arrayjoin", "unnest", "rownumberinallblocks", "rownumberinblock", "currentdatabase",
    "current_database", "database", "schema", "timezone", "servertimezone", "isconstant",
    "tocolumntypename", "dumpcolumnstructure", "arraypartialsort", "arraypartialreversesort",
    "file",  # the same as long as the file is, which `file_changes` tells
}  # fmt: skip


def changing_functions(engine: Engine) -> frozenset[str]:
    """Return the functions, in lower case, whose result depends on more than their arguments.

    By the engine's own list. Runs one query.
    """
    names = {str(name).lower() for (name,) in engine.query_rows(_CHANGING)}
    return frozenset(names - _SAME_EACH_TIME)


def doubts_of(sql: str, changing: Collection[str]) -> list[str]:
    """Return what may give another result each time that SQL runs, as phrases.

    Examples
    --------
    >>> doubts_of("SELECT a, now() AS t FROM x LIMIT 3", {"now"})
    ['now()', 'LIMIT without an order']
    >>> doubts_of("SELECT 'now()' AS now FROM x ORDER BY a LIMIT 3", {"now"})
    []
    """
    found = [f"{name}()" for name in calls_of(sql) if name.lower() in changing]
    try:
        trees = sqlglot.parse(sql, dialect="clickhouse")
    except sqlglot.errors.SqlglotError:
        return found
    selects = [select for tree in trees if tree for select in tree.find_all(exp.Select)]
    limited = any(s.args.get("limit") and not s.args.get("order") for s in selects)
    return found + (["LIMIT without an order"] if limited else [])
