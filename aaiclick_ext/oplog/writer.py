"""LogWriter: the thread that writes events to the log; none is lost when a write fails."""

from __future__ import annotations

import os
import queue
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from aaiclick_ext.errors import AaiclickError, OplogError
from aaiclick_ext.logs import logger_of
from aaiclick_ext.oplog.log_table import ensure_log, insert_events, written_ids
from aaiclick_ext.oplog.pending import PendingEvent, completed
from aaiclick_ext.oplog.spill import SpillDirectory
from aaiclick_ext.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aaiclick_ext.engine import Engine
    from aaiclick_ext.oplog.event import OperationEvent
    from aaiclick_ext.settings import Settings

logger = logger_of("oplog")

_BATCH = 1000
_SHORTEST_INTERVAL_S = 0.01
_LOOK_AGAIN_S = 1.0


class LogWriter:
    """Writes events to the log: when asked, now and then, and when it is closed.

    Events that cannot be written stay, in order, and are tried again; what is left at `close` goes
    to a file that the next writer of the same database writes.

    Parameters
    ----------
    engine, settings
        The database and the settings of the context.
    run_id
        Of the kernel session, for the name of that file.
    is_idle
        Says whether no cell runs: only then it writes unasked.
    """

    def __init__(
        self, engine: Engine, settings: Settings, *, run_id: int, is_idle: Callable[[], bool]
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._run_id = run_id
        self._is_idle = is_idle
        self._entries: deque[PendingEvent] = deque()  # its appends are atomic
        self._writing: Sequence[PendingEvent] = ()
        self._waiting_bytes = 0
        self._is_ready = False
        self._is_closing = False
        self._asked: queue.SimpleQueue[Outcome[int] | None] = queue.SimpleQueue()
        self._start_lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="aai-oplog", daemon=True)

    @property
    def pending(self) -> int:
        """How many events are not written yet."""
        return len(self._entries) + len(self._writing)

    @property
    def waiting_bytes(self) -> int:
        """About how many bytes of values wait to be written."""
        return self._waiting_bytes

    def put(self, entry: PendingEvent) -> None:
        """Have an event written; does no I/O and takes no lock."""
        self._waiting_bytes += sum(value.size for value in entry.values.values())
        self._entries.append(entry)

    def waiting(self) -> list[PendingEvent]:
        """Return the events that nobody has begun to write."""
        while True:
            try:
                return list(self._entries)
            except RuntimeError:  # another thread, or a finalizer, recorded meanwhile
                continue

    def flush(self) -> int:
        """Have all events written; return how many, once they are in the log.

        None in the thread that writes, where finalizers of others may run. Ctrl-C ends the wait,
        not the write.

        Raises
        ------
        OplogError
            If they could not be written; they are kept for the next time.
        """
        if not self.pending or threading.current_thread() is self._thread:
            return 0
        asked = self.flush_soon()
        while not asked.wait(_LOOK_AGAIN_S):
            if not self._thread.is_alive():
                raise OplogError(f"{self.pending} events were left when the log was closed.")
        try:
            return asked.result()
        finally:
            del asked  # or its error would keep this frame, and that all callers with their tables

    def flush_soon(self) -> Outcome[int]:
        """Let the thread ``aai-oplog`` write all events; return what `flush` gives or raises."""
        asked: Outcome[int] = Outcome()
        self._asked.put(asked)
        self.start()
        return asked

    def flush_within(self, timeout_s: float) -> None:
        """Have all events written, and wait for it no longer than so; what fails is kept."""
        with suppress(Exception):
            self.flush_soon().result(timeout_s)

    def start(self) -> None:
        """Start the thread that writes; it first writes what was spilled. Idempotent."""
        with self._start_lock:
            if self._thread.ident is None:
                self._thread.start()

    def close(self) -> None:
        """Write what is left, or spill it to a file, and end the thread. Idempotent; never raises.

        Waits no longer than ``settings.close_timeout_s`` for a write.
        """
        if self._is_closing:
            return
        self._is_closing = True
        self._asked.put(None)
        self.start()
        self._thread.join(self._settings.close_timeout_s)
        if self.pending:
            self._spill()

    def _run(self) -> None:
        """Write when asked, now and then outside cells, and once at the end."""
        try:
            self._prepare()
        except Exception as error:  # noqa: BLE001  flush raises it where somebody sees it
            logger.debug("the operation log is not ready yet: %s", error)
        interval_s = max(self._settings.oplog_interval_s, _SHORTEST_INTERVAL_S)
        while not self._is_closing:
            asked = None
            with suppress(queue.Empty):
                asked = self._asked.get(timeout=interval_s)
            if asked is not None:
                self._answer(asked)
            elif self._entries and self._is_idle():
                self._write_quietly()
        if self._entries:
            self._write_quietly()
        with suppress(queue.Empty):
            while True:
                if (asked := self._asked.get_nowait()) is not None:
                    self._answer(asked)

    def _answer(self, asked: Outcome[int]) -> None:
        try:
            asked.set_result(self._write_all())
        except Exception as error:  # noqa: BLE001  whoever asked is told
            asked.set_exception(error)
        finally:
            del asked  # as in `flush`

    def _write_quietly(self) -> None:
        try:
            self._write_all()
        except Exception as error:  # noqa: BLE001  they are kept, and spilled at close
            logger.debug("%s", error)

    def _write_all(self) -> int:
        written = 0
        while self._entries:
            written += self._write_batch()
        return written

    def _prepare(self) -> None:
        """Create or check the log, and write what an earlier session had to spill."""
        if not self._is_ready:
            ensure_log(self._engine)
            self._is_ready = True
            self._spilled().replay(self._insert_missing)

    def _write_batch(self) -> int:
        batch: list[PendingEvent] = []
        self._writing = batch
        try:
            while self._entries and len(batch) < _BATCH:
                batch.append(self._entries[0])  # before it is taken: `pending` counts it, always
                self._entries.popleft()
            self._prepare()
            events = [completed(entry) for entry in batch]
            if any(entry.was_tried for entry in batch):
                self._insert_missing(events)
            else:
                insert_events(self._engine, events)
        except BaseException as error:
            self._put_back(batch)
            self._is_ready = False  # the log may have been dropped
            if isinstance(error, OplogError) or not isinstance(error, Exception):
                raise
            raise OplogError(
                f"{len(batch)} events of the operation log could not be written: {error}. "
                "They are kept and will be tried again."
            ) from error
        self._writing = ()
        if not self._entries:
            self._waiting_bytes = 0
        return len(batch)

    def _put_back(self, batch: Sequence[PendingEvent]) -> None:
        """Return a batch to the front; whether it was written is not known."""
        for entry in batch:
            entry.was_tried = True
        self._entries.extendleft(reversed(batch))
        self._writing = ()

    def _insert_missing(self, events: Sequence[OperationEvent]) -> None:
        """Insert the events that the log does not hold: an earlier attempt may have succeeded."""
        for start in range(0, len(events), _BATCH):
            part = events[start : start + _BATCH]
            there = written_ids(self._engine, (event.id for event in part))
            missing = [event for event in part if event.id not in there]
            if missing:
                insert_events(self._engine, missing)

    def _spilled(self) -> SpillDirectory:
        return SpillDirectory(self._settings.state_path, self._engine.identity)

    def _spill(self) -> None:
        """Keep on disk what could not be written, a write that hangs included."""
        if self._engine.creds.is_scratch:
            logger.warning("%d events went with the scratch database", self.pending)
            return
        events = [completed(entry) for entry in (*self._writing, *self.waiting())]
        try:
            path = self._spilled().write(events, f"{self._run_id}-{os.getpid()}")
        except AaiclickError as error:
            logger.error("%s", error)  # noqa: TRY400  closing goes on
            return
        self._entries.clear()
        logger.warning("%d events of the operation log are kept in %s", len(events), path)
