"""Events are masked, kept in order, written in batches, and never lost."""

from __future__ import annotations

import gc
import hashlib
import sys
import threading
import time
import weakref

import pytest

from aaiclick_ext.errors import OplogError
from aaiclick_ext.oplog import Task
from aaiclick_ext.oplog.event import from_arrow
from aaiclick_ext.oplog.log_table import LOG_TABLE, ensure_log

S = "hunter2Secret"
MYSQL = f"SELECT * FROM mysql('h', d, t, u, '{S}')"


@pytest.fixture
def logged(engine):
    """Return a function that reads the log."""

    def read():
        return from_arrow(engine.query_arrow(f"SELECT * FROM {LOG_TABLE} ORDER BY id"))

    return read


def fail_inserts(engine):
    """Let each insert fail in ClickHouse, as a real one does."""
    ensure_log(engine)
    engine.command(f"ALTER TABLE {LOG_TABLE} ADD CONSTRAINT refuse CHECK id = 0")


def allow_inserts(engine):
    engine.command(f"ALTER TABLE {LOG_TABLE} DROP CONSTRAINT refuse")


def test_an_event_says_what_was_said(collector, logged):
    collector.begin_task(Task(5, "cell-1", 3, "x = 1"))
    number = collector.record(
        "filter",
        result_table="view_1",
        kwargs={"source": "a"},
        params={"predicates": "x > 1"},
        sql_template="SELECT 1",
        rows=7,
        elapsed_s=0.5,
        result_schema={"x": "Int64"},
    )
    failed = collector.record("sql", result_table="fetch_1", status="error", error="no such table")
    collector.end_task({"view_1": ["late", "y"], "other": ["z"]})
    outside = collector.record("copy", result_table="c")
    assert collector.pending == 3
    assert collector.flush() == 3
    assert collector.pending == 0
    first, second, third = logged()
    assert (first.id, second.id, third.id) == (number, failed, outside)
    assert (first.operation, first.kwargs, first.params) == (
        "filter", {"source": "a"}, {"predicates": "x > 1"},
    )  # fmt: skip
    assert (first.rows, first.elapsed_s, first.status) == (7, 0.5, "ok")
    assert (first.task_id, first.cell_id, first.execution_count) == (5, "cell-1", 3)
    assert (first.job_id, first.run_id, first.node_id) == (10, 1, 1)
    assert first.cell_source == "x = 1"
    assert first.cell_source_hash == hashlib.sha256(b"x = 1").hexdigest()
    assert first.variable_names == ("late", "y")
    assert first.result_schema == {"x": "Int64"}
    assert (second.status, second.error, second.variable_names) == ("error", "no such table", ())
    assert (third.task_id, third.cell_source, third.cell_source_hash) == (None, None, None)
    assert (third.rows, third.elapsed_s) == (None, None)


def test_the_mappings_given_are_copied(collector, logged):
    kwargs, params = {"source": "a"}, {"n": "1"}
    collector.record("head", result_table="v", kwargs=kwargs, params=params)
    kwargs.clear()
    params.clear()
    collector.flush()
    assert (logged()[0].kwargs, logged()[0].params) == ({"source": "a"}, {"n": "1"})


def test_a_task_of_one_thread_leaves_the_others_alone(collector, logged):
    collector.begin_task(Task(1))

    def subshell():
        collector.begin_task(Task(2), this_thread_only=True)
        collector.record("b", result_table="t2")
        collector.end_task({"t2": ["y"], "t1": ["wrong"]})
        collector.record("c", result_table="t3")

    collector.record("a", result_table="t1")
    thread = threading.Thread(target=subshell)
    thread.start()
    thread.join()
    collector.end_task({"t1": ["x"]})
    collector.flush()
    found = [(e.operation, e.task_id, e.variable_names) for e in logged()]
    assert found == [("a", 1, ("x",)), ("b", 2, ("y",)), ("c", 1, ())]


