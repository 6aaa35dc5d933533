"""Imports of large packages, late, which Ctrl-C does not break."""

from __future__ import annotations

import functools
import importlib
import sys
import threading
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from aaiclick_ext.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


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


def needing(name: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorate a function that imports something of a large package when it is called."""

    def decorated(function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def with_import(*args: P.args, **kwargs: P.kwargs) -> T:
            import_whole(name)
            return function(*args, **kwargs)

        return with_import

    return decorated
