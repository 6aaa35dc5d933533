"""Which node id a kernel gets: the one that is set, else a free one, else a dead kernel's."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from aaiclick_ext.errors import NodeTakenError, RegistryError
from aaiclick_ext.ids import MAX_NODE, Snowflake
from aaiclick_ext.lifecycle.liveness import ProcessIdentity, Verdict, judge

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aaiclick_ext.registry.kernel_store import KernelRow, KernelStore

_ATTEMPTS = 100


@dataclass(frozen=True, slots=True)
class Grant:
    """A node id that was leased: the source of its ids, and what the registry has of the kernel."""

    snowflake: Snowflake
    job_id: int
    fence: int


def lease_node(store: KernelStore, wanted: int | None, grace_s: float) -> Grant:
    """Lease a node id for this process. Two transactions, more where others are faster.

    Parameters
    ----------
    wanted
        The node id that is set, or None for any.
    grace_s
        As `judge` takes it.

    Raises
    ------
    NodeTakenError
        If a kernel that is not known to be dead holds the wanted node id, or one each all of them.
    RegistryError
        If the registry cannot be used.
    """
    here = ProcessIdentity.current()

    def verdict_of(row: KernelRow) -> Verdict:
        return verdict_of_kernel(row, here, grace_s)

    for _ in range(_ATTEMPTS):
        holders = {row.node_id: row for row in store.holders()}
        node_id = choose(holders, wanted, verdict_of)
        snowflake = Snowflake(node_id)
        job_id = snowflake.next()
        fence = store.register(node_id, job_id, asdict(here), instead_of=holders.get(node_id))
        if fence is not None:
            return Grant(snowflake, job_id, fence)
    raise RegistryError(
        f"no node id could be leased: {_ATTEMPTS} times another kernel was faster. Try again."
    )


def verdict_of_kernel(row: KernelRow, here: ProcessIdentity, grace_s: float) -> Verdict:
    """Say whether a kernel lives, by what the registry has of it and by its process."""
    if not row.is_live:
        return Verdict.DEAD  # judged before, or closed
    return judge(ProcessIdentity(**row.identity), row.heartbeat_age_s, here=here, grace_s=grace_s)


def choose(
    holders: Mapping[int, KernelRow],
    wanted: int | None,
    verdict_of: Callable[[KernelRow], Verdict],
) -> int:
    """Return a node id that is free or whose holder is dead.

    A free one by chance, so that two registries do not give their first kernels the same.
    """
    if wanted is not None:
        holder = holders.get(wanted)
        if holder is not None and (verdict := verdict_of(holder)) is not Verdict.DEAD:
            raise NodeTakenError(_taken(wanted, holder, verdict))
        return wanted
    free = [node_id for node_id in range(MAX_NODE + 1) if node_id not in holders]
    if free:
        return secrets.choice(free)
    for node_id, holder in holders.items():
        if verdict_of(holder) is Verdict.DEAD:
            return node_id
    raise NodeTakenError(
        f"all {MAX_NODE + 1} node ids of the registry are leased to kernels that live or cannot be "
        "judged. End kernels that nobody needs, or use another registry (AAICLICK_SQL_URL) with "
        "another database."
    )


def described(row: KernelRow) -> str:
    """Return a kernel for people."""
    if row.fence is None:
        return f"kernel {row.job_id}"
    return f"kernel {row.job_id} ({ProcessIdentity(**row.identity)})"


def _taken(node_id: int, holder: KernelRow, verdict: Verdict) -> str:
    life = "lives" if verdict is Verdict.ALIVE else "cannot be judged from here"
    age_s = holder.heartbeat_age_s
    heard = "" if age_s is None else f", last heard of {age_s:.0f} s ago"
    return (
        f"node_id is set to {node_id}, and {described(holder)} holds node {node_id} and {life}"
        f"{heard}. Set another (AAICLICK_NODE_ID), or none: then a free one is leased."
    )
