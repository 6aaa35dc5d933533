"""What is said of schemas beside the table of times."""

from __future__ import annotations

from statistics import median
from typing import Any

from benchmarks.schema_cases import COLUMNS, TABLES
from benchmarks.table import OURS


def schema_notes(measured: dict[str, Any]) -> list[str]:
    """Return what is to be said beside the table."""
    times = measured["times_s"]
    hit, build = (median(times[key][OURS]) for key in ("schema_hit", "schema_build"))
    counts = list(measured["notebooks"].values())
    hits, misses = (sum(each[key] for each in counts) for key in ("hits", "misses"))
    asked, new = (sum(each[key] for each in counts) for key in ("query_hits", "query_misses"))
    return [
        (
            f"A schema that is known takes {hit * 1e6:.2f} µs, a {build / hit:,.0f}th of building "
            f"it ({build * 1e3:.1f} ms); Ibis's own `con.table()` takes "
            f"{measured['ibis_s'] * 1e3:.1f} ms. {TABLES:,} tables of {COLUMNS} columns take "
            f"{measured['bytes'] / 1e6:.2f} MB."
        ),
        (
            f"In the notebooks {hits / (hits + misses):.2%} of {hits + misses:,} schemas of tables "
            f"were known; of {asked + new:,} queries {new:,} had to be described, each by one "
            "statement."
        ),
    ]
