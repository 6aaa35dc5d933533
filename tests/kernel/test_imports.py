"""Code that imports while the extension imports in the background finds whole modules."""

from __future__ import annotations

import subprocess
import sys

import pytest

LOAD = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_cell("%load_ext aaiclick_ext").raise_error()
shell.run_cell({cell!r}).raise_error()
shell.run_cell("print(aai.create_object_from_value([1, 2]).data())").raise_error()
"""
CELLS = [
    "import aaiclick_ext as aai\nimport ibis.expr.datatypes, ibis.selectors",
    "import aaiclick_ext as aai\naai.read_csv({csv!r})",
    "import aaiclick_ext as aai\nfrom aaiclick_ext.objects.files import object_from_file",
    "import aaiclick_ext as aai\naai.View, aai.ClickHouseCreds, aai.OplogGraph",
    "import aaiclick_ext as aai\nimport pyarrow.parquet, pandas, sqlalchemy.orm",
]


@pytest.mark.kernel
@pytest.mark.parametrize("cell", CELLS, ids=["ibis", "read", "ours", "names", "others"])
def test_a_cell_right_after_loading_can_import_anything(tmp_path, cell):
    csv = tmp_path / "a.csv"
    csv.write_text("a,b\n1,x\n")
    code = LOAD.format(cell=cell.format(csv=str(csv)))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[1, 2]" in done.stdout


@pytest.mark.kernel
def test_the_cell_that_loads_can_import_anything(tmp_path):
    imports = "import aaiclick_ext as aai\nimport ibis.expr.datatypes\nfrom ibis import selectors"
    code = LOAD.replace('load_ext aaiclick_ext"', f'load_ext aaiclick_ext\\n" + {imports!r}')
    code = code.format(cell="from aaiclick_ext.widgets import LiveWidget")
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[1, 2]" in done.stdout
