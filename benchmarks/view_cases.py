"""What is asked of named views, and how often; apart, for whoever only shows the times."""

from __future__ import annotations

from benchmarks.cases import Case

ROWS = 1_000_000
VIEWS = 100
CASES = {
    case.key: case
    for case in (
        Case("view_query", "group 1M filtered rows, through a named view; the query itself", 61),
        Case("view_small", "10 rows of 1M, through a named view; the query itself", 101),
        Case("view_create", "create_view; the CREATE VIEW that one would write", 31),
        Case("view_validate", f"validate {VIEWS} views", 31),
        Case("view_insert", "insert 1,000 rows under a materialized view; under none", 31),
    )
}
