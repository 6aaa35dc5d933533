"""The kernels of a registry, for people: who they are, whether they live, what they hold."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aaiclick_ext.lifecycle.kernels import judged_kernels
from aaiclick_ext.lifecycle.liveness import ProcessIdentity
from aaiclick_ext.lifecycle.names import Scope, TableName
from aaiclick_ext.lifecycle.reap_plan import maker_of
from aaiclick_ext.registry.reap_store import ReapStore

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping, Sequence

    from aaiclick_ext.lifecycle.kernels import JudgedKernel
    from aaiclick_ext.lifecycle.liveness import Verdict
    from aaiclick_ext.lifecycle.reap_plan import TableFound
    from aaiclick_ext.registry import Registry


@dataclass(frozen=True, slots=True)
class KernelInfo:
    """One kernel session.

    Attributes
    ----------
    session_id
        Its id, which is the job id in the operation log.
    state
        ``alive``, ``dead``, or ``unknown`` where that cannot be told from here.
    is_current
        Whether it is the one that asks.
    host, pid, user
        Its process, as it sees itself; None where it could not tell.
    since, last_heartbeat
        In UTC, by the registry's clock.
    databases
        Where it has tables, or may have.
    tables
        How many temp and session tables it holds, in all databases: its own but for those that
        it left to others, and those that others share with it.
    bytes
        Their size on the disk and in memory, of those in the database that was asked; None where
        it holds tables elsewhere only.
    """

    session_id: int
    state: Verdict
    is_current: bool
    host: str | None
    pid: int | None
    user: str | None
    since: dt.datetime
    last_heartbeat: dt.datetime
    databases: tuple[str, ...]
    tables: int
    bytes: int | None
    tags: Mapping[str, Any] = field(hash=False)


def list_kernels(
    registry: Registry, found: Iterable[TableFound], *, job_id: int | None, grace_s: float
) -> list[KernelInfo]:
    """Return all kernels, oldest first. Reads the registry, and looks up processes of this host.

    Parameters
    ----------
    found
        The tables that are in the database now.
    job_id
        The kernel that asks, if one does.
    grace_s
        As in `judge`.
    """
    store = ReapStore(registry)
    here = ProcessIdentity.current()
    kernels = judged_kernels(store, here, job_id=job_id, grace_s=grace_s)
    known = store.tables_of([kernel.record.session_id for kernel in kernels])
    claims = [(session, name) for session, name in store.claims() if not _is_global(name)]
    shared = {name for _, name in claims}
    sizes = {table.name: table.bytes or 0 for table in found if maker_of(table.name) is not None}
    held = {(job, name) for job, _, name in known if not _is_global(name)}
    held |= {(maker, name) for name in sizes if (maker := maker_of(name)) is not None}
    held = {(job, name) for job, name in held if name not in shared} | set(claims)
    return [_info(kernel, held, sizes, job_id) for kernel in kernels]


def _info(
    kernel: JudgedKernel,
    held: Iterable[tuple[int, str]],
    sizes: Mapping[str, int],
    job_id: int | None,
) -> KernelInfo:
    record = kernel.record
    own = record.session_id
    tables = {name for job, name in held if job == own}
    here = [sizes[name] for name in tables if name in sizes]
    return KernelInfo(
        session_id=own,
        state=kernel.verdict,
        is_current=own == job_id,
        host=record.host_name,
        pid=record.pid,
        user=record.user_name,
        since=record.started_at,
        last_heartbeat=record.heartbeat_at,
        databases=record.databases,
        tables=len(tables),
        bytes=sum(here) if here or not tables else None,
        tags=record.tags,
    )


def in_words(kernels: Sequence[KernelInfo]) -> str:
    """Return how many kernels are in which state.

    Examples
    --------
    >>> in_words([])
    'no kernels'
    """
    if not kernels:
        return "no kernels"
    counts = Counter(str(kernel.state) for kernel in kernels)
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))


def _is_global(name: str) -> bool:
    parsed = TableName.parse(name)
    return parsed is not None and parsed.scope is Scope.GLOBAL
