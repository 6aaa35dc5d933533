"""What every contestant is, and how one that lives in this process is timed."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any, ClassVar

Task = Callable[[], Any]


class Contestant:
    """One way of doing the cases; `step` is the number of the repeat.

    A method named like a case prepares it and returns what is timed; a case without one is beyond
    it.
    """

    name: ClassVar[str]
    step: int

    def run(self, case: str, step: int) -> tuple[float, float] | None:
        """Do a case once; return its seconds and its answer, None if it cannot be done."""
        prepare = getattr(self, case, None)
        if prepare is None:
            return None
        self.step = step
        task: Task = prepare()
        gc.disable()
        try:
            started = time.perf_counter()
            result = task()
            elapsed_s = time.perf_counter() - started
        finally:
            gc.enable()
        answer = self.answer(case, result)
        del result, task
        self.settle()
        return elapsed_s, answer

    def answer(self, case: str, result: Any) -> float:
        """Return one number that says whether the result is right."""
        return _ANSWERS[case](result)

    def settle(self) -> None:
        """Finish what the last task left to do, so that nobody else's time pays for it."""

    def close(self) -> None:
        """Release everything."""


class TableContestant(Contestant):
    """One that groups and joins; `facts` and `large` are its frames, or the names of its tables."""

    facts: Any
    large: Any

    def group(self) -> Task:
        return self._group(self.facts)

    def group_large(self) -> Task:
        return self._group(self.large)

    def join(self) -> Task:
        return self._join(self.facts)

    def join_large(self) -> Task:
        return self._join(self.large)

    def _group(self, table: Any) -> Task:
        """Prepare to sum and average x by k."""
        raise NotImplementedError

    def _join(self, table: Any) -> Task:
        """Prepare to join with the keys, and sum by region."""
        raise NotImplementedError


def _column_sum(name: str) -> Callable[[Any], float]:
    return lambda table: float(sum(table.column(name).to_pylist()))


_ANSWERS: dict[str, Callable[[Any], float]] = {
    "query_first": lambda table: float(table.num_rows),
    "query_again": lambda table: float(table.num_rows),
    "query_rebuilt": lambda table: float(table.num_rows),
    "chain": float,
    "group": _column_sum("total"),
    "group_large": _column_sum("total"),
    "join": _column_sum("total"),
    "join_large": _column_sum("total"),
    "create": lambda made: float(made is not None),
    "fetch": lambda table: float(table.num_rows),
}
