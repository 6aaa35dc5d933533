"""What is asked of schemas, and how often; apart, for whoever only shows the times."""

from __future__ import annotations

from benchmarks.cases import Case

TABLES = 1000
COLUMNS = 10
CASES = {
    case.key: case
    for case in (
        Case("schema_hit", "the schema of a table that is known", 51),
        Case("schema_build", "of one that is not; Ibis's and Arrow's too", 51),
        Case("schema_look", "once in a cell: look at 100 tables that others can change", 31),
        Case("types_new", "the types of a query not seen before, a subquery in it", 51),
        Case("types_again", "the types of a query again", 51),
    )
}
