"""What the extension's hooks add to a cell, in a real InteractiveShell.

``python -m benchmarks.cells REPEATS`` prints the medians as JSON. Everything that IPython calls
before and after a cell is timed, with the extension and (first) without it; the difference is
the extension's.
"""

from __future__ import annotations

import json
import sys
import time
from statistics import median
from typing import TYPE_CHECKING, Any

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

if TYPE_CHECKING:
    from collections.abc import Callable

SETUP = """
import aaiclick_ext as aai
t = aai.create_object_from_value({"k": [1, 2, 3], "x": [0.5, 1.5, 2.5]})
"""
TEN = """
v = t.filter(t.k > {step})
v = v.mutate(y=v.x + 1)
v = v.rename(z="y")
v = v.select("k", "z")
v = v.order_by("z")
v = v.limit(100)
v = v.distinct()
v = v.drop("z")
v = v.group_by("k").agg(n=v.count())
v = v.join(t, "k")
"""


class Hooks:
    """The seconds that a shell spends in its events."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self.seconds = 0.0
        self._trigger: Callable[..., None] = shell.events.trigger
        shell.events.trigger = self._timed

    def _timed(self, event: str, *args: Any, **kwargs: Any) -> None:
        started = time.perf_counter()
        self._trigger(event, *args, **kwargs)
        self.seconds += time.perf_counter() - started

    def of_cell(self, source: str) -> float:
        """Run a cell and return the seconds that its events took."""
        self.seconds = 0.0
        self.shell.run_cell(source, store_history=True).raise_error()
        return self.seconds


def measure(repeats: int) -> dict[str, float]:
    """Return the medians, in seconds, of an empty cell and one of ten operations."""
    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell.instance(config=config)
    hooks = Hooks(shell)
    bare = median([hooks.of_cell("pass") for _ in range(repeats)])
    shell.run_line_magic("load_ext", "aaiclick_ext")
    hooks.of_cell(SETUP)
    hooks.of_cell(TEN.format(step=0))
    empty, ten = [], []
    for step in range(repeats):
        empty.append(hooks.of_cell("pass"))
        ten.append(hooks.of_cell(TEN.format(step=step)))
    shell.run_line_magic("unload_ext", "aaiclick_ext")
    return {"cell_empty": median(empty) - bare, "cell_ten": median(ten) - bare}


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
