"""RefRegistry: who needs what, counted in one place.

A ref is registered with count zero; who needs it claims it and releases it again. What holds other
refs (a stored view, a column of Python objects, a live query) claims them while it lives. A ref at
zero goes with the next sweep, what it held goes in cascade, and its number is given to another one
with the next generation, so that an old ref is an error and never someone else's object.

How it stays right, whatever comes in between:

- One call at a time changes anything. What a finalizer asks for that the collector runs in the
  middle of a call, in the same thread, is done when that call ends; an error of it is logged.
- No step of a call is lost by Ctrl-C: each is one bytecode, and they are ordered so that what an
  interrupted call leaves is freed by the end of the cell, and nothing sooner.
- What is freed is called back, and let go of, when the lock is free again.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from aaiclick_ext.errors import RefCountError, StaleRefError
from aaiclick_ext.lifecycle.object_ref import ObjectRef, RefKind, refs_in
from aaiclick_ext.lifecycle.ref_counts import RefCounts, Slot, Within
from aaiclick_ext.logs import logger_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Hashable

    from aaiclick_ext.lifecycle.object_ref import Holds

__all__ = ["ObjectRef", "RefKind", "RefRegistry"]

logger = logger_of("lifecycle")


class _Here(threading.local):
    """Where a thread is: within a call of the registry, within a callback; what it has freed."""

    is_inside = False
    is_calling = False

    def __init__(self) -> None:
        self.gone: deque[Slot] = deque()


class RefRegistry:
    """Counts claims, and frees what nothing claims.

    Any thread may call it. Nothing here runs a query. `freed` callbacks run in the thread that
    calls `sweep` or `end_cell`, one after another and never within a call of the registry; let a
    thread do so that Ctrl-C does not reach, or a callback may be interrupted as any code may.

    Parameters
    ----------
    node, session
        Written into every ref; a ref of another is stale here.
    waiting
        Kinds that a sweep frees only where it is told that they are ready, also in cascade.

    Examples
    --------
    >>> refs = RefRegistry()
    >>> old = refs.register(RefKind.OBJECT, "a value")
    >>> refs.claim(old, "name best")
    >>> refs.release(old, "name best")
    >>> [freed.id for freed in refs.sweep()]
    [1]
    >>> new = refs.register(RefKind.OBJECT, "another")
    >>> new.id, new.generation, new == old
    (1, 2, False)
    """

    def __init__(
        self, node: int = 0, session: int = 0, *, waiting: Collection[RefKind] = ()
    ) -> None:
        self._counts = RefCounts(node, session, waiting)
        self._lock = threading.Lock()  # never asked for twice by a thread: see `_run`
        self._here = _Here()
        self._late: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()

    # Registering and counting.

    def register(
        self,
        kind: RefKind,
        payload: Any,
        *,
        holds: Holds = (),
        cell: Hashable = None,
        freed: Callable[[Any], object] | None = None,
    ) -> ObjectRef:
        """Return a new ref, with count zero. It claims what it holds, each ref once.

        Parameters
        ----------
        payload
            What the ref stands for; given back by `payload`, and to `freed`.
        holds
            Refs, in any nesting of iterables and mappings; keys are claimed like values.
        cell
            The cell that registers it. A ref that nobody has claimed when `end_cell` is called with
            it is freed. None outside cells.
        freed
            Called with the payload once the ref is freed.

        Raises
        ------
        StaleRefError
            If one of `holds` has been freed. Nothing is registered then.
        """
        held = refs_in(holds)
        ref = self._counts.new_ref(kind)
        self._run(self._counts.add, Slot(ref, payload, freed, cell, {}, {}), held)
        return ref

    def claim(self, ref: ObjectRef, holder: Hashable) -> None:
        """Keep a ref, also one that has just fallen to zero; a holder may do so several times.

        Raises
        ------
        StaleRefError
            If the ref has been freed.
        """
        if ref:
            self._run(self._counts.claim, ref, holder)

    def release(self, ref: ObjectRef, holder: Hashable) -> None:
        """Give one claim of a holder back. A ref at zero stays until the next `sweep`.

        Raises
        ------
        RefCountError
            If the holder has no claim on the ref.
        StaleRefError
            If the ref has been freed.
        """
        if ref:
            self._run(self._counts.release, ref, holder)

    def exchange(self, ref: ObjectRef, holds: Holds) -> None:
        """Let a ref hold these refs in place of those before; the new are claimed first.

        Raises
        ------
        RefCountError
            If the ref would hold itself, directly or through others: nothing would free it.
        StaleRefError
            If it or one of `holds` has been freed. Nothing is changed then.
        """
        self._run(self._counts.exchange, ref, refs_in(holds))

    # Freeing.

    def sweep(self, ready: Container[ObjectRef] = ()) -> tuple[ObjectRef, ...]:
        """Free what is at zero after a release, and in cascade what falls by that.

        Parameters
        ----------
        ready
            Of the kinds that wait, the refs that may go now. Others that are at zero, or fall to it
            here, stay for another sweep.

        Returns
        -------
        tuple of ObjectRef
            What was freed.
        """
        try:
            return self.fall(ready)
        finally:
            self.call_back()

    def fall(self, ready: Container[ObjectRef] = ()) -> tuple[ObjectRef, ...]:
        """Do the first half of `sweep`: free, and keep what was freed for `call_back`."""
        if self._here.is_inside:
            return ()  # a finalizer within another call: the next sweep does it
        return tuple(self._run(self._counts.fall, ready, self._here.gone))

    def call_back(self) -> None:
        """Do the other half, in the same thread: run the callbacks and let go of the payloads."""
        here = self._here
        if here.is_calling or here.is_inside:
            return  # the loop that called a callback goes on with what this one has freed
        try:
            here.is_calling = True
            while here.gone:
                slot = here.gone.popleft()
                freed, slot.freed = slot.freed, None  # once, also where a sweep was interrupted
                if freed is None:
                    continue
                try:
                    freed(slot.payload)
                except Exception:
                    logger.exception("what follows the end of %s failed", slot.ref)
        finally:
            here.is_calling = False

    def end_cell(self, cell: Hashable) -> tuple[ObjectRef, ...]:
        """Free what a cell registered and nobody claimed, and sweep; return what was freed."""
        self.expire(cell)
        return self.sweep()

    def expire(self, cell: Hashable) -> None:
        """Leave what a cell registered and nobody claimed to the next sweep."""
        self._run(self._counts.expire, cell)

    def has_work(self, cell: Hashable) -> bool:
        """Say whether `end_cell` might free anything."""
        return bool(self._counts.zero) or cell in self._counts.fresh

    def clear(self) -> None:
        """Forget every ref without a word: all are stale from now on, no callback runs."""
        slots = self._counts.slots.copy()
        self._run(self._counts.clear)
        slots.clear()  # payloads are let go of here, where the lock is free

    def expire_all(self) -> None:
        """Leave what any cell registered and nobody claimed to the next sweep."""
        for cell in self._counts.fresh.copy():
            self.expire(cell)

    def falling(self, kind: RefKind) -> frozenset[ObjectRef]:
        """Return the refs of a kind that the next sweep frees, unless they are claimed first."""
        slots = (self._counts.slots.get(number) for number in self._counts.zero.copy())
        return frozenset(s.ref for s in slots if s and s.ref.kind is kind and not s.claims)

    # Looking.

    def payload(self, ref: ObjectRef) -> Any:
        """Return what a ref stands for."""
        return self._counts.slot(ref).payload

    def count(self, ref: ObjectRef) -> int:
        """Return the number of claims on a ref."""
        return sum(self._counts.slot(ref).claims.copy().values())

    def holders(self, ref: ObjectRef) -> tuple[Hashable, ...]:
        """Return who claims a ref, the first first; of what holds it, the ref."""
        claims = self._counts.slot(ref).claims.copy()
        return tuple(who.ref if isinstance(who, Within) else who for who in claims)

    def holds(self, ref: ObjectRef) -> tuple[ObjectRef, ...]:
        """Return the refs that a ref holds."""
        return tuple(self._counts.slot(ref).holds.copy())

    def refs(self, kind: RefKind | None = None) -> tuple[ObjectRef, ...]:
        """Return the refs of a kind, or all, that are not freed."""
        slots = self._counts.slots.copy().values()
        return tuple(slot.ref for slot in slots if kind is None or slot.ref.kind is kind)

    def is_live(self, ref: ObjectRef) -> bool:
        """Say whether a ref can be claimed."""
        slot = self._counts.slots.get(ref.id)
        return slot is not None and slot.ref == ref and not slot.is_dying

    # One call at a time.

    def _run(self, step: Callable[..., Any], *arguments: Any) -> Any:
        here = self._here
        if here.is_inside:  # a finalizer within another call of this thread
            self._late.append((step, arguments))
            return None
        try:
            here.is_inside = True
            with self._lock:
                self._catch_up()
                result = step(*arguments)
            return result  # noqa: RET504  outside, so that Ctrl-C right after the step finds `with`
        finally:
            here.is_inside = False
            if self._late:
                self._run(self._catch_up)

    def _catch_up(self) -> None:
        """Do what finalizers asked for while the registry was busy."""
        while self._late:
            step, arguments = self._late.popleft()
            try:
                step(*arguments)
            except (RefCountError, StaleRefError) as error:
                logger.error("a finalizer's call failed: %s", error)  # noqa: TRY400  no stack of it
