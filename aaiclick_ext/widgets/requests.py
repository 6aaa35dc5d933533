"""Requests of a page, each answered in a thread: neither a cell nor another request waits."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

STOPPED_WITHIN_S = 10.0
_KILL_EVERY_S = 0.1


@dataclass(slots=True)
class _Running:
    """One request that is being answered.

    Attributes
    ----------
    lock
        Held over a KILL, and taken by the thread before it ends: another thread may have its
        identifier then.
    """

    thread: threading.Thread
    lock: threading.Lock = field(default_factory=threading.Lock)
    is_stopped: bool = False
    has_ended: bool = False


class Requests:
    """The requests of a page that are being answered.

    JupyterLab handles the messages of widgets in a thread where no Ctrl-C arrives, other front ends
    in the main thread, between cells. Here it is always a thread of ours, and `stop` ends it.

    Parameters
    ----------
    name
        Of the threads.
    kill
        Kills what a thread runs, given its identifier.
    """

    def __init__(self, name: str, kill: Callable[[int], object]) -> None:
        self._name = name
        self._kill = kill
        self._running: dict[Hashable, _Running] = {}

    def __len__(self) -> int:
        return len(self._running)

    def __contains__(self, request: Hashable) -> bool:
        return request in self._running

    def begin(self, request: Hashable, work: Callable[[], object]) -> None:
        """Answer a request in a thread; one that is being answered is not answered again."""
        if request in self._running:
            return
        thread = threading.Thread(
            target=self._run, args=(request, work), name=self._name, daemon=True
        )
        self._running[request] = _Running(thread)
        thread.start()

    def is_stopped(self, request: Hashable) -> bool:
        """Whether nobody waits for the answer any more."""
        running = self._running.get(request)
        return running is not None and running.is_stopped

    def stop(self, request: Hashable) -> None:
        """Stop what answers a request, without waiting for it; nothing where it was answered."""
        running = self._running.get(request)
        if running is not None and not running.is_stopped:
            running.is_stopped = True
            name = f"{self._name}-stop"
            threading.Thread(target=self._stop, args=(running,), name=name, daemon=True).start()

    def stop_all(self) -> None:
        """Stop everything, without waiting for it."""
        for request in list(self._running):
            self.stop(request)

    def wait(self, timeout_s: float | None = None) -> None:
        """Return when every request has been answered, or after so long."""
        until = None if timeout_s is None else time.monotonic() + timeout_s
        for running in list(self._running.values()):
            running.thread.join(None if until is None else max(0.0, until - time.monotonic()))

    def _run(self, request: Hashable, work: Callable[[], object]) -> None:
        running = self._running[request]
        try:
            work()
        finally:
            with running.lock:
                running.has_ended = True
            del self._running[request]

    def _stop(self, running: _Running) -> None:
        """Kill until it ends: a KILL before its query begins finds nothing."""
        until = time.monotonic() + STOPPED_WITHIN_S
        while time.monotonic() < until:
            with running.lock:
                if running.has_ended:
                    return
                if running.thread.ident is not None:
                    self._kill(running.thread.ident)
            running.thread.join(_KILL_EVERY_S)
