"""Two runs of a cell compared: by events alone, and asked of a real log."""

from __future__ import annotations

import pytest

from aaiclick_ext.errors import OplogError
from aaiclick_ext.oplog import Task
from aaiclick_ext.oplog.cell_runs import cell_changes

JOB = 10


def run(collector, count, *, source="late = x.filter(x.a > 1)", name="late", **changes):
    """Record a run of the cell ``c``: a filter of `x`, and a copy of it in a variable."""
    task = Task(task_id=count, cell_id="c", execution_count=count, source=source)
    collector.begin_task(task)
    collector.record(
        "filter", result_table=f"view_{count}", kwargs={"source": changes.pop("of", "x")},
        params={"predicates": changes.pop("predicate", "(a > 1)")},
    )  # fmt: skip
    facts = {"rows": 5, "result_schema": {"a": "Int64"}} | changes
    collector.record("copy", result_table=f"t{count}", kwargs={"source": f"view_{count}"}, **facts)
    collector.end_task({f"t{count}": [name]})
    collector.flush()


@pytest.fixture
def changes(engine, collector):
    """Return what changed between a first run and one with other facts."""

    def changed(**second):
        run(collector, 1)
        run(collector, 2, **second)
        found = cell_changes(engine, JOB, 2)
        assert (found.before.execution_count, found.after.execution_count) == (1, 2)
        return found

    return changed


def test_the_same_again(changes):
    found = changes()
    assert not found
    assert str(found) == "Nothing changed between [1] and [2]."


@pytest.mark.parametrize(
    ("second", "name", "difference"),
    [
        ({"rows": 7}, "late", "7 rows instead of 5 rows"),
        ({"rows": None}, "late", "an unknown number of rows instead of 5 rows"),
        ({"result_schema": {"a": "String"}}, "late", "column a is String instead of Int64"),
        ({"result_schema": {"a": "Int64", "b": "Int8"}}, "late", "column b is new"),
        ({"of": "y"}, "filter", "source is y instead of x"),
        ({"predicate": "(a > 2)"}, "filter", "predicates is (a > 2) instead of (a > 1)"),
        ({"status": "error", "error": "no memory"}, "late", "failed: no memory"),
    ],
)
def test_one_difference(changes, second, name, difference):
    found = changes(**second)
    assert [(r.name, r.differences) for r in found.results] == [(name, (difference,))]
    assert found.source_diff == ()
    assert str(found) == f"Between [1] and [2]:\n{name}: {difference}"


def test_the_code_and_the_name(changes):
    found = changes(source="worst = x.filter(x.a > 1)", name="worst")
    assert found.source_diff == ("-late = x.filter(x.a > 1)", "+worst = x.filter(x.a > 1)")
    assert [(r.name, r.differences) for r in found.results] == [
        ("worst", ("is new",)), ("late", ("is not made any more",)),
    ]  # fmt: skip


def test_an_input_with_more_rows(engine, collector):
    run(collector, 1)
    collector.record("insert", result_table="x", kwargs={"target": "x"}, rows=3)
    collector.record("insert", result_table="unrelated", kwargs={"target": "unrelated"}, rows=3)
    run(collector, 2)
    (result,) = cell_changes(engine, JOB, 2).results
    assert (result.name, result.differences) == ("filter", ("x got 3 rows in between",))


def test_the_run_before_is_compared_and_not_a_later_one(engine, collector):
    for count, rows in [(1, 5), (2, 6), (3, 7)]:
        run(collector, count, rows=rows)
    assert cell_changes(engine, JOB, 2).results[0].differences == ("6 rows instead of 5 rows",)
    assert cell_changes(engine, JOB, 3).results[0].differences == ("7 rows instead of 6 rows",)


def test_what_cannot_be_compared_is_said(engine, collector):
    run(collector, 1)
    with pytest.raises(OplogError, match=r"cell \[1\] was not run before"):
        cell_changes(engine, JOB, 1)
    with pytest.raises(OplogError, match=r"cell \[9\] of this kernel recorded no operation"):
        cell_changes(engine, JOB, 9)
    collector.begin_task(Task(task_id=3, execution_count=3))
    collector.record("copy", result_table="t")
    collector.end_task({})
    collector.flush()
    with pytest.raises(OplogError, match="gives cells no ids"):
        cell_changes(engine, JOB, 3)
