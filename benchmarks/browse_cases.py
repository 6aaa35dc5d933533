"""What is asked of the browser of tables, and how often."""

from __future__ import annotations

from benchmarks.cases import Case

ROWS = 10_000_000
COLUMNS = 100
IN_SIGHT = 12
CASES = {
    case.key: case
    for case in (
        Case("browse_open", "browse 10M rows of 100 columns: to the first rows", 11),
        Case("browse_deep", "100 rows at row 9M of them; LIMIT 100 OFFSET 9M of 12 columns", 11),
        Case("browse_sort", "the first 100 rows sorted by two columns; ORDER BY both", 11),
        Case("browse_next", "100 rows after row 500k of that order; LIMIT 100 OFFSET 500k", 5),
        Case("browse_plots", "summaries of the 12 columns in sight", 5),
    )
}
