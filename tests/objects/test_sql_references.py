"""``{name}`` in SQL text."""

from __future__ import annotations

import gc
import math

import ibis
import pandas as pd
import pytest

from aaiclick_ext.errors import DroppedTableError, SQLError, UnsupportedTypeError, ValueRangeError
from aaiclick_ext.oplog.columns import ColumnUse


@pytest.fixture
def sales(ctx):
    return ctx.create_object_from_value({"item": ["a", "b", "a"], "n": [1, 2, 3]})


def test_tables_and_views(ctx, sales):
    large = sales.filter(sales.n > 1)
    assert ctx.sql("SELECT count() AS n FROM {x}", x=sales).data() == {"n": [3]}
    both = ctx.sql(
        "SELECT x.item, y.n AS n FROM {x} AS x JOIN {y} AS y ON x.n = y.n ORDER BY n",
        x=sales,
        y=large,
    )
    assert both.data() == {"item": ["b", "a"], "n": [2, 3]}
    twice = ctx.sql("SELECT * FROM {x} UNION ALL SELECT * FROM { x }", x=large.limit(1))
    assert len(twice.data()["n"]) == 2


@pytest.mark.parametrize(
    "value", [{"n": [1, 2]}, pd.DataFrame({"n": [1, 2]}), ibis.memtable({"n": [1, 2]})]
)
def test_frames_and_values(ctx, value):
    assert ctx.sql("SELECT sum(n) AS s FROM {frame}", frame=value).data() == {"s": [3]}


def test_it_keeps_what_it_names(ctx, tables):
    before = tables()
    made = ctx.create_object_from_value({"a": [1]})
    view = ctx.sql("SELECT a FROM {made}", made=made.filter(made.a > 0))
    del made
    assert len(tables() - before) == 1
    assert view.data() == {"a": [1]}
    del view
    assert tables() == before


def test_the_log_has_the_views_given_by_their_names(ctx, sales):
    large = sales.filter(sales.n > 1)
    view = ctx.sql(
        f"SELECT n FROM {{large}} UNION ALL SELECT n FROM {sales.table_name}", large=large
    )
    event = ctx.backward_oplog(view)[-1]
    assert event.kwargs == {"large": ctx.node_name(large)}
    assert ctx.backward_columns(view, "n") == [ColumnUse(sales.table_name, "n", "value")]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT '{x}' AS s, n FROM {x} LIMIT 1", {"s": ["{x}"], "n": [1]}),
        ("SELECT n /* {y} */ FROM {x} LIMIT 1 -- {z}", {"n": [1]}),
        ("SELECT map('k', 1)['k'] AS m FROM {x} LIMIT 1", {"m": [1]}),
    ],
)
def test_other_braces_are_left_alone(ctx, sales, query, expected):
    assert ctx.sql(query, x=sales).data() == expected


def test_what_does_not_fit_is_said(ctx, sales):
    with pytest.raises(SQLError, match=r"\{y\} stands for nothing.*sql\(…, y=x\).*Given: x"):
        ctx.sql("SELECT * FROM {x}, {y}", x=sales)
    with pytest.raises(SQLError, match=r"\{y\} is not in the SQL"):
        ctx.sql("SELECT * FROM {x}", x=sales, y=sales)
    with pytest.raises(UnsupportedTypeError):
        ctx.sql("SELECT * FROM {x}", x=sales.n)
    with pytest.raises(SQLError, match="only a SELECT"):
        ctx.sql("DROP TABLE {x}", x=sales)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("Int8", 2**63),
        ("UInt8", -1),
        ("Nullable(Int64)", 2**63),
        ("Int64", 1.7),
        ("Int64", math.nan),
    ],
)
def test_a_number_that_is_none_of_its_type_is_not_changed_to_fit(ctx, kind, value):
    with pytest.raises(ValueRangeError, match=r"\{n:.*as in \{n:(Int256|Float64)\}"):
        ctx.sql(f"SELECT {{n:{kind}}} AS v", n=value)


@pytest.mark.parametrize(
    ("kind", "value"), [("Int8", 127), ("UInt64", 2**64 - 1), ("Int64", 2.0), ("Int8", True)]
)
def test_a_number_of_its_type(ctx, kind, value):
    assert ctx.sql(f"SELECT {{n:{kind}}} AS v", n=value).data() == {"v": [value]}


def test_a_text_with_the_name_of_a_table_that_is_gone(ctx, tables):
    made = ctx.create_object_from_value({"a": [1]})
    query = f"SELECT * FROM {made.table_name}"
    del made
    gc.collect()
    ctx.flush()
    with pytest.raises(DroppedTableError, match=r"nothing referred to it any more.*pass the obj"):
        ctx.sql(query)
