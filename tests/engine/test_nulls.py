"""Trap 13: unmatched rows of a join and reductions of nothing were 0 and '', not null."""

from __future__ import annotations

import ibis
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

KEY = st.one_of(st.none(), st.integers(0, 4))
LEFT = st.lists(st.tuples(KEY, st.one_of(st.none(), st.integers(-9, 9))), max_size=6)
RIGHT = st.lists(st.tuples(KEY, st.one_of(st.none(), st.sampled_from(["", "a", "b"]))), max_size=6)
SCHEMAS = {"l": {"k": "int64", "x": "int64"}, "r": {"k": "int64", "s": "string"}}
REDUCTIONS = ("sum", "mean", "min", "max", "count", "nunique")
TYPES = {"l": "k Nullable(Int64), x Nullable(Int64)", "r": "k Nullable(Int64), s Nullable(String)"}
property_test = settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def both(engine):
    """Return a function that runs one Ibis expression over the same rows in both databases."""
    import duckdb

    duck = duckdb.connect()

    def run(expression, rows) -> tuple[list, list]:
        for name, values in rows.items():
            text = ", ".join(
                "(" + ", ".join("NULL" if v is None else repr(v) for v in row) + ")"
                for row in values
            )
            duck.execute(f"CREATE OR REPLACE TABLE {name} ({duck_columns(name)})")
            engine.command(f"CREATE OR REPLACE TABLE {name} ({TYPES[name]}) ENGINE = Memory")
            if text:
                duck.execute(f"INSERT INTO {name} VALUES {text}")
                engine.command(f"INSERT INTO {name} VALUES {text}")
        ours = engine.query_rows(str(ibis.to_sql(expression, dialect="clickhouse")))
        theirs = duck.execute(str(ibis.to_sql(expression, dialect="duckdb"))).fetchall()
        return sorted(ours, key=repr), sorted(theirs, key=repr)

    yield run
    duck.close()
    engine.command("DROP TABLE IF EXISTS l, r")


def duck_columns(name: str) -> str:
    duck = {"int64": "BIGINT", "string": "VARCHAR"}
    return ", ".join(f"{column} {duck[kind]}" for column, kind in SCHEMAS[name].items())


@property_test
@given(
    left=LEFT, right=RIGHT, how=st.sampled_from(["inner", "left", "right", "outer", "anti", "semi"])
)
def test_joins(both, left, right, how):
    tables = [ibis.table(SCHEMAS[name], name=name) for name in ("l", "r")]
    ours, theirs = both(tables[0].join(tables[1], "k", how=how), {"l": left, "r": right})
    assert ours == theirs


@property_test
@given(left=LEFT, keep=st.integers(-10, 10), grouped=st.booleans())
def test_reductions(both, left, keep, grouped):
    table = ibis.table(SCHEMAS["l"], name="l")
    few = table.filter(table.x > keep)
    measures = {name: getattr(few.x, name)() for name in REDUCTIONS}
    expression = few.group_by("k").agg(**measures) if grouped else few.agg(**measures)
    ours, theirs = both(expression, {"l": left})
    assert ours == theirs


def test_the_trap_is_there_without_the_settings(engine):
    """The tests above can fail."""
    joined = "SELECT b FROM (SELECT 1 AS a) AS l LEFT JOIN (SELECT 2 AS a, 3 AS b) AS r USING a"
    assert engine.query_rows(joined) == [(None,)]
    assert engine.query_rows(f"{joined} SETTINGS join_use_nulls = 0") == [(0,)]
    empty = "SELECT sum(number) FROM numbers(0)"
    assert engine.query_rows(empty) == [(None,)]
    off = f"{empty} SETTINGS aggregate_functions_null_for_empty = 0"
    assert engine.query_rows(off) == [(0,)]
