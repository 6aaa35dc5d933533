"""The operation log: what made each table, in ClickHouse, with secrets masked.

Nothing is imported until it is asked for: a notebook's hooks need `Task` before the context has
imported Arrow in the background.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aaiclick_ext.oplog.collector import OplogCollector
    from aaiclick_ext.oplog.event import OperationEvent
    from aaiclick_ext.oplog.graph import Direction, OplogEdge, OplogGraph, OplogNode, build_graph
    from aaiclick_ext.oplog.queries import backward_oplog, forward_oplog, oplog_subgraph
    from aaiclick_ext.oplog.questions import oplog_path, stale_results, variable_history
    from aaiclick_ext.oplog.staleness import StaleResult
    from aaiclick_ext.oplog.task import Task

__all__ = [
    "Direction",
    "OperationEvent",
    "OplogCollector",
    "OplogEdge",
    "OplogGraph",
    "OplogNode",
    "StaleResult",
    "Task",
    "backward_oplog",
    "build_graph",
    "forward_oplog",
    "oplog_path",
    "oplog_subgraph",
    "stale_results",
    "variable_history",
]

_HOME = {
    "Direction": "graph",
    "OperationEvent": "event",
    "OplogCollector": "collector",
    "OplogEdge": "graph",
    "OplogGraph": "graph",
    "OplogNode": "graph",
    "StaleResult": "staleness",
    "Task": "task",
    "backward_oplog": "queries",
    "build_graph": "graph",
    "forward_oplog": "queries",
    "oplog_path": "questions",
    "oplog_subgraph": "queries",
    "stale_results": "questions",
    "variable_history": "questions",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
