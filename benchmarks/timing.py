"""Times of cases that run in one process, everyone taking turns."""

from __future__ import annotations

import gc
import sys
import time
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.cases import Case


class Times(dict[str, dict[str, list[float]]]):
    """Seconds by case and contestant."""

    def __init__(self, cases: Mapping[str, Case], *, quick: bool) -> None:
        self.cases = cases
        self.quick = quick

    def take(self, key: str, turns: dict[str, Callable[[int], float | None]]) -> None:
        """Let everyone take a turn in each repeat; a first one warms up and is not counted."""
        order = Random(key)
        times = self.setdefault(key, {name: [] for name in turns})
        for step in range(-1, 3 if self.quick else self.cases[key].repeats):
            gc.collect()
            for name in order.sample(list(turns), len(turns)):
                elapsed_s = timed(turns[name], step)
                if step >= 0:
                    times[name].append(elapsed_s)
        print(f"  {self.cases[key].title}", file=sys.stderr)


def timed(turn: Callable[[int], float | None], step: int) -> float:
    """Return the seconds of a turn; some know better which of them count."""
    gc.disable()
    try:
        started = time.perf_counter()
        counted_s = turn(step)
        return time.perf_counter() - started if counted_s is None else counted_s
    finally:
        gc.enable()
