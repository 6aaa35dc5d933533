"""Restoring in real kernels: every dropped table of every notebook, and tables of a dead kernel."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.kernel

HERE = Path(__file__).parent
LONG = ("arrays", "live_dashboard")
NOTEBOOKS = sorted((HERE.parents[1] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(p, id=p.stem, marks=[pytest.mark.soak] if p.stem in LONG else [])
        for p in NOTEBOOKS
    ],
)
def test_every_dropped_table_of_a_notebook_comes_back_as_it_was(kernel, path):
    (kernel.directory / "saved_tables.py").write_text((HERE / "saved_tables.py").read_text())
    kernel.check("import saved_tables; saved_tables.save_before_drops()")
    for cell in json.loads(path.read_text())["cells"]:
        if cell["cell_type"] == "code":
            kernel.run("".join(cell["source"]), timeout_s=120)  # some cells show an error
    kernel.check("%reset -f")
    kernel.check("import saved_tables, aaiclick_ext as aai")
    found = kernel.value("saved_tables.restored()", timeout_s=240)
    called_restored = [one for one in found if one[1] in ("exact", "equal but unordered")]
    assert called_restored
    assert [one for one in called_restored if not one[3]] == []
    assert [one for one in found if one[1] in ("differs", "unchecked")] == []


def test_a_killed_kernel_leaves_its_lineage_and_what_can_be_restored(start_kernel, tmp_path):
    environment = {
        "AAICLICK_STATE_DIR": str(tmp_path / "state"),
        "AAICLICK_CH_URL": f"chdb://{tmp_path}/kept",
        "AAICLICK_MEMORY_TABLE_BYTES": "0",  # what is in memory is lost with the process
    }
    kernel = start_kernel(**environment)
    kernel.load()
    kernel.check("typed = aai.create_object_from_value({'a': [1, 2, 3]})")
    kernel.check("late = typed.filter(typed.a > 1).copy()")
    kernel.check("late.insert({'a': [4]})\nlate_table = late.table_name")
    table = kernel.value("late_table")
    kernel.check("summed = late.agg(total=late.a.sum()).copy()")
    kernel.kill()
    kernel = start_kernel(**environment)
    kernel.load()
    assert kernel.value(f"[e.operation for e in aai.backward_oplog('{table}')]") == [
        "create_from_value", "filter", "copy", "insert",
    ]  # fmt: skip
    deadline = time.monotonic() + 60
    while kernel.tables() and time.monotonic() < deadline:  # the reaper works in the background
        time.sleep(0.2)
    assert kernel.tables() == []
    kernel.check("found = aai.restore('late')")
    assert kernel.value("(str(found.status), sorted(found.object.data()['a']))") == (
        "exact",
        [2, 3, 4],
    )
    assert kernel.value("aai.restore('summed').object.data()") == {"total": [9]}
