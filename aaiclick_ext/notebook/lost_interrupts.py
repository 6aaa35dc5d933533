"""Ctrl-C in the middle of a finalizer, which Python would drop.

What is raised in ``__del__`` or in a callback of a weak reference goes nowhere, KeyboardInterrupt
too, and Ibis gives each part of an expression a ``__del__``: of a hundred presses during small
operations one or two were lost. Python reports each to `sys.unraisablehook`.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

from aaiclick_ext.engine.interrupt import signal_main_thread

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_SOON_S = 0.01
"""By then the finalizer and the hook are left, as a rule."""


class LostInterrupts:
    """Presses again for the user where Python dropped a KeyboardInterrupt of the main thread.

    Everything else that Python reports goes where it went before.
    """

    def __init__(self) -> None:
        self._outer = sys.unraisablehook
        self._closed = False
        sys.unraisablehook = self._hook

    def close(self) -> None:
        """Take the hook out; one that was put over it keeps calling it, to no effect."""
        self._closed = True
        if sys.unraisablehook == self._hook:
            sys.unraisablehook = self._outer

    def _hook(self, unraisable: UnraisableHookArgs, /) -> None:
        is_press = issubclass(unraisable.exc_type, KeyboardInterrupt)
        if (
            self._closed
            or not is_press
            or threading.current_thread() is not threading.main_thread()
        ):
            self._outer(unraisable)
            return
        again = threading.Thread(target=self._press_again, name="aai-interrupt-again", daemon=True)
        again.start()

    def _press_again(self) -> None:
        time.sleep(_SOON_S)
        while self._is_in_hook():  # what is raised there is dropped too
            time.sleep(_SOON_S)
        signal_main_thread()

    def _is_in_hook(self) -> bool:
        frame = sys._current_frames().get(threading.main_thread().ident or 0)  # noqa: SLF001
        while frame is not None and frame.f_code is not LostInterrupts._hook.__code__:
            frame = frame.f_back
        return frame is not None
