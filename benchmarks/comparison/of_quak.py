"""What quak does: a check for each cell, which does the thing and looks."""

from __future__ import annotations

from benchmarks.comparison.checks import DECIMAL, INTEGER, holds
from benchmarks.comparison.tools import Kernel, quak_page


@holds("engine", "quak")
@holds("browse", "quak")
@holds("stays", "quak")
def _() -> bool:
    text = quak_page("SELECT range AS n, (range % 7)::VARCHAR AS k FROM range(10000000)")
    return "10,000,000 rows" in text and "7 categories" in text and "10M" in text


@holds("exact", "quak")
def _() -> bool:
    integer = quak_page(f"SELECT {INTEGER}::BIGINT AS i")
    return "exceeds integer number" in integer and DECIMAL not in quak_page(
        f"SELECT {DECIMAL}::DECIMAL(38, 9) AS d"
    )


@holds("saved", "quak")
def _() -> bool:
    kernel = Kernel("import quak, pandas as pd")
    run = kernel.run("quak.Widget(pd.DataFrame({'longcolumn': [123456]}))")
    kernel.close()
    return "123456" not in run.text + run.html
