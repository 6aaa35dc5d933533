"""What system tables cost, in a process of its own: ``python -m benchmarks.system_tables REPEATS``.

The query runs on the same client over the system table and over an ordinary table of the same rows:
what a mirror costs besides is timed apart.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import aaiclick_ext as aai
from benchmarks.table import OURS, RAW

if TYPE_CHECKING:
    from collections.abc import Callable

TABLES = 300
"""Tables that the kernel holds, so that there is something to show."""

TITLES = {
    "system_open": "make all system tables, at their first use",
    "system_query": f"count kinds of {TABLES} tables from `aai.tables`; from an ordinary table",
    "system_same": f"`aai.system.tables` of {TABLES} tables, nothing changed",
    "system_changed": f"`aai.system.tables` of {TABLES} tables, one changed",
}
_COUNT = "SELECT table_type, count() FROM {} GROUP BY table_type"


def measure(repeats: int) -> dict[str, dict[str, list[float]]]:
    """Return the times of each case, in seconds, by contestant."""
    times: dict[str, dict[str, list[float]]] = {}
    for _ in range(max(3, repeats // 5)):
        with _context() as context:
            context.flush()
            times.setdefault("system_open", {OURS: []})[OURS].append(
                _timed(context.backend.services.system.ensure)
            )
    with _context() as context:
        held = [context.create_object_from_value([n]) for n in range(TABLES)]
        tables = context.system.tables
        len(tables)
        engine = context.engine
        engine.command(
            "CREATE TABLE plain ENGINE = MergeTree ORDER BY tuple() AS SELECT * FROM aai.tables"
        )
        turns: dict[str, Callable[[], object]] = {
            OURS: lambda: engine.query_arrow(_COUNT.format("aai.tables")),
            RAW: lambda: engine.query_arrow(_COUNT.format("plain")),
        }
        order = Random(1)
        asked: dict[str, list[float]] = {OURS: [], RAW: []}
        for _ in range(repeats * 4):
            for name in order.sample(list(turns), 2):
                asked[name].append(_timed(turns[name]))
        times["system_query"] = asked
        same, changed = [], []
        for number in range(repeats):
            same.append(_timed(tables.to_pyarrow))
            held[0].insert([number])
            changed.append(_timed(tables.to_pyarrow))
        times["system_same"], times["system_changed"] = {OURS: same}, {OURS: changed}
    return times


def _context() -> aai.DataContext:
    folder = Path(tempfile.mkdtemp(prefix="aaiclick-bench-"))
    context = aai.DataContext(settings=aai.Settings(state_dir=folder))
    context.flush()
    return context


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
