"""OpenLineage run events: accepted by the official client, and what they say."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openlineage.client import event_v2
from openlineage.client.generated import (
    base,
    column_lineage_dataset,
    datasource_dataset,
    error_message_run,
    lifecycle_state_change_dataset,
    output_statistics_output_dataset,
    schema_dataset,
    source_code_job,
    sql_job,
)
from openlineage.client.serde import Serde

from aaiclick_ext.oplog import OperationEvent, build_graph
from aaiclick_ext.oplog.columns import ColumnEdge, unchanged_columns
from aaiclick_ext.oplog.openlineage import run_id

FACETS = {
    "columnLineage": column_lineage_dataset.ColumnLineageDatasetFacet,
    "dataSource": datasource_dataset.DatasourceDatasetFacet,
    "errorMessage": error_message_run.ErrorMessageRunFacet,
    "lifecycleStateChange": lifecycle_state_change_dataset.LifecycleStateChangeDatasetFacet,
    "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet,
    "schema": schema_dataset.SchemaDatasetFacet,
    "sourceCode": source_code_job.SourceCodeJobFacet,
    "sql": sql_job.SQLJobFacet,
    "aaiclick_cell": base.RunFacet,
}
INSIDE = {
    ("columnLineage", "dataset"): column_lineage_dataset.InputField,
    ("schema", "fields"): schema_dataset.SchemaDatasetFacetFields,
}
SERVER = "clickhouse://host:8123/shop"


def typed_facet(name, values):
    """Build the client's class of a facet; what it does not know is an error."""
    kind, given = FACETS[name], dict(values)
    producer, url = given.pop("_producer"), given.pop("_schemaURL")
    if name == "aaiclick_cell":
        made = kind(producer=producer).with_additional_properties(**given)
    else:
        for field, part in INSIDE.items():
            if field[0] == name and field[1] in given:
                given[field[1]] = [typed_part(part, item) for item in given[field[1]]]
        if name == "columnLineage":
            given["fields"] = {
                column: column_lineage_dataset.Fields(
                    [typed_part(column_lineage_dataset.InputField, f) for f in of["inputFields"]]
                )
                for column, of in given["fields"].items()
            }
        if name == "lifecycleStateChange":
            states = lifecycle_state_change_dataset.LifecycleStateChange
            given[name] = states(given[name])
        made = kind(producer=producer, **given)
    assert made._get_schema() == url
    return made


def typed_part(kind, values):
    given = dict(values)
    if "transformations" in given:
        given["transformations"] = [
            column_lineage_dataset.Transformation(**t) for t in given["transformations"]
        ]
    return kind(**given)


def typed(event):
    """Build the client's RunEvent of ours."""
    facets = {}
    for part in (event["run"], event["job"], *event["inputs"], *event["outputs"]):
        for key in ("facets", "outputFacets"):
            facets[id(part), key] = {
                name: typed_facet(name, values) for name, values in part.get(key, {}).items()
            }
    run, job = event["run"], event["job"]
    return event_v2.RunEvent(
        eventType=event_v2.RunState(event["eventType"]),
        eventTime=event["eventTime"],
        producer=event["producer"],
        run=event_v2.Run(run["runId"], facets[id(run), "facets"]),
        job=event_v2.Job(job["namespace"], job["name"], facets[id(job), "facets"]),
        inputs=[
            event_v2.InputDataset(d["namespace"], d["name"], facets=facets[id(d), "facets"])
            for d in event["inputs"]
        ],
        outputs=[
            event_v2.OutputDataset(
                d["namespace"],
                d["name"],
                facets=facets[id(d), "facets"],
                outputFacets=facets[id(d), "outputFacets"],
            )
            for d in event["outputs"]
        ],
    )


def without_empty(value):
    """Return what counts: the client leaves out, or adds, what is empty."""
    if isinstance(value, dict):
        kept = {name: without_empty(item) for name, item in value.items()}
        return {name: item for name, item in kept.items() if item not in (None, {}, [])}
    return [without_empty(item) for item in value] if isinstance(value, list) else value


def checked(events):
    """Return events that the official client takes, and writes as they are."""
    for event in events:
        assert json.loads(json.dumps(event)) == event
        written = json.loads(Serde.to_json(typed(event)))
        assert without_empty(written) == without_empty(event)
    return events


