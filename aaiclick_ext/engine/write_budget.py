"""WriteBudget: how large a table may become while it is being made.

While ``CREATE TABLE … AS SELECT`` runs, ClickHouse shows the table nowhere: neither
``system.tables`` nor ``system.parts`` have it. ``written_bytes`` of the statement in
``system.processes`` is what can be seen, some ten times a second, and counts the data before
compression, as ``total_bytes_uncompressed`` does afterwards (``total_bytes`` of a Memory table).
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from aaiclick_ext.engine.handle import Handle
    from aaiclick_ext.errors import AaiclickError

T = TypeVar("T")
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class WriteBudget:
    """One table, and how many bytes of data it may have, before compression.

    Attributes
    ----------
    refuse
        Makes the error to raise of the size that would be, or was, exceeded.
    """

    table: str
    limit_bytes: int
    refuse: Callable[[int], AaiclickError]

    def check(self, size_bytes: int) -> None:
        """Raise where a size is over the limit."""
        if size_bytes > self.limit_bytes:
            raise self.refuse(size_bytes)


class Budgets(threading.local):
    """The budget of what a thread makes now, if it has one."""

    current: WriteBudget | None = None


class WriteWatch:
    """Kills the statement of a handle once it has written too much.

    Parameters
    ----------
    ask
        Runs a query beside everything else and returns its rows.
    kill
        Kills what a SQL condition finds.
    room_bytes
        How many bytes the statement may write.
    """

    def __init__(
        self,
        ask: Callable[[str], list[tuple[Any, ...]]],
        kill: Callable[[str], None],
        room_bytes: int,
    ) -> None:
        self.seen_bytes = 0
        self._ask = ask
        self._kill = kill
        self._room_bytes = room_bytes
        self._is_over = threading.Event()

    def run(self, handle: Handle, work: Callable[[Handle], T]) -> T:
        """Run a statement on a handle, under the watch; no KILL comes after it."""
        thread = threading.Thread(
            target=self._watch, args=[handle.running], name="aai-bytes", daemon=True
        )
        thread.start()
        try:
            return work(handle)
        finally:
            self._is_over.set()
            thread.join()

    @property
    def was_exceeded(self) -> bool:
        """Whether more was written than there was room for, as far as was seen."""
        return self.seen_bytes > self._room_bytes

    def _watch(self, condition: str) -> None:
        while not self._is_over.wait(_POLL_S):
            with contextlib.suppress(Exception):  # the server may be gone; the statement says so
                rows = self._ask(f"SELECT written_bytes FROM system.processes WHERE {condition}")
                self.seen_bytes = max([self.seen_bytes, *(int(row[0]) for row in rows)])
                if self.was_exceeded and not self._is_over.is_set():
                    self._kill(condition)
