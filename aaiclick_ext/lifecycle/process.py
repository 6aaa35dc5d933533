"""What the contexts of a process have in common.

The kernel's leases, which need more than a light import, are in `process_leases`; the embedded
engine, of which a process has one, is in `aaiclick_ext.engine.embedded`.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakValueDictionary

from aaiclick_ext.lifecycle.session_scopes import SessionScopes


class Process:
    """Which contexts, and which sessions of theirs, the code that runs now can find.

    Attributes
    ----------
    contexts
        Open contexts that were entered, the current one last. Not a ContextVar: a value set in a
        notebook cell that contains ``await`` is gone in the next cell.
    scopes
        Which sessions were entered, in threads and tasks.
    backends
        Those of open contexts, by kernel session and run: how a pickle finds its own again, and
        how contexts on one database count its tables together.
    """

    def __init__(self) -> None:
        self.contexts: list[Any] = []
        self.scopes = SessionScopes()
        self.backends: WeakValueDictionary[tuple[int, int], Any] = WeakValueDictionary()


process = Process()
