"""The walk from objects up to what holds them, over Python's own references.

`gc.get_referrers` is asked level by level, from the objects up to the roots: namespaces, classes,
threads, tasks. What it does not show is looked for elsewhere: locals of running functions, which
Python does not track, and NumPy arrays of objects, which have no part in garbage collection.
What then remains is found by counting: an object with more references than all that were seen is
held by something that nobody can name, and one that only its own cycle refers to is garbage.

Nothing that the walk looks at is changed, called or kept.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import sys
import time
import types
import weakref
from typing import TYPE_CHECKING, Any

from aaiclick_ext.lifecycle.roots import Named, implied_root, is_of, running_locals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

MAX_OBJECTS = 50_000
"""Objects that one walk looks at."""

MAX_SECONDS = 10.0
"""Time after which a walk gives up."""

_FEW = 64
"""Up to this many objects, `gc.get_referrers`, which compares each with each, is the faster."""

_MAX_ARRAY_ITEMS = 200_000
_MAX_NESTING = 4


class Walk:
    """What holds some objects, as far as Python can tell. Done when it is made.

    Costs 20 to 200 ms a level, with the 200,000 objects that a kernel has once Ibis is imported.

    Parameters
    ----------
    objects
        Where it starts. The list is taken over and grows; keep no other list of the same objects.
    inside
        Ids of objects that are parts of others of `objects`: what they hold, they hold for those.
    roots
        Id of an object where the walk ends to a function that says how it calls what it holds.
        Nothing said is a holder that is not to be shown.
    beyond
        Id of an object to holders of it that Python does not show.

    Attributes
    ----------
    entries
        Place of an object in `objects`, and what a root calls it.
    down
        Place of a holder to the places of what it holds.
    unseen
        Places of objects that have a reference which was not found.
    garbage
        Places of objects that only garbage holds, which Python has not collected yet.
    complete
        False where the walk gave up.
    """

    def __init__(
        self,
        objects: list[Any],
        *,
        inside: frozenset[int] = frozenset(),
        roots: Mapping[int, Callable[[object], list[Named]]] | None = None,
        beyond: Mapping[int, Sequence[Any]] | None = None,
    ) -> None:
        self.objects = objects
        self.down: dict[int, list[int]] = {}
        self.entries: list[tuple[int, Named]] = []
        self.unseen: list[int] = []
        self.garbage: list[int] = []
        self.complete = True
        self._starts = len(objects)
        self._inside = inside
        self._roots = roots or {}
        self._beyond = {key: list(holders) for key, holders in (beyond or {}).items()}
        self._places = {id(value): place for place, value in enumerate(objects)}
        self._seen_references = [0] * len(objects)
        self._alive: set[int] = set()
        self._covered: set[int] = set()
        self._running = running_locals()
        self._tasks = [weakref.ref(t) for t in gc.get_objects() if is_of(t, asyncio.Task)]
        self._ignored = {id(objects), id(self.__dict__), id(self), id(self._beyond)}
        self._deadline = time.monotonic() + MAX_SECONDS
        self._climb(list(range(len(objects))))
        self._climb(self._object_arrays())
        self._conclude()

    # Climbing.

    def _climb(self, level: list[int]) -> None:
        """Find what holds the objects at some places, and what holds that, up to the roots."""
        while level:
            if len(self.objects) > MAX_OBJECTS or time.monotonic() > self._deadline:
                self.complete = False
                return
            for place in level:
                self._note_running(place)
            wanted = {id(self.objects[place]): place for place in level}
            found = self._referrers(level)
            level = self._note_all(found, wanted)
            for place in wanted.values():
                for holder in self._beyond.get(id(self.objects[place]), ()):
                    self._seen_references[place] += 1
                    level += self._note_holder(holder, place)
            del found

    def _referrers(self, level: list[int]) -> list[Any]:
        self._ignored.update(map(id, self._beyond.values()))
        if len(level) <= _FEW:
            targets = [self.objects[place] for place in level]
            found = {id(value): value for value in gc.get_referrers(*targets)}
            found |= {id(task): task for task in self._tasks_holding(targets)}
            found.pop(id(targets), None)
            return list(found.values())
        ids = {id(self.objects[place]) for place in level}
        return [
            value
            for value in gc.get_objects()
            if not ids.isdisjoint(map(id, gc.get_referents(value)))
        ]

    def _tasks_holding(self, targets: list[Any]) -> list[Any]:
        """Return the tasks whose result, or error, is among some objects.

        CPython's `gc.get_referrers` looks at no more than half of a task: what its traverse returns
        for the half that is a future is lost.
        """
        ids = set(map(id, targets))
        tasks = [task for known in self._tasks if (task := known()) is not None]
        return [task for task in tasks if not ids.isdisjoint(map(id, gc.get_referents(task)))]

    def _note_all(self, found: list[Any], wanted: dict[int, int]) -> list[int]:
        added: list[int] = []
        for holder in found:
            if id(holder) in self._ignored:
                continue
            for item in gc.get_referents(holder):
                place = wanted.get(id(item))
                if place is not None:
                    self._seen_references[place] += 1
                    added += self._note_holder(holder, place)
        return added

    def _note_holder(self, holder: Any, place: int) -> list[int]:
        """Take note of a holder; return its place where the walk is to go on from it."""
        if id(holder) in self._inside:
            self._covered.add(place)
            return []
        name = self._roots.get(id(holder)) or implied_root(holder)
        if name is not None:
            named = name(self.objects[place])
            self._alive.add(place)
            known = {entry for entry in self.entries if entry[0] == place}
            self.entries += [(place, entry) for entry in named if (place, entry) not in known]
            return []
        above = self._places.get(id(holder))
        is_new = above is None
        if above is None:
            above = self._places[id(holder)] = len(self.objects)
            self.objects.append(holder)
            self._seen_references.append(0)
        children = self.down.setdefault(above, [])
        if place not in children:
            children.append(place)
        return [above] if is_new else []

    def _note_running(self, place: int) -> None:
        for named in self._running.get(id(self.objects[place]), ()):
            self._seen_references[place] += named.is_reference
            self._alive.add(place)
            if named.shown is not None:
                self.entries.append((place, named.shown))

    # What garbage collection does not show.

    def _unexplained(self) -> list[int]:
        """Return, for each object, how many references to it were not found."""
        probe = [object()]
        own = sys.getrefcount(probe[0])
        objects, seen = self.objects, self._seen_references
        return [
            sys.getrefcount(objects[place]) - own - seen[place] for place in range(len(objects))
        ]

    def _object_arrays(self) -> list[int]:
        """Take note of NumPy arrays of objects that hold what has unexplained references."""
        numpy = sys.modules.get("numpy")
        missing = {
            id(self.objects[place]): place
            for place, count in enumerate(self._unexplained())
            if count > 0 and not _is_in_flight(self.objects[place])
        }
        if numpy is None or not missing or not self.complete:
            return []
        added: list[int] = []
        for array in _arrays_of_objects(numpy.ndarray, self._beyond):
            for item in array.flat:
                place = missing.get(id(item))
                if place is not None:
                    self._seen_references[place] += array.base is None
                    added += self._note_holder(array, place)
        return added

    def _conclude(self) -> None:
        """Tell what is held by something unseen from what is garbage."""
        if not self.complete:
            return
        borrowed = {id(holder) for holders in self._beyond.values() for holder in holders}
        for place, count in enumerate(self._unexplained()):
            if count > 0 and id(self.objects[place]) not in borrowed:
                self._alive.add(place)
                if not _is_in_flight(self.objects[place]):
                    self.unseen.append(place)
        self._spread(self._alive)
        self._spread(self._covered)
        held = self._alive | self._covered
        self.garbage = [place for place in range(self._starts) if place not in held]

    def _spread(self, places: set[int]) -> None:
        todo = list(places)
        while todo:
            for below in self.down.get(todo.pop(), ()):
                if below not in places:
                    places.add(below)
                    todo.append(below)

    # Ways down.

    def paths(self, start: int) -> Iterable[list[Any]]:
        """Return a shortest way from a holder down to each object that the walk started from."""
        before: dict[int, int] = {start: -1}
        todo, found = [start], []
        for place in todo:
            if place < self._starts:
                found.append(place)
                continue
            for below in self.down.get(place, ()):
                if below not in before:
                    before[below] = place
                    todo.append(below)
        ways = []
        for place in found:
            way = [place]
            while way[-1] != start:
                way.append(before[way[-1]])
            ways.append([self.objects[step] for step in reversed(way)])
        return ways


def _arrays_of_objects(kind: type, beyond: dict[int, list[Any]]) -> list[Any]:
    """Return NumPy's arrays of objects that something which Python tracks refers to.

    Python does not track a dict or a tuple, either, of nothing but what it does not track; such a
    one is added to `beyond`, as the holder of what is in it.
    """
    arrays: dict[int, Any] = {}
    kinds = (kind, dict, tuple)
    for value in gc.get_objects():
        for found in gc.get_referents(value):
            if not is_of(found, kinds) or gc.is_tracked(found):
                continue
            todo: list[tuple[Any, ...]] = [(found,)]
            while todo:
                way = todo.pop()  # what was come to last, and what it is in
                item = way[0]
                if is_of(item, kind):
                    if item.dtype == object and item.size <= _MAX_ARRAY_ITEMS:
                        arrays[id(item)] = item
                        for part, holder in itertools.pairwise(way):
                            _add(beyond.setdefault(id(part), []), holder)
                elif _is_untracked(item) and len(way) < _MAX_NESTING:
                    todo += [(inner, *way) for inner in gc.get_referents(item)]
    return list(arrays.values())


def _add(holders: list[Any], holder: Any) -> None:
    if all(known is not holder for known in holders):
        holders.append(holder)


def _is_untracked(item: object) -> bool:
    return type(item) in (dict, tuple) and not gc.is_tracked(item)


def _is_in_flight(value: object) -> bool:
    """Say whether an object is of a kind that Python itself holds while it runs something."""
    name = type(value).__name__
    return is_of(value, (tuple, dict, types.CellType)) or name.endswith("iterator")
