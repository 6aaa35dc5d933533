"""What jupysql does: a check for each cell, which does the thing and looks."""

from __future__ import annotations

import functools
import re
import sys
from pathlib import Path

from benchmarks.comparison.checks import DECIMAL, FILL, INTEGER, JOIN, WIDE, holds
from benchmarks.comparison.tools import Kernel

JUPYSQL = """%load_ext sql
%sql duckdb://
import pandas as pd
df = pd.DataFrame({'a': [1, 2, 3]}); n = 2; s = "O'Brien\"
"""


@functools.cache
def jupysql() -> Kernel:
    """A kernel with jupysql on DuckDB."""
    return Kernel(
        f"{JUPYSQL}\nimport matplotlib; matplotlib.use('Agg')\n"
        "%sql CREATE TABLE u AS SELECT range AS k FROM range(1000)\n"
        f"%sql CREATE TABLE wide AS {WIDE}"
    )


def alone(code: str) -> str:
    """Run what fails in a kernel of its own: on duckdb:// all that follows fails, too."""
    kernel = Kernel(JUPYSQL)
    text = kernel.run(code).text
    kernel.close()
    return text


@holds("stays", "jupysql")
def _() -> bool:
    jupysql().run("r = %sql SELECT range AS x FROM range(5000000)\nr")
    saved = jupysql().run(
        "%sql --save saved --no-execute SELECT k FROM u WHERE k > 5\n"
        "%sql SELECT count(*) FROM saved"
    )
    return "994" in saved.text and "10" in jupysql().run("print(len(r._results))").text


@holds("owned", "jupysql")
def _() -> bool:
    jupysql().run("kept = %sql CREATE TABLE kept AS SELECT 77 AS a")
    jupysql().run("del kept")
    return "77" in jupysql().run("%sql SELECT a FROM kept").text


@holds("cells", "jupysql")
def _() -> bool:
    cell = "%%sql\nCREATE TABLE c (a INT);\nINSERT INTO c VALUES (41);\nSELECT a FROM c"
    return "41" in jupysql().run(cell).text


@holds("frames", "jupysql")
def _() -> bool:
    refused = "does not exist" in alone("%sql SELECT sum(a) FROM df")
    jupysql().run("%sql SET python_scan_all_frames = true")
    return refused and "6" in jupysql().run("%sql SELECT sum(a) AS s FROM df").text


@holds("values", "jupysql")
def _() -> bool:
    as_text = "unterminated" in alone("%sql SELECT '{{s}}'")
    jupysql().run("%config SqlMagic.named_parameters = 'enabled'")
    bound = jupysql().run("%sql SELECT typeof(:n) AS t, :s AS v").text
    return as_text and "INTEGER" in bound and "O'Brien" in bound


@holds("complete", "jupysql")
def _() -> bool:
    page = Path(sys.prefix) / "share/jupyter/labextensions/jupysql-plugin/static"
    texts = [path.read_text() for path in page.glob("*.js")]
    keywords = any("registerProvider" in text and '"SELECT DISTINCT"' in text for text in texts)
    return keywords and not jupysql().complete("%%sql\nSELECT * FROM wid")


@holds("explain", "jupysql")
def _() -> bool:
    native = "import duckdb; native = duckdb.connect()\n%sql native --alias native\n"
    return "physical_plan" in alone(native + "%sql EXPLAIN SELECT range FROM range(9)")


@holds("browse", "jupysql")
def _() -> bool:
    page = jupysql().run("w = %sqlcmd explore --table u\nprint(w.html)").text
    return (
        "sort" in page and "nPages" in page.replace("n_pages", "nPages") and "filter(" not in page
    )


@holds("exact", "jupysql")
def _() -> bool:
    shown = jupysql().run("%sql SELECT * FROM wide").text
    page = jupysql().run("w = %sqlcmd explore --table wide\nprint(w.html)").text
    return (
        INTEGER in shown
        and DECIMAL in shown
        and re.search(rf'[^"\d]{INTEGER}\b[^"]', page) is not None
    )


@holds("plots", "jupysql")
def _() -> bool:
    calls = ("histogram", "boxplot", "bar", "pie")
    runs = [jupysql().run(f"%sqlplot {call} --table u --column k") for call in calls]
    return not any(run.error for run in runs)


@holds("progress", "jupysql")
def _() -> bool:
    query = "SELECT count(*) FROM range(3000000000) r(x) WHERE hash(x) % 7 = 3"
    return "Progress" in jupysql().run(f"%sql {query}", limit_s=60).text


@holds("guard", "jupysql")
def _() -> bool:
    jupysql().run("r = %sql SELECT k FROM u\nr")
    return "10 1000" in jupysql().run("print(len(r._results), len(r))").text


@holds("errors", "jupysql")
def _() -> bool:
    text = alone("%sql CREATE TABLE u (k INT)\n%sql SELECT kk FROM u")
    return "^" in text and 'Candidate bindings: "k"' in text


@holds("saved", "jupysql")
def _() -> bool:
    return "<table" in jupysql().run("%sql SELECT k FROM u").html


@holds("stop", "jupysql")
def _() -> bool:
    kernel = Kernel(f"{JUPYSQL}\n%sql {FILL}")
    run = kernel.run(f"%sql {JOIN}", interrupt_after_s=3, limit_s=15)
    kernel.close()
    return not run.ended
