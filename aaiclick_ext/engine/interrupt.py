"""Ctrl-C during a query: KILL it, wait for its end, then raise KeyboardInterrupt.

Python runs signal handlers between bytecodes, and the main thread is inside the engine, so a
handler of ours would run after the query. But the C-level handler writes the signal's number to
the wakeup fd at once, and a thread that reads there can send the KILL. An exception raised inside
the driver would leave its locks and buffers in any state, so for the length of a query the SIGINT
handler only takes note.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import select
import signal
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Self

from aaiclick_ext.engine.stopped import StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType

_SIGINT = bytes([signal.SIGINT])
_END = b"\0"  # no signal has this number
_REPEAT_S = 0.1  # a KILL that comes before the query is registered finds nothing

READ_PATIENCE_S = 0.3
"""How long KILLs may have no effect on a read: its result may be on its way, which nobody wants."""

WRITE_PATIENCE_S = 3.0
"""The same for a write, whose end what follows has to wait for: it drops what was half made."""


class InterruptWatch:
    """The thread that turns SIGINT into a KILL while the main thread runs a statement.

    Parameters
    ----------
    kill
        Sends a KILL for what a SQL condition finds; called in the watching thread.
    """

    def __init__(self, kill: Callable[[str], None]) -> None:
        self._kill = kill
        self._killing = threading.Thread()  # the last one that sent a KILL nobody waits for
        self._reading, self._writing = socket.socketpair()  # a pipe would do, but for Windows
        self._writing.setblocking(False)
        self._kill_lock = threading.Lock()  # held over a KILL: a late one must not hit what follows
        self._target: str | None = None
        self._patience_s: float | None = None
        self._abandon = False
        self._entered = False
        self._pressed = False
        self._outer: Any = None
        self._outer_fd = -1
        self._drained = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._watch, name="aai-interrupt", daemon=True)
        self._thread.start()

    def guard(self, patience_s: float = READ_PATIENCE_S) -> Guard:
        """Return a context manager to run one statement in.

        A statement that may be abandoned is, when KILLs had no effect for `patience_s`.

        It raises KeyboardInterrupt at its end if Ctrl-C was pressed inside. Off the main thread,
        inside another guard, and where SIGINT has no Python handler it does nothing.
        """
        return Guard(self, patience_s)

    def aim(self, target: str, *, patience_s: float | None) -> None:
        """Name the statement that Ctrl-C kills from now on, by a SQL condition.

        KeyboardInterrupt is raised in its middle when KILLs had no effect for `patience_s`, even
        if the engine does not answer: the condition must find this statement alone. With None,
        never, and `disarm` waits for the answer.
        """
        with self._kill_lock:
            self._target, self._patience_s = target, patience_s
        if self._pressed:
            self._wake()  # it was pressed when there was nothing to kill

    def disarm(self) -> None:
        """Return when no KILL is under way and none will follow."""
        with self._kill_lock:
            self._target = None

    def close(self) -> None:
        """End the thread."""
        if not self._closed:
            self._closed = True
            self._writing.close()
            self._thread.join()
            if self._killing.is_alive():
                self._killing.join()
            self._reading.close()

    def enter(self) -> bool:
        """Take SIGINT over; return whether that was done."""
        if self._entered or threading.get_ident() != threading.main_thread().ident:
            return False
        outer = signal.getsignal(signal.SIGINT)
        if not callable(outer):  # ignored, or the default that ends the process
            return False
        self._pressed, self._abandon = False, False
        signal.signal(signal.SIGINT, self._note)  # raises KeyboardInterrupt itself, where it waits
        # Nothing raises from here on: the handler that does is replaced.
        self._entered, self._outer = True, outer
        self._outer_fd = signal.set_wakeup_fd(self._writing.fileno(), warn_on_full_buffer=False)
        return True

    def leave(self) -> bool:
        """Give SIGINT back; return whether it came."""
        self._target = None  # from here on the handler does not raise
        self.disarm()
        signal.set_wakeup_fd(self._outer_fd)
        if self._pressed:
            self._drain()
        self._entered = False
        signal.signal(signal.SIGINT, self._outer)
        return self._pressed

    def _note(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self._pressed = True
        if self._abandon and self._target is not None:
            self._abandon = False
            raise KeyboardInterrupt

    def _drain(self) -> None:
        """Return when the thread has read everything: a SIGINT must not kill a later statement."""
        self._drained.clear()
        self._writing.send(_END)
        self._drained.wait()

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._writing.send(_SIGINT)

    def _watch(self) -> None:
        while data := self._reading.recv(4096):
            if _SIGINT in self._take_in(data):
                self._kill_until_done()

    def _take_in(self, data: bytes) -> bytes:
        """Return what came after the last end; pass on other signals.

        They go to the fd that ours stands in for: asyncio has one.
        """
        others = data.replace(_SIGINT, b"").replace(_END, b"")
        if others and self._outer_fd >= 0:
            with contextlib.suppress(OSError):
                os.write(self._outer_fd, others)
        if _END in data:
            self._drained.set()
        return data.rpartition(_END)[2]

    def _kill_until_done(self) -> None:
        began = time.monotonic()
        while True:
            with self._kill_lock:
                target, patience_s = self._target, self._patience_s
                if target is None:
                    return
                if patience_s is None:
                    self._kill_quietly(target)
            if patience_s is not None:
                self._kill_beside(target)
                if time.monotonic() > began + patience_s:
                    self._abandon = True
                    signal_main_thread()
                    return
            if select.select([self._reading], [], [], _REPEAT_S)[0]:
                data = self._reading.recv(4096)
                if not data or _END in data:
                    self._take_in(data)
                    return
                self._take_in(data)

    def _kill_quietly(self, target: str) -> None:
        with contextlib.suppress(Exception):  # it may have ended; the server may be gone
            self._kill(target)

    def _kill_beside(self, target: str) -> None:
        """Send a KILL without waiting for the answer, unless one is under way."""
        if not self._killing.is_alive():
            self._killing = threading.Thread(
                target=self._kill_quietly, args=(target,), name="aai-kill", daemon=True
            )
            self._killing.start()


def signal_main_thread() -> None:
    """Do what Ctrl-C does, from any thread."""
    main = threading.main_thread().ident
    if sys.platform == "win32" or main is None:
        _thread.interrupt_main()
    else:
        signal.pthread_kill(main, signal.SIGINT)  # this also ends its system call


class Guard:
    """One statement under the watch."""

    __slots__ = ("_active", "_patience_s", "_watch")

    def __init__(self, watch: InterruptWatch, patience_s: float) -> None:
        self._watch = watch
        self._patience_s = patience_s
        self._active = False

    def __enter__(self) -> Self:
        self._active = self._watch.enter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._active and self._watch.leave():
            raise StoppedError from None

    def aim(self, target: str, *, may_abandon: bool) -> None:
        """Name the statement that Ctrl-C kills from now on."""
        if self._active:
            self._watch.aim(target, patience_s=self._patience_s if may_abandon else None)

    def disarm(self) -> None:
        """Return when no KILL is under way and none will follow."""
        if self._active:
            self._watch.disarm()
