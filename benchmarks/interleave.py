"""Everyone takes a turn in every repeat, so that a slow minute is slow for all.

The order is drawn anew for each repeat: whoever follows a contestant that has just read the same
table finds it in the processor's caches, and that must not be the same one every time.
"""

from __future__ import annotations

import gc
import sys
from dataclasses import dataclass, field
from random import Random
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.cases import Case
    from benchmarks.contestants.contestant import Contestant

BUDGET_S = 8.0
"""A contestant that has used this much on a case has had enough turns, after three."""


@dataclass
class Result:
    """The times of one case, in seconds, by contestant."""

    case: Case
    times_s: dict[str, list[float]] = field(default_factory=dict)
    answers: dict[str, float] = field(default_factory=dict)

    def median_s(self, name: str) -> float | None:
        """Return a contestant's median, None if it could not do the case."""
        return median(self.times_s[name]) if self.times_s.get(name) else None

    def pairs_s(self, one: str, other: str) -> list[tuple[float, float]]:
        """Return the times of two contestants, those of one repeat together."""
        return list(zip(self.times_s.get(one, []), self.times_s.get(other, []), strict=False))

    @property
    def disagreeing(self) -> list[str]:
        """Contestants whose answer is not the first one's."""
        answers = [(name, self.answers[name]) for name in self.times_s if name in self.answers]
        return [name for name, answer in answers if not _close(answer, answers[0][1])]


def _close(one: float, other: float) -> bool:
    return abs(one - other) <= 1e-6 * max(1.0, abs(one), abs(other))


def run_case(case: Case, contestants: Sequence[Contestant], repeats: int) -> Result:
    """Return the times of all contestants; a first turn of each warms up and is not counted."""
    result = Result(case, {contestant.name: [] for contestant in contestants})
    order = Random(case.key)
    for step in range(-1, repeats):
        gc.collect()  # here, and in nobody's turn: it empties the caches
        for contestant in order.sample(contestants, len(contestants)):
            times = result.times_s[contestant.name]
            if len(times) >= 3 and sum(times) > BUDGET_S:
                continue
            measured = contestant.run(case.key, step)
            if measured is None:
                continue
            if step >= 0:
                times.append(measured[0])
            result.answers[contestant.name] = measured[1]
    print(f"  {case.title}", file=sys.stderr)
    return result
