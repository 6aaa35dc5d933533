"""The kernel sessions of this process: one for each registry that it uses, one after the other."""

from __future__ import annotations

_jobs: set[int] = set()


def note_own_job(job_id: int) -> None:
    """Make a kernel session known as this process's, before it makes anything."""
    _jobs.add(job_id)


def own_jobs() -> frozenset[int]:
    """Return all kernel sessions that this process has had."""
    return frozenset(_jobs)
