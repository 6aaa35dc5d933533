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

import itertools
import logging
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aaiclick_ext.errors import RefCountError, StaleRefError
from aaiclick_ext.lifecycle.object_ref import ObjectRef, RefKind, refs_in

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Hashable

    from aaiclick_ext.lifecycle.object_ref import Holds

__all__ = ["ObjectRef", "RefKind", "RefRegistry"]

logger = logging.getLogger("aaiclick_ext.lifecycle")


@dataclass(slots=True, eq=False)
class _Slot:
    """What is known of one ref. Only the call that has the registry changes it."""

    ref: ObjectRef
    payload: Any
    freed: Callable[[Any], object] | None
    cell: Hashable
    claims: dict[Hashable, int]
    holds: dict[ObjectRef, None]
    is_fresh: bool = True
    is_dying: bool = False


@dataclass(frozen=True, slots=True)
class _Within:
    """The holder of what a ref holds; nobody else can claim under it."""

    ref: ObjectRef


class _Here(threading.local):
    """Where a thread is: within a call of the registry, within a callback of it."""

    is_inside = False
    is_calling = False


class RefRegistry:
    """Counts claims, and frees what nothing claims.

    Any thread may call it. Nothing here runs a query. `freed` callbacks run in the thread that
    calls `sweep` or `end_cell`, one after another and never within a call of the registry; let a
    thread do so that Ctrl-C does not reach, or a callback may be interrupted as any code may.

    Parameters
    ----------
    node, session
        Written into every ref; a ref of another is stale here.
    """

    def __init__(self, node: int = 0, session: int = 0) -> None:
        self.node = node
        self.session = session
        self._slots: dict[int, _Slot] = {}
        self._numbers = itertools.count(1)
        self._generations: dict[int, int] = {}
        self._free: list[int] = []
        self._zero: dict[int, None] = {}  # released to zero, in this order; looked at by sweeps
        self._fresh: dict[Hashable, dict[int, None]] = {}  # cell → registered, not claimed so far
        self._gone: deque[_Slot] = deque()  # freed, to be called back
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
        number = self._free_number()
        generation = self._generations.get(number, 0) + 1
        self._generations[number] = generation
        ref = ObjectRef(kind, number, generation, self.node, self.session)
        self._run(self._add, _Slot(ref, payload, freed, cell, {}, {}), held)
        return ref

    def claim(self, ref: ObjectRef, holder: Hashable) -> None:
        """Keep a ref, also one that has just fallen to zero; a holder may do so several times.

        Raises
        ------
        StaleRefError
            If the ref has been freed.
        """
        if ref:
            self._run(self._claim, ref, holder)

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
            self._run(self._release, ref, holder)

    def exchange(self, ref: ObjectRef, holds: Holds) -> None:
        """Let a ref hold these refs in place of those before; the new are claimed first.

        Raises
        ------
        RefCountError
            If the ref would hold itself, directly or through others: nothing would free it.
        StaleRefError
            If it or one of `holds` has been freed. Nothing is changed then.
        """
        self._run(self._exchange, ref, refs_in(holds))

    # Freeing.

    def sweep(self, ready: Container[ObjectRef] | None = None) -> tuple[ObjectRef, ...]:
        """Free what is at zero after a release, and in cascade what falls by that.

        Parameters
        ----------
        ready
            The tables that may go now; others that are at zero, or fall to it here, stay for the
            next sweep. None: all may.

        Returns
        -------
        tuple of ObjectRef
            What was freed.
        """
        if self._here.is_inside:
            return ()  # a finalizer within another call: the next sweep does it
        freed = self._run(self._fall, ready)
        self._call_back()
        return tuple(freed)

    def end_cell(self, cell: Hashable) -> tuple[ObjectRef, ...]:
        """Free what a cell registered and nobody claimed, and sweep; return what was freed."""
        self.expire(cell)
        return self.sweep()

    def expire(self, cell: Hashable) -> None:
        """Leave what a cell registered and nobody claimed to the next sweep."""
        self._run(self._expire, cell)

    def expire_all(self) -> None:
        """Leave what any cell registered and nobody claimed to the next sweep."""
        for cell in self._fresh.copy():
            self.expire(cell)

    def falling(self, kind: RefKind) -> frozenset[ObjectRef]:
        """Return the refs of a kind that the next sweep frees, unless they are claimed first."""
        slots = (self._slots.get(number) for number in self._zero.copy())
        return frozenset(s.ref for s in slots if s and s.ref.kind is kind and not s.claims)

    # Looking.

    def payload(self, ref: ObjectRef) -> Any:
        """Return what a ref stands for."""
        return self._slot(ref).payload

    def count(self, ref: ObjectRef) -> int:
        """Return the number of claims on a ref."""
        return sum(self._slot(ref).claims.copy().values())

    def holders(self, ref: ObjectRef) -> tuple[Hashable, ...]:
        """Return who claims a ref, the first first; of what holds it, the ref."""
        claims = self._slot(ref).claims.copy()
        return tuple(who.ref if isinstance(who, _Within) else who for who in claims)

    def holds(self, ref: ObjectRef) -> tuple[ObjectRef, ...]:
        """Return the refs that a ref holds."""
        return tuple(self._slot(ref).holds.copy())

    def refs(self, kind: RefKind | None = None) -> tuple[ObjectRef, ...]:
        """Return the refs of a kind, or all, that are not freed."""
        slots = self._slots.copy().values()
        return tuple(slot.ref for slot in slots if kind is None or slot.ref.kind is kind)

    def is_live(self, ref: ObjectRef) -> bool:
        """Say whether a ref can be claimed."""
        slot = self._slots.get(ref.id)
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

    def _call_back(self) -> None:
        """Tell those who wanted to know what was freed; then nothing of it is kept here."""
        here = self._here
        if here.is_calling:
            return  # a callback has swept: the loop that called it goes on
        try:
            here.is_calling = True
            while (slot := self._next_gone()) is not None:
                if slot.freed is None:
                    continue
                try:
                    slot.freed(slot.payload)
                except Exception:
                    logger.exception("what follows the end of %s failed", slot.ref)
        finally:
            here.is_calling = False

    def _next_gone(self) -> _Slot | None:
        try:
            return self._gone.popleft()
        except IndexError:
            return None

    # The steps of a call. What one is interrupted before has not happened, and does no harm.

    def _free_number(self) -> int:
        try:
            return self._free.pop()
        except IndexError:
            return next(self._numbers)

    def _slot(self, ref: ObjectRef) -> _Slot:
        slot = self._slots.get(ref.id)
        if slot is None or slot.ref != ref or slot.is_dying:
            raise self._stale(ref, slot)
        return slot

    def _stale(self, ref: ObjectRef, slot: _Slot | None) -> StaleRefError:
        if not ref:
            return StaleRefError("the empty ref stands for nothing and has no count")
        if (ref.node, ref.session) != (self.node, self.session):
            return StaleRefError(
                f"{ref} belongs to session {ref.session} of node {ref.node}; this is session "
                f"{self.session} of node {self.node}. Make the object here."
            )
        now = (
            f"its number is {slot.ref}'s now" if slot and slot.ref != ref else "nothing claimed it"
        )
        return StaleRefError(f"{ref} has been freed: {now}. Make the object again and claim it.")

    def _add(self, slot: _Slot, held: dict[ObjectRef, None]) -> None:
        number = slot.ref.id
        try:
            children = [self._slot(ref) for ref in held]
        except StaleRefError:
            self._free.append(number)
            raise
        self._fresh.setdefault(slot.cell, {})[number] = None
        self._slots[number] = slot
        self._hold(slot, children)

    def _hold(self, slot: _Slot, children: list[_Slot]) -> None:
        for child in children:
            slot.holds[child.ref] = None  # first: what is held but not claimed is let go silently
            self._count(child, _Within(slot.ref), 1)

    def _count(self, slot: _Slot, holder: Hashable, claims: int) -> None:
        slot.claims[holder] = claims
        if slot.is_fresh:
            self._fresh.get(slot.cell, {}).pop(slot.ref.id, None)
            slot.is_fresh = False

    def _claim(self, ref: ObjectRef, holder: Hashable) -> None:
        slot = self._slot(ref)
        self._count(slot, holder, slot.claims.get(holder, 0) + 1)

    def _release(self, ref: ObjectRef, holder: Hashable) -> None:
        slot = self._slot(ref)
        claims = slot.claims.get(holder, 0)
        if not claims:
            there = ", ".join(str(who) for who in self.holders(ref)) or "nobody"
            raise RefCountError(f"{holder!r} has no claim on {ref} to give back; it is {there}'s")
        if claims > 1:
            slot.claims[holder] = claims - 1
        else:
            self._zero[ref.id] = None  # first: a sweep looks whether it is so
            del slot.claims[holder]

    def _exchange(self, ref: ObjectRef, held: dict[ObjectRef, None]) -> None:
        slot = self._slot(ref)
        children = [self._slot(new) for new in held]
        if self._reaches(children, ref):
            raise RefCountError(
                f"{ref} would hold itself, directly or through what it holds, and never be freed; "
                "let it hold something else"
            )
        self._hold(slot, children)
        for old in [old for old in slot.holds if old not in held]:
            self._let_go(slot, old)
            del slot.holds[old]

    def _reaches(self, slots: list[_Slot], ref: ObjectRef) -> bool:
        todo, seen = [slot.ref for slot in slots], set()
        while todo:
            at = todo.pop()
            if at == ref:
                return True
            if at not in seen:
                seen.add(at)
                todo += self._slots[at.id].holds
        return False

    def _let_go(self, slot: _Slot, ref: ObjectRef) -> None:
        child = self._slots.get(ref.id)
        if child is not None and child.ref == ref:
            self._zero[ref.id] = None
            child.claims.pop(_Within(slot.ref), None)

    def _expire(self, cell: Hashable) -> None:
        self._zero.update(self._fresh.get(cell, ()))
        self._fresh.pop(cell, None)

    def _fall(self, ready: Container[ObjectRef] | None) -> list[ObjectRef]:
        freed, todo = [], [*reversed(self._zero)]
        while todo:
            number = todo.pop()
            slot = self._slots.get(number)
            if slot is None or slot.claims:
                self._zero.pop(number, None)
            elif ready is None or slot.ref.kind is not RefKind.TABLE or slot.ref in ready:
                slot.is_dying = True  # from here on an interrupted sweep is ended by the next
                for held in slot.holds:
                    self._let_go(slot, held)
                    todo.append(held.id)
                self._end(slot)
                freed.append(slot.ref)
        return freed

    def _end(self, slot: _Slot) -> None:
        number = slot.ref.id
        if not self._gone or self._gone[-1] is not slot:
            self._gone.append(slot)
        self._fresh.get(slot.cell, {}).pop(number, None)
        del self._slots[number]
        self._zero.pop(number, None)
        self._free.append(number)
