"""The checks of cells, and what they share."""

from __future__ import annotations

import functools
import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

CHECKS: dict[tuple[str, str], Callable[[], bool]] = {}
SOURCES = {"jupysql": "sql", "quak": "quak", "marimo": "marimo", "DataStore": "datastore"}
FILL = "CREATE TABLE t AS SELECT range AS x FROM range(20000000)"
JOIN = "SELECT count(*) FROM t a, (SELECT x FROM t LIMIT 3000) b WHERE hash(a.x + b.x) % 7 = 3"
NUMBERS = "SELECT count() FROM numbers(100000000000) WHERE cityHash64(number) % 7 = 3"
INTEGER, DECIMAL = "9007199254740993", "12345678901234567890.123456789"
WIDE = f"SELECT {INTEGER}::BIGINT AS i, {DECIMAL}::DECIMAL(38, 9) AS d"
OURS_WIDE = f"SELECT toInt64({INTEGER}) AS i, toDecimal128('{DECIMAL}', 9) AS d"


def holds(row: str, product: str) -> Callable[[Callable[[], bool]], Callable[[], bool]]:
    """Register the check of a cell."""

    def register(check: Callable[[], bool]) -> Callable[[], bool]:
        CHECKS[row, product] = check
        return check

    return register


def absent(row: str, pattern: str, *products: str) -> None:
    """Check that the source of each product has nothing of this pattern."""

    def check(product: str) -> bool:
        spec = importlib.util.find_spec(SOURCES[product])
        assert spec is not None
        root = Path((spec.submodule_search_locations or [])[0])
        files = (path for path in root.rglob("*.py") if "tests" not in path.parts)
        return not any(re.search(pattern, path.read_text(errors="replace")) for path in files)

    for product in products:
        CHECKS[row, product] = functools.partial(check, product)


# What a tool does not have
absent("lineage", r"(?i)lineage|provenance", "jupysql", "quak")
absent("reactive", r"(?i)\bstale", "jupysql", "quak")
absent("cells", r"register_magics|@\w*cell_magic", "quak", "DataStore")
absent("headers", r"(?i)histogram.*(header|column_summ)", "jupysql", "DataStore")
absent("progress", r"(?i)progress\w*\(|progress=auto", "quak")
absent("stop", r"(?i)interrupt|KILL QUERY|SIGINT", "quak")
absent("guard", r"(?i)max_bytes|max_rows|byte_limit", "quak")
