"""What it costs to know what columns tables and queries have.

``python -m benchmarks.schemas DIRECTORY [--quick]`` prints the times as JSON, what a thousand
schemas take in memory, and how often the notebooks' kernels knew a schema. The raw engine runs the
DESCRIBE that one would write; what Ibis's own ``con.table()`` takes is told beside.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
import tracemalloc
from itertools import count
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import clickhouse_connect
import nbformat
from ibis.backends.clickhouse import Backend
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell

import aaiclick_ext as aai
from aaiclick_ext.oplog import Task
from benchmarks.schema_cases import CASES, COLUMNS, TABLES
from benchmarks.table import OURS, RAW
from benchmarks.timing import Times

if TYPE_CHECKING:
    from collections.abc import Callable

    from clickhouse_connect.driver.client import Client

EACH = 1000
TYPES = ("Int64", "String", "Nullable(Float64)", "DateTime", "LowCardinality(String)")
TELL = """
import dataclasses, json
print(json.dumps(dataclasses.asdict(__import__("aaiclick_ext").context().schemas.stats)))
"""


def measure(directory: Path, *, quick: bool) -> dict[str, Any]:
    """Return the times of all cases, and what is told beside them."""
    times = Times(CASES, quick=quick)
    url = f"chdb://{directory / 'database'}"
    with aai.DataContext(url, settings=aai.Settings(state_dir=directory)) as context:
        _make_tables(context)
        client = clickhouse_connect.get_client(dsn=context.engine.identity)
        _ask(times, context, client)
        told = {"ibis_s": _ibis(client, 3 if quick else 31), "bytes": _memory(context)}
        client.close()
    return {"times_s": times, **told, "notebooks": _notebooks()}


def _make_tables(context: aai.DataContext) -> None:
    """Make tables that are not ours; four of their ten columns have names of their own."""
    for number in range(TABLES):
        names = [f"c{i}" if i < 6 else f"c{i}_of_{number}" for i in range(COLUMNS)]
        columns = ", ".join(f"{n} {TYPES[i % len(TYPES)]}" for i, n in enumerate(names))
        context.engine.command(f"CREATE TABLE foreign_{number} ({columns}) ENGINE = Memory")


def _ask(times: Times, context: aai.DataContext, client: Client) -> None:
    schemas, numbers = context.schemas, count()
    table, text = "foreign_0", "SELECT c0, (SELECT max(c2) FROM foreign_1) AS m FROM foreign_0"

    def describe(_: int) -> None:
        client.query(f"DESCRIBE TABLE {table}")

    def build(_: int) -> None:
        schemas.invalidate(table)
        schema = schemas.get(table)
        assert len(schema.ibis) == len(schema.arrow) == COLUMNS

    def look(_: int) -> float:
        for number in range(100):
            schemas.get(f"foreign_{number}")
        context.begin_task(Task())
        started = time.perf_counter()
        schemas.get(table)
        elapsed_s = time.perf_counter() - started
        schemas.clear()
        return elapsed_s

    context.begin_task(Task())
    times.take("schema_look", {OURS: look})
    schemas.get(table)
    times.take("schema_hit", {OURS: _mean(lambda: schemas.get(table)), RAW: describe})
    times.take("schema_build", {OURS: build, RAW: describe})
    times.take(
        "types_new",
        {
            OURS: lambda _: schemas.of_query(f"{text} -- {next(numbers)}") and None,
            RAW: lambda _: client.query(f"DESCRIBE TABLE ({text})") and None,
        },
    )
    for name in ("foreign_0", "foreign_1"):
        schemas.get(name)
    schemas.of_query(text)
    again = _mean(lambda: schemas.of_query(text))
    times.take(
        "types_again", {OURS: again, RAW: lambda _: client.query(f"DESCRIBE ({text})") and None}
    )


def _mean(call: Callable[[], object]) -> Callable[[int], float]:
    def turn(_: int) -> float:
        started = time.perf_counter()
        for _ in range(EACH):
            call()
        return (time.perf_counter() - started) / EACH

    return turn


def _ibis(client: Client, repeats: int) -> float:
    """Return the seconds of Ibis's own way to a table's schema."""
    connection = Backend.from_connection(client)
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        connection.table("foreign_0")
        taken.append(time.perf_counter() - started)
    return median(taken)


def _memory(context: aai.DataContext) -> int:
    """Return the bytes of Python that all schemas take, Ibis's and Arrow's built."""
    context.schemas.clear()
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(TABLES):
        schema = context.schemas.get(f"foreign_{number}")
        assert len(schema.ibis) == len(schema.arrow)
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return taken


def _notebooks() -> dict[str, dict[str, int]]:
    """Run the notebooks; return the counts of their kernels' registries."""
    found = {}
    for path in sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb")):
        book = nbformat.read(path, as_version=4)
        book.cells.append(new_code_cell(TELL))
        NotebookClient(
            book, timeout=300, resources={"metadata": {"path": str(path.parent)}}
        ).execute()
        found[path.stem] = json.loads(book.cells[-1].outputs[0].text)
        print(f"  {path.name}", file=sys.stderr)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    print(json.dumps(measure(options.directory, quick=options.quick)))
