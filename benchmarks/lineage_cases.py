"""What is asked of lineage, and how often; apart, for whoever only shows the times."""

from __future__ import annotations

from benchmarks.cases import Case

DEPTH = 50
"""Steps from what a notebook starts with to what it ends with."""
SMALL, LARGE = 10_000, 1_000_000
CASES = {
    case.key: case
    for case in (
        Case("record", "record an operation: in memory", 51),
        Case("record_filter", "record a filter of 19 columns, theirs too", 51),
        Case("record_mutate", "record a new column beside 19, theirs too", 51),
        Case("record_wide", "record a new column beside 100, theirs too", 51),
        Case("flush_10", "write 10 events", 51),
        Case("flush_100", "write 100 events", 31),
        Case("flush_10000", "write 10,000 events", 5),
        Case("back_small", f"{DEPTH} steps back in a log of {SMALL:,} events", 31),
        Case("back_large", f"{DEPTH} steps back in a log of {LARGE:,} events", 31),
        Case("columns_wide", "the sources of a column, ten steps of 100 columns", 15),
        Case("picture_200", "a picture of 200 steps", 15),
        Case("picture_1000", "a picture of 1,000 steps", 7),
    )
}
