"""Events of expired jobs are removed, all but those that explain something that is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aaiclick_ext.engine import Role
from aaiclick_ext.errors import OplogError, UnknownTableError
from aaiclick_ext.lifecycle.keep_plan import ExpiredJob
from aaiclick_ext.oplog.graph import DROP_TABLE
from aaiclick_ext.oplog.log_table import LOG, LOG_TABLE

if TYPE_CHECKING:
    import datetime as dt
    import threading
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from aaiclick_ext.engine import Engine

_JOBS = f"""
SELECT job_id, max(created_at) AS last_event_at, uniqExact(id) FROM {LOG_TABLE}
GROUP BY job_id HAVING last_event_at < {{before:DateTime64(6, 'UTC')}} ORDER BY last_event_at
"""
_OF_EXPIRED = "job_id IN {jobs:Array(UInt64)}"
# A name that an event of another job mentions, or that is a table, has to be explained. So all
# that such events were made of is explained, too, and only expired events are left to follow.
# That a table was dropped is told of it, but does not use it.
_EXPLAINED = f"""
WITH other AS (
    SELECT result_table, mapValues(kwargs) AS inputs FROM {LOG_TABLE}
    WHERE job_id NOT IN {{jobs:Array(UInt64)}} AND operation != '{DROP_TABLE}'
)
SELECT DISTINCT cityHash64(result_table) AS name FROM {LOG_TABLE}
WHERE {_OF_EXPIRED} AND (
    result_table IN (
        SELECT name FROM system.tables
        WHERE database = currentDatabase() AND name NOT IN {{going:Array(String)}}
    )
    OR result_table IN (SELECT concat(database, '.', name) FROM system.tables)
    OR result_table IN (SELECT result_table FROM other)
    OR result_table IN (SELECT arrayJoin(inputs) FROM other)
)
"""
# Names as numbers: 32 bytes for each input of an event. Two names with one number would keep too
# much, and nothing more.
_LINKS = f"""
SELECT id, job_id, cityHash64(result_table) AS result,
    cityHash64(arrayJoin(if(empty(kwargs), [result_table], mapValues(kwargs)))) AS source
FROM {LOG_TABLE} WHERE {_OF_EXPIRED} ORDER BY result
"""
_UNDONE = f"""
SELECT mutation_id, latest_fail_reason FROM system.mutations
WHERE database = currentDatabase() AND table = '{LOG_TABLE}' AND NOT is_done
"""
_AT_ONCE = 5000
"""Numbers in one statement: 100 KB of text, of the 256 KB that a query may have."""
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class _Doomed:
    """What goes of an expired job: its events, or some of them."""

    job: ExpiredJob
    goes: list[int]
    """Their ids, where more stay than one statement can name."""
    stays: list[int]
    """Else the ids of the others."""


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

    def expired(
        self, before: dt.datetime, spared: Collection[int], going: Collection[str] = ()
    ) -> list[ExpiredJob]:
        """Return the jobs of which events would go. Changes nothing; runs a few queries.

        Parameters
        ----------
        before
            A job whose last event is older has expired.
        spared
            Jobs that have not, whatever the log says.
        going
            Tables that are there and will have been dropped by then.
        """
        return [each.job for each in self._doomed(before, spared, going)]

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
        for condition in conditions(doomed):
            if stop.is_set():
                return []
            self._engine.command(
                f"DELETE FROM {LOG_TABLE} WHERE {condition} SETTINGS lightweight_deletes_sync = 0",
                role=Role.WORKER,
            )
        if doomed and not self._finish(stop):
            return []
        return [each.job for each in doomed]

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

    def _doomed(
        self, before: dt.datetime, spared: Collection[int], going: Collection[str] = ()
    ) -> list[_Doomed]:
        """Decide what goes. One query where nothing has expired, else three."""
        try:
            if not LOG.is_there(self._engine, role=Role.WORKER):
                return []
            found = self._rows(_JOBS, {"before": before})
        except UnknownTableError:
            return []  # nothing was recorded in this database yet
        expired = {job: (last, count) for job, last, count in found if job not in spared}
        kept = self._kept(list(expired), going) if expired else {}
        doomed = []
        for number, (last, count) in expired.items():
            goes, stays = kept.get(number, ([], []))
            if count > len(stays):
                job = ExpiredJob(number, last, count - len(stays), len(stays))
                is_short = len(stays) <= _AT_ONCE
                doomed.append(_Doomed(job, [] if is_short else goes, stays if is_short else []))
        return doomed

    def _kept(
        self, jobs: Sequence[int], going: Collection[str]
    ) -> dict[int, tuple[list[int], list[int]]]:
        """Return the ids of events that go and that stay, of the jobs of which some stay."""
        explained = self._numbers(_EXPLAINED, jobs=jobs, going=list(going))[0]
        if not len(explained):
            return {}
        import numpy as np

        ids, job_ids, results, sources = self._numbers(_LINKS, jobs=jobs)
        frontier = seen = np.unique(explained)
        while len(frontier):
            starts = np.searchsorted(results, frontier, "left")
            ends = np.searchsorted(results, frontier, "right")
            inputs = [sources[start:end] for start, end in zip(starts, ends, strict=True)]
            frontier = np.setdiff1d(np.concatenate(inputs), seen)
            seen = np.union1d(seen, frontier)
        stays = np.isin(results, seen)
        found = {}
        for job in np.unique(job_ids[stays]):
            of_job = job_ids == job
            going, staying = (np.unique(ids[of_job & which]) for which in (~stays, stays))
            found[int(job)] = (going.tolist(), staying.tolist())
        return found

    def _numbers(self, sql: str, **parameters: Sequence[Any]) -> list[Any]:
        """Return the columns of a query as NumPy arrays."""
        table = self._engine.query_arrow(sql, parameters, role=Role.WORKER)
        return [column.to_numpy() for column in table.columns]

    def _rows(self, sql: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        return self._engine.query_rows(sql, parameters, role=Role.WORKER)


def conditions(doomed: Iterable[_Doomed]) -> Iterator[str]:
    """Yield what is true of the rows that go, in parts that a statement can hold."""
    jobs: list[int] = []
    stays: list[int] = []
    for each in doomed:
        for start in range(0, len(each.goes), _AT_ONCE):
            yield f"id IN ({_listed(each.goes[start : start + _AT_ONCE])})"
        if each.goes:
            continue
        if jobs and len(jobs) + len(stays) + 1 + len(each.stays) > _AT_ONCE:
            yield _of_jobs(jobs, stays)
            jobs, stays = [], []
        jobs.append(each.job.job_id)
        stays += each.stays
    if jobs:
        yield _of_jobs(jobs, stays)


def _of_jobs(jobs: Sequence[int], stays: Sequence[int]) -> str:
    others = f" AND id NOT IN ({_listed(stays)})" if stays else ""
    return f"job_id IN ({_listed(jobs)}){others}"


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