def test_a_task_taken_up_again_is_the_same_cell(collector, logged):
    outer, inner = Task(1, source="outer"), Task(2, source="inner")
    collector.begin_task(outer)
    collector.record("a", result_table="t1")
    collector.begin_task(inner)
    assert collector.current_task is inner
    collector.record("b", result_table="t2")
    collector.end_task({"t1": ["not_this_task"], "t2": ["y"]})
    assert collector.current_task is None
    collector.begin_task(outer)
    collector.record("c", result_table="t3")
    collector.end_task({"t1": ["x"], "t3": ["z"]})
    collector.flush()
    found = [(e.operation, e.task_id, e.variable_names, e.cell_source) for e in logged()]
    assert found == [
        ("a", 1, ("x",), "outer"), ("b", 2, ("y",), "inner"), ("c", 1, ("z",), "outer"),
    ]  # fmt: skip


@pytest.mark.parametrize("mode", ["full", "hash", "none"])
def test_cell_source_is_recorded_as_set(new_collector, logged, mode):
    collector = new_collector(record_cell_source=mode)
    collector.begin_task(Task(1, source=f"password = '{S}'"))
    collector.record("a", result_table="t", sql_template=MYSQL)
    collector.flush()
    (event,) = logged()
    digest = hashlib.sha256(b"password = '***'").hexdigest()
    assert event.cell_source == ("password = '***'" if mode == "full" else None)
    assert event.cell_source_hash == (None if mode == "none" else digest)
    assert S not in event.sql_template  # whatever the mode


def test_a_cell_that_cannot_be_masked_leaves_its_hash(collector, logged):
    source = f"%%bash\nexport PASSWORD={S}"
    collector.begin_task(Task(1, source=source))
    collector.record("a", result_table="t", sql_template=f"SELECT * FROM mysql('{S}")
    collector.flush()
    (event,) = logged()
    assert (event.cell_source, event.sql_template) == (None, None)
    assert event.cell_source_hash == hashlib.sha256(source.encode()).hexdigest()


def test_a_secret_of_one_text_is_masked_in_all_of_the_cell(collector, logged):
    collector.begin_task(Task(1, source=f"key = '{S}'\nsql(template, key)"))
    collector.record("before", result_table="t1", params={"note": f"about {S}"})
    collector.record("sql", result_table="t2", sql_template=MYSQL)
    collector.record("after", result_table="t3", sql_template=f"SELECT '{S}'", params={"x": S})
    collector.record("failed", result_table="t4", status="error", error=f"wrong: {S}")
    collector.end_task({})
    collector.begin_task(Task(2, source=f"print('{S}')"))
    collector.record("later cell", result_table="t5")
    collector.flush()
    events = logged()
    assert len(events) == 5
    assert S not in repr(events)
    assert events[0].cell_source == "key = '***'\nsql(template, key)"
    assert events[3].error == "wrong: ***"


def test_params_are_masked_by_name_and_by_what_they_hold(collector, logged):
    collector.record(
        "read_csv",
        result_table="t",
        params={
            "path": f"https://u:{S}@h/x.csv?X-Amz-Signature={S}",
            "secret_access_key": "short",
            "source": f"s3('u', 'kkkk', '{S}')",
            "rows": "5",
        },
    )
    assert S not in repr(collector._writer.waiting())  # masked before an event exists
    collector.flush()
    assert logged()[0].params == {
        "path": "https://u:***@h/x.csv?X-Amz-Signature=***",
        "secret_access_key": "***",
        "source": "s3('u', '***', '***')",
        "rows": "5",
    }


def test_a_failed_write_keeps_events_in_order_and_is_tried_again(collector, engine, logged):
    fail_inserts(engine)
    ids = [collector.record("a", result_table=f"t{n}") for n in range(3)]
    for _ in range(2):
        with pytest.raises(OplogError, match=r"3 events .* kept"):
            collector.flush()
        assert collector.pending == 3
    ids.append(collector.record("b", result_table="t3"))
    allow_inserts(engine)
    assert collector.flush() == 4
    assert [event.id for event in logged()] == ids


def test_a_failed_write_keeps_no_variable_of_who_asked(collector, engine):
    class Table: ...

    def ask():
        table = Table()
        with pytest.raises(OplogError):
            collector.flush()
        return weakref.ref(table)

    fail_inserts(engine)
    collector.record("a", result_table="t")
    gc.disable()
    try:
        assert ask()() is None
    finally:
        gc.enable()
        allow_inserts(engine)


