"""Joins and aggregates give what the same Ibis expression gives on DuckDB: nulls are nulls."""

from __future__ import annotations

import ibis
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

KEYS = st.one_of(st.none(), st.integers(0, 3))
VALUES = st.one_of(st.none(), st.integers(-5, 5))
TEXTS = st.one_of(st.none(), st.sampled_from(["", "a", "é"]))
ROWS = st.lists(st.tuples(KEYS, VALUES, TEXTS), max_size=8)
SCHEMA = pa.schema([("k", pa.int64()), ("v", pa.int64()), ("s", pa.string())])


def arrow(rows) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    return pa.table([pa.array(c, t) for c, t in zip(columns, SCHEMA.types, strict=True)], SCHEMA)


@pytest.fixture(scope="module")
def duckdb():
    return ibis.duckdb.connect()


def rows_of(table: pa.Table) -> list[tuple]:
    rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
    return sorted(rows, key=repr)


def same(ctx, duckdb, left, right, build) -> None:
    ours = build(ctx.create_object_from_value(left), ctx.create_object_from_value(right))
    for name, data in (("l", left), ("r", right)):
        duckdb.con.register("given", data)
        duckdb.con.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM given")
    theirs = build(duckdb.table("l"), duckdb.table("r"))
    assert rows_of(ours.to_pyarrow()) == rows_of(theirs.to_pyarrow())
    assert rows_of(ours.copy().to_pyarrow()) == rows_of(theirs.to_pyarrow())


FUZZ = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@FUZZ
@given(ROWS, ROWS, st.sampled_from(["inner", "left", "right", "outer", "semi", "anti"]))
def test_joins(ctx, duckdb, left, right, how):
    def build(left_, r):
        r = r.rename(v2="v", s2="s")
        joined = left_.join(r, "k", how=how)
        return joined.select(*[c for c in ("k", "v", "s", "v2", "s2") if c in joined.columns])

    same(ctx, duckdb, arrow(left), arrow(right), build)


@FUZZ
@given(ROWS)
def test_grouped_aggregates(ctx, duckdb, rows):
    def build(left_, _):
        return left_.group_by("k").agg(
            n=left_.count(),
            filled=left_.v.count(),
            total=left_.v.sum(),
            low=left_.v.min(),
            high=left_.s.max(),
            kinds=left_.s.nunique(),
        )

    same(ctx, duckdb, arrow(rows), arrow([]), build)


@FUZZ
@given(ROWS, st.integers(-6, 6))
def test_aggregates_of_what_is_left(ctx, duckdb, rows, bound):
    def build(left_, _):
        kept = left_.filter(left_.v > bound)
        return kept.aggregate(
            n=kept.count(), total=kept.v.sum(), low=kept.v.min(), high=kept.s.max()
        )

    same(ctx, duckdb, arrow(rows), arrow([]), build)


@FUZZ
@given(ROWS, ROWS)
def test_aggregates_over_joins(ctx, duckdb, left, right):
    def build(left_, r):
        joined = left_.left_join(r.rename(v2="v", s2="s").select("k", "v2"), "k")
        return joined.group_by("s").agg(total=joined.v2.sum(), n=joined.v2.count())

    same(ctx, duckdb, arrow(left), arrow(right), build)
