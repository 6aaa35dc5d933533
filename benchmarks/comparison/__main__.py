"""The table of the README beside other tools: ``python -m benchmarks.comparison [PRODUCT …]``.

A cell is what a check saw here: in a kernel, in marimo's own server or in Chromium. What cannot be
run without a person names the place that says so, and what a tool does not have is searched for in
its source. A cell whose check does not hold is marked, and the exit code is 1.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from importlib.metadata import version

from benchmarks.comparison import (
    of_aaiclick,
    of_datastore,
    of_jupysql,
    of_marimo,
    of_pandas,
    of_quak,  # noqa: F401 - registers its checks
)
from benchmarks.comparison.checks import CHECKS

PRODUCTS = ("aaiclick_ext", "jupysql", "quak", "marimo", "DataStore", "pandas")
STATED = ("jupysql", "duckdb", "quak", "marimo", "chdb", "pandas")

# In each row: what it is called, and a cell of each product.
ROWS: dict[str, tuple[str, ...]] = {
    "engine": (
        "Works on; you write",
        "ClickHouse, in the kernel or a server; Ibis, SQL",
        "any SQL database; SQL",
        "DuckDB, any frame; you look",
        "frames, DuckDB, SQL databases; Python, SQL",
        "ClickHouse in the kernel; pandas, SQL",
        "memory; pandas",
    ),
    "stays": ("A result stays in the database", "yes; lazy", "yes: a cursor, or a saved query",
              "it is DuckDB's", "as an option; else a frame", "lazy; results are frames", "-"),
    "owned": ("A table goes with", "its last variable", "nobody", "-",
              "its cell, in DuckDB's memory", "memory, with its variable",
              "memory, with its variable"),
    "lineage": ("Where a result came from", "a log, over cells and kernels, to columns and rows",
                "no", "no", "graph of this notebook's cells", "plan of one expression", "no"),
    "reactive": ("When an input changes", "says what is stale; live results follow", "no", "no",
                 "runs again what depends on it", "no", "no"),
    "cells": ("SQL cells; several statements", "yes; yes", "yes; yes", "no", "yes; yes", "no",
              "no"),
    "frames": ("A Python frame in SQL", "`{df}`",
               "`df`, on DuckDB with `python_scan_all_frames`", "no", "`df`",
               "`Python(df)`, in `chdb.query`", "no"),
    "values": ("A Python value in SQL", "bound, typed: `{n:Int64}`",
               "text: `{{n}}`; bound `:n` as an option", "no", "text: an f-string",
               "bound, typed, in `chdb.query`", "bound, in `read_sql`"),
    "complete": ("Completes", "SQL: tables, columns, functions; columns of frames",
                 "SQL keywords", "no", "SQL: tables, columns, keywords", "no columns",
                 "columns of frames"),
    "explain": ("Before you run it", "explain, dry run; profile after it", "`EXPLAIN`", "no",
                "`EXPLAIN`; checks SQL as you type", "`explain()`", "no"),
    "browse": ("Table in the page", "any size: scroll, sort, filter, search",
               "any size: pages, sort", "any size: scroll, sort, filter",
               "pages, sort, filter, search", "still", "still"),
    "headers": ("Plots over its columns", "any size", "no",
                "any size; brushing filters the others", "to 20,000 rows by default", "no",
                "no"),
    "exact": ("Int64, Decimal in it", "exact", "exact; its explorer rounds past 2^53",
              "error past 2^53; no Decimal", "exact", "Int64 exact, Decimal a float", "exact"),
    "plots": ("Plots that the engine aggregates", "six kinds", "histogram, bar, pie, box", "no",
              "no: frames", "no: frames", "no: frames"),
    "progress": ("Progress of a query", "rows, bytes, time left, memory", "DuckDB's percent bar",
                 "no", "no", "no; in `chdb.query`", "no"),
    "stop": ("Stop button", "ends the query", "not always: a DuckDB join runs on", "no",
             "not always: a DuckDB join runs on", "after the query", "after the step"),
    "guard": (
        "A result too large for the kernel",
        "refused; one word lifts it",
        "ten rows until you ask for all",
        "no",
        "cut, as an option",
        "ClickHouse's limits",
        "no",
    ),
    "errors": ("A wrong column name", "place marked, nearest names, how to fix it",
               "DuckDB's place and nearest names", "-", "DuckDB's nearest names",
               "ClickHouse's message", "`KeyError`"),
    "saved": ("Saved notebook without a kernel", "shows results", "shows results",
              "no table", "HTML or ipynb export", "shows results", "shows results"),
}  # fmt: skip

# What no check can see without a person, and where it stands.
STATES = {
    ("engine", "jupysql"): "jupysql.ploomber.io: connecting, integrations",
    ("engine", "marimo"): "docs.marimo.io/guides/working_with_data/sql",
    ("engine", "DataStore"): "chdb's page on PyPI: Query any data source",
    ("headers", "quak"): "its page on PyPI: mouse over column summaries, cross-filter",
    ("plots", "marimo"): "docs.marimo.io/guides/working_with_data/plotting",
}

# Nothing to check: the row does not apply, or the tool has nothing that the row could be about.
NOTHING = {"-", "no"}


def main(chosen: list[str]) -> int:
    """Check the cells of the chosen products, or of all; print the table and what proves it."""
    false: dict[tuple[str, str], str] = {}
    checked = 0
    for (row, product), check in CHECKS.items():
        if chosen and product not in chosen:
            continue
        checked += 1
        try:
            seen = "" if check() else "the check does not hold"
        except Exception as error:  # noqa: BLE001 - a check that cannot run proves nothing
            seen = f"{type(error).__name__}: {error}"[:300]
        print(f"{product:<13}{row:<10}{seen or 'holds'}", file=sys.stderr, flush=True)
        if seen:
            false[row, product] = seen
    for tool in (
        of_aaiclick.ours,
        of_jupysql.jupysql,
        of_marimo.marimo,
        of_datastore.datastore,
        of_pandas.pandas,
    ):
        if tool.cache_info().currsize:
            tool().close()
    print(f"| | {' | '.join(PRODUCTS)} |\n|---|{'---|' * len(PRODUCTS)}")
    for row, (title, *cells) in ROWS.items():
        marked = [
            f"**not so:** {cell}" if (row, product) in false else cell
            for product, cell in zip(PRODUCTS, cells, strict=True)
        ]
        print(f"| {title} | {' | '.join(marked)} |")
    versions = ", ".join(f"{name} {version(name)}" for name in STATED)
    print(f"\n{versions}; {datetime.now(UTC):%Y-%m-%d}. {checked} cells checked here.\n")
    for (row, product), place in STATES.items():
        print(f"{ROWS[row][0]}, {product}: {place}")
    for row, (title, *cells) in ROWS.items():
        for product, cell in zip(PRODUCTS, cells, strict=True):
            if cell not in NOTHING and not {(row, product)} & (CHECKS.keys() | STATES.keys()):
                print(f"{title}, {product}: nothing checks it")
                false[row, product] = "nothing checks it"
    return 1 if false else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
