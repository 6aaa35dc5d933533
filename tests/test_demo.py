"""`make demo` says what a notebook did and writes a page that needs nothing else."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"

pytestmark = pytest.mark.kernel


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AAICLICK_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("AAICLICK_SCRATCH_DIR", str(tmp_path / "scratch"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    return runpy.run_path(str(NOTEBOOKS / "demo.py"))["main"]


def _write(path: Path, *cells: Any) -> Path:
    nbformat.write(new_notebook(cells=list(cells)), path)
    return path


def test_it_tells_rows_tables_and_lineage(
    demo: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    notebook = _write(
        tmp_path / "small.ipynb",
        new_markdown_cell("# One thing"),
        new_code_cell("%load_ext aaiclick_ext\nimport aaiclick_ext as aai"),
        new_code_cell("a = aai.create_object_from_value([1, 2, 3])\nb = (a + 1).copy()"),
        new_code_cell("del a"),
        new_code_cell("%lineage b", metadata={"tags": ["show"]}),
        new_code_cell("1 / 0", metadata={"tags": ["raises-exception"]}),
    )
    page = tmp_path / "out" / "small.html"
    assert demo(notebook, page) == 0
    said = capsys.readouterr().out
    assert "\nOne thing\n" in said
    assert "tables: 2 made, 2 now" in said
    assert "tables: 1 dropped, 1 now" in said
    assert "create_from_value" in said
    assert "ZeroDivisionError: division by zero" in said
    assert "2 tables made, 1 dropped" in said
    assert str(page) in said
    html = page.read_text()
    assert "data:image/svg+xml" in html
    assert "widget-view" not in html


def test_a_cell_that_fails_unasked_fails_the_demo(
    demo: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    notebook = _write(tmp_path / "bad.ipynb", new_code_cell("1 / 0"))
    assert demo(notebook, tmp_path / "bad.html") == 1
    assert "ZeroDivisionError" in capsys.readouterr().err
