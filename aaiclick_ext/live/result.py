"""LiveResult: a result that follows its tables, for whoever shows it."""

from __future__ import annotations

import datetime as dt
import html
import threading
import weakref
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import ibis.expr.types as ir

from aaiclick_ext.errors import AaiclickError, ContextError, DroppedTableError
from aaiclick_ext.live.showing import Form, showing_of
from aaiclick_ext.logs import logger_of
from aaiclick_ext.objects.unbinding import with_leaves, without_leaves
from aaiclick_ext.outcome import Outcome
from aaiclick_ext.untrusted import visible

if TYPE_CHECKING:
    from collections.abc import Callable

    import ibis.expr.operations as ops

    from aaiclick_ext.live.change import Change
    from aaiclick_ext.live.heads import Head
    from aaiclick_ext.live.showing import Showing
    from aaiclick_ext.live.subscription import Subscription
    from aaiclick_ext.objects.backend import Backend

logger = logger_of("live")

SILENCE_S = 60.0
"""How long a result is followed for one who gives no sign of life."""

GRACE_S = 1.0
"""How long after the last has gone: an output that is moved comes back."""

_MAX_VIEWERS = 100
_TRY_AGAIN = "Mend what it names and press Resume, or run the cell again."
_RUN_AGAIN = (
    "A table goes with the last variable that holds it. Run the cell again once it is there."
)


@dataclass(frozen=True, slots=True)
class LiveState:
    """What is shown of a live result at one time.

    Attributes
    ----------
    showing
        Rows, a number or points.
    at
        When they were found, in UTC.
    updates
        How often they have changed since it was made.
    how, reason
        As of a `Subscription`.
    state
        ``live``; ``paused``; ``ended`` once it was closed; ``waiting`` when nobody looks at it:
        it is followed again as soon as somebody does.
    error
        What went wrong since, or None.
    advice
        What to do about that.
    """

    showing: Showing
    at: dt.datetime
    updates: int
    how: str
    reason: str | None
    state: str = "live"
    error: str | None = None
    advice: str | None = None

    @property
    def status(self) -> str:
        """One line: how old it is, and how it is kept up to date."""
        why = f": {self.reason}" if self.reason else ""
        return f"{self.state}, updated {self.at:%Y-%m-%d %H:%M:%S} UTC, {self.how}{why}"


