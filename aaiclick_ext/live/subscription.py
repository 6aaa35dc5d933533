"""Subscription: the handle of one who is told, and what is told to it in its own thread."""

from __future__ import annotations

import datetime as dt
import math
import threading
import time
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from aaiclick_ext.live.change import Change
from aaiclick_ext.logs import logger_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from aaiclick_ext.live.change import How, Kind
    from aaiclick_ext.live.query import Filter, LiveQuery
    from aaiclick_ext.live.sources import Source

logger = logger_of("live")

_POLL_S = 0.05

MAX_WAITING_BYTES = 256 << 20
"""What may wait for one subscriber; one that is slower is paused, and told so."""


class Delivery:
    """What waits for one subscriber, and the thread that calls it. The manager holds this.

    Changes that wait are put together: a subscriber that is slow gets fewer and larger ones.
    """

    def __init__(
        self,
        query: LiveQuery,
        chosen: Filter,
        callback: Callable[[Change], Any],
        throttle_s: float,
        failed: Callable[[str], object] | None = None,
    ) -> None:
        self.query: LiveQuery | None = query
        self.chosen = chosen
        self.how: How = query.how
        self.reason = query.reason
        self.throttle_s = throttle_s
        self.error: str | None = None
        self.delivered = 0
        self.is_paused = False
        self.is_cancelled = False  # set by a finalizer
        self.told: dict[Source, int] = {}
        """By source, the last insert that what was told contains."""
        self.is_behind = False
        """Whether the view has to be run again for it; used by the manager's thread alone."""
        self.until = math.inf
        """When it ends if nobody renews it, by the monotonic clock."""
        self._failed = failed
        self._callback: Callable[[Change], Any] | None = callback
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Kind, pa.Table, How]] = deque()
        self._waiting_bytes = 0
        self._thread: threading.Thread | None = None
        self._last = 0.0

    def put(self, kind: Kind, rows: pa.Table, how: How) -> None:
        """Give the subscriber a change; never waits for it."""
        with self._lock:
            if self.is_cancelled or self.is_paused:
                return
            if kind != "rows":
                self._waiting.clear()
                self._waiting_bytes = 0
            self._waiting.append((kind, rows, how))
            self._waiting_bytes += rows.nbytes
            is_too_slow = self._waiting_bytes > MAX_WAITING_BYTES and len(self._waiting) > 1
            if not is_too_slow and self._thread is None:
                self._thread = threading.Thread(target=self._run, name="aai-live-call", daemon=True)
                self._thread.start()
        if is_too_slow:
            self.fail("it is too slow: more than 256 MB waited for it")

    def forget(self) -> None:
        """Let go of the view, its tables and the callback, once it is cancelled."""
        self.query = self._callback = self._failed = None
        with self._lock:
            self._waiting.clear()

    def fail(self, reason: str) -> None:
        """Pause it, for a reason."""
        with self._lock:
            if self.is_cancelled:
                return
            self.is_paused = True
            self.error = reason
            self._waiting.clear()
            self._waiting_bytes = 0
            failed = self._failed
        logger.warning("a subscription was paused: %s", reason)
        if failed is not None:
            try:
                failed(reason)
            except Exception:
                logger.exception("a subscriber could not be told that it was paused")

    def join(self, timeout_s: float) -> None:
        """Wait for the call that is being made, if one is."""
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            while not self.is_cancelled:
                left_s = self._last + self.throttle_s - time.monotonic()
                if left_s <= 0:
                    break
                time.sleep(min(left_s, _POLL_S))
            with self._lock:
                if self.is_cancelled or not self._waiting:
                    self._thread = None
                    return
                kind, rows, how = _put_together(self._waiting)
                self._waiting.clear()
                self._waiting_bytes = 0
                self.delivered += 1
                number, callback = self.delivered, self._callback
            self._last = time.monotonic()
            try:
                if callback is not None:
                    callback(Change(kind, rows, how, number, dt.datetime.now(dt.UTC)))
            except BaseException as error:  # whatever it is, the others go on
                logger.debug("a callback failed", exc_info=True)
                self.fail(f"its callback raised {type(error).__name__}: {error}")


def _put_together(waiting: deque[tuple[Kind, pa.Table, How]]) -> tuple[Kind, pa.Table, How]:
    """Return one change that says what several do: a result, and rows that were added to it."""
    kind, first, how = waiting[0]
    tables = [rows for _, rows, _ in waiting]
    return kind, pa.concat_tables(tables) if len(tables) > 1 else first, how


class Subscription:
    """Tells a callback what changes in a view, until it is cancelled or nothing refers to it.

    Also a context manager, which cancels at its end. It holds the tables of the view.
    """

    def __init__(
        self,
        delivery: Delivery,
        *,
        end: Callable[[], object],
        clear: Callable[[], object],
        again: Callable[[], object],
    ) -> None:
        self._delivery = delivery
        self._finalizer = weakref.finalize(self, end)
        self._finalizer.atexit = False
        self._clear = clear
        self._again = again

    @property
    def is_active(self) -> bool:
        """Whether changes are told."""
        return not self._delivery.is_cancelled and not self._delivery.is_paused

    @property
    def how(self) -> str:
        """``incremental`` where an insert costs what was inserted, else ``recomputed``."""
        return self._delivery.how

    @property
    def reason(self) -> str | None:
        """Why it is recomputed; None where it is not."""
        return self._delivery.reason

    @property
    def error(self) -> str | None:
        """Why it was paused; None where it was not, or not by an error."""
        return self._delivery.error

    @property
    def delivered(self) -> int:
        """How many times the callback was called."""
        return self._delivery.delivered

    def cancel(self) -> None:
        """End it at once: nothing is told that was not being told already. Idempotent."""
        self._finalizer()
        self._clear()

    @property
    def is_cancelled(self) -> bool:
        """Whether it has ended."""
        return self._delivery.is_cancelled

    def renew(self, lease_s: float) -> None:
        """Let it end by itself that many seconds from now, unless it is renewed before."""
        self._delivery.until = time.monotonic() + lease_s

    def refresh(self) -> None:
        """Tell the result as it is now, as ``changed``. Returns at once."""
        self._again()

    def pause(self) -> None:
        """Tell nothing until `resume`; what changes meanwhile is told as one ``changed``."""
        self._delivery.is_paused = True

    def resume(self) -> None:
        """Go on after `pause`, or after an error; tells the result as it is now, as ``changed``."""
        if not self._delivery.is_cancelled and self._delivery.is_paused:
            self._delivery.error = None
            self._delivery.is_paused = False
            self._again()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()

    def __repr__(self) -> str:
        is_cancelled = self._delivery.is_cancelled
        state = "cancelled" if is_cancelled else "active" if self.is_active else "paused"
        why = f": {self.error}" if self.error else ""
        return f"<Subscription {state}, {self.how}, {self.delivered} delivered{why}>"
