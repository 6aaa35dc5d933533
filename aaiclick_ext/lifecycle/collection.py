"""Collection of cyclic garbage, also where other threads collect."""

from __future__ import annotations

import gc
import threading
import time
from typing import Any

_PATIENCE_S = 0.2
_LOOK_AGAIN_S = 0.005


def collect_garbage(patience_s: float = _PATIENCE_S) -> bool:
    """Collect all that is cyclic garbage now; say whether that was done.

    `gc.collect` does nothing and returns 0 while another thread collects, which may wait in a
    finalizer meanwhile, and may look at the youngest objects alone. So this waits, no longer than
    `patience_s`, for a full collection of its own.
    """
    me = threading.get_ident()
    done: list[bool] = []

    def note(phase: str, info: dict[str, Any]) -> None:
        if phase == "stop" and info["generation"] == 2 and threading.get_ident() == me:
            done.append(True)

    deadline = time.monotonic() + patience_s
    gc.callbacks.append(note)
    try:
        while True:
            gc.collect()
            if done or time.monotonic() >= deadline:
                return bool(done)
            time.sleep(_LOOK_AGAIN_S)
    finally:
        gc.callbacks.remove(note)
