"""What Tab costs, in a process of its own: ``python -m benchmarks.completion REPEATS``.

A shell with 1,000 tables of others and 100 variables; the text is typed anew each time, so that
what is known is what a user's kernel would know.
"""

from __future__ import annotations

import json
import sys
import time

from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

import aaiclick_ext as aai
from benchmarks.table import OURS

TABLES, VARIABLES = 1000, 100
TITLES = {
    "complete_first": "Tab in a `%%sql` cell, the first in a kernel",
    "complete_tables": f"Tab behind FROM, {TABLES:,} tables and {VARIABLES} variables",
    "complete_columns": f"Tab for columns of one of {TABLES:,} tables, not asked for before",
    "complete_again": "Tab for columns of a table that is known",
    "complete_variable": "Tab for columns of a variable",
}


def measure(repeats: int) -> dict[str, dict[str, list[float]]]:
    """Return the times of each case, in seconds."""
    times: dict[str, list[float]] = {key: [] for key in TITLES}
    shell = InteractiveShell.instance()
    shell.Completer.use_jedi = False
    for turn in range(3):
        aai.load_ipython_extension(shell)
        aai.context().flush()
        if turn == 0:
            _fill()
        times["complete_first"].append(_complete(shell, "%%sql\nSELECT quantil"))
        if turn < 2:
            aai.unload_ipython_extension(shell)
    _variables(shell)
    for number in range(repeats):
        times["complete_tables"].append(_complete(shell, "%%sql\nSELECT * FROM foreign_"))
        text = f"%%sql\nSELECT t.c| FROM foreign_{number:04} AS t WHERE 1"
        times["complete_columns"].append(_complete(shell, text))
        times["complete_again"].append(_complete(shell, text))
        text = f"%%sql\nSELECT dela| FROM {{x_{number % VARIABLES}}}"
        times["complete_variable"].append(_complete(shell, text))
    aai.unload_ipython_extension(shell)
    return {key: {OURS: found} for key, found in times.items()}


def _fill() -> None:
    command = aai.context().engine.command
    for number in range(TABLES):
        columns = ", ".join(f"c{i} Int64" for i in range(10))
        command(f"CREATE TABLE foreign_{number:04} ({columns}) ENGINE = MergeTree ORDER BY c0")


def _variables(shell: InteractiveShell) -> None:
    for number in range(VARIABLES):
        shell.user_ns[f"x_{number}"] = aai.create_object_from_value({"delay": [number]})


def _complete(shell: InteractiveShell, text: str) -> float:
    at = text.find("|") if "|" in text else len(text)
    code = text.replace("|", "")
    with provisionalcompleter():
        started = time.perf_counter()
        found = list(shell.Completer.completions(code, at))
        elapsed = time.perf_counter() - started
    assert len(found) > 1 or found[0].text != code[found[0].start : at], text
    return elapsed


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
