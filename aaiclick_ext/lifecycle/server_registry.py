"""Which registry the kernels of a ClickHouse server use.

Node ids, claims and liveness hold among kernels of one registry. With two registries on one
database each would take the other's tables for nobody's, so the database says which is its own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aaiclick_ext.engine import quote_literal
from aaiclick_ext.errors import EngineError, OtherRegistryError
from aaiclick_ext.lifecycle.liveness import ProcessIdentity
from aaiclick_ext.logs import logger_of

if TYPE_CHECKING:
    from aaiclick_ext.engine import Engine
    from aaiclick_ext.registry import Registry

logger = logger_of("lifecycle")

TABLE = "aaiclick_registry"
"""A table without rows, whose comment is what there is to say: it is there whole or not at all."""

_DENIED = (164, 497)  # READONLY, ACCESS_DENIED
_COMMENT = re.compile(
    r"registry (?P<identity>[0-9a-f-]{36}) of host (?P<host>.*), for all kernels of this database"
)


def check_registry(engine: Engine, registry: Registry) -> None:
    """Say in a database which registry is its own, or check that it is this one. Two statements.

    Who may not create tables there owns none, and is let in.

    Raises
    ------
    OtherRegistryError
        If it is another one.
    """
    identity = registry.identity()
    host = ProcessIdentity.current().host_name
    comment = f"registry {identity} of host {host}, for all kernels of this database"
    try:
        engine.command(
            f"CREATE TABLE IF NOT EXISTS {TABLE} (nothing UInt8) ENGINE = Memory "
            f"COMMENT {quote_literal(comment)}"
        )
    except EngineError as error:
        if error.code not in _DENIED:
            raise
        logger.warning("this user may create no table in %s: %s", engine.identity, error)
    rows = engine.query_rows(
        "SELECT comment FROM system.tables WHERE database = currentDatabase() "
        f"AND name = {quote_literal(TABLE)}"
    )
    if not rows:
        return
    found = _COMMENT.search(rows[0][0])
    if found is None or found["identity"] != identity:
        raise OtherRegistryError(_refusal(engine.identity, found, registry))


def _refusal(database: str, found: re.Match[str] | None, registry: Registry) -> str:
    theirs = "another registry" if found is None else f"the registry of host {found['host']}"
    return (
        f"{database} belongs to kernels that use {theirs}, and this one uses {registry!r}: neither "
        "could know which tables the other still needs. Set AAICLICK_SQL_URL to that registry, on "
        "several hosts one in PostgreSQL, or AAICLICK_CH_URL to another database. If that registry "
        f"is gone for good, DROP TABLE {TABLE}."
    )
