"""``make bench``, or ``python -m benchmarks [--rows N] [--quick]``."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.browse_cases import CASES as BROWSE
from benchmarks.cases import CASES, Case
from benchmarks.completion import TITLES as COMPLETION
from benchmarks.contestants.aaiclick_process import ROOT, Aaiclick, UnavailableError
from benchmarks.interleave import Result, run_case
from benchmarks.lineage_cases import CASES as LINEAGE
from benchmarks.ownership import run_ownership
from benchmarks.schema_cases import CASES as SCHEMAS
from benchmarks.schema_notes import schema_notes
from benchmarks.startup import run_startup
from benchmarks.system_tables import TITLES as SYSTEM
from benchmarks.table import OURS, aims, table
from benchmarks.view_cases import CASES as VIEWS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.contestants.contestant import Contestant

LEGEND = (
    "Medians of repeats in which everyone takes a turn, in an order drawn anew. "
    f"In brackets: that time as a multiple of {OURS}'s. -: it has no such thing."
)
OUT = ROOT / "out" / "bench.md"


def main() -> None:
    """Run everything, print the table and write it to out/bench.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the large table")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="three repeats of everything, and a tenth of the history",
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aaiclick-bench-") as directory:
        results, notes = _measure(options.rows, Path(directory), quick=options.quick)
    report = "\n\n".join(
        [
            table(results),
            LEGEND,
            *notes,
            _machine(options.rows),
            aims(results),
        ]
    )
    print(report)
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(report + "\n")
    print(f"\nwritten to {OUT.relative_to(ROOT)}", file=sys.stderr)


def _measure(rows: int, directory: Path, *, quick: bool) -> tuple[list[Result], list[str]]:
    from benchmarks.contestants.duckdb_tables import DuckDB
    from benchmarks.contestants.ours import Ours
    from benchmarks.contestants.pandas_frames import Pandas
    from benchmarks.contestants.polars_frames import Polars
    from benchmarks.contestants.raw import Raw

    notes: list[str] = []
    with ExitStack() as stack:
        ours = Ours(rows, directory)
        raw = Raw(rows, ours)
        contestants: list[Contestant] = [ours, raw, Pandas(rows), Polars(rows)]
        contestants.append(DuckDB(rows))
        peer = None
        try:
            contestants.append(peer := Aaiclick(rows, directory))
        except (OSError, UnavailableError) as error:
            notes.append(str(error))
        for contestant in contestants:
            stack.callback(contestant.close)
        results = [run_case(c, contestants, 3 if quick else c.repeats) for c in CASES]
        results += run_ownership(ours, raw, quick=quick)
    notes += _disagreements(results)
    if peer is not None:
        notes += [f"aaiclick cannot {case}: {why}" for case, why in peer.refusals.items()]
        notes.append(
            "aaiclick creates from, and fetches to, Python lists: it has no Arrow. Its tables are "
            "in memory; ours and the raw engine's, of this size, on disk."
        )
    lineage, note = _lineage(directory, quick=quick)
    results += lineage
    notes.append(note)
    schemas, told = _schemas(directory, quick=quick)
    results += schemas
    notes += told
    results += _titled("system_tables", SYSTEM, directory, 5 if quick else 25)
    results += _titled("completion", COMPLETION, directory, 5 if quick else 51)
    views = _run("views", directory, str(directory), *(["--quick"] if quick else []))
    results += [Result(VIEWS[key], views[key]) for key in VIEWS]
    browse = _run("browse", directory, str(directory), *(["--quick"] if quick else []))
    results += [Result(BROWSE[key], browse[key]) for key in BROWSE]
    notes.append(_run("live", directory, *(["--quick"] if quick else []))["note"])
    results += _cells(directory, 5 if quick else 51)
    results += run_startup(directory, peer=peer is not None)
    return results, notes


def _disagreements(results: Sequence[Result]) -> list[str]:
    return [
        f"Another answer to “{result.case.title}”: {', '.join(result.disagreeing)}."
        for result in results
        if result.disagreeing
    ]


def _lineage(directory: Path, *, quick: bool) -> tuple[list[Result], str]:
    measured = _run("lineage", directory, str(directory), *(["--quick"] if quick else []))
    results = [Result(LINEAGE[key], times) for key, times in measured["times_s"].items()]
    note = (
        f"A log of {measured['events']:,} events, of {measured['notebooks']:,} notebooks of ten "
        f"cells each on columns of its own, takes {measured['bytes_on_disk'] / 1e6:.0f} MB on disk."
    )
    return results, note


def _schemas(directory: Path, *, quick: bool) -> tuple[list[Result], list[str]]:
    measured = _run("schemas", directory, str(directory), *(["--quick"] if quick else []))
    times = measured["times_s"]
    return [Result(SCHEMAS[key], times[key]) for key in SCHEMAS], schema_notes(measured)


def _titled(module: str, titles: Mapping[str, str], directory: Path, repeats: int) -> list[Result]:
    times = _run(module, directory, str(repeats))
    return [Result(Case(key, title, repeats), times[key]) for key, title in titles.items()]


def _run(module: str, directory: Path, *arguments: str) -> Any:
    """Return what a module of ours measures in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            "AAICLICK_STATE_DIR": str(directory / module),
            "IPYTHONDIR": str(directory / "ipython"),
        },
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"benchmarks.{module} failed")
    return json.loads(done.stdout.splitlines()[-1])


def _cells(directory: Path, repeats: int) -> list[Result]:
    medians = _run("cells", directory, str(repeats))
    titles = {
        "cell_empty": "hooks of an empty cell",
        "cell_ten": "hooks of a cell with ten operations",
    }
    return [
        Result(Case(key, title, repeats), {OURS: [medians[key]]}) for key, title in titles.items()
    ]


def _machine(rows: int) -> str:
    packages = ("chdb-core", "clickhouse-connect", "ibis-framework", "pandas", "polars", "duckdb")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return (
        f"{rows:,} rows, {os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, {versions}."
    )


if __name__ == "__main__":
    main()
