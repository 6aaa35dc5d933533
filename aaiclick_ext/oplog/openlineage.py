"""The log as OpenLineage run events (https://openlineage.io/docs/spec/object-model)."""

from __future__ import annotations

import datetime as dt
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aaiclick_ext.lifecycle.names import TableName
from aaiclick_ext.oplog.graph import is_table_name
from aaiclick_ext.oplog.openlineage_columns import column_lineage
from aaiclick_ext.oplog.openlineage_facets import (
    PRODUCER,
    cell,
    data_source,
    error_message,
    lifecycle,
    output_statistics,
    schema,
    source_code,
    sql_query,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aaiclick_ext.oplog.event import OperationEvent
    from aaiclick_ext.oplog.graph import OplogGraph

_SCHEMA = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
_RUNS = uuid.UUID("6f0d4d0e-7a55-5b0e-9b1f-2a6f1c3c9e77")
_EXPORT = "export"


def run_events(graph: OplogGraph, namespace: str | None = None) -> list[dict[str, Any]]:
    """Return a run event for each operation that made, changed, dropped or exported a table.

    Parameters
    ----------
    namespace
        As for `OplogGraph.to_openlineage`.
    """
    return _RunEvents(graph, namespace).all()


def run_id(event: OperationEvent) -> str:
    """Return the run of an event, the same whenever it is asked for."""
    name = f"{event.node_id}.{event.job_id}.{event.run_id}.{event.id}"
    return str(uuid.uuid5(_RUNS, name))


class _RunEvents:
    """The run events of one graph."""

    def __init__(self, graph: OplogGraph, namespace: str | None) -> None:
        self._nodes = {node.table: node for node in graph.nodes}
        self._source = graph.database or namespace or "aaiclick"
        self._namespace, self._prefix = _naming(graph.database, namespace)
        events = [event for node in graph.nodes for event in node.events]
        ends = [node.end for node in graph.nodes if node.end is not None]
        self._ends = {event.id for event in ends}
        self._events = sorted([*events, *ends], key=lambda event: event.id)

    def all(self) -> list[dict[str, Any]]:
        return [self._run_event(event) for event in self._events if _is_told(event)]

    def _run_event(self, event: OperationEvent) -> dict[str, Any]:
        is_end = event.id in self._ends
        job_facets = sql_query(event) | source_code(event)
        return {
            "eventType": "COMPLETE" if event.status == "ok" else "FAIL",
            "eventTime": event.created_at.astimezone(dt.UTC).isoformat(),
            "producer": PRODUCER,
            "schemaURL": _SCHEMA,
            "run": {"runId": run_id(event), "facets": error_message(event) | cell(event)},
            "job": {
                "namespace": self._namespace,
                "name": f"{event.operation}.{event.result_table}",
                "facets": job_facets,
            },
            "inputs": [] if is_end else self._inputs(event),
            "outputs": self._outputs(event, is_end=is_end),
        }

    def _inputs(self, event: OperationEvent) -> list[dict[str, Any]]:
        tables = [self._dataset(name) for name in self._tables_into(event)]
        is_file = event.operation.startswith("read_") and "path" in event.params
        return [*tables, *([_file(event.params["path"])] if is_file else [])]

    def _outputs(self, event: OperationEvent, *, is_end: bool) -> list[dict[str, Any]]:
        facets = output_statistics(event) if event.status == "ok" and not is_end else {}
        if event.operation == _EXPORT:
            return [_file(event.params["path"]) | {"outputFacets": facets}]
        if not is_table_name(event.result_table):  # a file that could not be read
            return []
        dataset = self._dataset(event.result_table, event)
        if is_end:
            dataset["facets"] |= lifecycle("DROP")
        elif event.status == "ok":
            dataset["facets"] |= lifecycle("CREATE") if self._makes(event) else {}
            dataset["facets"] |= column_lineage(event, self._nodes, self._dataset_id)
        return [dataset | {"outputFacets": facets}]

    def _makes(self, event: OperationEvent) -> bool:
        node = self._nodes[event.result_table]
        done = [known for known in node.events if known.status == "ok"]
        return event.operation != "insert" and done[0].id == event.id

    def _tables_into(self, event: OperationEvent) -> list[str]:
        """Return the tables that an event read, those below views included."""
        found: dict[str, None] = {}
        seen, todo = {event.result_table}, list(event.kwargs.values())
        for name in todo:
            if name in seen:
                continue
            seen.add(name)
            if is_table_name(name):
                found[name] = None
            elif name in self._nodes:
                views = self._nodes[name].events
                todo.extend(source for view in views for source in view.kwargs.values())
        return list(found)

    def _dataset_id(self, table: str) -> dict[str, str]:
        is_ours = TableName.parse(table) is not None
        prefix = self._prefix if is_ours or "." not in table else ""
        return {"namespace": self._namespace, "name": f"{prefix}{table}"}

    def _dataset(self, table: str, event: OperationEvent | None = None) -> dict[str, Any]:
        """Return a table as it was after an event, else as it is known last."""
        node = self._nodes.get(table)
        known = [event] if event is not None else []
        known += [] if node is None else reversed(node.events)
        types: Mapping[str, str] = next((e.result_schema for e in known if e.result_schema), {})
        facets = schema(types) | data_source(self._source)
        return {**self._dataset_id(table), "facets": facets}


def _is_told(event: OperationEvent) -> bool:
    if event.operation == _EXPORT and "path" in event.params:
        return True
    reads_file = event.operation.startswith("read_") and event.status != "ok"
    return is_table_name(event.result_table) or reads_file


def _naming(database: str | None, namespace: str | None) -> tuple[str, str]:
    """Return the namespace, and what stands before the names of tables.

    A server's datasets are called ``database.table`` in ``clickhouse://host:port``.
    """
    address, _, name = (database or "").removeprefix("clickhouse://").partition("/")
    is_server = (database or "").startswith("clickhouse://")
    known = f"clickhouse://{address}" if is_server else database
    return namespace or known or "aaiclick", f"{name}." if is_server and name else ""


def _file(path: str) -> dict[str, Any]:
    """Return a path or URL as a dataset."""
    if "://" in path:
        parts = urlsplit(path)
        return {"namespace": f"{parts.scheme}://{parts.netloc}", "name": parts.path, "facets": {}}
    return {"namespace": "file", "name": Path(path).as_posix(), "facets": {}}
