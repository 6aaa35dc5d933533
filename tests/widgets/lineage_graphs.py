"""Lineage graphs for tests, and for notebooks that tests write. No engine."""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aaiclick_ext.oplog import OperationEvent, OplogGraph, StaleResult, build_graph
from aaiclick_ext.oplog.columns import ColumnEdge
from aaiclick_ext.oplog.staleness import Change, stale

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MADE = dt.datetime(2026, 3, 14, 15, 9, 26, 535897, tzinfo=dt.UTC)
_ids = itertools.count(1)


def event(
    table: str, operation: str, inputs: Mapping[str, str] | None = None, **values: Any
) -> OperationEvent:
    """Return an event of a fixed time and session."""
    given: dict[str, Any] = {
        "id": next(_ids), "result_table": table, "operation": operation, "kwargs": inputs or {},
        "params": {}, "sql_template": None, "task_id": 1, "job_id": 1, "run_id": 1, "node_id": 1,
        "created_at": MADE, "elapsed_s": 0.0123, "result_schema": {},
    }  # fmt: skip
    return OperationEvent(**given | values)


def graph(root: str, events: Iterable[OperationEvent], *living: str) -> OplogGraph:
    """Return everything that events tell of a root, before it and after it."""
    return build_graph(root, list(events), direction="both", max_depth=10_000, living=living)


def flights() -> OplogGraph:
    """Every kind and state of a node, two joins, a named object, steps in both directions."""
    late = "SELECT *\nFROM `aai_t_7_k1_a1` AS t0\nWHERE t0.arr_delay > 15"
    events = [
        event("aai_t_7_k1_a1", "create_from_value", rows=336_776, execution_count=2,
              variable_names=("flights",), params={"value": "DataFrame, 336776 rows"},
              result_schema={"carrier": "String", "arr_delay": "Nullable(Float64)"}),
        event("aai_t_7_k1_a2", "read_parquet", rows=26_115, execution_count=2,
              variable_names=("weather",), params={"path": "data/weather.parquet"}),
        event("view_late", "filter", {"source": "aai_t_7_k1_a1"}, execution_count=5,
              variable_names=("late",), params={"predicate": "arr_delay > 15"},
              sql_template=late, cell_source="late = flights.filter(flights.arr_delay > 15)"),
        event("view_stormy", "join", {"left": "view_late", "right": "aai_t_7_k1_a2"},
              execution_count=7),
        event("aai_g_7_k1_a3_stormy", "copy", {"source": "view_stormy"}, rows=90_112,
              execution_count=7, variable_names=("stormy",)),
        event("aai_t_7_k1_a4", "copy", {"source": "aai_g_7_k1_a3_stormy"}, rows=90_112,
              execution_count=8),
        event("view_carrier", "aggregate", {"source": "aai_t_7_k1_a4"}, execution_count=9,
              variable_names=("by_carrier",), params={"by": "carrier"}),
        event("view_named", "join", {"left": "view_carrier", "right": "shop.carriers"},
              execution_count=9),
        event("view_worst", "order_by", {"source": "view_named"}, execution_count=12,
              variable_names=("worst",)),
        event("fetch_1", "to_pandas", {"source": "view_worst"}, rows=16, execution_count=12),
        event("aai_t_7_k1_a5", "copy", {"source": "view_worst"}, execution_count=13,
              status="error", error="Code 241: Memory limit exceeded"),
    ]  # fmt: skip
    return graph("view_worst", events, "aai_t_7_k1_a1", "aai_g_7_k1_a3_stormy", "shop.carriers")


def arrays() -> OplogGraph:
    """A diamond, small enough to run across."""
    events = [
        event("aai_t_7_k1_b1", "create_from_value", rows=1, execution_count=1,
              variable_names=("a", "b")),
        event("view_sum", "sum", {"source": "aai_t_7_k1_b1"}, execution_count=3),
        event("view_share", "truediv", {"left": "aai_t_7_k1_b1", "right": "view_sum"},
              execution_count=3, variable_names=("share",)),
    ]  # fmt: skip
    return graph("view_share", events, "aai_t_7_k1_b1")


def inserts() -> OplogGraph:
    """A table that was made empty, filled three times, once in vain, and read."""
    target = "aai_s_7_k1_d1_orders"
    events = [
        event("aai_t_7_k1_d2", "read_csv", rows=500, variable_names=("new",), execution_count=2),
        event(target, "create_from_value", rows=1_000, execution_count=1),
        event(target, "insert", {"source_0": "aai_t_7_k1_d2", "target": target}, rows=500),
        event(target, "insert", {"target": target}, rows=2, params={"source_0": "list, 2 rows"}),
        event(target, "insert", {"target": target}, status="error", error="Code 53: mismatch"),
        event("fetch_2", "data", {"source": target}, rows=1_502),
    ]
    return graph(target, events, target)


