"""RefCounts: the state of a `RefRegistry`, and the steps of its calls.

One call at a time, which the registry sees to. Each step is one bytecode, and they are ordered so
that what a call leaves that Ctrl-C ends is freed by the end of the cell, and nothing sooner.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aaiclick_ext.errors import RefCountError, StaleRefError
from aaiclick_ext.lifecycle.object_ref import ObjectRef, RefKind

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Collection, Container, Hashable


@dataclass(slots=True, eq=False)
class Slot:
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
class Within:
    """The holder of what a ref holds; nobody else can claim under it."""

    ref: ObjectRef

    def __str__(self) -> str:
        return str(self.ref)


class RefCounts:
    """What is known of every ref of one kernel session."""

    def __init__(self, node: int, session: int, waiting: Collection[RefKind]) -> None:
        self.node = node
        self.session = session
        self.slots: dict[int, Slot] = {}
        self.zero: dict[int, None] = {}  # released to zero, in this order; looked at by sweeps
        self.fresh: dict[Hashable, dict[int, None]] = {}  # cell → registered, not claimed so far
        self._waiting = frozenset(waiting)
        self._numbers = itertools.count(1)
        self._generations: dict[int, int] = {}
        self._free: list[int] = []

    def new_ref(self, kind: RefKind) -> ObjectRef:
        """Return a ref that no one has had. Any thread may ask at any time."""
        try:
            number = self._free.pop()
        except IndexError:
            number = next(self._numbers)
        generation = self._generations[number] = self._generations.get(number, 0) + 1
        return ObjectRef(kind, number, generation, self.node, self.session)

    def slot(self, ref: ObjectRef) -> Slot:
        """Return what is known of a ref that is not freed."""
        slot = self.slots.get(ref.id)
        if slot is None or slot.ref != ref or slot.is_dying:
            raise self._stale(ref, slot)
        return slot

    def _stale(self, ref: ObjectRef, slot: Slot | None) -> StaleRefError:
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

    def add(self, slot: Slot, held: dict[ObjectRef, None]) -> None:
        """Make a ref known; it claims what it holds."""
        number = slot.ref.id
        try:
            children = [self.slot(ref) for ref in held]
        except StaleRefError:
            self._free.append(number)
            raise
        self.fresh.setdefault(slot.cell, {})[number] = None
        self.slots[number] = slot
        self._hold(slot, children)

    def _hold(self, slot: Slot, children: list[Slot]) -> None:
        for child in children:
            slot.holds[child.ref] = None  # first: what is held but not claimed is let go silently
            self._count(child, Within(slot.ref), 1)

    def _count(self, slot: Slot, holder: Hashable, claims: int) -> None:
        slot.claims[holder] = claims
        if slot.is_fresh:
            self._forget_fresh(slot)
            slot.is_fresh = False

    def _forget_fresh(self, slot: Slot) -> None:
        fresh = self.fresh.get(slot.cell, {})
        fresh.pop(slot.ref.id, None)
        if not fresh:
            self.fresh.pop(slot.cell, None)

    def claim(self, ref: ObjectRef, holder: Hashable) -> None:
        """Count one claim more."""
        slot = self.slot(ref)
        self._count(slot, holder, slot.claims.get(holder, 0) + 1)

    def release(self, ref: ObjectRef, holder: Hashable) -> None:
        """Count one claim less."""
        slot = self.slot(ref)
        claims = slot.claims.get(holder, 0)
        if not claims:
            there = ", ".join(str(who) for who in slot.claims) or "nobody"
            raise RefCountError(f"{holder!r} has no claim on {ref} to give back; it is {there}'s")
        if claims > 1:
            slot.claims[holder] = claims - 1
        else:
            self.zero[ref.id] = None  # first: a sweep looks whether it is so
            del slot.claims[holder]

    def exchange(self, ref: ObjectRef, held: dict[ObjectRef, None]) -> None:
        """Let a ref hold others; claims come before releases."""
        slot = self.slot(ref)
        children = [self.slot(new) for new in held]
        if self._reaches(children, ref):
            raise RefCountError(
                f"{ref} would hold itself, directly or through what it holds, and never be freed; "
                "let it hold something else"
            )
        self._hold(slot, children)
        for old in [old for old in slot.holds if old not in held]:
            self._let_go(slot, old)
            del slot.holds[old]

    def _reaches(self, slots: list[Slot], ref: ObjectRef) -> bool:
        todo, seen = [slot.ref for slot in slots], set()
        while todo:
            at = todo.pop()
            if at == ref:
                return True
            if at not in seen:
                seen.add(at)
                todo += self.slots[at.id].holds
        return False

    def _let_go(self, slot: Slot, ref: ObjectRef) -> None:
        child = self.slots.get(ref.id)
        if child is not None and child.ref == ref:
            self.zero[ref.id] = None
            child.claims.pop(Within(slot.ref), None)

    def clear(self) -> None:
        """Forget everything."""
        self.slots.clear()
        self.zero.clear()
        self.fresh.clear()

    def expire(self, cell: Hashable) -> None:
        """Put what a cell registered and nobody claimed among what is at zero."""
        self.zero.update(self.fresh.get(cell, ()))
        self.fresh.pop(cell, None)

    def fall(self, ready: Container[ObjectRef], gone: deque[Slot]) -> list[ObjectRef]:
        """Free what is at zero and may go, in cascade; add the slots to `gone`."""
        freed, todo = [], [*reversed(self.zero)]
        while todo:
            number = todo.pop()
            slot = self.slots.get(number)
            if slot is None or slot.claims:
                self.zero.pop(number, None)
            elif slot.ref.kind not in self._waiting or slot.ref in ready:
                slot.is_dying = True  # from here on an interrupted sweep is ended by the next
                for held in reversed(slot.holds):
                    self._let_go(slot, held)
                    todo.append(held.id)
                gone.append(slot)
                self._end(slot)
                freed.append(slot.ref)
        return freed

    def _end(self, slot: Slot) -> None:
        number = slot.ref.id
        self._forget_fresh(slot)
        del self.slots[number]
        self.zero.pop(number, None)
        self._free.append(number)
