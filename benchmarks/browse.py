"""What browsing costs: ``python -m benchmarks.browse DIRECTORY [--quick]`` prints times as JSON.

The kernel's part: from a request of the page to its answer. Beside it the query one would write.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import aaiclick_ext as aai
from aaiclick_ext.objects.browsing import Look, Sort
from aaiclick_ext.widgets.browse_messages import Request
from aaiclick_ext.widgets.browsed import BrowsedTable
from benchmarks.browse_cases import CASES, COLUMNS, IN_SIGHT, ROWS
from benchmarks.table import OURS, RAW
from benchmarks.timing import Times

_ALL = Look()
_SORTED = Look(sorts=(Sort("c3"), Sort("c90", True)))


def measure(directory: Path, *, quick: bool) -> dict[str, dict[str, list[float]]]:
    """Return the times of all cases, in seconds, by contestant."""
    times, rows = Times(CASES, quick=quick), ROWS // 10 if quick else ROWS
    url = f"chdb://{directory / 'database'}"
    with aai.DataContext(url, settings=aai.Settings(state_dir=directory)) as context:
        columns = ", ".join(
            f"toUInt16(sipHash64(number + {n}) % {100 + n * 50}) AS c{n}" for n in range(COLUMNS)
        )
        source = context.sql(f"SELECT {columns} FROM numbers({rows})").copy()
        ask, seen = context.engine.query_arrow, ", ".join(f"c{n}" for n in range(IN_SIGHT))
        table = source.table_name
        deep, far = rows * 9 // 10, rows // 20

        def opened(_: int) -> None:
            _asked(BrowsedTable(source), "rows")

        browsed = BrowsedTable(source)
        raw = f"SELECT {seen} FROM {table}"
        ordered = f"{raw} ORDER BY c3, c90 DESC LIMIT 100"
        _asked(browsed, "rows", look=_SORTED, start=far)
        times.take("browse_open", {OURS: opened, RAW: lambda _: _done(ask(f"{raw} LIMIT 100"))})
        times.take(
            "browse_deep",
            {
                OURS: lambda step: _asked(browsed, "rows", start=deep + step),
                RAW: lambda step: _done(ask(f"{raw} LIMIT 100 OFFSET {deep + step}")),
            },
        )
        times.take(
            "browse_sort",
            {
                OURS: lambda step: _asked(browsed, "rows", look=_SORTED, count=100 + step),
                RAW: lambda _: _done(ask(ordered)),
            },
        )
        times.take(
            "browse_next",
            {
                OURS: lambda step: _asked(browsed, "rows", look=_SORTED, start=far + 101 + step),
                RAW: lambda step: _done(ask(f"{ordered} OFFSET {far + 101 + step}")),
            },
        )
        times.take("browse_plots", {OURS: lambda _: _asked(browsed, "summaries")})
        browsed.release()
    return times


def _asked(
    browsed: BrowsedTable,
    about: str,
    *,
    look: Look = _ALL,
    start: int = 0,
    count: int = 100,
) -> None:
    names = tuple(f"c{n}" for n in range(IN_SIGHT))
    answer = browsed.answer(Request("", about, look, start, count, names))
    if "error" in answer:
        raise RuntimeError(answer["error"])


def _done(_: Any) -> None:
    """Let all of the turn's time count."""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    print(json.dumps(measure(options.directory / "browse", quick=options.quick)))
