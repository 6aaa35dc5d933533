"""Kernels in the registry: their node ids, their heartbeats, and who took over from whom.

A kernel holds a node id while `node_leases` has its job id and its row of `sessions` is ``live``
with the fence that it was given. Who takes over raises the fence first, so that the earlier holder,
if it lives after all, finds that it lost the lease.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aaiclick_ext.registry.registry import Registry
    from aaiclick_ext.registry.statements import Statements

DEFAULT_TTL_S = 3600.0
DEFAULT_MAX_REFS = 10_000

IDENTITY_COLUMNS = (
    "host_id", "host_name", "pid", "process_started", "boot_id", "pid_namespace", "user_name",
)  # fmt: skip
"""The columns of `sessions` that name a process; the fields of `ProcessIdentity`."""

_FIRST_FENCE = 1


@dataclass(frozen=True, slots=True)
class KernelRow:
    """A kernel as the registry knows it.

    Attributes
    ----------
    node_id
        The node that it was given, which another may hold by now.
    identity
        Its process: `IDENTITY_COLUMNS` and what it registered for them.
    fence
        None where there is a lease and no session.
    heartbeat_age_s
        Seconds since its last heartbeat, by the registry's clock.
    """

    job_id: int
    node_id: int
    identity: Mapping[str, Any] = field(hash=False)
    fence: int | None
    is_live: bool
    heartbeat_age_s: float | None
    heartbeat: Any
    """The heartbeat as the database has it, to see whether there was another since."""


class _TakenError(Exception):
    """Another was faster; rolls the transaction back."""


class KernelStore:
    """Registers kernels. Each method is one transaction of SQL text; any thread may call it."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def holders(self) -> list[KernelRow]:
        """Return who holds each leased node id."""
        columns = ", ".join(f"s.{name}" for name in IDENTITY_COLUMNS)
        with self._registry.statements() as statements:
            rows = statements.rows(
                "SELECT l.job_id, l.node_id, s.fence, s.state, s.heartbeat_at, "
                f"{statements.age_s('s.heartbeat_at')}, {columns} "
                "FROM node_leases l LEFT JOIN sessions s ON s.session_id = l.job_id"
            )
        return [_kernel_row(row) for row in rows]

    def register(
        self,
        node_id: int,
        job_id: int,
        identity: Mapping[str, Any],
        *,
        instead_of: KernelRow | None = None,
    ) -> int | None:
        """Lease a node id to a kernel and add its session; return its fence.

        Parameters
        ----------
        instead_of
            A dead kernel that still holds the node id. Its session is marked dead.

        Returns
        -------
        int or None
            None where another kernel has the node id now, or the other one lives after all.
        """
        try:
            with self._registry.statements() as statements:
                if instead_of is None:
                    _lease(statements, node_id, job_id)
                else:
                    _take_over(statements, job_id, instead_of)
                _add_session(statements, node_id, job_id, identity)
        except _TakenError:
            return None
        return _FIRST_FENCE

    def beat(self, job_id: int, fence: int) -> bool:
        """Write a heartbeat; say whether the kernel still holds its lease."""
        with self._registry.statements() as statements:
            changed = statements.change(
                f"UPDATE sessions SET heartbeat_at = {statements.now} WHERE session_id = :job_id "
                "AND fence = :fence AND state = 'live' "
                "AND EXISTS (SELECT 1 FROM node_leases WHERE job_id = :job_id)",
                job_id=job_id,
                fence=fence,
            )
        return changed == 1

    def holder_of(self, node_id: int) -> KernelRow | None:
        """Return who holds a node id now, or None."""
        return next((row for row in self.holders() if row.node_id == node_id), None)

    def end(self, job_id: int, fence: int) -> None:
        """Give a node id back, of a kernel that closes; one that lost it changes nothing.

        Its session is removed unless tables of it are left, global ones for example; then it is
        marked dead.
        """
        with self._registry.statements() as statements:
            ended = statements.change(
                f"UPDATE sessions SET state = 'dead', ended_at = {statements.now} "
                "WHERE session_id = :job_id AND fence = :fence AND state = 'live'",
                job_id=job_id,
                fence=fence,
            )
            if ended == 1:
                statements.change("DELETE FROM node_leases WHERE job_id = :job_id", job_id=job_id)
                for table in ("session_databases", "sessions"):
                    statements.change(
                        f"DELETE FROM {table} WHERE session_id = :job_id "
                        f"{''.join(f' AND NOT EXISTS ({left})' for left in _LEFT)}",
                        job_id=job_id,
                    )


_LEFT = (
    "SELECT 1 FROM table_registry WHERE job_id = :job_id",
    "SELECT 1 FROM table_claims WHERE session_id = :job_id",
    "SELECT 1 FROM share_tokens WHERE session_id = :job_id",
)


def _kernel_row(row: Sequence[Any]) -> KernelRow:
    job_id, node_id, fence, state, heartbeat, age_s, *identity = row
    return KernelRow(
        job_id=job_id,
        node_id=node_id,
        identity=dict(zip(IDENTITY_COLUMNS, identity, strict=True)),
        fence=fence,
        is_live=state == "live",
        heartbeat_age_s=age_s,
        heartbeat=heartbeat,
    )


def _lease(statements: Statements, node_id: int, job_id: int) -> None:
    leased = statements.change(
        "INSERT INTO node_leases (node_id, job_id, leased_at) "
        f"VALUES (:node_id, :job_id, {statements.now}) ON CONFLICT DO NOTHING",
        node_id=node_id,
        job_id=job_id,
    )
    if leased != 1:
        raise _TakenError


def _take_over(statements: Statements, job_id: int, dead: KernelRow) -> None:
    if dead.is_live:
        ended = statements.change(
            f"UPDATE sessions SET state = 'dead', ended_at = {statements.now}, fence = fence + 1 "
            "WHERE session_id = :dead AND state = 'live' AND fence = :fence "
            "AND heartbeat_at = :heartbeat",
            dead=dead.job_id,
            fence=dead.fence,
            heartbeat=dead.heartbeat,
        )
        if ended != 1:
            raise _TakenError
    taken = statements.change(
        f"UPDATE node_leases SET job_id = :job_id, leased_at = {statements.now} "
        "WHERE node_id = :node_id AND job_id = :dead",
        job_id=job_id,
        node_id=dead.node_id,
        dead=dead.job_id,
    )
    if taken != 1:
        raise _TakenError


def _add_session(
    statements: Statements, node_id: int, job_id: int, identity: Mapping[str, Any]
) -> None:
    columns = ", ".join(IDENTITY_COLUMNS)
    values = ", ".join(f":{name}" for name in IDENTITY_COLUMNS)
    statements.change(
        f"INSERT INTO sessions (session_id, node_id, tags, {columns}, fence, started_at, "
        "heartbeat_at, state, ttl_seconds, max_refs) "
        f"VALUES (:job_id, :node_id, '{{}}', {values}, :fence, {statements.now}, "
        f"{statements.now}, 'live', :ttl_seconds, :max_refs)",
        job_id=job_id,
        node_id=node_id,
        fence=_FIRST_FENCE,
        ttl_seconds=DEFAULT_TTL_S,
        max_refs=DEFAULT_MAX_REFS,
        **{name: identity[name] for name in IDENTITY_COLUMNS},
    )
