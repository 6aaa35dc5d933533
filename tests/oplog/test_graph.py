"""Graphs from events: what is reached, what is an edge, and the order of nodes."""

from __future__ import annotations

import datetime as dt
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aaiclick_ext.oplog import OperationEvent, OplogEdge, build_graph, prompt
from aaiclick_ext.oplog.ancestry import ancestry
from aaiclick_ext.oplog.graph import edges_of, reached

_ids = count(1)


def made(result, operation="filter", inputs=None, **changes):
    """Return an event with the next id."""
    number = changes.pop("id", None) or next(_ids)
    values = {
        "id": number,
        "result_table": result,
        "operation": operation,
        "kwargs": inputs or {},
        "params": {},
        "sql_template": None,
        "task_id": None,
        "job_id": 1,
        "run_id": 2,
        "node_id": 3,
        "created_at": dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=number),
    }
    return OperationEvent(**values | changes)


CHAIN = [
    made("a", "create_from_value"),
    made("b", "filter", {"source": "a"}),
    made("c", "copy", {"source": "b"}),
    made("d", "join", {"left": "c", "right": "a"}),
]


def tables(graph):
    return [node.table for node in graph.nodes]


def test_backward_reaches_what_it_was_made_of():
    graph = build_graph("c", CHAIN)
    assert tables(graph) == ["a", "b", "c"]
    assert graph.edges == (OplogEdge("a", "b", "source"), OplogEdge("b", "c", "source"))


def test_forward_reaches_what_was_made_of_it():
    graph = build_graph("b", CHAIN, direction="forward")
    assert tables(graph) == ["b", "c", "d"]
    assert graph.edges == (OplogEdge("b", "c", "source"), OplogEdge("c", "d", "left"))


def test_both_is_each_way_alone_and_no_zigzag():
    events = [*CHAIN, made("e", "filter", {"source": "a"})]
    assert tables(build_graph("b", events, direction="both")) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("depth", "expected"), [(0, ["d"]), (1, ["a", "c", "d"]), (2, ["a", "b", "c", "d"])]
)
def test_depth_counts_steps(depth, expected):
    assert tables(build_graph("d", CHAIN, max_depth=depth)) == expected


def test_a_root_without_events_is_a_graph_of_itself():
    graph = build_graph("x", [])
    (node,) = graph.nodes
    assert (node.table, node.operation, node.event, node.events, node.alive) == (
        "x", None, None, (), None,
    )  # fmt: skip
    assert graph.edges == ()


def test_a_foreign_source_is_a_node_without_an_event():
    graph = build_graph("v", [made("v", "filter", {"source": "db.orders"})])
    assert graph.node("db.orders").operation is None
    with pytest.raises(KeyError):
        graph.node("nothing")


def test_an_insert_is_a_version_and_no_loop():
    create = made("t", "create_from_value", rows=3)
    insert = made("t", "insert", {"source": "s", "target": "t"}, rows=4)
    graph = build_graph("t", [insert, create])
    assert graph.edges == (OplogEdge("s", "t", "source"),)
    assert graph.node("t").events == (create, insert)
    assert graph.node("t").event is insert


def test_two_tables_inserted_into_each_other_end():
    events = [
        made("a", "create_from_value"),
        made("b", "copy", {"source": "a"}),
        made("a", "insert", {"source": "b", "target": "a"}),
    ]
    graph = build_graph("b", events, max_depth=10**6)
    assert tables(graph) == ["a", "b"]
    assert set(graph.edges) == {OplogEdge("a", "b", "source"), OplogEdge("b", "a", "source")}


def test_one_table_in_two_roles_has_two_edges():
    graph = build_graph("v", [made("v", "add", {"left": "a", "right": "a"})])
    assert graph.edges == (OplogEdge("a", "v", "left"), OplogEdge("a", "v", "right"))


def test_a_failed_operation_moved_no_data():
    events = [
        made("t", "create_from_value"),
        made("t", "insert", {"source": "s", "target": "t"}, status="error", error="no"),
    ]
    graph = build_graph("t", events)
    assert tables(graph) == ["t"]
    assert graph.node("t").operation == "create_from_value"
    assert len(graph.node("t").events) == 2


