"""Closure: all that a table was made of, or went into, found with few questions to the log.

A question costs milliseconds however little it asks, so a question for each step makes long ways
slow, and a recursive query is no better: it plans each step anew. But what made a table was mostly
done just before it, in the same kernel session. So with the links of the names in question those
of their neighbours in the log are fetched, as a guess. What is reached through guessed links is
asked for in its turn, so that the answer never depends on the guess.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from aaiclick_ext.errors import UnknownTableError
from aaiclick_ext.oplog.graph import DISPLAY_PREFIX
from aaiclick_ext.oplog.log_table import LOG_TABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from aaiclick_ext.engine import Engine

    Link = tuple[str, str, int, int]
    """A result, one of its inputs, and the kernel session and the id of the event."""
    Ask = Callable[[Sequence[str]], list[Link]]

T = TypeVar("T")

_NAMES_PER_QUERY = 1000
"""Bound values travel in the URL, which servers limit to 1 MB."""
_NEIGHBOURS = 5000
"""Links to guess at once, which takes as long as two questions."""


@dataclass(frozen=True)
class Way:
    """The way back to what tables were made of, or forward to what was made of them."""

    asked: str
    """The condition of the events that link some names with the next ones."""
    near: str
    """Where their neighbours are, and which of them are the nearest."""
    is_back: bool

    def link(self, result: str, source: str) -> tuple[str, str]:
        """Return from which name to which an event leads."""
        return (result, source) if self.is_back else (source, result)


BACK = Way(
    "result_table IN {names:Array(String)}",
    "id <= {start:UInt64} ORDER BY id DESC",
    is_back=True,
)
# Inputs are no part of the sorting key, so that each question reads those of the whole log: 25 ms
# for a million events. `hasAny` compares each with each, and took 120 ms for 50 names.
FORWARD = Way(
    "arrayExists(source -> source IN {names:Array(String)}, mapValues(kwargs))",
    "id >= {start:UInt64} ORDER BY id",
    is_back=False,
)

_LINKS = "SELECT result_table, arrayJoin(mapValues(kwargs)) AS source"
_ASKED = f"{_LINKS}, job_id, id FROM {LOG_TABLE} WHERE "
_NEAR = f"{_LINKS} FROM {LOG_TABLE} WHERE job_id IN {{jobs:Array(UInt64)}} AND "


def closure(
    engine: Engine,
    roots: Sequence[str],
    way: Way,
    max_depth: int,
    *,
    displays: bool = True,
    ask: Ask | None = None,
) -> list[str]:
    """Return the names within so many steps of some, those included, or all but displays.

    Three queries where all was made in one kernel session, and two for each further one on the
    way; one for every thousand names, if there are more. Without a log it is those names alone.

    Parameters
    ----------
    ask
        Finds the links of names in place of a question for these alone, and more of them. Of each
        name that is returned it has been asked.
    """
    links: defaultdict[str, set[str]] = defaultdict(set)
    asked: set[str] = set()
    found = dict.fromkeys(roots, 0)

    def links_of(names: Sequence[str]) -> list[Link]:
        return rows_of_each(engine, _ASKED + way.asked, names)

    def unknown(depth: int = max_depth) -> list[str]:
        return [name for name, away in found.items() if away < depth and name not in asked]

    def learn(rows: Iterable[tuple[Any, ...]]) -> bool:
        """Learn links; say whether some lead to where more has to be asked."""
        nonlocal found
        for result, source, *_ in rows:
            if not displays and result.startswith(DISPLAY_PREFIX):
                continue
            start, end = way.link(result, source)
            links[start].add(end)
        before, found = found, _distances(roots, links, max_depth)
        return any(name not in before for name in unknown())

    depth = max_depth
    if ask is not None:
        depth += 1  # also of the farthest
        if max_depth > 0 and learn(rows := links_of(roots)):
            learn(_neighbours(engine, way, rows))
    while names := unknown(depth):
        rows = (ask or links_of)(names)
        asked.update(names)
        if learn(rows):
            learn(_neighbours(engine, way, rows))
    return list(found)


def _neighbours(engine: Engine, way: Way, rows: Sequence[Link]) -> list[tuple[Any, ...]]:
    """Return the links of events of the same kernel sessions, those nearest to some others."""
    ids = [event for *_, event in rows]
    jobs = sorted({job for *_, job, _ in rows}, reverse=way.is_back)[:_NAMES_PER_QUERY]
    start = max(ids) if way.is_back else min(ids)
    sql = f"{_NEAR}{way.near} LIMIT {_NEIGHBOURS}"
    return engine.query_rows(sql, {"jobs": jobs, "start": start})


def _distances(
    roots: Iterable[str], links: Mapping[str, Iterable[str]], max_depth: int
) -> dict[str, int]:
    """Return how many steps each name is away, of those that are near enough."""
    away = dict.fromkeys(roots, 0)
    frontier = list(away)
    for depth in range(1, max_depth + 1):
        frontier = [name for start in frontier for name in links.get(start, ()) if name not in away]
        if not frontier:
            break
        away.update(dict.fromkeys(frontier, depth))
        frontier = list(dict.fromkeys(frontier))
    return away


def rows_of_each(engine: Engine, sql: str, names: Sequence[str]) -> list[tuple[Any, ...]]:
    """Run a query for each part of the names; no rows where there is no log."""
    try:
        return [row for part in parts_of(names) for row in engine.query_rows(sql, {"names": part})]
    except UnknownTableError:
        return []


def parts_of(names: Sequence[T]) -> list[list[T]]:
    """Return names, or what has one, in parts that one query can bind."""
    return [
        list(names[start : start + _NAMES_PER_QUERY])
        for start in range(0, len(names), _NAMES_PER_QUERY)
    ]
