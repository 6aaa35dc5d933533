"""What is to become of the tables in a database: decided from names and what is known of kernels.

Nothing here reads or writes anything. A table whose kernel cannot be judged stays; one whose name
is not ours is not even looked at.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aaiclick_ext.ids import NODE_BITS, SEQUENCE_BITS, node_of, time_of
from aaiclick_ext.lifecycle.liveness import Verdict
from aaiclick_ext.lifecycle.names import Scope, TableName
from aaiclick_ext.lifecycle.quarantine import QuarantineName

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Iterable, Mapping, Sequence

_LATER_THAN = 1 << (NODE_BITS + SEQUENCE_BITS)
"""Every id that a kernel made is of a later millisecond than the first."""


@dataclass(frozen=True, slots=True)
class TableFound:
    """A table that is in the database.

    Attributes
    ----------
    deleted_by
        The kernel that deleted it and may not have dropped it yet, of a global table.
    pinned_at, is_preserved
        What its comment says of a pin, and of preservation.
    """

    name: str
    rows: int | None = None
    bytes: int | None = None
    deleted_by: int | None = None
    pinned_at: dt.datetime | None = None
    is_preserved: bool = False


@dataclass(frozen=True, slots=True)
class Owner:
    """What is known of a kernel that made tables.

    Attributes
    ----------
    verdict
        Whether it lives.
    label
        The kernel, in words.
    may_remove
        Whether what it left is ours to remove: it is dead, and no other kernel does so already.
    """

    verdict: Verdict
    label: str
    may_remove: bool = False


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a table.

    Attributes
    ----------
    is_removed
        Whether it goes.
    reason
        Why, in words.
    job_id
        The kernel whose life decides: the one that made, replaced or deleted it.
    has_failed
        Whether it was to go and is still there.
    """

    table: TableFound
    is_removed: bool
    reason: str
    job_id: int
    has_failed: bool = False


def plan(
    tables: Iterable[TableFound],
    owners: Mapping[int, Owner],
    own_jobs: Collection[int],
    *,
    is_exclusive: bool,
    old_before: dt.datetime | None = None,
) -> list[Fate]:
    """Decide on every table whose name is ours; global ones are only there if they go.

    Parameters
    ----------
    owners
        The kernels that the registry knows, by job id.
    own_jobs
        The kernel sessions of this process.
    is_exclusive
        Whether nobody but this process has the database open. Whoever made what is in it has
        closed it, or died: temp and session tables do not outlive that.
    old_before
        Tables that were made before, by a kernel that the registry does not know, are orphans and
        go; None: they stay.
    """
    deciding = _Deciding(owners, frozenset(own_jobs), is_exclusive, old_before)
    fates: list[Fate] = []
    named: dict[str, list[tuple[TableName, TableFound]]] = defaultdict(list)
    for table in tables:
        quarantined = QuarantineName.parse(table.name)
        if quarantined is not None and _is_plausible(quarantined):
            reason = "its removal was begun and not finished"
            fates.append(Fate(table, True, reason, quarantined.job_id))
            continue
        name = TableName.parse(table.name)
        if name is None or not _is_plausible(name):
            continue
        if table.deleted_by is not None and name.scope is Scope.GLOBAL:
            fates += deciding.of_deleted(table, name, table.deleted_by)
        elif name.scope is Scope.GLOBAL:
            named[name.name or ""].append((name, table))
        else:
            fates.append(Fate(table, *deciding.of_table(name), name.job_id))
    for same in named.values():
        fates += deciding.of_replaced(sorted(same, key=lambda each: each[0].id))
    return fates


def keep_held(fates: Iterable[Fate], held: Mapping[str, str]) -> list[Fate]:
    """Return the fates with every table kept that somebody holds.

    Parameters
    ----------
    held
        Table to who holds it, in words.
    """
    return [
        replace(fate, is_removed=False, reason=held[fate.table.name])
        if fate.is_removed and fate.table.name in held
        else fate
        for fate in fates
    ]


def with_unclaimed(fates: Iterable[Fate], free: Collection[str]) -> list[Fate]:
    """Return the fates with every shared table removed that nobody holds any more.

    Its maker has let go of it, and lives: who held it last is dead, or its token has expired.

    Parameters
    ----------
    free
        Tables that no session claims and no token holds.
    """
    return [
        replace(fate, is_removed=True, reason="it was shared, and nobody holds it any more")
        if not fate.is_removed and fate.table.name in free
        else fate
        for fate in fates
    ]


def maker_of(name: str) -> int | None:
    """Return the kernel that made a table, by its name, of what the reaper has to remove.

    None is the answer for global tables and for those of others.
    """
    quarantined = QuarantineName.parse(name)
    if quarantined is not None:
        return quarantined.job_id if _is_plausible(quarantined) else None
    parsed = TableName.parse(name)
    if parsed is None or parsed.scope is Scope.GLOBAL or not _is_plausible(parsed):
        return None
    return parsed.job_id


@dataclass(frozen=True, slots=True)
class _Deciding:
    """The rules."""

    owners: Mapping[int, Owner]
    own_jobs: frozenset[int]
    is_exclusive: bool
    old_before: dt.datetime | None

    def of_table(self, name: TableName) -> tuple[bool, str]:
        """Say whether a temp or session table goes, and why."""
        is_orphan = not self.is_exclusive and name.job_id not in {*self.owners, *self.own_jobs}
        if is_orphan and self.old_before is not None and time_of(name.id) < self.old_before:
            return True, "no kernel of this registry made it, and jobs of its time have expired"
        return self.of_kernel(name.job_id)

    def of_kernel(self, job_id: int) -> tuple[bool, str]:
        """Say whether what a kernel left goes, and why."""
        if job_id in self.own_jobs:
            return False, "this kernel's"
        owner = self.owners.get(job_id)
        label = "its kernel" if owner is None else owner.label
        if self.is_exclusive:
            return True, f"{label} has closed the database, or died with it"
        if owner is None:
            return False, "no kernel of this registry made it"
        if owner.may_remove:
            return True, f"{label} is dead"
        if owner.verdict is Verdict.DEAD:
            return False, f"{label} is dead, and another kernel removes what it left"
        if owner.verdict is Verdict.ALIVE:
            return False, f"{label} lives"
        return False, f"whether {label} lives cannot be told from here"

    def of_deleted(self, table: TableFound, name: TableName, job_id: int) -> list[Fate]:
        """Return the fate of a global table that a kernel deleted, if it goes."""
        goes, why = self.of_kernel(job_id)
        reason = f"{name.name!r} was deleted, and {why}"
        return [Fate(table, True, reason, job_id)] if goes else []

    def of_replaced(self, same: Sequence[tuple[TableName, TableFound]]) -> list[Fate]:
        """Return the older tables of a global name whose replacer died before it dropped them."""
        fates = []
        for (_, table), (newer, _) in itertools.pairwise(same):
            goes, why = self.of_kernel(newer.job_id)
            if goes:
                reason = f"{newer.name!r} was replaced, and {why}"
                fates.append(Fate(table, True, reason, newer.job_id))
        return fates


def _is_plausible(name: TableName | QuarantineName) -> bool:
    """Say whether the ids in a name are such as kernels make.

    A table of the user's may have a name that looks like ours.
    """
    return (
        name.job_id >= _LATER_THAN and name.id >= _LATER_THAN and node_of(name.id) == name.node_id
    )
