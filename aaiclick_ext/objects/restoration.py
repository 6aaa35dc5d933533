"""Restoration: what came of an attempt to make a dropped table again."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aaiclick_ext.objects.object import Object


class RestoreStatus(StrEnum):
    """How a restored table compares with the one that was dropped."""

    EXACT = "exact"
    """The same rows in the same order."""
    UNORDERED = "equal but unordered"
    """The same rows, in another order."""
    DIFFERS = "differs"
    """Other rows: the reason says what may have changed."""
    UNCHECKED = "unchecked"
    """Made again the same way, with as many rows; the table was too large to keep a hash of it."""
    IMPOSSIBLE = "impossible"
    """Not made again: the reason says why."""


@dataclass(frozen=True, slots=True)
class Restoration:
    """What came of restoring a table.

    Attributes
    ----------
    status
        How it compares with what was dropped, by rows and content hash.
    table
        The name of the table that was dropped.
    object
        The restored table, a new temp object; None where it is impossible.
    reason
        Why it differs or is impossible; None where all is well.
    expected_rows, rows
        How many it had, and has; None where that is not known.
    rebuilt
        Other dropped tables that were made again on the way, and let go after it.
    changed
        Sources that are not what they were when they were read: tables and files.
    views
        Named views that read the dropped table, and read the restored one now.
    """

    status: RestoreStatus
    table: str
    object: Object | None = None
    reason: str | None = None
    expected_rows: int | None = None
    rows: int | None = None
    rebuilt: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    views: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Say it in a sentence."""
        rows = "" if self.rows is None else f", {self.rows} rows"
        why = f": {self.reason}" if self.reason else ""
        verb = "view {} reads" if len(self.views) == 1 else "views {} read"
        read = f"; {verb.format(', '.join(self.views))} it now" if self.views else ""
        return f"{self.table}: {self.status}{rows}{why}{read}"
