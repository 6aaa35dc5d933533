"""Writing a cell's events at its end."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from aaiclick_ext.errors import AaiclickError

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("aaiclick_ext.notebook")


class LogWriter:
    """One write of the operation log, in a thread of its own.

    Ctrl-C then ends the waiting, not the insert, which would leave open whether its rows are there;
    and a server that does not answer holds up no cell. The thread costs 0.1 ms.

    Parameters
    ----------
    flush
        Writes the events; those of a write that fails stay where they are and are written later.
    """

    def __init__(self, flush: Callable[[], object]) -> None:
        self._flush = flush
        self._done = threading.Event()
        threading.Thread(target=self._write, name="aai-log-writer", daemon=True).start()

    def wait(self, timeout_s: float) -> bool:
        """Wait until the events are written; Ctrl-C or `timeout_s` end the waiting."""
        try:
            return self._done.wait(timeout_s)
        except KeyboardInterrupt:
            return False  # the cell has ended, so there is nothing else to interrupt

    def _write(self) -> None:
        try:
            self._flush()
        except AaiclickError as error:
            logger.warning("events of this cell are not in the operation log yet: %s", error)
        finally:
            self._done.set()
