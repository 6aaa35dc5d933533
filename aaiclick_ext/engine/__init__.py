"""The only code that talks to ClickHouse."""

from __future__ import annotations

from aaiclick_ext.engine.client import get_ch_client
from aaiclick_ext.engine.creds import ClickHouseCreds, get_creds_from_env
from aaiclick_ext.engine.engine import Engine
from aaiclick_ext.engine.handles import Role
from aaiclick_ext.engine.sql import quote_identifier, quote_literal
from aaiclick_ext.engine.stats import ColumnInfo, QueryStats

__all__ = [
    "ClickHouseCreds",
    "ColumnInfo",
    "Engine",
    "QueryStats",
    "Role",
    "get_ch_client",
    "get_creds_from_env",
    "quote_identifier",
    "quote_literal",
]
