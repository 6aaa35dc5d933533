"""LiveQueryManager: who watches which views, and the thread that finds out what has changed."""

from __future__ import annotations

import contextlib
import itertools
import math
import queue
import threading
import time
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any

from aaiclick_ext.errors import AaiclickError, ContextError
from aaiclick_ext.live.query import Filter, LiveQuery, condition_of, over
from aaiclick_ext.live.sources import Insert, WatchedSource, sources_of, versions_of
from aaiclick_ext.live.subscription import Delivery, Subscription
from aaiclick_ext.logs import logger_of
from aaiclick_ext.objects.adoption import adopt_expression

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import ibis.expr.types as ir

    from aaiclick_ext.live.change import Change, Kind
    from aaiclick_ext.live.heads import Head
    from aaiclick_ext.live.sources import Source
    from aaiclick_ext.objects.backend import Backend

logger = logger_of("live")

_GATHERED_S = 0.02
"""Inserts that come within this are looked at together."""
_TRIES = 5
_KILL_EVERY_S = 0.1


class LiveQueryManager:
    """Owns subscriptions, their compiled filters and what they claim. Any thread may call it.

    One thread, ``aai-live``, runs the queries, on a client that nothing else uses, while somebody
    subscribes; it polls what it watches. A callback is called in a thread of its own.

    Parameters
    ----------
    poll_s
        How often it looks for changes that came from elsewhere, in seconds.
    """

    def __init__(self, backend: Backend, *, poll_s: float) -> None:
        self._backend = backend
        self._poll_s = poll_s
        self._lock = threading.Lock()  # held for what follows alone, never across a query
        self._queries: dict[tuple[str, Head | None], LiveQuery] = {}
        self._deliveries: dict[int, Delivery] = {}
        self._sources: dict[Source, WatchedSource] = {}
        self._again: set[int] = set()
        self._is_closed = False
        self._thread: threading.Thread | None = None
        self._numbers = itertools.count(1)
        self._inserts: deque[Insert] = deque()
        self._ended: deque[int] = deque()  # by finalizers, which must not wait for a lock
        self._wakes: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._looks_now = False
        self._next_run = math.inf  # of a view that is not to be run again just now
        self._here: str | None = None

    # Subscribing.

    def subscribe(
        self,
        view: ir.Table,
        callback: Callable[[Change], Any],
        *,
        where: Any = None,
        throttle_s: float = 0.1,
        head: Head | None = None,
        failed: Callable[[str], object] | None = None,
    ) -> Subscription:
        """Call back with what changes in a view from now on. See `View.subscribe`.

        Parameters
        ----------
        head
            Tell the head of the result as it is now, whatever has changed; there is no `where`.
        failed
            Called with the reason when the subscription is paused by an error; in a thread that
            others wait for.
        """
        backend = self._backend
        backend.services.check_open()
        adopted = adopt_expression(backend, view)
        op = backend.without_memtables(backend.relation_of(adopted))
        condition = None if where is None else condition_of(op.to_expr(), where)
        made = LiveQuery(backend, op, head)
        reads = sources_of(backend, op)
        self._here = self._here or backend.current_database
        number = next(self._numbers)
        self._clear()
        with self._lock:
            if self._is_closed:
                raise ContextError("the DataContext was closed; nothing can be subscribed to")
            query = self._queries.setdefault(made.key, made)
            chosen = Filter(number, over(condition, op, query.op))
            delivery = Delivery(query, chosen, callback, throttle_s, failed)
            for source, is_ours in reads.items():
                watched = self._sources.get(source)
                if watched is None:
                    watched = self._sources[source] = WatchedSource(source, is_ours=is_ours)
                    if is_ours:
                        backend.services.inserts.add(source[1], self)
                watched.watchers += 1
                delivery.told[source] = watched.inserts
            self._deliveries[number] = delivery
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="aai-live", daemon=True)
                self._thread.start()
        self.look()
        return Subscription(
            delivery,
            end=lambda: self._end(number, delivery),
            clear=self._clear,
            again=lambda: self._tell_again(number),
        )

    def _end(self, number: int, delivery: Delivery) -> None:
        """Tell one nothing more. Runs in finalizers: waits for nothing."""
        delivery.is_cancelled = True
        self._ended.append(number)
        self._wakes.put(None)

    def _clear(self) -> None:
        """Forget the subscriptions that have ended, with their filters and claims, in one step."""
        with self._lock:
            now = time.monotonic()
            for number, delivery in self._deliveries.items():
                if delivery.until <= now:
                    delivery.is_cancelled = True
                    self._ended.append(number)
            while self._ended:
                self._forget(self._ended.popleft())

    def _forget(self, number: int) -> None:
        delivery = self._deliveries.pop(number, None)
        if delivery is None:
            return
        self._again.discard(number)
        query = delivery.query
        assert query is not None
        delivery.forget()
        for source in delivery.told:
            watched = self._sources[source]
            watched.watchers -= 1
            if not watched.watchers:
                del self._sources[source]
                self._backend.services.inserts.remove(source[1], self)
        if not any(other.query is query for other in self._deliveries.values()):
            del self._queries[query.key]

    def _tell_again(self, number: int) -> None:
        with self._lock:
            self._again.add(number)
        self._wakes.put(None)

    @property
    def deliveries(self) -> list[tuple[int, Delivery]]:
        """Those who are told now, by number."""
        self._clear()
        with self._lock:
            return sorted(self._deliveries.items())

    def look(self) -> None:
        """Look soon whether something else has changed what is watched. Never waits."""
        if self._sources:
            self._looks_now = True
            self._wakes.put(None)

    def close(self, timeout_s: float = 10.0) -> None:
        """Cancel every subscription, kill what runs for them, and end every thread."""
        with self._lock:
            self._is_closed = True
            running, thread = dict(self._deliveries), self._thread
        for number, delivery in running.items():
            self._end(number, delivery)
        self._clear()
        deadline = time.monotonic() + timeout_s
        while thread is not None and thread.is_alive() and time.monotonic() < deadline:
            self._backend.services.engine.cancel(thread.ident)
            thread.join(_KILL_EVERY_S)
        for delivery in running.values():
            delivery.join(max(0.0, deadline - time.monotonic()))
        self._let_go(self._taken_inserts())

    # What inserts say, while they are in progress.

    def begun(self, table: str) -> None:
        """Take note that rows are about to be added to a table."""
        watched = self._watched(table)
        if watched is not None:
            watched.moving += 1

    def ended(self, table: str, staging: str | None, rows: int) -> None:
        """Take note of rows that were added, or of an insert that failed."""
        watched = self._watched(table)
        if watched is None:
            return
        if staging is None:
            self._looks_now = True  # it may have failed after the rows were there
        elif rows:
            hold = self._backend.services.worker.hold(staging, who="live")
            watched.inserted(rows)
            self._inserts.append(Insert(watched.source, watched.inserts, staging, hold))
        watched.moving = max(0, watched.moving - 1)
        self._wakes.put(None)

    def _watched(self, table: str) -> WatchedSource | None:
        return None if self._here is None else self._sources.get((self._here, table))

    # The thread.

    def _run(self) -> None:
        next_poll = 0.0
        while self._wait(min(next_poll, self._next_run)):
            try:
                changed: set[Source] = set()
                if self._looks_now or time.monotonic() >= next_poll:
                    self._looks_now = False
                    changed = self._changed_elsewhere()
                    next_poll = time.monotonic() + self._poll_s
                self._update(changed)
            except Exception as error:
                if not self._is_closed:
                    known = isinstance(error, AaiclickError)
                    logger.warning(
                        "live results could not be brought up to date: %s", error,
                        exc_info=None if known else error,
                    )  # fmt: skip

    def _wait(self, until: float) -> bool:
        """Wait for something to do; say whether somebody is still to be told."""
        with self._lock:
            until = min([until, *(delivery.until for delivery in self._deliveries.values())])
        try:
            self._wakes.get(timeout=max(0.0, until - time.monotonic()))
            time.sleep(_GATHERED_S)
            while True:
                self._wakes.get_nowait()
        except queue.Empty:
            pass
        self._clear()
        with self._lock:
            if self._deliveries and not self._is_closed:
                return True
            self._thread = None
        self._let_go(self._taken_inserts())
        return False

    def _changed_elsewhere(self) -> set[Source]:
        """Return the sources that something else than inserts of this process has changed."""
        with self._lock:
            watched = [each for each in self._sources.values() if each.is_quiet]
        before = {each.source: each.inserts for each in watched}
        if not before:
            return set()
        ours = {each.source: each.is_ours for each in watched}
        found = versions_of(self._backend.services.engine, ours)
        changed = set()
        for each in watched:
            if not each.is_quiet or each.inserts != before[each.source]:
                self._looks_now = True  # rows came meanwhile: what was found is of no use
            elif each.has_changed(found.get(each.source)):
                changed.add(each.source)
        return changed

    def _update(self, changed: set[Source]) -> None:
        inserts = self._taken_inserts()
        self._next_run = math.inf
        try:
            with self._lock:
                again, self._again = self._again, set()
                groups: defaultdict[LiveQuery, list[tuple[int, Delivery]]] = defaultdict(list)
                for number, delivery in self._deliveries.items():
                    if not delivery.is_paused and delivery.query is not None:
                        groups[delivery.query].append((number, delivery))
            for query, group in groups.items():
                is_changed = not changed.isdisjoint(group[0][1].told)
                afresh = [d for number, d in group if is_changed or number in again]
                every = [delivery for _, delivery in group]
                self._update_query(query, every, afresh, inserts, is_changed=is_changed)
        finally:
            self._let_go(inserts)

    def _update_query(
        self,
        query: LiveQuery,
        deliveries: list[Delivery],
        afresh: list[Delivery],
        inserts: list[Insert],
        *,
        is_changed: bool,
    ) -> None:
        try:
            if is_changed:
                query.forget()
            if afresh:
                self._tell_all(query, afresh, "changed")
            if query.increment is None:
                self._run_again(query, deliveries, inserts)
                return
            by_told: defaultdict[tuple[int, ...], list[Delivery]] = defaultdict(list)
            for delivery in deliveries:
                by_told[tuple(delivery.told.values())].append(delivery)
            for alike in by_told.values():
                told = alike[0].told
                new = [i for i in inserts if i.source in told and i.number > told[i.source]]
                if new:
                    self._tell_inserts(query, alike, new)
        except Exception as error:  # noqa: BLE001  the inserts are told to the other views
            query.forget()
            known = isinstance(error, AaiclickError)
            reason = str(error) if known else f"{type(error).__name__}: {error}"
            for delivery in () if self._is_closed else deliveries:
                delivery.fail(reason)

    def _run_again(
        self, query: LiveQuery, deliveries: list[Delivery], inserts: list[Insert]
    ) -> None:
        """Run a view again for those who miss an insert; later, if it was run just now."""
        for each in deliveries:
            each.is_behind |= any(i.number > each.told.get(i.source, i.number) for i in inserts)
        behind = [delivery for delivery in deliveries if delivery.is_behind]
        if not behind:
            return
        rest_s = query.rest_s(min(delivery.throttle_s for delivery in behind))
        if rest_s > 0:
            self._next_run = min(self._next_run, time.monotonic() + rest_s)
        else:
            self._tell_all(query, behind, "result")

    def _tell_inserts(
        self, query: LiveQuery, deliveries: list[Delivery], new: list[Insert]
    ) -> None:
        filters = [delivery.chosen for delivery in deliveries]
        assert query.increment is not None
        if query.increment.is_aggregate and not query.has_begun:
            self._tell_all(query, deliveries, "result")
            return
        if query.has_added_rows:
            found = query.added([insert.staging for insert in new], filters)
        else:
            unmerged = [i for i in new if i.number > query.merged_until]
            query.merge([insert.staging for insert in unmerged])
            query.merged_until = max(query.merged_until, new[-1].number)
            found = query.merged(filters)
        for delivery in deliveries:
            for insert in new:
                delivery.told[insert.source] = insert.number
            rows = found[delivery.chosen.number]
            if not query.has_added_rows:
                delivery.put("result", rows, "incremental")
            elif rows.num_rows:
                delivery.put("rows", rows, "incremental")

    def _tell_all(self, query: LiveQuery, deliveries: list[Delivery], kind: Kind) -> None:
        """Run the view, and tell its result, with every insert that it contains."""
        filters = [delivery.chosen for delivery in deliveries]
        sources = [self._sources[s] for s in deliveries[0].told if s in self._sources]
        for left in reversed(range(_TRIES)):
            with self._without_inserts([] if left else sources):
                before = [each.inserts for each in sources]
                was_quiet = all(each.is_quiet for each in sources)
                if query.increment is not None and query.increment.is_aggregate:
                    query.begin()
                    found = query.merged(filters)
                else:
                    found = query.result(filters)
                is_quiet = was_quiet and all(each.is_quiet for each in sources)
            if is_quiet and before == [each.inserts for each in sources]:
                break
        if query.increment is not None and before:
            query.merged_until = before[0]
        for delivery in deliveries:
            delivery.told.update(zip((s.source for s in sources), before, strict=True))
            delivery.is_behind = False
            delivery.put(kind, found[delivery.chosen.number], "recomputed")

    @contextlib.contextmanager
    def _without_inserts(self, sources: Iterable[WatchedSource]) -> Iterator[None]:
        """Let inserts into some tables wait: only where they come so fast that no query fits in."""
        with contextlib.ExitStack() as stack:
            for each in sorted(sources, key=lambda watched: watched.source):
                stack.enter_context(self._backend.services.inserting.lock(each.source[1]))
            yield

    def _taken_inserts(self) -> list[Insert]:
        taken = []
        while self._inserts:
            taken.append(self._inserts.popleft())
        return taken

    def _let_go(self, inserts: Iterable[Insert]) -> None:
        for insert in inserts:
            insert.hold.release()
