"""A thousand variables deleted in one cell; thousands of cells: nothing is left, nothing grows."""

from __future__ import annotations

import os

import pytest

pytestmark = pytest.mark.kernel

PATHS = """
import pathlib
def files():
    (root,), = aai.context().engine.query_rows(
        "SELECT path FROM system.disks WHERE name = 'default'")
    rows = aai.context().engine.query_rows(
        "SELECT path FROM system.parts WHERE startsWith(table, 'aai_')")
    names = [path for path in pathlib.Path(root).rglob('*') if 'aai_' in str(path)]
    return [path for path in names if path.is_file()] + [
        path for part, in rows for path in pathlib.Path(part).rglob('*') if path.is_file()]
"""


@pytest.mark.parametrize(
    "deleting",
    [
        "del {0}",
        pytest.param(
            "for n in range(1000): del globals()[f'v{{n}}']",
            marks=pytest.mark.soak,
            id="one by one",
        ),
    ],
)
def test_a_thousand_variables_deleted_in_one_cell(kernel, deleting):
    kernel.check(PATHS)
    kernel.check("usual = aai.context().settings.memory_table_bytes")
    for first, last, size in [(0, 900, "usual"), (900, 1000, 0)]:  # in memory, and on the disk
        kernel.check(
            f"%config AaiclickExt.memory_table_bytes = {size}\n"
            f"for n in range({first}, {last}):\n"
            "    globals()[f'v{n}'] = aai.create_object_from_value({'a': range(n)})",
            timeout_s=240,
        )
    kernel.check("%config AaiclickExt.memory_table_bytes = usual")
    assert len(kernel.tables()) == 1000
    kernel.check("before = files()")
    assert kernel.value("sum(path.stat().st_size for path in before)") > 100_000
    kernel.check(deleting.format(", ".join(f"v{n}" for n in range(1000))))
    assert kernel.accounts() == {}
    assert kernel.value("[str(path) for path in [*before, *files()] if path.exists()]") == []


CELL = """
x = aai.create_object_from_value({'a': [1, 2, 3]})
y = x.filter(x.a > %d %% 3).mutate(b=x.a * 2)
y.b.sum().execute();
"""


def memory_of_cells(kernel, cells, samples):
    """Run cells that make, derive, fetch and let go; return bytes of memory after each part."""
    kernel.check("import psutil; process = psutil.Process()")
    taken = []
    for _sample in range(samples):
        for n in range(cells // samples):
            kernel.check(CELL % n, store_history=False)
        kernel.check("del x, y\ngc.collect(); aai.context().flush()", store_history=False)
        taken.append(kernel.value("process.memory_info().rss", store_history=False))
    return taken


def bytes_per_cell(taken, cells_each):
    """Return the slope of a line through the second half of the samples."""
    half = taken[len(taken) // 2 :]
    places = range(len(half))
    middle, mean = sum(places) / len(half), sum(half) / len(half)
    rise = sum((p - middle) * (t - mean) for p, t in zip(places, half, strict=True))
    return rise / sum((p - middle) ** 2 for p in places) / cells_each


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_memory_is_flat_over_thousands_of_cells(kernel):
    cells, samples = int(os.environ.get("AAICLICK_SOAK_CELLS", "10000")), 20
    taken = memory_of_cells(kernel, cells, samples)
    slope = bytes_per_cell(taken, cells // samples)
    megabytes = ", ".join(f"{size / 1e6:.0f}" for size in taken)
    print(  # noqa: T201  what was measured
        f"\n{cells} cells: memory in MB {megabytes}; at last {slope:.0f} bytes a cell"
    )
    assert kernel.accounts() == {}
    assert slope < 1000
    assert taken[-1] - taken[len(taken) // 2] < 30e6
