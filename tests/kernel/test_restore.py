"""Notebooks in real kernels: is their log true, and does what they dropped come back?"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aaiclick_ext.oplog.event import from_json
from tests.lineage_truth import compare

if TYPE_CHECKING:
    from aaiclick_ext.oplog import OperationEvent

pytestmark = pytest.mark.kernel

HERE = Path(__file__).parent
LONG = ("arrays", "live_dashboard")
NOTEBOOKS = sorted((HERE.parents[1] / "notebooks").glob("*.ipynb"))


def _names_own_table(event: OperationEvent) -> bool:
    """Say whether the event is of a table that SQL of a notebook made and dropped."""
    names = (event.result_table, *event.kwargs.values(), event.sql_template or "")
    return any("delays_by_month" in name for name in names)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_the_log_of_a_notebook_is_true_and_its_dropped_tables_come_back(kernel, engine, path):
    """Tables and columns by ``EXPLAIN QUERY TREE``; a server's query log cannot be asked here."""
    probe = kernel.directory / "notebook_probe.py"
    probe.write_text((HERE / probe.name).read_text())
    kernel.check("import notebook_probe; notebook_probe.watch(get_ipython())")
    for cell in json.loads(path.read_text())["cells"]:
        if cell["cell_type"] == "code":
            kernel.run("".join(cell["source"]), timeout_s=120)  # some cells show an error
    kernel.check("%reset -f")
    kernel.check("import notebook_probe, aaiclick_ext as aai")
    events = [from_json(line) for line in kernel.value("notebook_probe.events()")]
    truth = compare(engine, [event for event in events if not _names_own_table(event)])
    assert truth.statements > 0
    truth.check()
    if path.stem in LONG and not os.environ.get("AAICLICK_SOAK"):
        return
    found = kernel.value("notebook_probe.restored()", timeout_s=240)
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
