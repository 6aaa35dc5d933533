"""Which tables of dead kernels stay, and until when. Nothing here reads or writes anything."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aaiclick_ext.ids import time_of
from aaiclick_ext.lifecycle.named_views import in_words
from aaiclick_ext.lifecycle.names import Scope, TableName
from aaiclick_ext.registry.keep_store import KeptTable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from aaiclick_ext.lifecycle.reap_plan import TableFound


@dataclass(frozen=True, slots=True)
class Job:
    """A kernel session, as far as its time to live goes.

    Attributes
    ----------
    ended_at
        When it last gave a sign of life; None while it lives, or may.
    is_preserving
        Whether it, or a session inside it, preserved what was made there.
    """

    job_id: int
    ended_at: dt.datetime | None
    is_preserving: bool = False


@dataclass(frozen=True, slots=True)
class ExpiredJob:
    """A job whose time to live is over.

    Attributes
    ----------
    last_event_at
        In UTC.
    events
        How many of its events go, or went.
    kept_events
        How many stay, because they explain something that is there.
    """

    job_id: int
    last_event_at: dt.datetime
    events: int
    kept_events: int


@dataclass(frozen=True, slots=True)
class TimeToLive:
    """How long what a job left is kept after its end.

    Attributes
    ----------
    now
        In UTC.
    """

    days: int
    now: dt.datetime

    @property
    def before(self) -> dt.datetime:
        """Jobs that ended before this have expired."""
        return self.now - dt.timedelta(days=self.days)

    def unexpired(self, jobs: Iterable[Job]) -> frozenset[int]:
        """Return the jobs that live, or may, or have not been dead for so long."""
        return frozenset(
            job.job_id for job in jobs if job.ended_at is None or job.ended_at >= self.before
        )


def with_marks(
    known: Mapping[str, KeptTable], tables: Iterable[TableFound]
) -> dict[str, KeptTable]:
    """Return what the registry knows of tables, with what their own comments say.

    A table stays if one of both says so.
    """
    found = dict(known)
    for table in tables:
        name = TableName.parse(table.name)
        if name is None or not (table.pinned_at or table.is_preserved):
            continue
        kept = found.get(table.name, KeptTable(table.name, name.job_id, False))
        found[table.name] = replace(
            kept,
            is_preserved=kept.is_preserved or table.is_preserved,
            pinned_at=kept.pinned_at or table.pinned_at,
        )
    return found


def with_views(
    known: Mapping[str, KeptTable], under_views: Mapping[str, Sequence[str]]
) -> dict[str, KeptTable]:
    """Return what is known of tables, with the views that read some of them."""
    found = dict(known)
    for table, views in under_views.items():
        name = TableName.parse(table)
        job_id = None if name is None else name.job_id
        found[table] = replace(
            found.get(table, KeptTable(table, job_id, False)), views=tuple(views)
        )
    return found


def reasons_to_keep(
    tables: Iterable[str],
    known: Mapping[str, KeptTable],
    jobs: Mapping[int, Job],
    ttl: TimeToLive,
    in_use: Collection[str] = (),
) -> dict[str, str]:
    """Return those tables that must not be removed, each with the reason.

    Parameters
    ----------
    known
        Tables that the registry has a row of. One without was made in the moment of the end: its
        kernel decides.
    in_use
        Tables that this process uses, whoever made them.
    """
    reasons = {}
    for table in tables:
        name = TableName.parse(table)
        if name is None:
            continue  # in quarantine: its removal was decided
        reason = _reason(table, name, known.get(table), jobs.get(name.job_id), ttl)
        if reason is None and table in in_use:
            reason = "this kernel uses it"
        if reason is not None:
            reasons[table] = reason
    return reasons


def _reason(
    table: str, name: TableName, known: KeptTable | None, job: Job | None, ttl: TimeToLive
) -> str | None:
    if known is not None and known.is_pinned:
        return f"it is pinned: aai.unpin({table!r})"
    if known is not None and known.views:
        return in_words(known.views)
    is_preserved = known.is_preserved if known is not None else job and job.is_preserving
    if not is_preserved or name.scope is Scope.GLOBAL:
        return None
    if job is not None and job.ended_at is None:
        return "its kernel preserves it, and lives"
    ended_at = time_of(name.id) if job is None or job.ended_at is None else job.ended_at
    if ended_at < ttl.before:
        return None
    return f"it is preserved until {ended_at + dt.timedelta(days=ttl.days):%Y-%m-%d %H:%M} UTC"
