"""The log's table: created once, checked, and each event comes back as it went."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
import json
import subprocess
import sys

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from aaiclick_ext.engine import Role
from aaiclick_ext.errors import OplogError
from aaiclick_ext.oplog.columns import ColumnEdge
from aaiclick_ext.oplog.event import FIELD_NAMES, OperationEvent, from_arrow, from_json, to_json
from aaiclick_ext.oplog.log_table import (
    COLUMNS,
    LOG,
    LOG_TABLE,
    LOG_VERSION,
    ensure_log,
    insert_events,
    written_ids,
)

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
UINT64 = st.integers(0, 2**64 - 1)
MAPS = st.dictionaries(TEXT, TEXT, max_size=3)
EVENTS = st.builds(
    OperationEvent,
    id=UINT64,
    result_table=TEXT,
    operation=TEXT,
    kwargs=MAPS,
    params=MAPS,
    sql_template=st.none() | TEXT,
    task_id=st.none() | UINT64,
    job_id=UINT64,
    run_id=UINT64,
    node_id=st.integers(0, 1023),
    created_at=st.datetimes(
        dt.datetime(1970, 1, 1), dt.datetime(2200, 1, 1), timezones=st.just(dt.UTC)
    ),
    cell_id=st.none() | TEXT,
    execution_count=st.none() | st.integers(0, 2**32 - 1),
    cell_source=st.none() | TEXT,
    cell_source_hash=st.none() | TEXT,
    variable_names=st.lists(TEXT, max_size=3).map(tuple),
    rows=st.none() | UINT64,
    elapsed_s=st.none() | st.floats(0, 1e9),
    status=st.sampled_from(["ok", "error"]),
    error=st.none() | TEXT,
    result_schema=MAPS,
    read_rows=st.none() | UINT64,
    read_bytes=st.none() | UINT64,
    written_bytes=st.none() | UINT64,
    user_name=st.none() | TEXT,
    notebook_path=st.none() | TEXT,
    columns=st.lists(
        st.builds(
            ColumnEdge,
            output=TEXT,
            source=TEXT,
            column=TEXT,
            use=st.sampled_from(["value", "filter", "join", "group", "order"]),
        ),
        max_size=3,
    ).map(tuple),
)


def test_every_field_has_a_column():
    assert tuple(COLUMNS) == FIELD_NAMES


@given(EVENTS)
def test_events_survive_json(event):
    assert from_json(to_json(event)) == event


def test_events_survive_clickhouse(engine, no_log):
    ensure_log(engine)

    @given(st.lists(EVENTS, max_size=20, unique_by=lambda event: event.id))
    @hypothesis_settings(
        max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    def there_and_back(events):
        engine.command(f"TRUNCATE TABLE {LOG_TABLE}")
        insert_events(engine, events)
        found = from_arrow(engine.query_arrow(f"SELECT * FROM {LOG_TABLE} ORDER BY id"))
        assert found == sorted(events, key=lambda event: event.id)

    there_and_back()


def test_reading_the_log_imports_no_pandas(engine, no_log):
    ensure_log(engine)
    engine.command(OLD_EVENT)
    found = engine.query_arrow(f"SELECT * FROM {LOG_TABLE}")
    code = """