class LiveResult:
    """A result that follows its tables: as a table, a number or a chart. Made by `aai.live`.

    As the last line of a cell it is shown, and the page follows it. It is followed as long as
    somebody looks at it, and for a minute after that; what keeps its tables is that it is followed,
    not this object. Any thread may use it.

    Examples
    --------
    >>> from aaiclick_ext import DataContext
    >>> with DataContext() as ctx:
    ...     sales = ctx.create_object_from_value({"amount": [10, 20]})
    ...     total = ctx.live(sales.agg(total=sales.amount.sum()), "number")
    ...     print(total.state.showing.text())
    ...     total.close()
    total: 30
    """

    def __init__(
        self, backend: Backend, op: ops.Relation, head: Head, *, throttle_s: float, bars: bool
    ) -> None:
        headed = head(op)
        self._backend = backend
        self._unbound = without_leaves(op)
        self._head = head
        self._form = Form(
            plan=backend.planner.plan(headed),
            schema=headed.schema,
            columns=len(op.schema),
            bars=bars,
        )
        self._throttle_s = throttle_s
        self._lock = threading.RLock()  # held over what observers do, never over a query
        self._observers: list[Callable[[LiveState], object]] = []
        self._viewers: set[str] = set()
        self._is_following = False
        self._begun: Outcome[None] = Outcome()
        self._subscription = self._subscribe(op)
        try:
            rows, _plan = backend.fetch(ir.Table(headed), None)
            showing = showing_of(backend, head, self._form, rows)
            how, reason = self._subscription.how, self._subscription.reason
            self._state = LiveState(showing, dt.datetime.now(dt.UTC), 0, how, reason)
        except BaseException:
            self._subscription.cancel()
            raise
        finally:
            self._begun.set_result(None)
        if self._subscription.error is not None:
            self._fail(self._subscription.error)

    # What is shown.

    @property
    def kind(self) -> str:
        """``table``, ``number`` or ``chart``."""
        return self._head.kind

    @property
    def state(self) -> LiveState:
        """What is shown now. Runs no query."""
        state = self._state
        if state.state == "live" and self._subscription.is_cancelled:
            return replace(state, state="waiting")
        return state

    @property
    def subscription(self) -> Subscription:
        """What tells it of changes; another one after nobody has looked for a while."""
        return self._subscription

    def observe(self, observer: Callable[[LiveState], object]) -> None:
        """Call with every new state, from whichever thread finds it."""
        with self._lock:
            self._observers.append(observer)

    def unobserve(self, observer: Callable[[LiveState], object]) -> None:
        """Call it no more."""
        with self._lock:
            if observer in self._observers:
                self._observers.remove(observer)

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        state = self.state
        alert = ""
        text = f"{state.showing.text()}\n({state.status})"
        if state.error:
            said = f"{state.error} {state.advice or ''}".strip()
            alert = f'<div role="alert">{html.escape(said)}</div>'
            text = f"{text}\n{said}"
        status = f'<div class="aaiclick-footer">{html.escape(state.status)}</div>'
        return {"text/html": f"{state.showing.html()}{alert}{status}", "text/plain": text}

    def __repr__(self) -> str:
        return f"<LiveResult {self.kind}, {self.state.status}>"

    # Who looks.

    def look(self, viewer: str) -> None:
        """Take a sign of life of one who shows it: it is followed, again if need be.

        Returns at once.
        """
        with self._lock:
            if self._state.state == "ended":
                return
            if len(self._viewers) < _MAX_VIEWERS:
                self._viewers.add(viewer)
            self._subscription.renew(SILENCE_S)
            self._follow_if_lapsed()

    def look_away(self, viewer: str) -> None:
        """Take note that one shows it no more; after the last it is not followed."""
        with self._lock:
            self._viewers.discard(viewer)
            if not self._viewers:
                self._subscription.renew(GRACE_S)

    def pause(self) -> None:
        """Show nothing new until `resume`. No query runs for it meanwhile."""
        with self._lock:
            if self._state.state == "live":
                self._subscription.pause()
                self._change(state="paused")

    def resume(self) -> None:
        """Go on after `pause`, or after an error, with what is there now. Returns at once."""
        with self._lock:
            if self._state.state == "paused":
                self._change(state="live", error=None, advice=None)
                self._subscription.resume()
                self._follow_if_lapsed()

    def close(self) -> None:
        """End it; what it shows stays as it is. Idempotent."""
        with self._lock:
            if self._state.state != "ended":
                self._subscription.cancel()
                self._change(state="ended")

    # What is told.

    def _subscribe(self, op: ops.Relation) -> Subscription:
        me = weakref.ref(self)  # a subscription must not keep the one who alone keeps it

        def told(change: Change) -> None:
            result = me()
            if result is not None:
                result._tell(change)  # noqa: SLF001

        def failed(reason: str) -> None:
            result = me()
            if result is not None:
                result._fail(reason)  # noqa: SLF001

        live = self._backend.services.live
        subscription = live.subscribe(
            ir.Table(op), told, throttle_s=self._throttle_s, head=self._head, failed=failed
        )
        subscription.renew(SILENCE_S)
        return subscription

    def _follow_if_lapsed(self) -> None:
        if self._subscription.is_cancelled and not self._is_following:
            self._is_following = True
            threading.Thread(target=self._follow, name="aai-live-call", daemon=True).start()

    def _follow(self) -> None:
        """Subscribe once more; in a thread of its own."""
        try:
            subscription = self._subscribe(with_leaves(self._backend, self._unbound))
        except DroppedTableError as error:
            gone = f"{error} is not there any more."
            self._change(error=gone, advice=_RUN_AGAIN)
        except ContextError as error:
            self._change(error=str(error))
        except Exception as error:  # noqa: BLE001  it is shown
            self._change(error=_told(error), advice=_TRY_AGAIN)
        else:
            with self._lock:
                if self._state.state == "ended":
                    subscription.cancel()
                    return
                was_paused = self._state.state == "paused"
                self._subscription = subscription
                if was_paused:
                    subscription.pause()
                else:
                    self._change(state="live", error=None, advice=None)
                    subscription.refresh()
        finally:
            self._is_following = False

    def _tell(self, change: Change) -> None:
        self._begun.wait()
        try:
            showing = showing_of(self._backend, self._head, self._form, change.rows)
        except AaiclickError as error:  # of this result; the next may be right
            self._change(error=_told(error), advice=None)
            return
        with self._lock:
            if self._state.state == "live":
                found = LiveState(
                    showing, change.at, self._state.updates + 1, self._state.how, self._state.reason
                )
                self._set(found)

    def _fail(self, reason: str) -> None:
        if self._begun.done():
            self._change(state="paused", error=visible(reason), advice=_TRY_AGAIN)

    def _change(self, **changes: str | None) -> None:
        with self._lock:
            if self._state.state != "ended" or changes.get("state") == "ended":
                self._set(replace(self._state, **changes))  # type: ignore[arg-type]

    def _set(self, state: LiveState) -> None:
        self._state = state
        for observer in list(self._observers):
            try:
                observer(state)
            except Exception:
                logger.exception("what shows a live result could not be told")


def _told(error: Exception) -> str:
    return visible(f"{type(error).__name__}: {error}")
