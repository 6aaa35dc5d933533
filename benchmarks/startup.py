"""What a fresh interpreter waits for: the import, `%load_ext`, the first object."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

from benchmarks.cases import Case
from benchmarks.contestants.aaiclick_process import PYTHON as PEER_PYTHON
from benchmarks.contestants.aaiclick_process import ROOT
from benchmarks.interleave import Result

if TYPE_CHECKING:
    from pathlib import Path

SHELL = """
from traitlets.config import Config
from IPython.core.interactiveshell import InteractiveShell
config = Config()
config.HistoryManager.enabled = False
shell = InteractiveShell.instance(config=config)
"""
TIMED = """
import time
started = time.perf_counter()
{task}
print("seconds", time.perf_counter() - started)
"""
LOAD = "shell.run_line_magic('load_ext', 'aaiclick_ext')"
OURS = (
    "import aaiclick_ext as aai; assert aai.create_object_from_value([1, 2, 3]).sum().data() == 6"
)
PEER = """
import asyncio
from aaiclick import create_object_from_value
from aaiclick.data.object_context import object_context

@object_context()
async def main():
    made = await create_object_from_value([1, 2, 3])
    assert await made.sum().data() == 6

asyncio.run(main())
"""
RAW = """
import clickhouse_connect
client = clickhouse_connect.get_client(dsn="chdb://{scratch}/raw")
client.command("CREATE TABLE t (value Int64) ENGINE = Memory")
client.insert("t", [[1], [2], [3]])
assert client.query("SELECT sum(value) FROM t").result_rows == [(6,)]
"""

# case → contestant → (what is not timed, what is)
SCRIPTS: dict[Case, dict[str, tuple[str, str]]] = {
    Case("import", "import", 7): {
        "aaiclick_ext": ("", "import aaiclick_ext"),
        "raw engine": ("", "import clickhouse_connect, chdb"),
        "pandas": ("", "import pandas"),
        "polars": ("", "import polars"),
        "DuckDB": ("", "import duckdb"),
        "aaiclick": ("", "import aaiclick"),
    },
    Case("load", "`%load_ext`", 7): {"aaiclick_ext": (SHELL, LOAD)},
    Case("first_object", "load or import, make an object, read it", 5): {
        "aaiclick_ext": (SHELL, f"{LOAD}\n{OURS}"),
        "raw engine": ("", RAW),
        "pandas": ("", "import pandas; assert pandas.Series([1, 2, 3]).sum() == 6"),
        "polars": ("", "import polars; assert polars.Series([1, 2, 3]).sum() == 6"),
        "DuckDB": ("", "import duckdb; assert duckdb.sql('SELECT 1 + 2 + 3').fetchall() == [(6,)]"),
        "aaiclick": ("", PEER),
    },
    Case("first_object_later", "make an object and read it, 3 s after `%load_ext`", 5): {
        "aaiclick_ext": (f"{SHELL}\nimport time\n{LOAD}\ntime.sleep(3)", OURS),
    },
}


def run_startup(directory: Path, *, peer: bool) -> list[Result]:
    """Return the times of fresh interpreters, one for every turn of every contestant."""
    results = []
    for case, scripts in SCRIPTS.items():
        result = Result(case)
        for _ in range(case.repeats):
            for name, script in scripts.items():
                if name != "aaiclick" or peer:
                    result.times_s.setdefault(name, []).append(_run(name, script, directory))
        print(f"  {case.title}", file=sys.stderr)
        results.append(result)
    return results


def _run(name: str, script: tuple[str, str], directory: Path) -> float:
    with tempfile.TemporaryDirectory(dir=directory) as scratch:
        setup, task = (part.replace("{scratch}", scratch) for part in script)
        done = subprocess.run(
            [PEER_PYTHON if name == "aaiclick" else sys.executable, "-c", setup + _timed(task)],
            cwd=ROOT,
            env={
                **os.environ,
                "AAICLICK_LOCAL_ROOT": f"{scratch}/aaiclick",
                "AAICLICK_STATE_DIR": f"{scratch}/state",
                "IPYTHONDIR": f"{scratch}/ipython",
            },
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"{name} failed in a fresh interpreter:\n{done.stderr}")
    return float(done.stdout.split("seconds")[-1])


def _timed(task: str) -> str:
    return TIMED.replace("{task}", task)
