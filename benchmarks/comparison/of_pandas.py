"""What pandas does: a check for each cell, which does the thing and looks."""

from __future__ import annotations

import functools

from benchmarks.comparison.checks import DECIMAL, INTEGER, holds
from benchmarks.comparison.tools import Kernel


@functools.cache
def pandas() -> Kernel:
    """A kernel with pandas."""
    return Kernel("import pandas as pd, sqlite3\ndf = pd.DataFrame({'longcolumn': [1, 2, 3]})")


@holds("engine", "pandas")
@holds("owned", "pandas")
def _() -> bool:
    code = "import weakref\nf = pd.DataFrame({'a': [1]}); r = weakref.ref(f)\ndel f; print(r())"
    return "None" in pandas().run(code).text


@holds("values", "pandas")
def _() -> bool:
    code = "print(pd.read_sql('SELECT ? + 40 AS a', sqlite3.connect(':memory:'), params=(2,)))"
    return "42" in pandas().run(code).text


@holds("complete", "pandas")
def _() -> bool:
    return bool(pandas().complete("df.longc")) and bool(pandas().complete("df['longc"))


@holds("browse", "pandas")
@holds("saved", "pandas")
def _() -> bool:
    run = pandas().run("df")
    return "<table" in run.html and "widget-view" not in str(run.types)


@holds("exact", "pandas")
def _() -> bool:
    pandas().run("from decimal import Decimal")
    html = pandas().run(f"pd.DataFrame({{'i': [{INTEGER}], 'd': [Decimal('{DECIMAL}')]}})").html
    return INTEGER in html and DECIMAL in html


@holds("plots", "pandas")
def _() -> bool:
    return "pandas" in pandas().run("print(type(df.plot))").text


@holds("stop", "pandas")
def _() -> bool:
    pandas().run(
        "import numpy as np; x = pd.DataFrame({'s': np.random.randint(0, 10**9, 4_000_000)})"
    )
    pandas().run("x['s'] = x['s'].astype(str)")
    run = pandas().run("y = x.sort_values('s')", interrupt_after_s=0.5, limit_s=90)
    return run.stopped_s is not None and run.stopped_s > 0.5


@holds("errors", "pandas")
def _() -> bool:
    return pandas().run("df['longcolum']").error == "KeyError: 'longcolum'"
