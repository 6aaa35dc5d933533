"""Reaper: removes what dead kernels left, in this database, on this disk and in the registry.

What they preserved, and their events in the log, go when their time to live is over; what is
pinned stays, and so do events that explain something that is there.

In this order, so that it may be killed anywhere and the next one finishes: a dead kernel's row is
claimed (an atomic update, so that of two reapers one works), its tables get a name of the
quarantine, are dropped, and forgotten; when nothing is left in any database that the kernel opened,
its row goes. A reaper that died is itself a dead kernel, and its claims are taken over.
"""

from __future__ import annotations

import datetime as dt
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from aaiclick_ext.engine.scratch import scratch_directories, sweep_scratch
from aaiclick_ext.lifecycle.keep_plan import (
    ExpiredJob,
    Job,
    TimeToLive,
    reasons_to_keep,
    with_marks,
    with_views,
)
from aaiclick_ext.lifecycle.kernels import judged_kernels
from aaiclick_ext.lifecycle.leftovers import Leftovers
from aaiclick_ext.lifecycle.liveness import ProcessIdentity, Verdict
from aaiclick_ext.lifecycle.named_views import tables_under_views
from aaiclick_ext.lifecycle.process_leases import process_leases
from aaiclick_ext.lifecycle.reap_plan import Fate, Owner, keep_held, plan, with_unclaimed
from aaiclick_ext.registry.keep_store import KeepStore
from aaiclick_ext.registry.reap_store import ReapStore

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from aaiclick_ext.engine import Engine
    from aaiclick_ext.engine.scratch import ScratchDirectory
    from aaiclick_ext.lifecycle.kernels import JudgedKernel
    from aaiclick_ext.lifecycle.leftovers import Farewell
    from aaiclick_ext.lifecycle.reap_plan import TableFound
    from aaiclick_ext.registry import Registry
    from aaiclick_ext.settings import Settings

_POLL_S = 0.5
_PATIENCE_S = 30.0


class EventLog(Protocol):
    """The events of jobs, in the database."""

    def expired(
        self, before: dt.datetime, spared: Collection[int], going: Collection[str]
    ) -> list[ExpiredJob]:
        """Return the jobs of which events would go: their last one is older, and none is spared.

        As if the tables in `going` were dropped.
        """

    def prune(
        self, before: dt.datetime, spared: Collection[int], stop: threading.Event
    ) -> list[ExpiredJob]:
        """Remove them; return the jobs of which events went."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What is there, and what would become of it.

    Attributes
    ----------
    kernels
        All that the registry knows, oldest first.
    fates
        The tables of ours in the database, global ones only if they go.
    scratch
        The scratch directories of other processes.
    jobs
        The expired jobs of which events would go.
    """

    kernels: Sequence[JudgedKernel]
    fates: Sequence[Fate]
    scratch: Sequence[ScratchDirectory]
    jobs: Sequence[ExpiredJob] = ()


@dataclass(slots=True)
class Reaped:
    """What was removed.

    Attributes
    ----------
    fates
        The tables that were looked at. One that could not be dropped is kept, with the reason.
    scratch
        Directories that are gone.
    kernels
        Dead kernels of which nothing is left anywhere; their rows are gone.
    jobs
        Expired jobs of which events are gone.
    is_complete
        False where another kernel is at work on what is left, or it was told to stop.
    """

    fates: list[Fate] = field(default_factory=list)
    scratch: list[Path] = field(default_factory=list)
    kernels: list[int] = field(default_factory=list)
    jobs: list[ExpiredJob] = field(default_factory=list)
    is_complete: bool = True


