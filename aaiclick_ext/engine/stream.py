"""Batches that come as they are read."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from aaiclick_ext.engine.embedded import keep_for_ever
from aaiclick_ext.engine.handle import Handle, Parameters
from aaiclick_ext.engine.handles import CLOSED, Handles
from aaiclick_ext.engine.progress import ProgressWatch, State, state_of
from aaiclick_ext.errors import ContextError

if TYPE_CHECKING:
    import pyarrow as pa

Step = Callable[[Handle, str, Callable[[Handle], Any]], Any]


class BatchStream:
    """An iterator over the batches of one query, with a handle of its own until its end.

    Parameters
    ----------
    step
        Runs one step on the handle, with interrupt, recovery and translation of errors.
    handles
        Where the handle comes from.
    watch
        Is told how far it is.
    sql, parameters
        The query.

    Attributes
    ----------
    schema
        Of the batches; the constructor waits for the first.
    """

    schema: pa.Schema

    def __init__(
        self,
        step: Step,
        handles: Handles,
        watch: ProgressWatch,
        sql: str,
        parameters: Parameters,
    ) -> None:
        self._step = step
        self._handles = handles
        self._sql = sql
        self._refusal = ""
        self._lock = threading.Lock()
        self._handle: Handle | None = handles.take_extra()
        self._handle.begin()
        self._handle.limit({})  # it never holds the whole result
        self._watch = watch
        self._progress = watch.begin(self._handle)
        self._source = self._handle.batches(sql, parameters)
        self.schema = self._advance()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self

    def __next__(self) -> pa.RecordBatch:
        batch = self._advance()
        if batch is None:
            raise StopIteration
        return batch

    def cut_if_idle(self) -> None:
        """End the stream unless a thread is waiting for its next batch."""
        if self._lock.acquire(blocking=False):
            try:
                if self._handle is not None:
                    self._refusal = CLOSED
                self._end()
            finally:
                self._lock.release()

    def abandon(self, refusal: str) -> None:
        """Never touch the engine again, and say why to those who ask."""
        self._refusal, self._handle = refusal, None
        keep_for_ever(self._source)

    def __del__(self) -> None:
        if hasattr(self, "_source"):
            self._end()

    def _advance(self) -> Any:
        with self._lock:
            if self._handle is None:
                if self._refusal:
                    raise ContextError(self._refusal)
                return None
            self._watch.resume(self._progress)
            try:
                item = self._step(self._handle, self._sql, lambda _: next(self._source, None))
            except BaseException as error:
                self._say_end(state_of(error))
                self._end()
                raise
            if item is None:
                self._say_end(State.DONE)
                self._end()
            else:
                self._watch.pause(self._progress)
            return item

    def _say_end(self, state: State) -> None:
        progress, self._progress = self._progress, None
        self._watch.end(progress, state)

    def _end(self) -> None:
        handle, self._handle = self._handle, None
        progress, self._progress = self._progress, None
        self._watch.end_soon(progress)
        if handle is not None:
            with contextlib.suppress(Exception):  # what can be said was said by a step
                self._source.close()
            self._handles.give_back(handle)