def test_an_insert_that_succeeded_unseen_is_not_repeated(collector, engine, logged):
    collector.record("a", result_table="t1")
    entries = collector._writer.waiting()
    collector.flush()
    collector._writer._put_back(entries)  # as after a connection lost between insert and answer
    collector.record("b", result_table="t2")
    collector.flush()
    assert [event.operation for event in logged()] == ["a", "b"]


def test_a_log_dropped_by_hand_is_made_again(collector, engine, logged):
    collector.record("a", result_table="t1")
    collector.flush()
    engine.command(f"DROP TABLE {LOG_TABLE}")
    collector.record("b", result_table="t2")
    with pytest.raises(OplogError):
        collector.flush()
    assert collector.flush() == 1
    assert [event.operation for event in logged()] == ["b"]


def test_a_log_of_another_shape_keeps_events_until_it_is_gone(collector, engine, logged):
    engine.command(f"CREATE TABLE {LOG_TABLE} (x Int8) ENGINE = Memory")
    collector.record("a", result_table="t1")
    with pytest.raises(OplogError, match="x Int8 is not ours"):
        collector.flush()
    engine.command(f"DROP TABLE {LOG_TABLE}")
    assert collector.flush() == 1
    assert len(logged()) == 1


def test_nothing_to_write_writes_nothing(collector, engine):
    assert collector.flush() == 0
    assert engine.query_rows(f"EXISTS TABLE {LOG_TABLE}") == [(0,)]


def test_the_thread_writes_outside_cells_only(new_collector, logged, engine):
    collector = new_collector(oplog_interval_s=0.05)
    collector.start()
    collector.begin_task(Task(1))
    collector.record("a", result_table="t")
    time.sleep(0.4)
    assert collector.pending == 1
    collector.end_task({})
    deadline = time.monotonic() + 10
    while collector.pending and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [event.operation for event in logged()] == ["a"]


def test_closing_writes_what_is_left_and_ends_the_thread(new_collector, logged):
    collector = new_collector()
    collector.start()
    collector.record("a", result_table="t")
    collector.close()
    collector.close()
    assert not [t for t in threading.enumerate() if t.name == "aai-oplog"]
    assert len(logged()) == 1


def test_closing_writes_also_where_no_thread_was_started(new_collector, logged):
    collector = new_collector()
    collector.record("a", result_table="t")
    collector.close()
    assert len(logged()) == 1


def test_threads_lose_nothing_while_others_write(collector, logged):
    def work():
        for number in range(300):
            collector.record("a", result_table=f"t{number}")

    def write():
        for _ in range(10):
            collector.flush()

    threads = [threading.Thread(target=f) for f in (work, write, work, write, work)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    collector.flush()
    events = logged()
    assert len(events) == len({event.id for event in events}) == 900


def test_a_flush_waits_for_the_flush_of_another_thread(collector, logged):
    for number in range(2000):
        collector.record("a", result_table=f"t{number}")
    other = threading.Thread(target=collector.flush)
    other.start()
    while collector.pending == 2000 and other.is_alive():
        time.sleep(0.0001)
    collector.flush()
    assert len(logged()) == 2000
    other.join()


class _Recorder:
    """Something that records an event when it is collected."""

    def __init__(self, collector):
        weakref.finalize(self, collector.record, "dropped", result_table="t").atexit = False


def test_a_finalizer_may_record_in_the_middle_of_anything(collector, logged):
    threshold = gc.get_threshold()
    gc.set_threshold(3)
    try:
        for number in range(200):
            cycle = [_Recorder(collector)]
            cycle.append(cycle)
            del cycle
            collector.begin_task(Task(number, source="x = 1"))
            collector.record("a", result_table="u", sql_template=MYSQL)
            collector.end_task({"u": ["x"]})
            if number % 20 == 0:
                collector.flush()
    finally:
        gc.set_threshold(*threshold)
    gc.collect()
    collector.flush()
    operations = [event.operation for event in logged()]
    assert operations.count("a") == operations.count("dropped") == 200


def test_no_ai_package_is_imported():
    known = ("openai", "anthropic", "langchain", "llama_index", "litellm", "transformers")
    assert not [name for name in sys.modules if name.split(".")[0] in known]
