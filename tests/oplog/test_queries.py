"""Questions to a real log: depth, diamonds, cycles, versions, and agreement with a model."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from aaiclick_ext.oplog import (
    backward_oplog,
    build_graph,
    closure,
    forward_oplog,
    oplog_path,
    oplog_subgraph,
)
from aaiclick_ext.oplog.event import from_arrow
from aaiclick_ext.oplog.log_table import LOG_TABLE


def tables(events):
    return [event.result_table for event in events]


@pytest.fixture
def chain(collector):
    """A table read, filtered, copied, inserted into and joined with its source."""
    collector.record("create_from_value", result_table="a")
    collector.record("filter", result_table="b", kwargs={"source": "a"})
    collector.record("copy", result_table="c", kwargs={"source": "b"})
    collector.record("insert", result_table="c", kwargs={"source": "x", "target": "c"})
    collector.record("join", result_table="d", kwargs={"left": "c", "right": "a"})
    collector.record("filter", result_table="unrelated", kwargs={"source": "x"})
    collector.flush()


def test_without_a_log_there_is_no_answer_and_no_error(engine, no_log):
    assert backward_oplog(engine, "t") == []
    assert forward_oplog(engine, "t") == []
    graph = oplog_subgraph(engine, "t", "both")
    assert [(node.table, node.alive) for node in graph.nodes] == [("t", False)]


def test_backward_gives_each_event_by_id(engine, chain):
    assert tables(backward_oplog(engine, "d")) == ["a", "b", "c", "c", "d"]
    assert [e.operation for e in backward_oplog(engine, "c")] == [
        "create_from_value", "filter", "copy", "insert",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("depth", "expected"),
    [(0, ["d"]), (1, ["a", "c", "c", "d"]), (2, ["a", "b", "c", "c", "d"]), (99, 5)],
)
def test_backward_depth_counts_steps(engine, chain, depth, expected):
    found = tables(backward_oplog(engine, "d", depth))
    assert found == expected or len(found) == expected


@pytest.mark.parametrize(
    ("depth", "expected"),
    [(0, []), (1, ["b", "d"]), (2, ["b", "c", "c", "d"]), (99, ["b", "c", "c", "d"])],
)
def test_forward_depth_counts_steps(engine, chain, depth, expected):
    assert tables(forward_oplog(engine, "a", depth)) == expected


def test_forward_gives_what_a_table_went_into(engine, chain):
    assert tables(forward_oplog(engine, "x")) == ["c", "d", "unrelated"]
    assert forward_oplog(engine, "d") == []


def test_names_are_values_and_no_sql(engine, chain):
    for name in ("' OR 1 = 1 --", "{root:String}", "\\", "a' UNION ALL SELECT 1"):
        assert backward_oplog(engine, name) == []
        assert forward_oplog(engine, name) == []


def test_a_subgraph_says_what_lives(engine, collector):
    engine.command("CREATE TABLE aai_lives (x Int8) ENGINE = Memory")
    collector.record("create_from_value", result_table="aai_lives")
    collector.record("copy", result_table="aai_gone", kwargs={"source": "aai_lives"})
    collector.record("filter", result_table="view_1", kwargs={"source": "aai_gone"})
    collector.record(
        "join", result_table="view_2", kwargs={"left": "view_1", "right": "system.one"}
    )
    collector.flush()
    graph = oplog_subgraph(engine, "view_2")
    engine.command("DROP TABLE aai_lives")
    assert {node.table: node.alive for node in graph.nodes} == {
        "aai_lives": True, "aai_gone": False, "view_1": None, "view_2": None, "system.one": True,
    }  # fmt: skip
    assert graph.node("system.one").operation is None


def test_a_forward_subgraph_knows_who_made_each_node(engine, chain):
    graph = oplog_subgraph(engine, "b", "forward")
    assert [(n.table, n.operation) for n in graph.nodes] == [
        ("b", "filter"), ("c", "insert"), ("d", "join"),
    ]  # fmt: skip
    assert len(graph.node("c").events) == 2


def test_an_unknown_direction_is_refused(engine, chain):
    with pytest.raises(ValueError, match="'backward', 'forward' or 'both'"):
        oplog_subgraph(engine, "a", "sideways")


def test_diamonds_do_not_explode(engine, collector):
    for level in range(40):
        for side in "xy":
            inputs = {"left": f"x{level - 1}", "right": f"y{level - 1}"} if level else {}
            collector.record("join", result_table=f"{side}{level}", kwargs=inputs)
    collector.flush()
    assert len(backward_oplog(engine, "x39", 100)) == 79  # of 2 ** 39 paths
    assert len(forward_oplog(engine, "x0", 100)) == 78


def test_cycles_end(engine, collector):
    collector.record("create", result_table="a")
    collector.record("copy", result_table="b", kwargs={"source": "a"})
    collector.record("insert", result_table="a", kwargs={"source": "b", "target": "a"})
    collector.record("insert", result_table="b", kwargs={"source": "b", "target": "b"})
    collector.flush()
    assert tables(backward_oplog(engine, "b", 200)) == ["a", "b", "a", "b"]
    assert tables(forward_oplog(engine, "a", 200)) == ["b", "a", "b"]
    assert len(oplog_subgraph(engine, "a", "both", 200).nodes) == 2


def test_a_chain_longer_than_clickhouse_recurses_by_default(engine, collector):
    collector.record("create", result_table="t0")
    for number in range(1, 1101):
        collector.record("copy", result_table=f"t{number}", kwargs={"source": f"t{number - 1}"})
    collector.flush()
    assert len(backward_oplog(engine, "t1100", 1050)) == 1051


def test_many_inputs_are_asked_for_in_parts(engine, collector):
    for number in range(2500):
        collector.record("copy", result_table=f"m{number}", kwargs={"source": "root"})
        collector.record("copy", result_table=f"n{number}", kwargs={"source": f"m{number}"})
    collector.flush()
    assert len(forward_oplog(engine, "root")) == 5000
    assert len(oplog_subgraph(engine, "root", "forward", 2).nodes) == 5001


def test_an_event_written_twice_counts_once(engine, collector, chain):
    engine.command(f"INSERT INTO {LOG_TABLE} SELECT * FROM {LOG_TABLE}")
    assert tables(backward_oplog(engine, "d")) == ["a", "b", "c", "c", "d"]
    assert tables(forward_oplog(engine, "a")) == ["b", "c", "c", "d"]


def test_a_way_through_many_kernels(engine, new_collector):
    """Each takes what the one before made, ten steps further; one inserts where another began."""
    for kernel in range(12):
        collector = new_collector(job_id=100 + kernel)
        for step in range(10 * kernel, 10 * kernel + 10):
            kwargs = {"source": f"k{step - 1}"} if step else {}
            collector.record("copy", result_table=f"k{step}", kwargs=kwargs)
        collector.flush()
    late = new_collector(job_id=5)
    late.record("create", result_table="other")
    late.record("insert", result_table="k0", kwargs={"source": "other", "target": "k0"})
    late.flush()
    assert len(backward_oplog(engine, "k119", 200)) == 122
    assert tables(backward_oplog(engine, "k119", 15)) == [f"k{n}" for n in range(104, 120)]
    assert len(forward_oplog(engine, "other", 200)) == 120
    assert tables(forward_oplog(engine, "k1", 15)) == [f"k{n}" for n in range(2, 17)]
    assert len(oplog_path(engine, "k50", "k70").nodes) == 21


NAMES = st.sampled_from([f"t{number}" for number in range(10)])
OPERATIONS = st.tuples(
    NAMES,
    st.lists(NAMES, max_size=3),
    st.booleans(),
    st.sampled_from(["ok", "ok", "error"]),
    st.integers(0, 2),
)


@pytest.mark.parametrize("neighbours", [2, 5000])
def test_answers_agree_with_the_whole_log(engine, new_collector, monkeypatch, neighbours):
    """Whatever kernels made the tables, and however little of it was guessed at once."""
    monkeypatch.setattr(closure, "_NEIGHBOURS", neighbours)
    kernels = [new_collector(job_id=job_id) for job_id in (7, 8, 9)]

    @given(st.lists(OPERATIONS, max_size=20), NAMES, st.integers(0, 11))
    @hypothesis_settings(
        max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    def check(operations, root, max_depth):
        engine.command(f"TRUNCATE TABLE IF EXISTS {LOG_TABLE}")
        for result, inputs, is_insert, status, kernel in operations:
            kwargs = {f"source_{number}": name for number, name in enumerate(inputs)}
            if is_insert:
                kwargs["target"] = result
            kernels[kernel].record("x", result_table=result, kwargs=kwargs, status=status)
        for collector in kernels:
            collector.flush()
        everything = []
        if operations:
            everything = from_arrow(engine.query_arrow(f"SELECT * FROM {LOG_TABLE} ORDER BY id"))
        for direction in ("backward", "forward", "both"):
            expected = build_graph(
                root, everything, direction=direction, max_depth=max_depth, living=set()
            )
            assert oplog_subgraph(engine, root, direction, max_depth) == expected
        reached = {node.table for node in build_graph(root, everything, max_depth=max_depth).nodes}
        assert backward_oplog(engine, root, max_depth) == [
            event for event in everything if event.result_table in reached
        ]
        reached = {
            node.table
            for node in build_graph(
                root, everything, direction="forward", max_depth=max_depth
            ).nodes
        }
        assert forward_oplog(engine, root, max_depth) == [
            event
            for event in everything
            if max_depth > 0
            and event.result_table in reached
            and reached & set(event.kwargs.values())
        ]

    check()
