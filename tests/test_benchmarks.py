"""The benchmark's arithmetic: medians of pairs, answers compared, aims judged."""

from __future__ import annotations

import pytest

from benchmarks.cases import CASES, Case
from benchmarks.contestants.contestant import Contestant
from benchmarks.interleave import Result, run_case
from benchmarks.table import aims, table

CASE = Case("group_large", "group", 3)


class Doing(Contestant):
    def __init__(self, name: str, answer: float) -> None:
        self.name = name  # type: ignore[misc]
        self.steps: list[int] = []
        self.given = answer

    def group_large(self):
        self.steps.append(self.step)
        return lambda: self.given

    def answer(self, case: str, result: float) -> float:
        return result


class Idle(Contestant):
    name = "idle"


def test_everyone_takes_a_turn_and_the_first_does_not_count():
    one, other = Doing("one", 1.0), Doing("other", 1.0 + 1e-9)
    result = run_case(CASE, [one, other, Idle()], 3)
    assert one.steps == other.steps == [-1, 0, 1, 2]
    assert len(result.times_s["one"]) == 3
    assert result.disagreeing == []
    assert result.median_s("idle") is None


def test_another_answer_is_told():
    result = run_case(CASE, [Doing("one", 1.0), Doing("other", 2.0)], 1)
    assert result.disagreeing == ["other"]


def test_ratios_are_of_pairs():
    times_s = {"aaiclick_ext": [0.2, 2.0, 0.3], "raw engine": [0.1, 1.0, 0.3], "pandas": [0.4] * 3}
    result = Result(CASE, times_s)
    row = table([result]).splitlines()[-1].split(" | ")
    assert row[1:4] == ["300 ms", "300 ms", "2.00"]
    assert row[4] == "400 ms (1.33x)"
    assert row[5] == "-"


@pytest.mark.parametrize(("ours", "mark"), [(0.104, "✓"), (0.106, "✗")])
def test_an_aim_is_judged(ours: float, mark: str):
    result = Result(CASE, {"aaiclick_ext": [ours], "raw engine": [0.1]})
    assert aims([result]) == f"- {mark} a large group-by: ours / raw: {ours * 10:.2f}, aim 1.05"


def test_every_case_has_its_own_key():
    assert len({case.key for case in CASES}) == len(CASES)
