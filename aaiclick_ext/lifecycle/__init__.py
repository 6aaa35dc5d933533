"""How long tables live: names that tell the owner, claims, and the worker that drops."""

from __future__ import annotations

from aaiclick_ext.lifecycle.names import Scope, TableName, check_name
from aaiclick_ext.lifecycle.worker import Hold, TableMessage, TableOp, TableWorker

__all__ = ["Hold", "Scope", "TableMessage", "TableName", "TableOp", "TableWorker", "check_name"]