_ids = count(1)


def made(result, operation="copy", inputs=None, **changes):
    number = next(_ids)
    values = {
        "id": number, "result_table": result, "operation": operation, "kwargs": inputs or {},
        "params": {}, "sql_template": None, "task_id": None, "job_id": 1, "run_id": 2,
        "node_id": 3, "created_at": dt.datetime(2026, 1, 1, 12, 30, tzinfo=dt.UTC),
    }  # fmt: skip
    return OperationEvent(**values | changes)


A, B, C = (f"aai_t_7_k1_a{n}" for n in range(3))
TYPES = {"carrier": "String", "delay": "Int64"}
EVENTS = [
    made(A, "read_csv", params={"path": "data/a.csv"}, rows=3, result_schema=TYPES,
         execution_count=2, cell_source="a = aai.read_csv('data/a.csv')", variable_names=("a",),
         task_id=382516322326077440),
    made("view_late", "filter", {"source": A},
         columns=(*unchanged_columns([A]), ColumnEdge("", A, "delay", "filter"))),
    made("view_agg", "aggregate", {"source": "view_late"},
         columns=(ColumnEdge("carrier", "view_late", "carrier", "value"),
                  ColumnEdge("top", "view_late", "delay", "value"),
                  ColumnEdge("top", "view_late", "carrier", "order"),
                  ColumnEdge("", "view_late", "carrier", "group"))),
    made(B, "copy", {"source": "view_agg"}, columns=unchanged_columns(["view_agg"]), rows=2,
         written_bytes=40, sql_template="SELECT 1",
         result_schema={"carrier": "String", "top": "Int64"}),
    made(B, "insert", {"source": "shop2.more", "target": B}, rows=1,
         columns=unchanged_columns(["shop2.more"]),
         result_schema={"carrier": "String", "top": "Int64"}),
    made(C, "copy", {"source": B}, status="error", error="Code 241", sql_template="SELECT 2"),
    made(A, "drop_table", params={"reason": "nothing reaches it"}),
    made("fetch_1", "to_pandas", {"source": B}),
    made("fetch_2", "export", {"source": "view_late"}, params={"path": "/tmp/x.parquet"}, rows=3),
]  # fmt: skip


def graph(**changes):
    return build_graph(A, EVENTS, direction="both", **{"database": SERVER} | changes)


def by_job(events):
    return {event["job"]["name"]: event for event in events}


def test_one_event_for_each_operation_on_a_table():
    events = checked(graph().to_openlineage())
    assert [(e["job"]["name"], e["eventType"]) for e in events] == [
        (f"read_csv.{A}", "COMPLETE"),
        (f"copy.{B}", "COMPLETE"),
        (f"insert.{B}", "COMPLETE"),
        (f"copy.{C}", "FAIL"),
        (f"drop_table.{A}", "COMPLETE"),
        ("export.fetch_2", "COMPLETE"),
    ]
    assert {e["eventTime"] for e in events} == {"2026-01-01T12:30:00+00:00"}


def test_datasets_of_a_server_have_the_names_that_others_give_them():
    events = by_job(graph().to_openlineage())
    copy = events[f"copy.{B}"]
    server = "clickhouse://host:8123"
    assert [(d["namespace"], d["name"]) for d in copy["inputs"]] == [(server, f"shop.{A}")]
    assert [(d["namespace"], d["name"]) for d in copy["outputs"]] == [(server, f"shop.{B}")]
    assert events[f"insert.{B}"]["inputs"][0]["name"] == "shop2.more"
    assert copy["inputs"][0]["facets"]["dataSource"]["uri"] == SERVER
    read = events[f"read_csv.{A}"]["inputs"]
    assert [(d["namespace"], d["name"]) for d in read] == [("file", "data/a.csv")]
    exported = events["export.fetch_2"]
    assert exported["outputs"][0]["name"] == "/tmp/x.parquet"
    assert exported["inputs"][0]["name"] == f"shop.{A}"


