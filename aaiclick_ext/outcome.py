"""What a thread finds out for others: a result or an error, which comes once."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class Outcome(Generic[T]):
    """A `concurrent.futures.Future` to which Ctrl-C does no harm.

    A future, like a condition and an event of `threading`, takes its lock in Python code. A
    KeyboardInterrupt that comes as that code returns leaves the lock held: whoever asks next, and
    the thread that is to tell, wait for ever. Here is no lock.
    """

    def __init__(self) -> None:
        self._result: T
        self._error: BaseException | None = None
        self._is_there = False
        self._waiting: deque[SimpleQueue[None]] = deque()  # its changes are atomic

    def done(self) -> bool:
        """Say whether it is there; never waits."""
        return self._is_there

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until it is there; say whether that was in time."""
        if self._is_there:
            return True
        woken: SimpleQueue[None] = SimpleQueue()
        self._waiting.append(woken)
        if not self._is_there:  # or nobody may know of this one
            with suppress(Empty):
                woken.get(timeout=timeout_s)
        return self._is_there

    def result(self, timeout_s: float | None = None) -> T:
        """Wait for the result and return it, or raise the error.

        Raises
        ------
        TimeoutError
            If `timeout_s` passed first.
        """
        if not self.wait(timeout_s):
            raise TimeoutError
        if self._error is not None:
            try:
                raise self._error
            finally:
                del self  # the error keeps this frame, and that would keep the error
        return self._result

    def exception(self) -> BaseException | None:
        """Wait, and return the error, or None where there is a result."""
        self.wait()
        return self._error

    def set_result(self, result: T) -> None:
        """Tell the result."""
        self._result = result
        self._tell()

    def set_exception(self, error: BaseException) -> None:
        """Tell what is to be raised instead of a result."""
        self._error = error
        self._tell()

    def _tell(self) -> None:
        self._is_there = True
        while self._waiting:
            self._waiting.popleft().put(None)
