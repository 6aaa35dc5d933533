"""What lineage costs: recording, writing, asking and drawing.

``python -m benchmarks.lineage DIRECTORY [--quick]`` prints the times as JSON. The raw engine is
given the same events to insert, and for the way back the recursive query that one would write.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import clickhouse_connect
import pyarrow as pa

import aaiclick_ext as aai
from aaiclick_ext.engine import ClickHouseCreds, Engine
from aaiclick_ext.ids import Snowflake
from aaiclick_ext.objects import wrapping
from aaiclick_ext.oplog import OplogCollector, backward_oplog, build_graph
from aaiclick_ext.oplog.event import READ_FIELDS, from_arrow, from_json
from aaiclick_ext.oplog.log_table import COLUMNS, LOG, LOG_TABLE
from aaiclick_ext.widgets.picture import lineage_svg
from benchmarks.history import Notebook, run_notebook, write_history
from benchmarks.lineage_cases import CASES, DEPTH, LARGE, SMALL
from benchmarks.table import OURS, RAW
from benchmarks.timing import Times

if TYPE_CHECKING:
    from collections.abc import Callable

RECURSIVE = f"""
WITH RECURSIVE up AS (
    SELECT {{root:String}} AS name, toUInt32(0) AS depth
    UNION ALL
    SELECT DISTINCT arrayJoin(mapValues(kwargs)) AS name, step.depth + 1 AS depth
    FROM {LOG_TABLE} CROSS JOIN (SELECT DISTINCT depth FROM up) AS step
    WHERE step.depth < {DEPTH} AND result_table IN (SELECT name FROM up)
)
SELECT {", ".join(READ_FIELDS)} FROM {LOG_TABLE} WHERE result_table IN (SELECT name FROM up)
"""


def measure(directory: Path, *, quick: bool) -> dict[str, Any]:
    """Return the times of all cases, and what a million events take on disk."""
    times = Times(CASES, quick=quick)
    settings = aai.Settings(state_dir=directory)
    url = f"chdb://{directory / 'notebook'}"
    with aai.DataContext(url, settings=settings) as context:
        notebook = run_notebook(context)
        _flush(times, context, url)
        _record(times, context)
        _columns(times, context)
    _draw(times, notebook)
    _back(times, "back_small", notebook, SMALL, directory)
    taken = _back(times, "back_large", notebook, LARGE // 10 if quick else LARGE, directory)
    return {"times_s": times, **taken}


def _wide(context: aai.DataContext, columns: int) -> aai.Object:
    return context.create_object_from_value(
        pa.table({f"c{number}": pa.array([1, 2, 3]) for number in range(columns)})
    )


def _record(times: Times, context: aai.DataContext) -> None:
    """Time recording alone, by what the wrapper of Ibis's methods spends on it."""
    oplog = context.backend.services.oplog
    each = 1000

    def in_memory(_: int) -> float:
        started = time.perf_counter()
        for _ in range(each):
            oplog.record(
                "filter",
                result_table="view_2wmrvhtwg4qo",
                kwargs={"source": "aai_t_272_2wmrvhtwg4qo_2wmrvks8mio0"},
                params={"predicates": "(dep_delay > 60)"},
            )
        elapsed_s = time.perf_counter() - started
        context.flush(timeout_s=60)
        return elapsed_s / each

    times.take("record", {OURS: in_memory})
    spent: list[float] = []
    record = wrapping._record

    def timed(*arguments: Any) -> None:
        started = time.perf_counter()
        record(*arguments)
        spent.append(time.perf_counter() - started)

    def recorded(call: Callable[[], Any]) -> Callable[[int], float]:
        def turn(_: int) -> float:
            spent.clear()
            for _ in range(each // 50):
                call()
            return sum(spent) / len(spent)

        return turn

    t, wide = _wide(context, 19), _wide(context, 100)
    wrapping._record = timed
    try:
        times.take("record_filter", {OURS: recorded(lambda: t.filter(t.c1 > 60))})
        times.take("record_mutate", {OURS: recorded(lambda: t.mutate(gain=t.c1 - t.c2))})
        times.take("record_wide", {OURS: recorded(lambda: wide.mutate(gain=wide.c1 - wide.c2))})
    finally:
        wrapping._record = record
    context.flush(timeout_s=60)


def _columns(times: Times, context: aai.DataContext) -> None:
    """Time the question where one of 100 columns comes from, each made anew in every step."""
    made: Any = _wide(context, 100)
    for _ in range(10):
        made = made.mutate(**{name: made[name] + made["c0"] for name in made.columns})
    context.flush(timeout_s=60)
    times.take("columns_wide", {OURS: lambda _: context.backward_columns(made, "c99") and None})


def _flush(times: Times, context: aai.DataContext, url: str) -> None:
    """Time the writing of the notebook's events, ours from memory and the driver's from rows."""
    client = clickhouse_connect.get_client(dsn=url)
    client.command(LOG.create_statement().replace(LOG_TABLE, "raw_log", 1))
    events = from_arrow(context.engine.query_arrow(f"SELECT * FROM {LOG_TABLE} ORDER BY id"))
    found = client.query(f"SELECT * FROM {LOG_TABLE} ORDER BY id").result_rows
    rows = [tuple(_insertable(value) for value in row) for row in found]
    collector = OplogCollector(
        context.engine, context.settings, Snowflake(1), job_id=1, run_id=1, node_id=1
    )

    def ours(count: int) -> float:
        for event in islice(cycle(events), count):
            collector.record(
                event.operation,
                result_table=event.result_table,
                kwargs=event.kwargs,
                params=event.params,
                sql_template=event.sql_template,
                rows=event.rows,
                result_schema=event.result_schema,
                columns=event.columns,
            )
        started = time.perf_counter()
        collector.flush()
        return time.perf_counter() - started

    def raw(count: int) -> None:
        client.insert("raw_log", list(islice(cycle(rows), count)), column_names=list(COLUMNS))

    for count in (10, 100, 10_000):
        turns = {OURS: lambda _, n=count: ours(n), RAW: lambda _, n=count: raw(n)}
        times.take(f"flush_{count}", turns)
    collector.close()
    client.close()


def _insertable(value: Any) -> Any:
    """Return a value as the driver takes it: tuples of names and values it only gives."""
    if isinstance(value, list):
        return [tuple(item.values()) if isinstance(item, dict) else item for item in value]
    return value


def _draw(times: Times, notebook: Notebook) -> None:
    for count in (200, 1000):
        numbers = range(count // DEPTH)
        lines = [line for n in numbers for line in notebook.again(n).splitlines()]
        events = [from_json(line) for line in lines]
        inputs = {f"source_{n}": notebook.last_of(n) for n in numbers}
        events.append(_concat(events[-1], inputs))
        graph = build_graph("view_all", events, max_depth=DEPTH + 1)
        times.take(f"picture_{count}", {OURS: lambda _, g=graph: lineage_svg(g) and None})


def _concat(event: Any, inputs: dict[str, str]) -> Any:
    return replace(
        event, id=event.id + 1, result_table="view_all", operation="concat", kwargs=inputs
    )


def _back(
    times: Times, key: str, notebook: Notebook, events: int, directory: Path
) -> dict[str, int]:
    """Write a history and time the way back from what its notebooks ended with."""
    url = f"chdb://{directory / key}"
    engine = Engine(ClickHouseCreds.from_url(url), aai.Settings(state_dir=directory))
    notebooks = write_history(engine, notebook, events)
    client = clickhouse_connect.get_client(dsn=url)
    random = Random(key)
    asked = [notebook.last_of(random.randrange(notebooks)) for _ in range(CASES[key].repeats + 1)]

    def ours(step: int) -> None:
        assert len(backward_oplog(engine, asked[step], DEPTH)) == DEPTH + 1

    def raw(step: int) -> None:
        found = client.query_arrow(RECURSIVE, parameters={"root": asked[step]})
        assert found.num_rows >= DEPTH + 1  # the ends of the tables too

    times.take(key, {OURS: ours, RAW: raw})
    engine.command(f"OPTIMIZE TABLE {LOG_TABLE} FINAL")
    ((rows, size),) = engine.query_rows(
        "SELECT sum(rows), sum(bytes_on_disk) FROM system.parts "
        f"WHERE database = currentDatabase() AND table = '{LOG_TABLE}' AND active"
    )
    client.close()
    engine.close()
    return {"events": int(rows), "notebooks": notebooks, "bytes_on_disk": int(size)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    print(json.dumps(measure(options.directory, quick=options.quick)))
