"""Why: the chain from a name that a user knows down to what keeps a table."""

from __future__ import annotations

import collections
import itertools
import types
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from aaiclick_ext.lifecycle.roots import HolderKind, is_of
from aaiclick_ext.lifecycle.steps import follow

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

    from aaiclick_ext.lifecycle.roots import Named
    from aaiclick_ext.lifecycle.walk import Walk

MAX_PER_HOLDER = 20
"""Things of one container that are listed; how many there are besides is said."""


@dataclass(frozen=True, slots=True)
class Chain:
    """One way in which a table is kept.

    Attributes
    ----------
    text
        The way, from what the user can name: ``list frames[2]``.
    what
        What is at its end: ``Object``, ``view``, ``column delay``.
    command
        The one command that lets go.
    automatic
        Whether ``%why --release`` runs that command; the others may lose more than the table.
    group
        What the root that it hangs on said; equal for what is let go together.
    """

    kind: HolderKind
    text: str
    what: str
    command: str
    automatic: bool = False
    group: Hashable = None


def chains_of(
    walk: Walk, describe: Callable[[Any], str], belongs: Callable[[Any], Iterable[str]]
) -> dict[str, list[Chain]]:
    """Return the chains that a walk has found, by table.

    Parameters
    ----------
    describe
        Says what an object is that the walk started from.
    belongs
        Says which tables it keeps.
    """
    found: dict[str, list[Chain]] = collections.defaultdict(list)
    aliases: dict[tuple[str, Hashable], list[str]] = collections.defaultdict(list)
    for place, named in walk.entries:
        counts: collections.Counter[str] = collections.Counter()
        for way in walk.paths(place):
            tables = list(belongs(way[-1]))
            counts.update(tables)
            if max((counts[table] for table in tables), default=0) > MAX_PER_HOLDER:
                continue
            end = follow(named, way)
            chain = Chain(
                end.kind, end.text, describe(way[-1]), end.command, end.automatic, named.group
            )
            for table in tables:
                found[table].append(chain)
                if named.alias:
                    aliases[table, chain.group].append(named.alias)
        for table, count in counts.items():
            if count > MAX_PER_HOLDER:
                found[table].append(_more(named, count - MAX_PER_HOLDER))
    for place in walk.unseen:
        for way in itertools.islice(walk.paths(place), MAX_PER_HOLDER):
            chain = _unseen(way, describe(way[-1]))
            for table in belongs(way[-1]):
                found[table].append(chain)
    for table in {table for place in walk.garbage for table in belongs(walk.objects[place])}:
        found[table].append(_GARBAGE)
    return {
        table: _merged(chains, {g: names for (t, g), names in aliases.items() if t == table})
        for table, chains in found.items()
    }


_GARBAGE = Chain(
    HolderKind.GARBAGE,
    "a cycle of garbage that Python has not collected yet",
    "",
    "import gc; gc.collect()",
    automatic=True,
)


def _more(named: Named, count: int) -> Chain:
    """Return what stands for the rest of a container with many things that keep a table."""
    where = ", ".join(filter(None, (*named.heads, named.place)))
    return Chain(HolderKind.ITEM, f"in {where}, {count:,} more", "", named.command)


def _merged(chains: list[Chain], aliases: Mapping[Hashable, list[str]]) -> list[Chain]:
    """Return chains without repetitions, the names of one thing as one."""
    merged: dict[Hashable, Chain] = {}
    for chain in chains:
        key = chain.text if chain.group is None else chain.group
        merged.setdefault(key, chain)
    for group, names in aliases.items():
        if group in merged:
            others = sorted(set(names) - {merged[group].text}, key=lambda name: (len(name), name))
            if others:
                text = f"{merged[group].text} (also {', '.join(others)})"
                merged[group] = replace(merged[group], text=text)
    return sorted(merged.values(), key=lambda chain: (_ORDER.index(chain.kind), chain.text))


_ORDER = list(HolderKind)


def _unseen(way: list[Any], what: str) -> Chain:
    top = way[0]
    if is_of(top, types.GeneratorType) and _is_reader(top):
        text = "a stream of batches that is being read, by something that Python does not show"
        return Chain(HolderKind.READER, text, what, "close its reader, or read it to its end")
    name = type(top).__name__
    text = (
        f"something that Python's garbage collector does not show, such as a value in the midst "
        f"of a statement or a part of a library written in C, holds a {name}"
    )
    return Chain(HolderKind.UNSEEN, text, what, "let go of what you gave it to")


def _is_reader(generator: types.GeneratorType[Any, Any, Any]) -> bool:
    return "aaiclick_ext" in generator.gi_code.co_filename