def test_what_only_failed_still_says_what_it_wanted():
    graph = build_graph("v", [made("v", "filter", {"source": "a"}, status="error", error="no")])
    assert tables(graph) == ["a", "v"]
    assert graph.node("v").event.status == "error"


def test_alive_is_known_of_tables_only():
    events = [
        made("view_1", "filter", {"source": "aai_t_1_2_3"}),
        made("fetch_1", "to_pandas", {"source": "view_1"}),
    ]
    graph = build_graph("fetch_1", events, living={"other"})
    assert {n.table: n.alive for n in graph.nodes} == {
        "aai_t_1_2_3": False, "view_1": None, "fetch_1": None,
    }  # fmt: skip
    assert build_graph("aai_t_1_2_3", [], living={"aai_t_1_2_3"}).nodes[0].alive is True


NAMES = st.sampled_from([f"t{number}" for number in range(12)])


@st.composite
def logs(draw):
    """Return random operations over few tables: diamonds, cycles by inserts, failures, loops."""
    events = []
    for _ in range(draw(st.integers(0, 25))):
        result = draw(NAMES)
        inputs = {f"source_{n}": name for n, name in enumerate(draw(st.lists(NAMES, max_size=3)))}
        if draw(st.booleans()):
            inputs["target"] = result
        status = draw(st.sampled_from(["ok", "ok", "ok", "error"]))
        events.append(made(result, "insert", inputs, status=status))
    return events


def model_of_reached(root, events, max_depth, *, forward):
    """Say plainly what is reached: neighbours of neighbours, so many times."""
    succeeded = {event.result_table for event in events if event.status == "ok"}
    pairs = {
        (source, event.result_table)
        for event in events
        if event.status == "ok" or event.result_table not in succeeded
        for source in event.kwargs.values()
    }
    found = {root}
    for _ in range(max_depth):
        if forward:
            found = found | {end for start, end in pairs if start in found}
        else:
            found = found | {start for start, end in pairs if end in found}
    return found


@given(logs(), NAMES, st.integers(0, 13))
def test_graphs_agree_with_a_plain_model(events, root, max_depth):
    back = model_of_reached(root, events, max_depth, forward=False)
    on = model_of_reached(root, events, max_depth, forward=True)
    for direction, expected in (("backward", back), ("forward", on), ("both", back | on)):
        graph = build_graph(root, events, direction=direction, max_depth=max_depth)
        assert set(tables(graph)) == expected
        assert len(tables(graph)) == len(expected)
        assert reached(root, edges_of(events), direction, max_depth) == expected
        assert all({edge.source, edge.target} <= expected for edge in graph.edges)
        assert len(set(graph.edges)) == len(graph.edges)
        for node in graph.nodes:
            assert list(node.events) == [e for e in events if e.result_table == node.table]


@given(logs(), NAMES, st.randoms(use_true_random=False))
def test_the_order_of_events_does_not_matter(events, root, random):
    shuffled = events[:]
    random.shuffle(shuffled)
    first, second = build_graph(root, events), build_graph(root, shuffled)
    assert first == second
    assert first.to_prompt_context() == second.to_prompt_context()


@given(logs(), NAMES)
def test_inputs_come_first_where_no_cycle_forbids_it(events, root):
    graph = build_graph(root, events, direction="both")
    position = {table: number for number, table in enumerate(tables(graph))}
    after = {table: {e.target for e in graph.edges if e.source == table} for table in position}

    def leads_to(start, goal):
        seen, stack = set(), [start]
        while stack:
            for target in after[stack.pop()] - seen:
                seen.add(target)
                stack.append(target)
        return goal in seen

    for edge in graph.edges:
        if not any(leads_to(table, table) for table in position):
            assert position[edge.source] < position[edge.target]


