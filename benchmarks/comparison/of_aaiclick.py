"""What aaiclick_ext does: a check for each cell, which does the thing and looks."""

from __future__ import annotations

import functools
import re

from benchmarks.comparison.checks import CHECKS, DECIMAL, INTEGER, NUMBERS, OURS_WIDE, holds
from benchmarks.comparison.tools import Kernel


@functools.cache
def ours() -> Kernel:
    """A kernel with aaiclick_ext."""
    return Kernel(
        "%load_ext aaiclick_ext\nimport aaiclick_ext as aai, pandas as pd\n"
        "df = pd.DataFrame({'longcolumn': [1, 2, 3]})\nn = 2\n"
        "t = aai.sql('SELECT number AS k, number % 7 AS g FROM numbers(1000000)').copy()"
    )


@holds("engine", "aaiclick_ext")
def _() -> bool:
    is_ibis = ours().run("import ibis; print(isinstance(t, ibis.Table))").text
    version = ours().run("print(aai.sql('SELECT version() AS v').data())").text
    return "True" in is_ibis and re.search(r"\d+\.\d+\.\d+", version) is not None


@holds("stays", "aaiclick_ext")
def _() -> bool:
    code = "v = t.filter(t.k > 5).mutate(z=t.k * 2); print(type(v).__name__)"
    return "View" in ours().run(code).text


@holds("owned", "aaiclick_ext")
def _() -> bool:
    ours().run("gone = aai.create_object_from_value({'a': [1]}); name = gone.table_name")
    ours().run("del gone")
    tables = "import time; time.sleep(1); print(name in aai.raw_sql('SHOW TABLES').data()['name'])"
    return "False" in ours().run(tables).text


@holds("lineage", "aaiclick_ext")
def _() -> bool:
    ours().run("part = t.filter(t.k < 3)")
    ours().run("total = part.group_by('g').agg(n=part.count()).copy()\ndel part")
    rows = ours().run("print(aai.trace(total, where={'g': 1}), aai.backward_columns(total.n))")
    return not rows.error and "filter" in ours().run("%lineage total").text


@holds("reactive", "aaiclick_ext")
def _() -> bool:
    ours().run("source = aai.create_object_from_value({'a': [1]})\nmade = source.copy()")
    ours().run("source.insert({'a': [2]})")
    return "stale" in ours().run("made").text


@holds("cells", "aaiclick_ext")
def _() -> bool:
    cell = "%%sql\nCREATE TABLE seen (a Int64) ENGINE = Memory;\nINSERT INTO seen VALUES (41);\n"
    return "41" in ours().run(cell + "SELECT a FROM seen").text


@holds("frames", "aaiclick_ext")
def _() -> bool:
    return "6" in ours().run("%sql SELECT sum(longcolumn) AS s FROM {df}").text


@holds("values", "aaiclick_ext")
def _() -> bool:
    return "Int64" in ours().run("%sql SELECT toTypeName({n:Int64}) AS s").text


@holds("complete", "aaiclick_ext")
def _() -> bool:
    found = ours().complete("%%sql\nSELECT longc") + ours().complete("%%sql\nSELECT cityHas")
    found += ours().complete("%%sql\nSELECT longcolumn FROM {d") + ours().complete("df['longc")
    words = {word.strip("'\"]}()") for word in found}
    return {"longcolumn", "cityHash64"} <= words and any("df" in word for word in words)


@holds("explain", "aaiclick_ext")
def _() -> bool:
    runs = [ours().run(f"%%sql --{option}\nSELECT g, count() FROM {{t}} GROUP BY g")
            for option in ("explain", "profile", "dry-run")]  # fmt: skip
    return all(run.text and not run.error for run in runs)


@holds("browse", "aaiclick_ext")
def _() -> bool:
    run = ours().run("t.show()")
    return not run.error and "application/vnd.jupyter.widget-view+json" in run.types


@holds("headers", "aaiclick_ext")
def _() -> bool:
    return not ours().run("t.profile()").error and CHECKS["browse", "aaiclick_ext"]()


@holds("exact", "aaiclick_ext")
def _() -> bool:
    shown = ours().run(f"wide = aai.sql({OURS_WIDE!r}); wide").text.replace(",", "")
    return INTEGER in shown and DECIMAL in shown


@holds("plots", "aaiclick_ext")
def _() -> bool:
    kinds = "('line', 'bar', 'histogram', 'scatter', 'box', 'heatmap')"
    y = "{} if kind == 'histogram' else {'y': 'g'}"
    return not ours().run(f"for kind in {kinds}: t.plot(kind, x='k', **({y}))").error


@holds("progress", "aaiclick_ext")
def _() -> bool:
    run = ours().run(f"%sql {NUMBERS} SETTINGS max_execution_time = 3", limit_s=30)
    return run.kinds["update_display_data"] > 1


@holds("stop", "aaiclick_ext")
def _() -> bool:
    run = ours().run(f"aai.raw_sql({NUMBERS!r})", interrupt_after_s=3, limit_s=30)
    return run.stopped_s is not None and run.stopped_s < 3


@holds("guard", "aaiclick_ext")
def _() -> bool:
    kernel = Kernel(
        "import os; os.environ['AAICLICK_MAX_FETCH_BYTES'] = '1000000'\n"
        "%load_ext aaiclick_ext\nimport aaiclick_ext as aai\n"
        "big = aai.sql('SELECT number FROM numbers(10000000)')"
    )
    refused = kernel.run("big.to_pyarrow()").text
    lifted = kernel.run("with aai.unlimited(): print(big.to_pyarrow().num_rows)").text
    kernel.close()
    return "unlimited" in refused and "10000000" in lifted


@holds("errors", "aaiclick_ext")
def _() -> bool:
    text = ours().run("%sql SELECT longcolum FROM {df}").text
    return "longcolumn" in text and "^" in text


@holds("saved", "aaiclick_ext")
def _() -> bool:
    return "<table" in ours().run("t").html
