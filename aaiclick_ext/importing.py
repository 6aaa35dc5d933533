"""Imports of large packages, late, which Ctrl-C does not break."""

from __future__ import annotations

import importlib
import sys
import threading

from aaiclick_ext.outcome import Outcome


def import_whole(name: str) -> None:
    """Import a module in a thread, and wait for it: Ctrl-C ends the wait, not the import.

    A KeyboardInterrupt in the middle of an import leaves parts of a package behind, which the next
    import takes for the whole; until the process ends.
    """
    if name in sys.modules:
        return
    imported: Outcome[object] = Outcome()

    def work() -> None:
        try:
            imported.set_result(importlib.import_module(name))
        except BaseException as error:  # noqa: BLE001  raised by who waits
            imported.set_exception(error)

    threading.Thread(target=work, name="aai-import", daemon=True).start()
    imported.result()
