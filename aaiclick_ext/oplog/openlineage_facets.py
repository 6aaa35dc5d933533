"""OpenLineage facets of one event: what is said of a run, a job and a dataset beyond its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aaiclick_ext.oplog.event import OperationEvent

Facets = dict[str, Any]
"""Facets by name; empty where there is nothing to say."""

PRODUCER = "urn:x-python:aaiclick-ext"

_SPEC = "https://openlineage.io/spec"


def facet(version: str, name: str, /, **values: Any) -> dict[str, Any]:
    """Return a facet of the standard, with those values that are known."""
    url = f"{_SPEC}/facets/{version}/{name}.json#/$defs/{name}"
    return {"_producer": PRODUCER, "_schemaURL": url, **_known(values)}


def schema(types: Mapping[str, str]) -> Facets:
    """Return the columns of a table with their ClickHouse types."""
    if not types:
        return {}
    fields = [
        {"name": name, "type": type_, "ordinal_position": number}
        for number, (name, type_) in enumerate(types.items(), 1)
    ]
    return {"schema": facet("1-2-0", "SchemaDatasetFacet", fields=fields)}


def data_source(database: str) -> Facets:
    """Return the database that a table is in."""
    return {"dataSource": facet("1-0-1", "DatasourceDatasetFacet", name=database, uri=database)}


def lifecycle(change: str) -> Facets:
    """Return that a table was made or dropped."""
    values = {"lifecycleStateChange": change}
    return {"lifecycleStateChange": facet("1-0-1", "LifecycleStateChangeDatasetFacet", **values)}


def output_statistics(event: OperationEvent) -> Facets:
    """Return the rows and bytes that were written."""
    if event.rows is None and event.written_bytes is None:
        return {}
    values = {"rowCount": event.rows, "size": event.written_bytes}
    return {"outputStatistics": facet("1-0-2", "OutputStatisticsOutputDatasetFacet", **values)}


def sql_query(event: OperationEvent) -> Facets:
    """Return the SQL of an operation, masked as the log has it."""
    if event.sql_template is None:
        return {}
    return {"sql": facet("1-1-0", "SQLJobFacet", query=event.sql_template, dialect="clickhouse")}


def source_code(event: OperationEvent) -> Facets:
    """Return the source of the cell, masked as the log has it."""
    if event.cell_source is None:
        return {}
    values = {"language": "python", "sourceCode": event.cell_source}
    return {"sourceCode": facet("1-0-1", "SourceCodeJobFacet", **values)}


def error_message(event: OperationEvent) -> Facets:
    """Return why an operation failed."""
    if event.status == "ok":
        return {}
    values = {"message": event.error or "", "programmingLanguage": "SQL"}
    return {"errorMessage": facet("1-0-1", "ErrorMessageRunFacet", **values)}


def cell(event: OperationEvent) -> Facets:
    """Return the notebook's cell, a facet of our own; numbers beyond 2**53 as text."""
    values = {
        "executionCount": event.execution_count,
        "cellId": event.cell_id,
        "notebookPath": event.notebook_path,
        "variableNames": list(event.variable_names) or None,
        "userName": event.user_name,
        "parameters": dict(event.params) or None,
        "elapsedSeconds": event.elapsed_s,
        "readRows": event.read_rows,
        "readBytes": event.read_bytes,
        "eventId": str(event.id),
        "taskId": None if event.task_id is None else str(event.task_id),
        "jobId": str(event.job_id),
    }
    url = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunFacet"
    return {"aaiclick_cell": {"_producer": PRODUCER, "_schemaURL": url, **_known(values)}}


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
