"""Ctrl-C while the hooks of a cell run."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def interrupt_held_back() -> Iterator[None]:
    """Let no KeyboardInterrupt into the block.

    What runs inside is bookkeeping of microseconds after a cell has ended or before it starts, so
    there is nothing to interrupt: a Ctrl-C that falls into it is gone, and the user's next one
    reaches the cell. Costs two system calls; outside the main thread, where Python raises no
    KeyboardInterrupt, nothing.
    """
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or handler is None:
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
