"""Column lineage as it is recorded: through methods, SQL text, tables, and back through the log."""

from __future__ import annotations

import pytest

from aaiclick_ext.errors import SchemaError
from aaiclick_ext.oplog.columns import ColumnUse


@pytest.fixture
def flights(ctx):
    return ctx.create_object_from_value(
        {"carrier": ["UA", "AA"], "delay": [1, 70], "miles": [100, 200], "day": [1, 2]}
    )


def of(flights, *columns, use="value"):
    return [ColumnUse(flights.table_name, column, use) for column in columns]


def test_through_methods_and_tables(ctx, flights):
    late = flights.filter(flights.delay > 60).mutate(speed=flights.miles / flights.delay)
    kept = late.copy()
    worst = kept.group_by("carrier").agg(top=kept.speed.max(), n=kept.count()).order_by("top")
    assert ctx.backward_columns(worst, "top") == of(flights, "delay", "miles")
    assert ctx.backward_columns(worst.top) == of(flights, "delay", "miles")
    assert ctx.backward_columns(worst.carrier) == of(flights, "carrier")
    assert ctx.backward_columns(worst, "n") == []
    assert ctx.backward_columns(worst, "carrier", uses=["value", "filter"]) == [
        *of(flights, "carrier"), *of(flights, "delay", use="filter"),
    ]  # fmt: skip
    reached = {(use.table, use.column) for use in ctx.forward_columns(flights.miles)}
    assert (kept.table_name, "speed") in reached
    assert (ctx.node_name(worst), "top") in reached
    assert (ctx.node_name(worst), "carrier") not in reached


def test_through_sql_text(ctx, flights):
    name = flights.table_name
    view = ctx.sql(
        f"SELECT upper(carrier) AS c, sum(miles) AS m FROM {name} WHERE day = 1 GROUP BY c"
    )
    assert ctx.backward_columns(view, "m") == of(flights, "miles")
    assert ctx.backward_columns(view, "c") == of(flights, "carrier")
    further = view.alias("v").sql("SELECT m + 1 AS more FROM v")
    assert ctx.backward_columns(further, "more") == of(flights, "miles")
    assert ctx.backward_columns(further.copy(), "more", uses=["value", "filter"]) == [
        *of(flights, "day", use="filter"), *of(flights, "miles"),
    ]  # fmt: skip


def test_sql_text_keeps_no_table_until_it_is_written(ctx, tables):
    before = tables()
    made = ctx.create_object_from_value({"a": [1]})
    view = ctx.sql(f"SELECT a FROM {made.table_name}")
    del made, view
    assert tables() == before


def test_through_inserts_concat_and_what_is_fetched(ctx, flights):
    other = ctx.create_object_from_value({"carrier": ["HA"], "delay": [5]})
    both = ctx.concat([flights.select("carrier", "delay"), other])
    assert ctx.backward_columns(both, "delay") == sorted(
        [*of(flights, "delay"), *of(other, "delay")], key=lambda use: use.table
    )
    target = ctx.create_object_from_value({"delay": [0]})
    target.insert(flights.select("delay"))
    assert ctx.backward_columns(target, "delay") == of(flights, "delay")
    target.data()
    sinks = [use for use in ctx.forward_columns(flights, "delay") if use.table.startswith("fetch_")]
    assert [sink.column for sink in sinks] == ["delay"]


def test_text_that_cannot_be_read_is_no_obstacle(ctx, flights):
    view = ctx.sql(f"SELECT * APPLY(toString) FROM {flights.table_name}")
    assert view.data()
    assert ctx.backward_columns(view, view.columns[0]) == [
        ColumnUse(ctx.node_name(view), view.columns[0], "value")
    ]


def test_a_column_that_is_not_there(ctx, flights):
    with pytest.raises(SchemaError, match="no column 'late'; there are carrier, delay"):
        ctx.backward_columns(flights, "late")


def test_a_table_without_a_column_is_not_one_that_ended(ctx):
    x = ctx.create_object_from_value({"a": [1], "b": [2]})
    y = x.drop("a").copy()
    assert [e.operation for e in ctx.backward_oplog(y)] == ["create_from_value", "drop", "copy"]