class Reaper:
    """Looks for what dead kernels left, and removes it.

    Parameters
    ----------
    engine
        The database whose tables are looked at.
    registry
        Who is alive.
    job_id
        The kernel session that this works for; the registry has it, so that this reaper, should it
        die, is known to be dead. None for one that only looks.
    settings
        The grace of kernels on other hosts, the time to live, and where scratch directories are.
    log
        The events that expire with their jobs; None leaves them alone.
    in_use
        Gives the tables that this process uses, whoever made them.
    farewell
        Tells the log the end of tables.
    """

    def __init__(
        self,
        engine: Engine,
        registry: Registry,
        *,
        job_id: int | None,
        settings: Settings,
        log: EventLog | None = None,
        in_use: Callable[[], Collection[str]] = tuple,
        farewell: Farewell | None = None,
    ) -> None:
        self._engine = engine
        self._log = log
        self._in_use = in_use
        self._ttl_days = settings.job_ttl_days
        self._store = ReapStore(registry)
        self._kept = KeepStore(registry, engine.identity)
        self._leftovers = Leftovers(engine, self._store, farewell)
        self._job_id = job_id
        self._grace_s = settings.lease_grace_s
        self._scratch_path = settings.scratch_path

    def survey(self) -> Survey:
        """Return what would be removed and what is kept. Changes nothing; runs a few queries."""
        kernels = self._kernels()
        mine = [kernel for kernel in kernels if kernel.is_reapable]
        fates = self._fates(kernels, mine, self._leftovers.tables(), is_dry=True)
        scratch = list(scratch_directories(self._scratch_path, _dead_among(kernels)))
        ttl, spared = self._time_to_live(kernels)
        going = [fate.table.name for fate in fates if fate.is_removed]
        jobs = [] if self._log is None else self._log.expired(ttl.before, spared, going)
        return Survey(kernels, fates, scratch, jobs)

    def reap(self, stop: threading.Event | None = None) -> Reaped:
        """Remove what dead kernels left; wait up to 30 s for other reapers that work on it.

        Parameters
        ----------
        stop
            Ends it between two statements; what is left to do is for the next one.
        """
        assert self._job_id is not None, "a reaper without a kernel only looks"
        stop = threading.Event() if stop is None else stop
        total, waited_s = Reaped(), 0.0
        while True:
            with _alone_in_process() as is_alone:
                done = (
                    self._reap_once(self._job_id, stop) if is_alone else Reaped(is_complete=False)
                )
            total.scratch += done.scratch
            total.kernels += done.kernels
            total.fates = [fate for fate in total.fates if fate.is_removed] + done.fates
            total.is_complete = done.is_complete
            if done.is_complete or waited_s >= _PATIENCE_S or stop.wait(_POLL_S):
                break
            waited_s += _POLL_S
        if self._log is not None and not stop.is_set():  # after the tables: what is gone needs none
            ttl, spared = self._time_to_live(self._kernels())
            total.jobs = self._log.prune(ttl.before, spared, stop)
        return total

    def _reap_once(self, job_id: int, stop: threading.Event) -> Reaped:
        kernels = self._kernels()
        done = Reaped(scratch=sweep_scratch(self._scratch_path, _dead_among(kernels)))
        tables = self._leftovers.tables()
        dead = [
            kernel
            for kernel in kernels
            if kernel.verdict is Verdict.DEAD and self._leftovers.concern(kernel.record, tables)
        ]
        claimed = [
            kernel
            for kernel in dead
            if kernel.is_reapable and self._store.claim(kernel.record, job_id)
        ]
        emptied: set[int] = set()
        try:
            if self._leftovers.end_statements(claimed):
                tables = self._leftovers.tables()  # a statement may have made one meanwhile
                fates = self._fates(kernels, claimed, tables)
                done.fates = self._leftovers.remove(fates, stop)
                if not stop.is_set():
                    ttl = self._time_to_live(kernels)[0]
                    self._leftovers.forget_stale(_living_among(kernels), ttl.before)
                    left = {fate.job_id for fate in done.fates if not fate.is_removed}
                    emptied = {kernel.record.session_id for kernel in claimed} - left
                    for kernel in claimed:  # its directory may have been moved
                        if kernel.record.session_id in left:
                            self._leftovers.note(kernel.record)
        finally:  # whatever failed, the next reaper need not wait for this process to end
            for kernel in claimed:
                record = kernel.record
                is_empty = record.session_id in emptied
                places = self._leftovers.emptied(record, here=is_empty)
                if self._store.finish(record, job_id, places):
                    done.kernels.append(record.session_id)
        done.is_complete = len(claimed) == len(dead) and not stop.is_set()
        return done

    def _kernels(self) -> list[JudgedKernel]:
        here = ProcessIdentity.current()
        return judged_kernels(self._store, here, job_id=self._job_id, grace_s=self._grace_s)

    def _fates(
        self,
        kernels: Sequence[JudgedKernel],
        mine: Sequence[JudgedKernel],
        tables: Sequence[TableFound],
        *,
        is_dry: bool = False,
    ) -> list[Fate]:
        """Decide on the tables; `mine` are the dead kernels whose tables this may remove."""
        ours = {kernel.record.session_id for kernel in mine}
        owners = {
            kernel.record.session_id: Owner(
                kernel.verdict, kernel.label, kernel.record.session_id in ours
            )
            for kernel in kernels
        }
        is_exclusive = self._engine.creds.is_embedded
        ttl = self._time_to_live(kernels)[0]
        fates = plan(
            tables, owners, process_leases.jobs, is_exclusive=is_exclusive, old_before=ttl.before
        )
        if not is_exclusive:  # else nobody can share them
            asked = {fate.table.name for fate in fates if fate.is_removed}
            dead = {session for kernel in mine for session in kernel.record.sessions}
            unheld = self._store.unheld(self._engine.identity, asked, dead, is_dry=is_dry)
            fates = with_unclaimed(keep_held(fates, unheld.held), unheld.free)
        going = [fate.table.name for fate in fates if fate.is_removed]
        jobs = {kernel.record.session_id: _job(kernel, ttl.now) for kernel in kernels}
        known = with_marks(self._kept.known(going), (fate.table for fate in fates))
        known = with_views(known, tables_under_views(self._engine, going))
        return keep_held(fates, reasons_to_keep(going, known, jobs, ttl, self._in_use()))

    def _time_to_live(self, kernels: Sequence[JudgedKernel]) -> tuple[TimeToLive, frozenset[int]]:
        """Return the time to live as of now, and the jobs that have not expired."""
        ttl = TimeToLive(self._ttl_days, dt.datetime.now(dt.UTC))
        return ttl, ttl.unexpired(_job(kernel, ttl.now) for kernel in kernels) | process_leases.jobs


def _job(kernel: JudgedKernel, now: dt.datetime) -> Job:
    record = kernel.record
    is_over = kernel.verdict is Verdict.DEAD and record.session_id not in process_leases.jobs
    ended_at = now - dt.timedelta(seconds=record.heartbeat_age_s) if is_over else None
    return Job(record.session_id, ended_at, record.is_preserving)


def _living_among(kernels: Sequence[JudgedKernel]) -> frozenset[int]:
    """Return the kernels that live, or may."""
    return frozenset(
        kernel.record.session_id for kernel in kernels if kernel.verdict is not Verdict.DEAD
    )


def _dead_among(kernels: Sequence[JudgedKernel]) -> Callable[[int], bool]:
    dead = {kernel.record.session_id for kernel in kernels if kernel.verdict is Verdict.DEAD}
    return dead.__contains__


@contextmanager
def _alone_in_process() -> Iterator[bool]:
    """Say whether no other reaper of this process works; all have one kernel's id. Never waits."""
    lock = process_leases.reaping  # a forked child has another, and a `with` may span the fork
    is_alone = lock.acquire(blocking=False)
    try:
        yield is_alone
    finally:
        if is_alone:
            lock.release()