def aged() -> OplogGraph:
    """A stale table beside a living one of the same kind, a stale source, and a dropped table."""
    events = [
        event("aai_t_7_k1_s1", "read_csv", rows=500, variable_names=("orders",),
              execution_count=1, params={"path": "orders.csv"}),
        event("aai_t_7_k1_s2", "copy", {"source": "aai_t_7_k1_s1"}, rows=500, execution_count=2,
              variable_names=("frozen",), read_rows=500, read_bytes=16_000, written_bytes=8_000,
              user_name="ada", result_schema={"item": "String", "n": "Int64"}),
        event("aai_t_7_k1_s3", "copy", {"source": "aai_t_7_k1_s2"}, rows=500, execution_count=2,
              variable_names=("again",)),
        event("aai_t_7_k1_s1", "insert", {"target": "aai_t_7_k1_s1"}, rows=2, execution_count=4),
        event("aai_t_7_k1_s4", "copy", {"source": "aai_t_7_k1_s1"}, rows=502, execution_count=5),
        event("aai_t_7_k1_s3", "drop_table", rows=500, execution_count=6,
              params={"reason": "nothing referred to it any more"},
              result_schema={"item": "String"}),
        event("aai_t_7_k1_s5", "concat", {"source_0": "aai_t_7_k1_s2", "source_1": "aai_t_7_k1_s3",
              "source_2": "aai_t_7_k1_s4"}, rows=1502, execution_count=5, variable_names=("all",)),
    ]  # fmt: skip
    alive = {f"aai_t_7_k1_s{n}" for n in (1, 2, 4, 5)}
    made = graph("aai_t_7_k1_s5", events, *alive)
    late = events[0].created_at.replace(year=2027)
    results = {found.table: found for found in stale(events) if found.table in alive}
    first = StaleResult("aai_t_7_k1_s1", events[0], (Change("orders.csv", None, late),))
    return replace(made, stale={first.table: first, **results})


def shop() -> OplogGraph:
    """A filter, a group and a join of known columns, in two cells; two unnamed steps in a row."""
    orders, regions, best = "aai_t_7_k1_o1", "aai_t_7_k1_o2", "aai_t_7_k1_o3"

    def edges(*told: str) -> tuple[ColumnEdge, ...]:
        return tuple(ColumnEdge(*edge.split(" ")) for edge in told)

    events = [
        event(orders, "read_csv", rows=500, variable_names=("orders",), execution_count=1,
              task_id=1,
              result_schema={"item": "String", "n": "Int64", "region": "UInt8", "note": "String"}),
        event(regions, "read_csv", rows=5, variable_names=("regions",), execution_count=1,
              task_id=1, result_schema={"region": "UInt8", "name": "String"}),
        event("view_o1", "filter", {"source": orders}, execution_count=2, task_id=2,
              columns=edges(f"* {orders} * value", f" {orders} item filter")),
        event("view_o2", "agg", {"source": "view_o1"}, execution_count=2, task_id=2,
              columns=edges("region view_o1 region value", "total view_o1 n value",
                            " view_o1 region group")),
        event("view_o3", "join", {"left": "view_o2", "right": regions}, execution_count=2,
              task_id=2, variable_names=("named",),
              columns=edges("total view_o2 total value", f"name {regions} name value",
                            " view_o2 region join", f" {regions} region join")),
        event(best, "copy", {"source": "view_o3"}, rows=5, execution_count=3, task_id=3,
              variable_names=("best",), result_schema={"total": "Int64", "name": "String"},
              columns=edges("* view_o3 * value")),
    ]  # fmt: skip
    return graph(best, events, orders, best)


def chain(length: int, *, every: int = 3) -> OplogGraph:
    """Many operations, each on the last; every few also on one further back."""
    tables = ["aai_t_7_k1_c0", *(f"view_{number}" for number in range(1, length))]
    events = [event(tables[0], "read_parquet", rows=10, variable_names=("raw",))]
    for number in range(1, length):
        joins = number % every == 0
        inputs = {"source": tables[number - 1]}
        if joins:
            inputs = {"left": tables[number - 1], "right": tables[number * 7 // 8]}
        events.append(
            event(tables[number], "join" if joins else "mutate", inputs,
                  execution_count=number, variable_names=(f"step_{number}",))
        )  # fmt: skip
    return graph(tables[-1], events, tables[0])
