"""Limits that ClickHouse keeps for us while it runs what a user sent, and how they are lifted."""

from __future__ import annotations

import contextlib
import shutil
import threading
from typing import TYPE_CHECKING, TypeVar

from aaiclick_ext.errors import AaiclickError, EngineError, LimitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import pyarrow as pa

    from aaiclick_ext.engine.handle import Handle
    from aaiclick_ext.settings import Settings

T = TypeVar("T")
RESULT_BYTES = "max_result_bytes"
FREE_DISK_BYTES = "min_free_disk_bytes_to_perform_insert"
UNLIMITED_HINT = "`with aai.unlimited(): …` lifts the limit."

_TOO_MANY_ROWS_OR_BYTES = 396
_NOT_ENOUGH_SPACE = 243

_lock = threading.Lock()
_lifted = 0


@contextlib.contextmanager
def unlimited() -> Iterator[None]:
    """Lift every limit in the block: ``with aai.unlimited(): x.to_pandas()``.

    Those are the settings `max_fetch_bytes`, `max_cross_join_rows` and `min_free_disk_bytes`. They
    are lifted for the whole process, also for what other threads and libraries run meanwhile.
    """
    global _lifted
    with _lock:
        _lifted += 1
    try:
        yield
    finally:
        with _lock:
            _lifted -= 1


def limits_are_lifted() -> bool:
    """Whether code runs inside `unlimited`."""
    return _lifted > 0


def limits_of(settings: Settings, *, is_embedded: bool) -> dict[str, int]:
    """Return the limits of some settings, as ClickHouse calls them; 0 is none."""
    limits = {RESULT_BYTES: settings.max_fetch_bytes or 0}
    if is_embedded:  # a server's disk is its own business
        limits[FREE_DISK_BYTES] = settings.min_free_disk_bytes
    return limits


def limit_error(error: AaiclickError, limits: Mapping[str, int]) -> LimitError | None:
    """Return what to raise where one of our limits was passed; None for any other error."""
    if not isinstance(error, EngineError):
        return None
    if error.code == _TOO_MANY_ROWS_OR_BYTES and limits.get(RESULT_BYTES):
        message = (
            f"the result has more than {limits[RESULT_BYTES]:,} bytes (setting max_fetch_bytes), "
            "so nothing was fetched. Fetch less of it (filter, select, limit, aggregate), one "
            f"batch after another (to_pyarrow_batches) or into a file (export); {UNLIMITED_HINT}"
        )
    elif error.code == _NOT_ENOUGH_SPACE and FREE_DISK_BYTES in str(error):
        message = disk_message(limits.get(FREE_DISK_BYTES, 0))
    else:
        return None
    refused = LimitError(message, sql=error.sql, code=error.code, query_id=error.query_id)
    refused.__cause__ = error
    return refused


def within(
    limits: Mapping[str, int], batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Pass a result's batches on until they have more bytes than its limit.

    ClickHouse looks at the same limit, and stops earlier, but it counts what it has: a constant
    once a block, a LowCardinality column by its numbers. In Arrow each row has its value.

    Raises
    ------
    EngineError
        With the code that ClickHouse has for it.
    """
    limit, size = limits.get(RESULT_BYTES), 0
    for batch in batches:
        size += batch.nbytes
        if limit and size > limit:
            message = f"The result has more than {limit} bytes."
            raise EngineError(message, code=_TOO_MANY_ROWS_OR_BYTES)
        yield batch


class Limits:
    """The limits of an engine's statements of users.

    Attributes
    ----------
    given
        Returns the limits, as `limits_of` does; asked before each statement.
    path
        The directory of an embedded database.
    """

    def __init__(self) -> None:
        self.given: Callable[[], Mapping[str, int]] = dict
        self.path: Path | None = None

    def keep(self, handle: Handle, work: Callable[[Handle], T]) -> T:
        """Run a statement within the limits, as they are now."""
        handle.limit(self._in_force())
        return work(handle)

    def lift(self, handle: Handle, work: Callable[[Handle], T]) -> T:
        """Run a statement without limits."""
        handle.limit({})
        return work(handle)

    def check_disk(self) -> None:
        """Raise LimitError where the disk of an embedded database has less left than it must.

        ClickHouse says so itself, but for inserts that are pushed.
        """
        limit = self._in_force().get(FREE_DISK_BYTES, 0)
        if limit and self.path is not None and shutil.disk_usage(self.path).free < limit:
            raise LimitError(disk_message(limit))

    def _in_force(self) -> Mapping[str, int]:
        """Return the limits, 0 for each while they are lifted."""
        given = self.given()
        return dict.fromkeys(given, 0) if limits_are_lifted() else given


def disk_message(limit: int) -> str:
    """Return what to say where the disk is nearly full."""
    return (
        f"the disk of the database has less than {limit:,} bytes left (setting "
        "min_free_disk_bytes), so nothing was made. Delete what you need no more (`%tables` lists "
        f"your tables); {UNLIMITED_HINT}"
    )
