"""The table, in Markdown, and what was aimed at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.interleave import Result

OURS, RAW = "aaiclick_ext", "raw engine"
OTHERS = ("pandas", "polars", "DuckDB", "aaiclick")


def table(results: Sequence[Result]) -> str:
    """Return a Markdown table: times, and in brackets how they compare with ours."""
    head = ["", OURS, RAW, "ours / raw", *OTHERS]
    lines = [_line(head), _line(["---", *["---:"] * (len(head) - 1)])]
    for result in results:
        ours, raw = result.median_s(OURS), result.median_s(RAW)
        cells = [result.case.title, _time(ours), _time(raw), _ratio(ours, raw)]
        cells += [_compared(result.median_s(name), ours) for name in OTHERS]
        lines.append(_line(cells))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if seconds < 0.001:
        return f"{max(seconds, 0) * 1e6:.0f} µs"
    return (
        f"{seconds * 1e3:.{1 if seconds < 0.1 else 0}f} ms" if seconds < 1 else f"{seconds:.1f} s"
    )


def _ratio(one: float | None, other: float | None) -> str:
    return f"{one / other:.2f}" if one and other else "-"


def _compared(seconds: float | None, ours: float | None) -> str:
    return f"{_time(seconds)} ({_ratio(seconds, ours)}x)" if seconds and ours else _time(seconds)


@dataclass(frozen=True)
class Aim:
    """A promise about one case: a number of it, and the number that it should stay under."""

    case: str
    text: str
    number: Callable[[float, float], float]
    limit: float


AIMS = (
    Aim("query_first", "a first small query: over the raw engine", lambda o, r: o - r, 0.005),
    Aim("query_again", "a repeated small query: over the raw engine", lambda o, r: o - r, 0.0005),
    Aim("group", "group-by: ours / raw", lambda o, r: o / r, 1.05),
    Aim("join", "join: ours / raw", lambda o, r: o / r, 1.05),
    Aim("fetch", "fetch: ours / raw", lambda o, r: o / r, 1.05),
    Aim("cell_empty", "hooks of an empty cell", lambda o, _: o, 0.001),
    Aim("cell_ten", "hooks of a cell with ten operations", lambda o, _: o, 0.006),
    Aim("import", "import", lambda o, _: o, 0.2),
)


def aims(results: Sequence[Result]) -> str:
    """Return a line for each aim: what was measured, what was aimed at, whether it holds."""
    found: Mapping[str, Result] = {result.case.key: result for result in results}
    lines = []
    for aim in AIMS:
        result = found.get(aim.case)
        ours = result and result.median_s(OURS)
        if result is None or ours is None:
            continue
        number = aim.number(ours, result.median_s(RAW) or float("nan"))
        show = (
            f"{number:.2f}, aim {aim.limit}"
            if "/" in aim.text
            else (f"{number * 1e3:.2f} ms, aim {aim.limit * 1e3:g} ms")
        )
        lines.append(f"- {'✓' if number <= aim.limit else '✗'} {aim.text}: {show}")
    return "\n".join(lines)