@pytest.mark.parametrize(
    ("database", "namespace", "expected", "name"),
    [
        (None, None, "aaiclick", B),
        ("chdb:///data/x", None, "chdb:///data/x", B),
        ("chdb:///data/x", "mine", "mine", B),
        (SERVER, "mine", "mine", f"shop.{B}"),
    ],
)
def test_the_namespace(database, namespace, expected, name):
    events = checked(graph(database=database).to_openlineage(namespace))
    output = by_job(events)[f"copy.{B}"]["outputs"][0]
    assert (output["namespace"], output["name"]) == (expected, name)
    assert {e["job"]["namespace"] for e in events} == {expected}


def test_columns_go_through_views():
    facets = by_job(graph().to_openlineage())[f"copy.{B}"]["outputs"][0]["facets"]
    lineage = facets["columnLineage"]

    def uses(fields):
        return {
            (f["field"], *t.values()) for f in fields for t in f["transformations"]
        }  # fmt: skip

    assert uses(lineage["fields"]["carrier"]["inputFields"]) == {("carrier", "DIRECT")}
    assert uses(lineage["fields"]["top"]["inputFields"]) == {
        ("delay", "DIRECT"), ("carrier", "INDIRECT", "SORT"),
    }  # fmt: skip
    assert uses(lineage["dataset"]) == {
        ("delay", "INDIRECT", "FILTER"), ("carrier", "INDIRECT", "GROUP_BY"),
    }  # fmt: skip
    assert {f["name"] for f in lineage["dataset"]} == {f"shop.{A}"}


def test_facets_say_what_is_known_and_no_more():
    events = by_job(graph().to_openlineage())
    read, copy, failed = (events[f"{n}"] for n in (f"read_csv.{A}", f"copy.{B}", f"copy.{C}"))
    assert read["job"]["facets"]["sourceCode"]["sourceCode"].startswith("a = ")
    assert read["run"]["facets"]["aaiclick_cell"]["executionCount"] == 2
    assert read["run"]["facets"]["aaiclick_cell"]["taskId"] == "382516322326077440"
    output = read["outputs"][0]
    assert [(f["name"], f["type"]) for f in output["facets"]["schema"]["fields"]] == [
        *TYPES.items()
    ]
    assert output["outputFacets"]["outputStatistics"]["rowCount"] == 3
    assert "size" not in output["outputFacets"]["outputStatistics"]
    assert output["facets"]["lifecycleStateChange"]["lifecycleStateChange"] == "CREATE"
    assert copy["job"]["facets"]["sql"]["query"] == "SELECT 1"
    assert copy["outputs"][0]["outputFacets"]["outputStatistics"]["size"] == 40
    assert failed["run"]["facets"]["errorMessage"]["message"] == "Code 241"
    assert "lifecycleStateChange" not in failed["outputs"][0]["facets"]
    inserted = events[f"insert.{B}"]["outputs"][0]
    assert "lifecycleStateChange" not in inserted["facets"]
    assert inserted["facets"]["columnLineage"]["fields"]["top"]["inputFields"][0]["field"] == "top"
    dropped = events[f"drop_table.{A}"]["outputs"][0]["facets"]
    assert dropped["lifecycleStateChange"]["lifecycleStateChange"] == "DROP"


def test_a_run_is_the_same_each_time_and_another_for_each_event():
    first, second = graph().to_openlineage(), graph(database=None).to_openlineage("x")
    runs = [e["run"]["runId"] for e in first]
    assert runs == [e["run"]["runId"] for e in second]
    assert len(set(runs)) == len(runs)
    assert all(uuid.UUID(run).version == 5 for run in runs)
    one = EVENTS[0]
    assert run_id(one) != run_id(attr_replaced(one, job_id=9))


def attr_replaced(event, **changes):
    import dataclasses

    return dataclasses.replace(event, **changes)


@given(st.text(max_size=30), st.text(max_size=30))
@settings(max_examples=50, deadline=None)
def test_any_text_is_taken(name, text):
    events = [
        made(f"aai_t_1_a_{name}", text, params={"path": text}, sql_template=text, error=text,
             cell_source=text, variable_names=(text,), result_schema={text: text}),
        made("aai_t_1_a_2", "read_csv", {text: f"aai_t_1_a_{name}"}, params={"path": text},
             status="error", columns=unchanged_columns([f"aai_t_1_a_{name}"])),
    ]  # fmt: skip
    assert checked(build_graph("aai_t_1_a_2", events).to_openlineage())
