"""Collection of cyclic garbage when the kernel has nothing to do.

Completion by jedi, and some errors, leave cycles that hold a table until Python collects them,
which may be a long time after the user deleted the variable. A full collection takes 80 ms with
Ibis and the engine imported: nothing while a user reads, too much in a cell.
"""

from __future__ import annotations

import asyncio
import gc
import threading

IDLE_S = 2.0
"""How long after a cell the kernel counts as idle."""


class IdleCollection:
    """Collects once, `IDLE_S` after the last cell, on the main thread.

    On the main thread because finalizers of other libraries (Qt, Tk, sqlite3) may only run there.
    In a terminal no event loop runs between cells; there, Python's own collections must do.
    """

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None

    def schedule(self) -> None:
        """Collect when the kernel has been idle for a while from now on."""
        self.cancel()
        if threading.current_thread() is not threading.main_thread():
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._timer = loop.call_later(IDLE_S, self._collect)

    def cancel(self) -> None:
        """Forget a collection that was to come."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _collect(self) -> None:
        self._timer = None
        gc.collect()
