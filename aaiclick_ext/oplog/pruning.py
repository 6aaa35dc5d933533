"""Events of expired jobs are removed, all but those that explain something that is there."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aaiclick_ext.engine import Role
from aaiclick_ext.errors import OplogError, UnknownTableError
from aaiclick_ext.lifecycle.keep_plan import ExpiredJob
from aaiclick_ext.oplog.closure import parts_of
from aaiclick_ext.oplog.log_table import LOG_TABLE, is_ours

if TYPE_CHECKING:
    import datetime as dt
    import threading
    from collections.abc import Collection, Iterator, Sequence

    from aaiclick_ext.engine import Engine

_JOBS = f"""
SELECT job_id, max(created_at) AS last_event_at, count() FROM {LOG_TABLE}
GROUP BY job_id HAVING last_event_at < {{before:DateTime64(6, 'UTC')}} ORDER BY last_event_at
"""
_OF_EXPIRED = "job_id IN {jobs:Array(UInt64)}"
# A name that an event of another job mentions, or that is a table, has to be explained. So all
# that such events were made of is explained, too, and only expired events are left to follow.
_EXPLAINED = f"""
WITH other AS (
    SELECT result_table, mapValues(kwargs) AS inputs FROM {LOG_TABLE}
    WHERE job_id NOT IN {{jobs:Array(UInt64)}}
)
SELECT DISTINCT result_table FROM {LOG_TABLE}
WHERE {_OF_EXPIRED} AND (
    result_table IN (SELECT name FROM system.tables WHERE database = currentDatabase())
    OR result_table IN (SELECT concat(database, '.', name) FROM system.tables)
    OR result_table IN (SELECT result_table FROM other)
    OR result_table IN (SELECT arrayJoin(inputs) FROM other)
)
"""
_INPUTS = f"""
SELECT DISTINCT arrayJoin(mapValues(kwargs)) FROM {LOG_TABLE}
WHERE result_table IN {{names:Array(String)}} AND {_OF_EXPIRED}
"""
_KEPT = f"""
SELECT job_id, id FROM {LOG_TABLE}
WHERE result_table IN {{names:Array(String)}} AND {_OF_EXPIRED}
"""
_IDS = f"SELECT id FROM {LOG_TABLE} WHERE job_id = {{job:UInt64}}"
_UNDONE = f"""
SELECT mutation_id, latest_fail_reason FROM system.mutations
WHERE database = currentDatabase() AND table = '{LOG_TABLE}' AND NOT is_done
"""
_AT_ONCE = 5000
"""Ids in one statement: 100 KB of text, of the 256 KB that a query may have."""
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class _Doomed:
    """What goes: all events of some jobs, and some events of others."""

    jobs: list[ExpiredJob]
    whole: list[int]
    kept: dict[int, set[int]]


class LogPruner:
    """Removes the events of jobs whose time to live is over. Statements run as `Role.WORKER`.

    By lightweight deletes, each with all that it needs in its own text: they mask rows, which go
    when ClickHouse merges parts next, and block neither readers nor writers. (Of a million events
    in one part, those of five jobs took 72 ms; ``ALTER TABLE … DELETE``, which writes the parts
    anew, 692 ms.) A delete that a kill interrupted goes on when the database is opened next. What
    was not begun by then is found again: nothing is remembered from one time to the next.

    Parameters
    ----------
    engine
        The database with the log.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def expired(self, before: dt.datetime, spared: Collection[int]) -> list[ExpiredJob]:
        """Return the jobs of which events would go. Changes nothing; runs a few queries.

        Parameters
        ----------
        before
            A job whose last event is older has expired.
        spared
            Jobs that have not, whatever the log says.
        """
        return self._doomed(before, spared).jobs

    def prune(
        self, before: dt.datetime, spared: Collection[int], stop: threading.Event
    ) -> list[ExpiredJob]:
        """Remove the events of expired jobs; return the jobs of which events went.

        Parameters
        ----------
        before, spared
            As for `expired`.
        stop
            Ends it between two statements.

        Raises
        ------
        OplogError
            If ClickHouse could not do it; it is not tried again until the next time.
        """
        doomed = self._doomed(before, spared)
        for condition in self._conditions(doomed):
            if stop.is_set():
                return []
            self._engine.command(
                f"DELETE FROM {LOG_TABLE} WHERE {condition} SETTINGS lightweight_deletes_sync = 0",
                role=Role.WORKER,
            )
        if doomed.jobs and not self._finish(stop):
            return []
        return doomed.jobs

    def _conditions(self, doomed: _Doomed) -> Iterator[str]:
        """Yield what is true of the rows that go, in parts that a statement can hold."""
        for part in _slices(doomed.whole):
            yield f"job_id IN ({part})"
        for job, kept in doomed.kept.items():
            ids = [number for (number,) in self._rows(_IDS, {"job": job}) if number not in kept]
            for part in _slices(ids):
                yield f"id IN ({part})"

    def _finish(self, stop: threading.Event) -> bool:
        """Wait for the deletes; say whether they were not stopped."""
        while undone := self._rows(_UNDONE):
            failed = [(number, reason) for number, reason in undone if reason]
            for number, _ in failed:  # or ClickHouse would try it for ever
                self._engine.command(
                    f"KILL MUTATION WHERE database = currentDatabase() "
                    f"AND table = '{LOG_TABLE}' AND mutation_id = {{number:String}}",
                    {"number": number},
                    role=Role.WORKER,
                )
            if failed:
                raise OplogError(
                    f"events of expired jobs could not be removed from {LOG_TABLE} in "
                    f"{self._engine.identity}: {failed[0][1]}"
                )
            if stop.wait(_POLL_S):
                return False
        return True

    def _doomed(self, before: dt.datetime, spared: Collection[int]) -> _Doomed:
        """Decide what goes. Reads the log; one query where nothing has expired."""
        nothing = _Doomed([], [], {})
        try:
            if not is_ours(self._engine, role=Role.WORKER):
                return nothing
            found = self._rows(_JOBS, {"before": before})
        except UnknownTableError:
            return nothing  # nothing was recorded in this database yet
        expired = {job: (last, count) for job, last, count in found if job not in spared}
        if not expired:
            return nothing
        kept: defaultdict[int, set[int]] = defaultdict(set)
        for names in parts_of(sorted(self._explained(list(expired)))):
            for job, number in self._rows(_KEPT, {"names": names, "jobs": list(expired)}):
                kept[job].add(number)
        count_kept = Counter({job: len(numbers) for job, numbers in kept.items()})
        jobs = [
            ExpiredJob(job, last, count - count_kept[job], count_kept[job])
            for job, (last, count) in expired.items()
            if count > count_kept[job]
        ]
        partly = {job.job_id: kept[job.job_id] for job in jobs if job.kept_events}
        return _Doomed(jobs, [job.job_id for job in jobs if not job.kept_events], partly)

    def _explained(self, jobs: Sequence[int]) -> set[str]:
        """Return the names whose events of expired jobs explain something that is there."""
        frontier = [name for (name,) in self._rows(_EXPLAINED, {"jobs": jobs})]
        seen = set(frontier)
        while frontier:
            inputs = {
                name
                for names in parts_of(frontier)
                for (name,) in self._rows(_INPUTS, {"names": names, "jobs": jobs})
            }
            frontier = sorted(inputs - seen)
            seen |= inputs
        return seen

    def _rows(self, sql: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        return self._engine.query_rows(sql, parameters, role=Role.WORKER)


def _slices(numbers: Sequence[int]) -> Iterator[str]:
    for start in range(0, len(numbers), _AT_ONCE):
        yield ", ".join(map(str, numbers[start : start + _AT_ONCE]))
