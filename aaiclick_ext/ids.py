"""Ids: 64-bit Snowflakes, which sort by time and name the node that made them."""

from __future__ import annotations

import datetime as dt
import threading
import time

EPOCH_MS = 1_704_067_200_000
"""2024-01-01T00:00:00Z, the zero of the time part."""

NODE_BITS = 10
SEQUENCE_BITS = 12
MAX_NODE = (1 << NODE_BITS) - 1
_MAX_SEQUENCE = (1 << SEQUENCE_BITS) - 1
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


class Snowflake:
    """A source of unique, increasing ids: 41 bits of milliseconds, 10 of node, 12 of sequence.

    The layout is Twitter's Snowflake (2010). Ids of one source never repeat and never go back,
    also when the clock does: time then stands still until the clock has caught up.

    Parameters
    ----------
    node_id
        0 to 1023; two live sources with the same node id can make the same id.

    Examples
    --------
    >>> ids = Snowflake(node_id=7)
    >>> first, second = ids.next(), ids.next()
    >>> first < second, node_of(first)
    (True, 7)
    """

    __slots__ = ("_last_ms", "_lock", "_sequence", "node_id")

    def __init__(self, node_id: int) -> None:
        if not 0 <= node_id <= MAX_NODE:
            raise ValueError(f"node_id must be 0 to {MAX_NODE}, got {node_id}")
        self.node_id = node_id
        self._lock = threading.RLock()  # a finalizer may ask for an id inside next()
        self._last_ms = 0
        self._sequence = 0

    def next(self) -> int:
        """Return the next id."""
        with self._lock:
            now_ms = max(time.time_ns() // 1_000_000 - EPOCH_MS, self._last_ms)
            if now_ms > self._last_ms:
                self._last_ms, self._sequence = now_ms, 0
            elif self._sequence == _MAX_SEQUENCE:
                self._last_ms, self._sequence = self._last_ms + 1, 0  # borrow from the future
            else:
                self._sequence += 1
            return (
                self._last_ms << (NODE_BITS + SEQUENCE_BITS)
                | self.node_id << SEQUENCE_BITS
                | self._sequence
            )


def node_of(snowflake: int) -> int:
    """Return the node id that made an id."""
    return snowflake >> SEQUENCE_BITS & MAX_NODE


def time_of(snowflake: int) -> dt.datetime:
    """Return when an id was made, to the millisecond, in UTC.

    Examples
    --------
    >>> time_of(0).isoformat()
    '2024-01-01T00:00:00+00:00'
    """
    milliseconds = (snowflake >> (NODE_BITS + SEQUENCE_BITS)) + EPOCH_MS
    return dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC)


def to_base36(number: int) -> str:
    """Return a non-negative number in base 36, as table names carry it.

    Examples
    --------
    >>> to_base36(1_000_000)
    'lfls'
    """
    digits = ""
    while number >= 36:
        number, rest = divmod(number, 36)
        digits = _ALPHABET[rest] + digits
    return _ALPHABET[number] + digits
