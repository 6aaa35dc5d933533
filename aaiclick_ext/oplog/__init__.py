"""The operation log: what made each table, in ClickHouse, with secrets masked."""

from __future__ import annotations

from aaiclick_ext.oplog.collector import OplogCollector
from aaiclick_ext.oplog.event import OperationEvent
from aaiclick_ext.oplog.graph import Direction, OplogEdge, OplogGraph, OplogNode, build_graph
from aaiclick_ext.oplog.queries import backward_oplog, forward_oplog, oplog_subgraph
from aaiclick_ext.oplog.task import Task

__all__ = [
    "Direction",
    "OperationEvent",
    "OplogCollector",
    "OplogEdge",
    "OplogGraph",
    "OplogNode",
    "Task",
    "backward_oplog",
    "build_graph",
    "forward_oplog",
    "oplog_subgraph",
]
