"""What the log says was read, against what ClickHouse says it reads: all notebooks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lineage_truth import Truth, compare
from tests.notebook_events import events_of_notebook

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"

pytestmark = pytest.mark.kernel


def test_the_log_of_every_notebook_tells_what_clickhouse_reads(engine, tmp_path, monkeypatch):
    """Tables and columns by ``EXPLAIN QUERY TREE``; a server's query log cannot be asked here."""
    for name in ("STATE_DIR", "SCRATCH_DIR"):
        monkeypatch.setenv(f"AAICLICK_{name}", str(tmp_path / name.lower()))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    total = Truth()
    for notebook in sorted(NOTEBOOKS.glob("*.ipynb")):
        before = total.statements
        compare(engine, events_of_notebook(notebook, tmp_path), total)
        assert total.statements > before, notebook
    print(total)  # noqa: T201
    total.check()
