"""The table, in Markdown, and what was aimed at."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
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
        cells = [result.case.title, _time(result.median_s(OURS)), _time(result.median_s(RAW))]
        cells.append(_ratio(result, OURS, RAW))
        cells += [_compared(result, name) for name in OTHERS]
        lines.append(_line(cells))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if 0 < seconds < 1e-6:
        return f"{seconds * 1e9:.0f} ns"
    if seconds < 0.001:
        return f"{max(seconds, 0) * 1e6:.0f} µs"
    return (
        f"{seconds * 1e3:.{1 if seconds < 0.1 else 0}f} ms" if seconds < 1 else f"{seconds:.1f} s"
    )


def _ratio(result: Result, one: str, other: str) -> str:
    """Return the median of the ratios within each repeat, which a busy machine disturbs least."""
    pairs = result.pairs_s(one, other)
    return f"{median(mine / theirs for mine, theirs in pairs):.2f}" if pairs else "-"


def _compared(result: Result, name: str) -> str:
    time = _time(result.median_s(name))
    return f"{time} ({_ratio(result, name, OURS)}x)" if result.pairs_s(name, OURS) else time


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
    Aim("group_large", "a large group-by: ours / raw", lambda o, r: o / r, 1.05),
    Aim("join_large", "a large join: ours / raw", lambda o, r: o / r, 1.05),
    Aim("fetch", "fetch: ours / raw", lambda o, r: o / r, 1.05),
    Aim("drops", "dropping 1,000 tables: ours / raw", lambda o, r: o / r, 1.1),
    Aim("cell_empty", "hooks of an empty cell", lambda o, _: o, 0.001),
    Aim("cell_ten", "hooks of a cell with ten operations", lambda o, _: o, 0.006),
    Aim("record", "recording an operation", lambda o, _: o, 50e-6),
    Aim("record_filter", "recording a filter with its columns", lambda o, _: o, 50e-6),
    Aim("back_small", "50 steps back in 10,000 events", lambda o, _: o, 0.05),
    Aim("back_large", "50 steps back in 1,000,000 events", lambda o, _: o, 0.05),
    Aim("system_open", "making all system tables", lambda o, _: o, 0.1),
    Aim("system_query", "a query of a system table: ours / raw", lambda o, r: o / r, 1.1),
    Aim("complete_tables", "Tab among 1,000 tables", lambda o, _: o, 0.05),
    Aim("complete_columns", "Tab for columns of one of them", lambda o, _: o, 0.05),
    Aim("picture_200", "a picture of 200 steps", lambda o, _: o, 0.05),
    Aim("schema_hit", "a schema that is known", lambda o, _: o, 2e-6),
    Aim("schema_hit", "a schema that is known: ours / DESCRIBE", lambda o, r: o / r, 0.02),
    Aim("types_new", "types of a new query: ours / DESCRIBE", lambda o, r: o / r, 1.5),
    Aim("view_query", "through a named view: view / the query itself", lambda o, r: o / r, 1.05),
    Aim("view_small", "a small query through a view: over the query", lambda o, r: o - r, 0.0005),
    Aim("import", "import", lambda o, _: o, 0.2),
)


def aims(results: Sequence[Result]) -> str:
    """Return a line for each aim: what was measured, what was aimed at, whether it holds."""
    found: Mapping[str, Result] = {result.case.key: result for result in results}
    lines = []
    for aim in AIMS:
        result = found.get(aim.case)
        if result is None:
            continue
        pairs = result.pairs_s(OURS, RAW) or [(t, float("nan")) for t in result.times_s[OURS]]
        number = median(aim.number(ours, raw) for ours, raw in pairs)
        shown = (
            f"{number:.2f}, aim {aim.limit}"
            if "/" in aim.text
            else f"{number * 1e3:.3g} ms, aim {aim.limit * 1e3:g} ms"
        )
        lines.append(f"- {'✓' if number <= aim.limit else '✗'} {aim.text}: {shown}")
    return "\n".join(lines)
