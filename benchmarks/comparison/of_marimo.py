"""What marimo does: a check for each cell, which does the thing and looks."""

from __future__ import annotations

import functools
import re
import typing
from pathlib import Path

from benchmarks.comparison.checks import DECIMAL, FILL, INTEGER, JOIN, WIDE, holds
from benchmarks.comparison.tools import Marimo


@functools.cache
def marimo() -> Marimo:
    """marimo's server, with a frame in a cell."""
    server = Marimo()
    server.run(setup="import marimo as mo, duckdb, pandas as pd")
    server.run(frame="df = pd.DataFrame({'a': [1, 2, 3]})")
    return server


@holds("frames", "marimo")
def _() -> bool:
    return "4242" in marimo().text(
        by_name='named = mo.sql("SELECT sum(a) * 707 AS s FROM df")\nprint(named)'
    )


@holds("stays", "marimo")
def _() -> bool:
    from marimo._config.config import SqlOutputType

    frame = marimo().text(kind='typed = mo.sql("SELECT 1 AS a")\nprint(type(typed))')
    return "native" in typing.get_args(SqlOutputType) and "DataFrame" in frame


@holds("owned", "marimo")
def _() -> bool:
    tables = "print(duckdb.sql('SELECT table_name FROM duckdb_tables()').fetchall())"
    marimo().run(maker='_ = mo.sql("CREATE TABLE owned_table AS SELECT 1 AS b")')
    before = marimo().text(tables=tables)
    marimo().delete("maker")
    return "owned_table" in before and "owned_table" not in marimo().text(tables=tables)


@holds("lineage", "marimo")
@holds("reactive", "marimo")
def _() -> bool:
    marimo().run(first="upstream = 1")
    marimo().run(second="print(upstream + 41)")
    messages = marimo().run(first="upstream = 2")
    return "43" in str(messages) and any(m["op"] == "cell-op" and m["cell_id"] == "second"
                                         for m in messages)  # fmt: skip


@holds("cells", "marimo")
def _() -> bool:
    cell = "CREATE TABLE c (a INT); INSERT INTO c VALUES (4141); SELECT a FROM c"
    return "4141" in marimo().text(several=f'_ = mo.sql("{cell}")')


@holds("values", "marimo")
def _() -> bool:
    marimo().run(quoted='quoted = "O\'Brien"')
    return "error" in marimo().text(pasted="_ = mo.sql(f\"SELECT '{quoted}' AS s\")").lower()


@holds("complete", "marimo")
def _() -> bool:
    import marimo

    page = Path(marimo.__file__).parent / "_static" / "assets"
    sources = re.compile("schemaCompletionSource|keywordCompletionSource")
    return any(sources.search(path.read_text()) for path in page.glob("*.js"))


@holds("explain", "marimo")
def _() -> bool:
    import marimo._runtime.commands as commands

    plan = marimo().text(plan='_ = mo.sql("EXPLAIN SELECT a FROM df")')
    return "physical_plan" in plan and hasattr(commands, "ValidateSQLCommand")


@holds("browse", "marimo")
def _() -> bool:
    page = marimo().text(page="mo.ui.table(pd.DataFrame({'a': range(1000)}))")
    return all(f"data-show-{part}='true'" in page for part in ("filters", "search"))


@holds("headers", "marimo")
def _() -> bool:
    from marimo._plugins.ui._impl.tables.table_manager import TableManager

    limits = (
        TableManager.DEFAULT_SUMMARY_CHARTS_ROW_LIMIT,
        TableManager.DEFAULT_SUMMARY_STATS_ROW_LIMIT,
    )
    return limits == (20_000, 1_000_000)


@holds("exact", "marimo")
def _() -> bool:
    page = marimo().text(wide=f'_ = mo.sql("{WIDE}")')
    return INTEGER in page and DECIMAL in page and "bigint" in page


@holds("progress", "marimo")
def _() -> bool:
    query = "SELECT count(*) FROM range(3000000000) r(x) WHERE hash(x) % 7 = 3"
    return "progress" not in marimo().text(slow=f'_ = mo.sql("{query}")').lower()


@holds("guard", "marimo")
def _() -> bool:
    limit = "import os\nos.environ['MARIMO_SQL_DEFAULT_LIMIT'] = '3'\n"
    text = marimo().text(
        cut=limit + 'cut = mo.sql("SELECT range FROM range(10)")\nprint(len(cut) + 770)'
    )
    marimo().run(uncut="import os as _os\n_os.environ.pop('MARIMO_SQL_DEFAULT_LIMIT', None)")
    return "773" in text


@holds("errors", "marimo")
def _() -> bool:
    return "Candidate bindings" in marimo().text(wrong='_ = mo.sql("SELECT aa FROM df")')


@holds("saved", "marimo")
def _() -> bool:
    from marimo._cli.export.commands import export

    return {"html", "ipynb"} <= set(export.commands)


@holds("stop", "marimo")
def _() -> bool:
    server = Marimo()
    server.run(setup="import marimo as mo, duckdb")
    server.run(fill=f'_ = mo.sql("{FILL}")')
    messages = server.run(3, 15, slow=f'_ = mo.sql("{JOIN}")')
    server.close()
    return messages[-1]["op"] == "late"
