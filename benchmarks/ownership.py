"""What it costs that a table belongs to a variable: claims, finalizers, and a thousand drops.

The claims are counted in a process that does nothing else; the drops are those of `Ours` and `Raw`,
taken in turns.
"""

from __future__ import annotations

import gc
import sys
import time
from random import Random
from typing import TYPE_CHECKING

from benchmarks.cases import Case
from benchmarks.interleave import Result
from benchmarks.table import OURS, RAW

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.contestants.ours import Ours
    from benchmarks.contestants.raw import Raw

TABLES = 1000
CLAIMS = 10_000
BATCHES = (50, 100, 200, 400, 1000)
"""Tables in one DROP of the raw engine; it is given the one that is best here."""

CLAIM = Case("claim", "claim a table, and count it", 7)
FINALIZER = Case("finalizer", "let go of it: the finalizer", 7)
COUNTED = Case("counted", "claim, let go, all counted", 7)
DROPS = Case("drops", f"drop {TABLES:,} tables: del in one cell, until all are gone", 9)


class _Owner:
    """What a leaf is to the worker: something that can be finalized."""


def run_ownership(ours: Ours, raw: Raw, *, quick: bool) -> list[Result]:
    """Return the times of a claim, of a finalizer and of many drops."""
    repeats = 3 if quick else CLAIM.repeats
    results = [*_claims(ours, repeats), _drops(ours, raw, 3 if quick else DROPS.repeats)]
    for result in results:
        print(f"  {result.case.title}", file=sys.stderr)
    return results


def _claims(ours: Ours, repeats: int) -> list[Result]:
    """Time claims on one table, in seconds for each."""
    worker = ours.context.backend.services.worker
    table = ours.keys.table_name
    cases = CLAIM, FINALIZER, COUNTED
    times_s: dict[Case, list[float]] = {case: [] for case in cases}
    for _ in range(repeats):
        gc.collect()
        owners = [_Owner() for _ in range(CLAIMS)]
        started = time.perf_counter()
        for owner in owners:
            worker.claim_for(owner, table)
        claimed = time.perf_counter()
        worker.flush()
        flushed = time.perf_counter()
        del owner
        owners.clear()
        cleared = time.perf_counter()
        worker.flush()
        ended = time.perf_counter()
        for case, seconds in zip(
            cases,
            (flushed - started, cleared - flushed, claimed - started + ended - claimed),
            strict=True,
        ):
            times_s[case].append(seconds / CLAIMS)
    return [Result(case, {OURS: times_s[case]}) for case in cases]


def _drops(ours: Ours, raw: Raw, repeats: int) -> Result:
    """Time the end of many small tables of one kind, made anew for every turn."""
    best = min(
        BATCHES,
        key=lambda batch: min(raw.drop_many(raw.make_many(TABLES), batch) for _ in range(2)),
    )
    times_s: dict[str, list[float]] = {OURS: [], RAW: []}
    order = Random(DROPS.key)
    turns: dict[str, Callable[[], float]] = {
        OURS: lambda: ours.drop_many(ours.make_many(TABLES)),
        RAW: lambda: raw.drop_many(raw.make_many(TABLES), best),
    }
    for _ in range(repeats):
        gc.collect()
        for name in order.sample([OURS, RAW], 2):
            times_s[name].append(turns[name]())
    return Result(DROPS, times_s)
