"""``%sessions`` and ``aai.sessions()`` in a real kernel."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kernel.conftest import Kernel

pytestmark = pytest.mark.kernel


def test_kernels_alive_and_dead(start_kernel: Callable[..., Kernel], tmp_path) -> None:
    shared = {
        "AAICLICK_STATE_DIR": str(tmp_path / "state"),
        "AAICLICK_SCRATCH_DIR": str(tmp_path / "scratch"),
    }
    first, second = start_kernel("one", **shared), start_kernel("two", **shared)
    for kernel in (first, second):
        kernel.load()
        kernel.check("aai.context()._opened.reaping.wait()")
    first.check("x = aai.create_object_from_value([1, 2, 3])\naai.context().flush()")

    def seen(kernel: Kernel) -> dict[int, tuple[str, bool, int, int | None]]:
        rows = kernel.value(
            "[(s.pid, str(s.state), s.is_current, s.tables, s.bytes) for s in aai.sessions()]"
        )
        return {pid: tuple(row) for pid, *row in rows}

    own = seen(first)
    assert own[first.pid][:3] == ("alive", True, 1)
    assert own[first.pid][3] > 0
    assert own[second.pid] == ("alive", False, 0, 0)
    assert seen(second)[first.pid] == ("alive", False, 1, None)  # its database is its own
    (display,) = first.check("%sessions").displays
    assert "alive (this kernel)" in display["text/plain"]
    assert "(2 alive)" in display["text/plain"]
    assert f'<td class="aaiclick-number">{second.pid}</td>' in display["text/html"]
    assert "<script" not in display["text/html"]
    second.kill()
    assert seen(first)[second.pid][0] == "dead"
    (display,) = first.check("%sessions --dead").displays
    assert "(1 dead)" in display["text/plain"]
    assert f" {first.pid} " not in display["text/plain"]
    third = start_kernel("three", **shared)
    third.load()
    third.check("aai.context()._opened.reaping.wait()")
    assert set(seen(third)) == {first.pid, third.pid}
    directories = [path.name for path in (tmp_path / "scratch").iterdir()]
    assert sorted(name.split("-")[1] for name in directories) == sorted(
        str(kernel.pid) for kernel in (first, third)
    )
    assert first.value("x.data()") == [1, 2, 3]


def test_reaping_delays_nothing_and_ends_with_the_extension(start_kernel) -> None:
    kernel = start_kernel()
    kernel.load()
    kernel.check("x = aai.create_object_from_value([1])")
    started = time.monotonic()
    kernel.check("%unload_ext aaiclick_ext")
    assert time.monotonic() - started < 30
    names = kernel.value("[t.name for t in __import__('threading').enumerate()]")
    assert not [name for name in names if name.startswith("aai-")]
