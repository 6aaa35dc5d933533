"""Why a row of a source is not in a result: the step that lost it, and its reason."""

from __future__ import annotations

import ibis
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from ibis import _

from aaiclick_ext.errors import (
    ReleasedError,
    SchemaError,
    UnknownObjectError,
    UnsupportedTypeError,
)
from tests.objects.row_provenance import PIPELINES, Builder, Descent
from tests.objects.test_row_trace import FLIGHTS, PLANES
from tests.objects.test_row_trace_truth import TABLES, has, made


@pytest.fixture(scope="module")
def flights(ctx):
    return ctx.create_object_from_value(FLIGHTS)


@pytest.fixture(scope="module")
def planes(ctx):
    return ctx.create_object_from_value(PLANES)


VERDICTS = {
    "filter": (lambda f, p: f.filter(f.v > 1), {"id": 1}, "lost at filter (v > 1): 1 of 1"),
    "null": (
        lambda f, p: f.filter(f.v > 1), {"id": 3},
        "lost at filter (v > 1): 1 of 1 (the condition is null for 1, and null is not true)",
    ),
    "null in and": (
        lambda f, p: f.filter((f.k == 1) & (f.v > 0)), {"v": None},
        "lost at filter (k = 1): 1 of 1",
    ),
    "the first step": (
        lambda f, p: f.filter(f.v > 1).mutate(w=f.v * 2).filter(_.w > 5), None,
        (
            "lost at filter (v > 1): 2 of 4 (the condition is null for 1, and null is not true); "
            "lost at filter (w > 5): 1 of 4; 1 of 4 is in the result"
        ),
    ),
    "not lost": (lambda f, p: f.filter(f.v > 1), {"id": 2}, "the row is in the result"),
    "no such row": (lambda f, p: f.filter(f.v > 1), {"id": 9}, "no row of"),
    "folded into a group": (
        lambda f, p: f.group_by("k").agg(n=_.count()), {"k": 1},
        "all 2 rows are in the result; what folds rows: group by k",
    ),
    "folded into an equal row": (
        lambda f, p: f.select("k").distinct(), {"k": 1},
        "all 2 rows are in the result; what folds rows: distinct",
    ),
    "no partner": (
        lambda f, p: f.filter(f.id != 2).join(p.filter(p.k > 1), "k"), {"id": 1},
        "lost at inner join on (k = k) (left of the join): 1 of 1 (no partner for k = 1)",
    ),
    "null has no partner": (
        lambda f, p: f.join(p, "k"), {"id": 4},
        "lost at inner join on (k = k) (left of the join): 1 of 1 (no partner for k = null)",
    ),
    "semi": (
        lambda f, p: f.semi_join(p.filter(p.k == 2), "k"), {"k": 1},
        "lost at semi join on (k = k) (left of the join): 2 of 2 (no partner for k = 1)",
    ),
    "anti": (
        lambda f, p: f.anti_join(p, "k"), {"id": 1},
        (
            "lost at anti join on (k = k) (left of the join): 1 of 1 "
            "(they have a partner in the anti join)"
        ),
    ),
    "limit": (
        lambda f, p: f.order_by(f.v.desc()).limit(1), {"id": 2},
        "lost at limit 1: 1 of 1 (the order is by v desc)",
    ),
    "difference": (
        lambda f, p: f.select("k").difference(f.filter(f.id == 3).select("k")), {"id": 3},
        "lost at difference (left side): 1 of 1 (an equal row is on the right side)",
    ),
    "intersection": (
        lambda f, p: f.select("k").intersect(f.filter(f.id == 3).select("k")), {"id": 4},
        "lost at intersection (left side): 1 of 1 (no equal row is on the other side)",
    ),
    "unnest": (
        lambda f, p: f.unnest("tags"), {"id": 2},
        "lost at unnest tags: 1 of 1 (a list without elements gives no row)",
    ),
    "drop_null": (
        lambda f, p: f.drop_null("v"), {"id": 3}, "lost at drop_null any of v: 1 of 1",
    ),
    "isin": (
        lambda f, p: f.filter(f.k.isin(p.filter(p.k > 1).k)), {"id": 1},
        "lost at filter (k in k of another table): 1 of 1",
    ),
    "not the first of its group": (
        lambda f, p: f.filter(ibis.row_number().over(group_by="k", order_by="v") == 0), {"id": 2},
        "lost at filter",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", VERDICTS)
def test_verdicts(ctx, flights, planes, case):
    build, where, expected = VERDICTS[case]
    answer = ctx.why_not(build(flights, planes), flights, where)
    first = answer.ways[0]
    assert answer.verdict.removeprefix(f"as {first.role}: ").startswith(expected)


def test_steps_count_rows(ctx, flights, planes):
    result = flights.filter(flights.v > 0).join(planes, "k").filter(_.name == "q")
    answer = ctx.why_not(result, flights)
    counts = [(step.rows_in, step.rows_out) for step in answer.steps]
    assert counts == [(4, 3), (3, 2), (2, 0)]
    assert (answer.chosen, answer.present) == (4, 0)
    assert answer.ways[0].first_loss is answer.steps[0]
    assert repr(answer).splitlines()[1] == (
        "  filter (v > 0): 4 → 3  (the condition is null for 1, and null is not true)"
    )


def test_the_other_side_of_a_join(ctx, flights, planes):
    answer = ctx.why_not(flights.left_join(planes, "k"), planes)
    assert "no partner for k = 7" in answer.verdict
    assert ctx.why_not(flights.anti_join(planes, "k"), planes).present == 0


def test_a_source_that_is_read_twice_has_two_ways(ctx, flights):
    both = flights.filter(flights.id == 1).union(flights.filter(flights.id == 2))
    answer = ctx.why_not(both, flights)
    assert [way.present for way in answer.ways] == [1, 1]
    assert answer.present == 2
    assert "as part 1 of the union: lost at filter (id = 1): 3 of 4" in answer.verdict


def test_what_a_condition_looks_up_is_followed_where_there_is_no_other_way(ctx, flights, planes):
    answer = ctx.why_not(flights.filter(flights.k.isin(planes.k)), planes)
    assert (answer.chosen, answer.present) == (3, 2)


def test_arrays(ctx):
    a, b = (
        ctx.create_object_from_value([3, 1, 2, 5]),
        ctx.create_object_from_value([30, 10, 20, 50]),
    )
    answer = ctx.why_not((a + b).filter(_.value > 20), a, {"value": 1})
    assert answer.verdict == "lost at filter (value > 20): 1 of 1"
    assert ctx.why_not(a / a.sum(), a, {"value": 1}).present == 1
    assert "order is by position" in ctx.why_not(a.limit(2), a, {"value": 5}).verdict


def test_one_query_counts_everything(ctx, flights, planes, monkeypatch):
    fetched = []
    fetch = ctx.backend.fetch
    monkeypatch.setattr(ctx.backend, "fetch", lambda *a, **k: fetched.append(a) or fetch(*a, **k))
    ctx.why_not(flights.filter(flights.v > 1).filter(_.k == 1), flights)
    assert len(fetched) == 1
    ctx.why_not(flights.join(planes, "k"), flights)
    assert len(fetched) == 3


def test_a_million_rows(ctx):
    big = ctx.sql("SELECT number AS id, number % 1000 AS k FROM numbers(1000000)").copy()
    groups = big.filter(big.id >= 500_000).group_by("k").agg(n=_.count()).filter(_.k < 10)
    answer = ctx.why_not(groups, big)
    assert [step.lost for step in answer.steps] == [500_000, 0, 495_000]


def test_errors(ctx, flights, planes):
    small = flights.filter(flights.v > 1)
    with pytest.raises(UnknownObjectError, match=f"its sources are {flights.table_name}"):
        ctx.why_not(small, planes)
    with pytest.raises(UnknownObjectError, match="no_such is no source"):
        ctx.why_not(small, "no_such")
    with pytest.raises(SchemaError, match="columns are id, k, v, tags"):
        ctx.why_not(small, flights, {"nope": 1})
    with pytest.raises(UnsupportedTypeError, match="give a table"):
        ctx.why_not(small, 3)
    with pytest.raises(UnsupportedTypeError, match="SQL text only"):
        ctx.why_not(ctx.sql(f"SELECT * FROM {flights.table_name}"), flights)
    with pytest.raises(UnsupportedTypeError):
        ctx.why_not(flights.v, flights)
    with ctx.session():
        gone = ctx.create_object_from_value([1, 2])
    with pytest.raises(ReleasedError):
        ctx.why_not(gone.filter(gone.value > 1), gone)


def test_a_source_by_its_name_and_a_text_as_a_source(ctx, flights):
    assert ctx.why_not(flights.filter(flights.v > 1), flights.table_name).present == 2
    text = ctx.sql(f"SELECT id, k FROM {flights.table_name}")
    assert ctx.why_not(text.filter(text.k == 1), text).present == 2


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink takes minutes
)
@given(PIPELINES, TABLES)
def test_what_is_said_to_be_in_the_result_is_in_it(ctx, node, first):
    rows = [(at, *row) for at, row in enumerate(first)]
    table = made(ctx, first and rows)
    result = Builder(lambda *_: table).of(node)
    expected = {at for row in Descent([rows, rows]).of(node) for _, at in row.made_of}
    answer = ctx.why_not(result, table)
    assert answer.chosen == len(rows)
    if has(node, "limit", "top"):  # equal rows, of which one is taken, are not told apart
        assert answer.present >= len(expected)
    else:
        assert answer.present == len(expected)
    for way in answer.ways:
        lost = sum(step.lost for step in way.steps)
        assert way.present == answer.chosen - lost
        assert all(step.lost >= 0 for step in way.steps)
