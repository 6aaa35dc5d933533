"""The reaper's thread: after the context opened, and now and then; nobody waits for it."""

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

_EVERY_S = 3600.0
"""How often it looks again: a kernel may live for weeks, and others die meanwhile."""


class BackgroundReaper:
    """Reaps in the thread ``aai-reaper``, and says what it did in the log.

    Parameters
    ----------
    reap
        Removes what dead kernels left, until the event that it is given is set.

    Attributes
    ----------
    done
        What it removed the last time; None before the first time, and where that failed.
    """

    def __init__(self, reap: Callable[[threading.Event], Reaped]) -> None:
        self._reap = reap
        self._stop = threading.Event()
        self._asked = threading.Event()
        self._finished = threading.Event()
        self._thread = threading.Thread(target=self._run, name="aai-reaper", daemon=True)
        self.done: Reaped | None = None

    def start(self) -> None:
        """Begin, a second from now."""
        self._thread.start()

    def soon(self) -> None:
        """Let it look again now; what `wait` waits for is that."""
        self._finished.clear()
        self._asked.set()

    def wait(self, timeout_s: float = 60.0) -> bool:
        """Wait until it has looked; say whether it came in time."""
        return self._finished.wait(timeout_s)

    def close(self, timeout_s: float = 10.0) -> bool:
        """Stop between two statements; say whether that was in time."""
        self._stop.set()
        self._asked.set()
        if self._thread.ident is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            if self._stop.wait(_AFTER_S):
                return
            while True:
                self._asked.clear()
                if self._stop.is_set():  # after the clear, which may have taken the ask of `close`
                    return
                self._reap_once()
                if not self._asked.is_set():
                    self._finished.set()
                self._asked.wait(_EVERY_S)
        finally:
            self._finished.set()

    def _reap_once(self) -> None:
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
        if done.jobs:
            events = sum(job.events for job in done.jobs)
            logger.info("removed %d events of %d expired jobs", events, len(done.jobs))
        for fate in done.fates:
            if not fate.is_removed:
                logger.debug("table %s is kept: %s", fate.table.name, fate.reason)
