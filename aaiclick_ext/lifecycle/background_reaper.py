"""The reaper's thread: after the context opened, and only while nobody waits for it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from aaiclick_ext.errors import AaiclickError
from aaiclick_ext.logs import logger_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from aaiclick_ext.lifecycle.reaper import Reaped

logger = logger_of("lifecycle")

_AFTER_S = 1.0
"""The first cells come first: they share the processor with this."""


class BackgroundReaper:
    """Reaps once, in the thread ``aai-reaper``, and says what it did in the log.

    Parameters
    ----------
    reap
        Removes what dead kernels left, until the event that it is given is set.
    """

    def __init__(self, reap: Callable[[threading.Event], Reaped]) -> None:
        self._reap = reap
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="aai-reaper", daemon=True)
        self.done: Reaped | None = None

    def start(self) -> None:
        """Begin, a second from now."""
        self._thread.start()

    def wait(self, timeout_s: float = 60.0) -> bool:
        """Wait for its end; say whether it came in time."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def close(self, timeout_s: float = 10.0) -> bool:
        """Stop between two statements; say whether that was in time."""
        self._stop.set()
        if self._thread.ident is None:
            return True
        return self.wait(timeout_s)

    def _run(self) -> None:
        if self._stop.wait(_AFTER_S):
            return
        try:
            self.done = self._reap(self._stop)
        except AaiclickError as error:
            if not self._stop.is_set():
                logger.warning("what dead kernels left could not be removed: %s", error)
            return
        except Exception:
            logger.exception("what dead kernels left could not be removed")
            return
        self._say(self.done)

    def _say(self, done: Reaped) -> None:
        removed = [fate for fate in done.fates if fate.is_removed]
        if removed or done.scratch or done.kernels:
            logger.info(
                "removed what dead kernels left: %d tables, %d scratch directories, %d sessions",
                len(removed),
                len(done.scratch),
                len(done.kernels),
            )
        for fate in done.fates:
            if not fate.is_removed:
                logger.debug("table %s is kept: %s", fate.table.name, fate.reason)