import sys
import pyarrow as pa
from aaiclick_ext.oplog.event import from_arrow
(event,) = from_arrow(pa.ipc.open_stream(sys.stdin.buffer).read_all())
print(event.created_at.isoformat(), "pandas" in sys.modules)
"""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, found.schema) as stream:
        stream.write_table(found)
    done = subprocess.run(
        [sys.executable, "-c", code], input=sink.getvalue(), capture_output=True, check=True
    )
    assert done.stdout.split() == [b"2026-01-01T00:00:00+00:00", b"False"]


def test_unknown_figures_are_null_and_not_zero(engine, no_log):
    ensure_log(engine)
    event = OperationEvent(
        1, "t", "copy", {}, {}, None, None, 1, 1, 1, dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    )
    insert_events(engine, [event])
    unknown = [
        "sql_template",
        "task_id",
        "cell_id",
        "execution_count",
        "cell_source",
        "rows",
        "elapsed_s",
        "error",
        "read_rows",
        "read_bytes",
        "written_bytes",
        "user_name",
        "notebook_path",
    ]
    columns = ", ".join(f"{name} IS NULL" for name in unknown)
    assert engine.query_rows(f"SELECT {columns} FROM {LOG_TABLE}") == [(1,) * len(unknown)]


def test_text_that_utf8_cannot_hold_is_written_escaped(engine, no_log):
    ensure_log(engine)
    event = OperationEvent(
        1, "t", "copy", {"a": "x\ud800"}, {}, "s\udfff", None, 1, 1, 1,
        dt.datetime(2026, 1, 1, tzinfo=dt.UTC), variable_names=("\ud800",),
    )  # fmt: skip
    insert_events(engine, [event])
    (found,) = from_arrow(engine.query_arrow(f"SELECT * FROM {LOG_TABLE}"))
    assert found == dataclasses.replace(
        event, kwargs={"a": "x\\ud800"}, sql_template="s\\udfff", variable_names=("\\ud800",)
    )


def test_the_log_is_ordered_by_result_and_time(engine, no_log):
    ensure_log(engine)
    ((key,),) = engine.query_rows(
        f"SELECT sorting_key FROM system.tables WHERE name = '{LOG_TABLE}' "
        "AND database = currentDatabase()"
    )
    assert key == "result_table, created_at"


def test_creating_twice_keeps_what_is_there(engine, no_log):
    ensure_log(engine)
    engine.command(f"INSERT INTO {LOG_TABLE} (id, result_table) VALUES (7, 't')")
    engine.command(LOG.create_statement())
    ensure_log(engine)
    assert written_ids(engine, [6, 7]) == {7}


def test_without_a_log_nothing_is_written_yet(engine, no_log):
    assert written_ids(engine, [1]) == set()


def test_a_log_of_another_shape_is_refused_and_left(engine, no_log):
    ensure_log(engine)
    engine.command(
        f"ALTER TABLE {LOG_TABLE} DROP COLUMN rows, ADD COLUMN extra String", role=Role.LOG
    )
    engine.command(
        f"ALTER TABLE {LOG_TABLE} MODIFY COLUMN error Nullable(FixedString(9))", role=Role.LOG
    )
    with pytest.raises(OplogError) as caught:
        ensure_log(engine)
    message = str(caught.value)
    for said in (
        "rows is missing",
        "extra String is not ours",
        "error is Nullable(FixedString(9)) instead of Nullable(String)",
        "RENAME TABLE",
    ):
        assert said in message
    assert engine.query_rows(f"SELECT count() FROM {LOG_TABLE}") == [(0,)]


def test_equal_columns_do_not_differ():
    assert LOG.differences(COLUMNS) == []


FIRST_VERSION = """
CREATE TABLE operation_log (
    id UInt64, result_table String, operation LowCardinality(String),
    kwargs Map(String, String) CODEC(ZSTD(3)), params Map(String, String) CODEC(ZSTD(3)),
    sql_template Nullable(String) CODEC(ZSTD(3)), task_id Nullable(UInt64), job_id UInt64,
    run_id UInt64, node_id UInt16, created_at DateTime64(6, 'UTC'),
    cell_id LowCardinality(Nullable(String)), execution_count Nullable(UInt32),
    cell_source Nullable(String) CODEC(ZSTD(3)),
    cell_source_hash Nullable(String) CODEC(ZSTD(3)), variable_names Array(String),
    rows Nullable(UInt64), elapsed_s Nullable(Float64), status LowCardinality(String),
    error Nullable(String) CODEC(ZSTD(3)), result_schema Map(String, String) CODEC(ZSTD(3))
) ENGINE = MergeTree ORDER BY (result_table, created_at)
COMMENT 'aaiclick_ext operation log, version 1'
"""
OLD_EVENT = """
INSERT INTO operation_log (id, result_table, operation, kwargs, job_id, created_at, rows, status)
VALUES (7, 't', 'copy', {'source': 's'}, 1, '2026-01-01 00:00:00', 3, 'ok')
"""


def definition(engine):
    """Return how the log is defined, its columns in order of name; not how it is stored."""
    ((found,),) = engine.query_rows(f"SHOW CREATE TABLE {LOG_TABLE}")
    lines = found.replace("\\n", "\n").replace(",\n", "\n").splitlines()
    return sorted(line for line in lines if not line.startswith("SETTINGS"))


def test_a_log_of_the_first_version_is_upgraded(engine, no_log):
    engine.command(LOG.create_statement())
    fresh = definition(engine)
    engine.command(f"DROP TABLE {LOG_TABLE}")
    engine.command(FIRST_VERSION)
    engine.command(OLD_EVENT)
    ensure_log(engine)
    assert definition(engine) == fresh
    (found,) = from_arrow(engine.query_arrow(f"SELECT * FROM {LOG_TABLE}"))
    assert (found.id, found.rows, found.kwargs) == (7, 3, {"source": "s"})
    assert (found.read_rows, found.user_name, found.columns) == (None, None, ())


@pytest.mark.parametrize("done", range(1 + len(LOG.upgrade_statements(1))))
def test_an_upgrade_that_was_killed_is_finished(engine, no_log, done):
    engine.command(LOG.create_statement())
    fresh = definition(engine)
    engine.command(f"DROP TABLE {LOG_TABLE}")
    engine.command(FIRST_VERSION)
    for statement in LOG.upgrade_statements(1)[:done]:
        engine.command(statement)
    ensure_log(engine)
    assert definition(engine) == fresh


def test_what_an_older_version_writes_meanwhile_is_kept(engine, no_log):
    engine.command(FIRST_VERSION)
    ensure_log(engine)
    engine.command(OLD_EVENT)
    (found,) = from_arrow(engine.query_arrow(f"SELECT * FROM {LOG_TABLE}"))
    assert (found.id, found.columns) == (7, ())


def test_a_log_of_a_newer_version_is_refused_and_left(engine, no_log):
    ensure_log(engine)
    newer = f"aaiclick_ext operation log, version {LOG_VERSION + 1}"
    engine.command(f"ALTER TABLE {LOG_TABLE} MODIFY COMMENT '{newer}'", role=Role.LOG)
    before = definition(engine)
    with pytest.raises(OplogError, match="made by a newer aaiclick-ext") as caught:
        ensure_log(engine)
    assert f"version {LOG_VERSION + 1}" in str(caught.value)
    assert "upgrade aaiclick-ext" in str(caught.value)
    assert definition(engine) == before


def test_an_event_of_the_first_version_is_read_from_json():
    event = OperationEvent(
        1, "t", "copy", {}, {}, None, None, 1, 1, 1, dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    )
    row = json.loads(to_json(event))
    for name in ("read_rows", "read_bytes", "written_bytes", "user_name", "notebook_path"):
        del row[name]
    del row["columns"]
    assert from_json(json.dumps(row)) == event
