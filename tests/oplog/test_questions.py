"""Paths, stale results and the history of a variable, asked of a real log."""

from __future__ import annotations

import itertools
import os
import time

import pytest

from aaiclick_ext.oplog import Task, oplog_path, oplog_subgraph, stale_results, variable_history


@pytest.fixture
def diamond(collector):
    collector.record("create_from_value", result_table="a")
    collector.record("filter", result_table="view_b", kwargs={"source": "a"})
    collector.record("mutate", result_table="view_c", kwargs={"source": "a"})
    collector.record("join", result_table="d", kwargs={"left": "view_b", "right": "view_c"})
    collector.record("join", result_table="e", kwargs={"left": "d", "right": "other"})
    collector.flush()


def tables(graph):
    return [node.table for node in graph.nodes]


def test_a_path_is_all_that_lies_between(engine, diamond):
    graph = oplog_path(engine, "a", "e")
    assert tables(graph) == ["a", "view_b", "view_c", "d", "e"]
    assert graph.root == "e"
    assert len(graph.edges) == 5
    assert tables(oplog_path(engine, "view_b", "d")) == ["view_b", "d"]
    assert tables(oplog_path(engine, "d", "d")) == ["d"]


def test_where_there_is_no_path_there_is_no_edge(engine, diamond):
    for source, target in [("e", "a"), ("view_b", "view_c"), ("unknown", "e"), ("e", "unknown")]:
        graph = oplog_path(engine, source, target)
        assert set(tables(graph)) == {source, target}
        assert graph.edges == ()


def test_without_a_log_nothing_is_asked_for_long(engine, no_log):
    assert stale_results(engine) == []
    assert variable_history(engine, "x") == []
    assert oplog_path(engine, "a", "b").edges == ()


@pytest.fixture
def living(engine):
    names = ["st_a", "st_c", "st_d"]
    for name in names:
        engine.command(f"CREATE OR REPLACE TABLE {name} (x Int8) ENGINE = Memory")
    yield
    for name in names:
        engine.command(f"DROP TABLE IF EXISTS {name}")


def test_only_tables_that_exist_are_stale(engine, collector, living):
    collector.record("create_from_value", result_table="st_a")
    collector.record("copy", result_table="st_c", kwargs={"source": "st_a"})
    collector.record("copy", result_table="st_gone", kwargs={"source": "st_a"})
    collector.record("copy", result_table="st_d", kwargs={"source": "st_gone"})
    collector.flush()
    assert stale_results(engine) == []
    collector.record("insert", result_table="st_a", kwargs={"target": "st_a"})
    collector.flush()
    assert [result.table for result in stale_results(engine)] == ["st_c", "st_d"]
    assert [result.table for result in stale_results(engine, "st_d")] == ["st_d"]
    assert stale_results(engine, "st_a") == []


def test_a_graph_says_what_is_stale_also_where_the_change_is_out_of_its_reach(
    engine, collector, living
):
    collector.record("create_from_value", result_table="st_a")
    collector.record("filter", result_table="view_f", kwargs={"source": "st_a"})
    collector.record("copy", result_table="st_c", kwargs={"source": "view_f"})
    collector.record("copy", result_table="st_d", kwargs={"source": "st_c"})
    collector.flush()
    assert oplog_subgraph(engine, "st_d").stale == {}
    collector.record("insert", result_table="st_a", kwargs={"target": "st_a"})
    collector.flush()
    assert set(oplog_subgraph(engine, "st_d").stale) == {"st_c", "st_d"}
    assert set(oplog_subgraph(engine, "st_d", max_depth=1).stale) == {"st_c", "st_d"}
    assert set(oplog_subgraph(engine, "st_a", "forward").stale) == {"st_c", "st_d"}
    engine.command("DROP TABLE st_c")
    assert set(oplog_subgraph(engine, "st_d").stale) == {"st_d"}


def test_only_what_makes_a_table_stale_is_read_whole(engine, collector, living, monkeypatch):
    collector.record("create_from_value", result_table="st_a", rows=1)
    tables = ["st_a", *(f"view_{number}" for number in range(40)), "st_c", "st_d"]
    for before, table in itertools.pairwise(tables):
        collector.record("copy", result_table=table, kwargs={"source": before}, sql_template=table)
    collector.record("insert", result_table="st_a", kwargs={"target": "st_a"}, rows=7)
    collector.flush()
    read, asked = [], []
    for name in ("query_rows", "query_arrow"):
        run = getattr(engine, name)

        def counted(*args, run=run, **options):
            asked.append(args[0])
            found = run(*args, **options)
            if hasattr(found, "column_names") and "columns" in found.column_names:
                read.extend(found["result_table"].to_pylist())
            return found

        monkeypatch.setattr(engine, name, counted)
    first, second = stale_results(engine)
    assert len(asked) <= 8  # whatever the number of steps
    assert sorted(read) == ["st_a", "st_c", "st_d"]
    assert (first.table, first.made.sql_template) == ("st_c", "st_c")
    assert (second.table, second.made.sql_template) == ("st_d", "st_d")
    assert [change.event.rows for change in first.changes] == [7]
    read.clear()
    graph = oplog_subgraph(engine, "st_d", max_depth=1)
    assert graph.stale["st_d"] == second
    assert "view_1" not in read


def test_a_file_written_after_it_was_read(engine, collector, living, tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a\n1\n")
    os.utime(path, (1, 1))
    collector.record("read_csv", result_table="st_a", params={"path": str(path)})
    collector.flush()
    assert stale_results(engine) == []
    os.utime(path)
    (result,) = stale_results(engine)
    assert (result.table, result.changes[0].source) == ("st_a", str(path))
    path.unlink()
    assert stale_results(engine) == []


def test_a_variable_has_what_each_cell_set_it_to(engine, collector):
    for number, (first, last) in enumerate([("t1", "view_1"), ("t2", "view_2")], 1):
        task = Task(task_id=number, execution_count=number)
        collector.begin_task(task)
        collector.record("create_from_value", result_table=first)
        collector.record("filter", result_table=last, kwargs={"source": first})
        collector.end_task({last: ["best", "again"], first: ["raw"]})
    collector.flush()
    found = variable_history(engine, "best")
    assert [(e.result_table, e.execution_count) for e in found] == [("view_1", 1), ("view_2", 2)]
    assert [e.result_table for e in variable_history(engine, "raw")] == ["t1", "t2"]
    assert variable_history(engine, "bes") == []


def test_a_table_that_was_inserted_into_from_a_view_of_itself_is_no_endless_way(engine, collector):
    collector.record("create_from_value", result_table="a")
    collector.record("filter", result_table="view_b", kwargs={"source": "a"})
    collector.record("insert", result_table="a", kwargs={"source": "view_b", "target": "a"})
    collector.flush()
    started = time.perf_counter()
    assert tables(oplog_path(engine, "a", "a")) == ["a", "view_b"]
    assert time.perf_counter() - started < 5  # more than 30 s by 10,000 steps