def test_prompt_context_tells_the_whole_story():
    cell = {
        "task_id": 9,
        "cell_id": "c",
        "execution_count": 4,
        "cell_source": "flights = read()\nlate = flights.filter(x)",
        "created_at": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    }
    events = [
        made("aai_t_1_2_3", "read_parquet", params={"path": "f.parquet"}, rows=3,
             variable_names=("flights",), result_schema={"x": "Int64", "y": "String"}, **cell),
        made("aai_t_1_2_3", "insert", {"source": "db.more", "target": "aai_t_1_2_3"},
             rows=4, **cell),
        made("view_1", "filter", {"source": "aai_t_1_2_3"}, params={"predicates": "x > 1"},
             sql_template="SELECT *\n  FROM t WHERE x > 1", variable_names=("late",), **cell),
        made("fetch_1", "to_pandas", {"source": "view_1"}, status="error", error="too much"),
    ]  # fmt: skip
    graph = build_graph("fetch_1", events, living={"aai_t_1_2_3"})
    assert graph.to_prompt_context() == (
        "Lineage of fetch_1. Inputs come before what was made of them.\n"
        "[1] db.more: not recorded; dropped\n"
        "[2] flights (aai_t_1_2_3) = read_parquet(path=f.parquet); cell 4; 3 rows; exists\n"
        "    then insert(source=[1]); cell 4; 4 rows\n"
        "    columns: x Int64, y String\n"
        "[3] late (view_1) = filter(source=[2], predicates=x > 1); cell 4\n"
        "    sql: SELECT * FROM t WHERE x > 1\n"
        "[4] fetch_1 = to_pandas(source=[3]); failed: too much\n"
        "\n"
        "Cells:\n"
        "In [4]:\n"
        "    flights = read()\n"
        "    late = flights.filter(x)\n"
    )


def test_prompt_context_fits_as_much_as_there_is_room_for(monkeypatch):
    cells = [{"task_id": n, "execution_count": n, "cell_source": f"x = {n}\n" * n} for n in (1, 2)]
    events = [
        made("a", "sql", sql_template="SELECT 1", result_schema={"x": "Int64"}, **cells[0]),
        made("view_b", "filter", {"source": "a"}, sql_template="SELECT 2", **cells[1]),
        made("c", "copy", {"source": "view_b"}, result_schema={"x": "Int64"}, **cells[1]),
    ]
    graph = build_graph("c", events)
    whole = graph.to_prompt_context()
    assert graph.to_prompt_context(max_chars=len(whole)) == whole
    built = []
    text_of = prompt._text
    monkeypatch.setattr(prompt, "_text", lambda *args: built.append(1) or text_of(*args))
    texts = [graph.to_prompt_context(max_chars=most) for most in range(len(whole) + 1)]
    assert len(built) == len(texts)  # one text each, however much is left out
    for most, text in enumerate(texts):
        assert len(text) <= max(most, 1)
        assert text == texts[len(text)] or text.endswith("…")
    shown = [text.count("\n    ") for text in texts]
    assert len(set(shown)) > 3


def test_prompt_context_shortens_what_is_very_long():
    graph = build_graph("v", [made("v", "sql", params={"text": "x" * 9999})])
    assert len(graph.to_prompt_context()) < 1000


def ancestors(root, events):
    graph = build_graph(root, events, direction="both")
    return [(event.result_table, event.operation) for event in ancestry(graph)]


def test_the_ancestry_leaves_out_what_came_after_a_table_was_read():
    events = [
        made("a", "create_from_value"),
        made("view_b", "filter", {"source": "a"}),
        made("c", "copy", {"source": "view_b"}),
        made("a", "insert", {"target": "a", "source": "view_b"}),
        made("d", "copy", {"source": "a"}),
        made("a", "insert", {"target": "a"}, status="error"),
        made("a", "drop_table"),
    ]
    first, late = ("a", "create_from_value"), ("view_b", "filter")
    assert ancestors("c", events) == [first, late, ("c", "copy")]
    assert ancestors("d", events) == [first, late, ("a", "insert"), ("d", "copy")]
    assert ancestors("view_b", events) == [first, late, ("a", "insert")]
    assert ancestors("unknown", events) == []


def test_an_ancestry_with_a_cycle_ends():
    events = [
        made("a", "insert", {"source": "b"}),
        made("b", "insert", {"source": "a"}),
        made("a", "insert", {"source": "b"}),
    ]
    assert len(ancestors("a", events)) == 3
    assert len(ancestors("b", events)) == 2
