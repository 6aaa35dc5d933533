"""How long tables live: names that tell the owner, claims, and the worker that drops."""

from __future__ import annotations

from aaiclick_ext.lifecycle.names import Scope, TableName, check_name
from aaiclick_ext.lifecycle.preservation import PreservationMode
from aaiclick_ext.lifecycle.refs import ObjectRef, RefKind, RefRegistry
from aaiclick_ext.lifecycle.worker import Claim, Hold, TableMessage, TableOp, TableWorker

__all__ = [
    "Claim",
    "Hold",
    "ObjectRef",
    "PreservationMode",
    "RefKind",
    "RefRegistry",
    "Scope",
    "TableMessage",
    "TableName",
    "TableOp",
    "TableWorker",
    "check_name",
]
