"""What chDB's DataStore does: a check for each cell, which does the thing and looks."""

from __future__ import annotations

import functools
import re

from benchmarks.comparison.checks import DECIMAL, INTEGER, NUMBERS, OURS_WIDE, holds
from benchmarks.comparison.tools import Kernel


@functools.cache
def datastore() -> Kernel:
    """A kernel with chDB's DataStore."""
    return Kernel(
        "import datastore, chdb, pandas\nfrom datastore import DataStore\n"
        "df = datastore.DataFrame({'longcolumn': [1, 2, 3]}); p = pandas.DataFrame({'a': [1, 2]})"
    )


@holds("stays", "DataStore")
def _() -> bool:
    code = (
        "late = df[df['longcolumn'] > 1]; print(type(late).__name__, type(late.to_df()).__name__)"
    )
    return "DataStore DataFrame" in datastore().run(code).text


@holds("owned", "DataStore")
def _() -> bool:
    datastore().run("import gc, weakref; f = datastore.DataFrame({'a': [1]}); r = weakref.ref(f)")
    return "None" in datastore().run("del f; gc.collect(); print(r())").text


@holds("lineage", "DataStore")
@holds("explain", "DataStore")
def _() -> bool:
    return "Execution Plan" in datastore().run("df[df['longcolumn'] > 1].explain()").text


@holds("reactive", "DataStore")
def _() -> bool:
    datastore().run("pandas.DataFrame({'a': [1]}).to_parquet('seen.parquet')")
    datastore().run("seen = DataStore.from_file('seen.parquet'); kept = seen.to_df()")
    datastore().run("pandas.DataFrame({'a': [2]}).to_parquet('seen.parquet')")
    return not re.search("stale|changed", datastore().run("display(kept, seen)").text)


@holds("frames", "DataStore")
def _() -> bool:
    return "3" in datastore().run("print(chdb.query('SELECT sum(a) FROM Python(p)'))").text


@holds("values", "DataStore")
def _() -> bool:
    code = "print(chdb.query('SELECT toTypeName({n:Int64})', params={'n': 2}))"
    return "Int64" in datastore().run(code).text


@holds("complete", "DataStore")
def _() -> bool:
    return not datastore().complete("df.longc") and not datastore().complete("df['longc")


@holds("browse", "DataStore")
@holds("saved", "DataStore")
def _() -> bool:
    run = datastore().run("df")
    return "<table" in run.html and "widget-view" not in str(run.types)


@holds("exact", "DataStore")
def _() -> bool:
    html = datastore().run(f"DataStore.run_sql({OURS_WIDE!r})").html
    return INTEGER in html and DECIMAL not in html


@holds("plots", "DataStore")
def _() -> bool:
    return "pandas" in datastore().run("print(type(df.plot))").text


@holds("progress", "DataStore")
def _() -> bool:
    query = f"{NUMBERS} SETTINGS max_execution_time = 3, timeout_overflow_mode = 'break'"
    silent = datastore().run(f"DataStore.run_sql({query!r}).to_df()")
    shown = datastore().run(f"chdb.query({query!r}, options={{'progress': 'auto'}})")
    return not silent.kinds["update_display_data"] and shown.kinds["update_display_data"] > 1


@holds("stop", "DataStore")
def _() -> bool:
    query = f"{NUMBERS} SETTINGS max_execution_time = 12, timeout_overflow_mode = 'break'"
    code = f"DataStore.run_sql({query!r}).to_df()"
    run = datastore().run(code, interrupt_after_s=3, limit_s=60)
    return run.stopped_s is not None and run.stopped_s > 5


@holds("guard", "DataStore")
def _() -> bool:
    query = "SELECT number FROM numbers(1000) SETTINGS max_result_rows = 10"
    return "396" in datastore().run(f"DataStore.run_sql({query!r}).to_df()").error


@holds("errors", "DataStore")
def _() -> bool:
    text = datastore().run("DataStore.run_sql('SELECT nuber FROM numbers(3)').to_df()").error
    return "Unknown expression" in text and "^" not in text
