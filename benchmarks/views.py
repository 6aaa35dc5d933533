"""What named views cost: ``python -m benchmarks.views DIRECTORY [--quick]`` prints times as JSON.

Through a view and without it, the same text runs on the same client.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aaiclick_ext as aai
from benchmarks.table import OURS, RAW
from benchmarks.timing import Times
from benchmarks.view_cases import CASES, ROWS, VIEWS

if TYPE_CHECKING:
    from collections.abc import Callable

_GROUP = "SELECT k, count() AS n, sum(v2) AS s FROM {} GROUP BY k"
_SMALL = "SELECT k, v2 FROM {} LIMIT 10"
_VIEW = "(SELECT number, k, v * 2 AS v2 FROM {} WHERE v > 10)"


def measure(directory: Path, *, quick: bool) -> dict[str, dict[str, list[float]]]:
    """Return the times of all cases, in seconds, by contestant."""
    times = Times(CASES, quick=quick)
    url = f"chdb://{directory / 'database'}"
    with aai.DataContext(url, settings=aai.Settings(state_dir=directory)) as context:
        source = context.sql(
            f"SELECT number, number % 1000 AS k, number % 97 AS v FROM numbers({ROWS})"
        ).copy()
        wanted = source.filter(source.v > 10).mutate(v2=source.v * 2).drop("v")
        context.create_view("late", wanted)
        itself = _VIEW.format(source.table_name)
        engine = context.engine
        for key, text in {"view_query": _GROUP, "view_small": _SMALL}.items():
            times.take(key, _asking(engine.query_arrow, text.format("late"), text.format(itself)))
        times.take(
            "view_create",
            {
                OURS: lambda step: _done(context.create_view(f"ours_{step}", wanted)),
                RAW: lambda step: _done(
                    engine.command(f"CREATE VIEW raw_{step + 1} AS SELECT * FROM {itself}")
                ),
            },
        )
        for view in context.list_views():
            if view.name.startswith("ours_"):
                context.drop_view(view.name)
        for number in range(VIEWS - 1):  # and the first one
            context.create_view(f"many_{number}", wanted)
        times.take("view_validate", {OURS: lambda _: _done(context.validate_views())})
        rows = source.limit(1000).copy()
        under, plain = source.limit(0).copy(), source.limit(0).copy()
        context.create_view("kept", under.filter(under.v > 10), materialized=True)
        times.take(
            "view_insert",
            {
                OURS: lambda _: _done(under.insert(rows)),
                RAW: lambda _: _done(plain.insert(rows)),
            },
        )
    return times


def _asking(
    ask: Callable[[str], Any], ours: str, raw: str
) -> dict[str, Callable[[int], float | None]]:
    return {OURS: lambda _: _done(ask(ours)), RAW: lambda _: _done(ask(raw))}


def _done(_: object) -> None:
    """Let all of the turn's time count."""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    print(json.dumps(measure(options.directory / "views", quick=options.quick)))
