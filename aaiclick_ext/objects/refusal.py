"""Refusals that find out which row they are about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aaiclick_ext.errors import AaiclickError, UnsupportedTypeError, ValueRangeError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa


class Refusal(Exception):  # noqa: N818  it is made into one of our errors, never shown
    """A value that cannot be kept, before it is known whose it is.

    Attributes
    ----------
    kind
        The error it is to be.
    reason
        What is wrong, and what to do.
    row
        Where, or None: nowhere in particular.
    steps
        From the column into its nested values, as in ``[]`` or ``.name``.
    """

    def __init__(self, kind: type[AaiclickError], reason: str, row: int | None = None) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
        self.row = row
        self.steps = ""

    def inside(self, step: str, row: int | None = None) -> Refusal:
        """Return itself as seen from one level further out."""
        self.steps = step + self.steps
        self.row = row
        return self

    def error(self, column: str) -> AaiclickError:
        """Return the error to raise, about a column."""
        where = f"column {column + self.steps!r}"
        if self.row is not None:
            where += f", row {self.row}"
        return self.kind(f"{where}: {self.reason}")


def unsupported(reason: str, row: int | None = None) -> Refusal:
    """Return the refusal of a type."""
    return Refusal(UnsupportedTypeError, reason, row)


def out_of_range(reason: str, row: int | None = None) -> Refusal:
    """Return the refusal of a value."""
    return Refusal(ValueRangeError, reason, row)


def first_refused(column: pa.ChunkedArray, check: Callable[[pa.ChunkedArray], Any]) -> int | None:
    """Return the first row that makes a check refuse; None if it refuses no rows at all too.

    Calls the check on slices, some 2·log2(rows) of them.
    """
    if _refuses(column.slice(0, 0), check):
        return None
    low, high = 0, len(column)
    while high - low > 1:
        middle = (low + high) // 2
        if _refuses(column.slice(low, middle - low), check):
            high = middle
        else:
            low = middle
    return low


def _refuses(column: pa.ChunkedArray, check: Callable[[pa.ChunkedArray], Any]) -> bool:
    try:
        check(column)
    except Refusal:
        return True
    return False
