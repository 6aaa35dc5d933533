"""Dropping tables by lineage: only those that nothing there was made of, results before sources."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aaiclick_ext.errors import UnknownTableError
from aaiclick_ext.lifecycle.kernels import judged_kernels
from aaiclick_ext.lifecycle.liveness import ProcessIdentity, Verdict
from aaiclick_ext.lifecycle.named_views import in_words
from aaiclick_ext.lifecycle.names import Scope, TableName
from aaiclick_ext.lifecycle.process_leases import process_leases
from aaiclick_ext.objects.owners import tables_in_reach
from aaiclick_ext.oplog.graph import edges_of, reached
from aaiclick_ext.oplog.queries import MOST_STEPS, descendants, living_tables
from aaiclick_ext.registry.reap_store import ReapStore
from aaiclick_ext.untrusted import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from aaiclick_ext.objects.backend import Backend
    from aaiclick_ext.objects.services import Services

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class DropStep:
    """What becomes of one table.

    Attributes
    ----------
    is_dropped
        Whether it goes, or would.
    reason
        Why, in words.
    dependents
        The tables that are there, and stay, and were made of it at any distance.
    """

    table_name: str
    is_dropped: bool
    reason: str
    dependents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DropPlan:
    """What `lineage_aware_drop` dropped, or would drop. Shows itself as text.

    Attributes
    ----------
    steps
        One for each table, in the order in which they are dropped: results before sources.
    is_dry_run
        Whether nothing was done.
    """

    steps: tuple[DropStep, ...]
    is_dry_run: bool

    @property
    def dropped(self) -> tuple[str, ...]:
        """The tables that go, or would."""
        return tuple(step.table_name for step in self.steps if step.is_dropped)

    @property
    def kept(self) -> tuple[str, ...]:
        """The tables that stay."""
        return tuple(step.table_name for step in self.steps if not step.is_dropped)

    def __repr__(self) -> str:
        verb = "would be dropped" if self.is_dry_run else "dropped"
        lines = [f"{verb}: {len(self.dropped)}; kept: {len(self.kept)}"]
        lines += [
            f"  {'drop' if step.is_dropped else 'keep'}  {step.table_name}  {step.reason}"
            for step in self.steps
        ]
        if self.is_dry_run and self.dropped:
            lines.append("  (nothing was dropped; dry_run=False does it)")
        return "\n".join(map(visible, lines))


def plan_drops(
    candidates: Iterable[str],
    results: Mapping[str, set[str]],
    living: set[str],
    obstacles: Mapping[str, str],
) -> list[DropStep]:
    """Decide which tables can be dropped, and in which order.

    Parameters
    ----------
    results
        By table, all that was made of it, at any distance.
    living
        The tables that are there.
    obstacles
        By table, what else keeps it.
    """
    names = list(dict.fromkeys(candidates))
    among = set(names)
    gone: set[str] = set()
    steps = []
    # What was made of a table has fewer results among these than the table itself.
    for name in sorted(names, key=lambda each: (len(results.get(each, set()) & among), each)):
        dependents = tuple(sorted((results.get(name, set()) & living) - gone - {name}))
        if name not in living:
            steps.append(DropStep(name, False, "there is no such table"))
        elif name in obstacles:
            steps.append(DropStep(name, False, obstacles[name], dependents))
        elif dependents:
            steps.append(DropStep(name, False, _made_of_it(dependents), dependents))
        else:
            gone.add(name)
            steps.append(DropStep(name, True, "nothing that is there was made of it"))
    return steps


def lineage_aware_drop(backend: Backend, tables: Sequence[str], *, dry_run: bool) -> DropPlan:
    """Drop tables that nothing there was made of; the log must have been flushed."""
    services = backend.services
    services.check_open()
    engine = services.engine
    edges = edges_of(descendants(engine, tables, MOST_STEPS))
    results = {
        table: set(reached(table, edges, "forward", MOST_STEPS)) - {table} for table in tables
    }
    living = living_tables(engine, {*tables, *(n for found in results.values() for n in found)})
    steps = plan_drops(tables, results, living, _obstacles(services, tables))
    if not dry_run:
        steps = [_drop(services, step) if step.is_dropped else step for step in steps]
    return DropPlan(tuple(steps), dry_run)


def _made_of_it(dependents: Sequence[str]) -> str:
    more = len(dependents) - _SHOWN
    shown = ", ".join(dependents[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
    return f"{shown} {'was' if len(dependents) == 1 else 'were'} made of it"


def _obstacles(services: Services, tables: Sequence[str]) -> dict[str, str]:
    """Return what keeps tables, besides what was made of them. Reads the registry."""
    store = ReapStore(services.registry)
    here, grace_s = ProcessIdentity.current(), services.settings.lease_grace_s
    kernels = judged_kernels(store, here, job_id=services.job_id, grace_s=grace_s)
    alive = {k.record.session_id: k for k in kernels if k.verdict is not Verdict.DEAD}
    dead = {s for k in kernels if k.verdict is Verdict.DEAD for s in k.record.sessions}
    found: dict[str, str] = {}
    if not services.engine.creds.is_embedded:
        found.update(store.unheld(services.engine.identity, tables, dead, is_dry=True).held)
        for table in tables:
            name = TableName.parse(table)
            if name and name.job_id in alive and name.job_id not in process_leases.jobs:
                found[table] = f"{alive[name.job_id].label}, which made it, lives"
    in_reach = tables_in_reach(services)
    for table in tables:
        name = TableName.parse(table)
        if name is None:
            found[table] = "it is not a table of ours"
        elif name.scope is Scope.GLOBAL and name not in services.deleted:
            found[table] = f"it has a name: aai.delete_object({name.name!r})"
        elif table in in_reach:
            found[table] = f"this kernel holds it: %why {table}"
    for table, kept in services.kept.kept(tables).items():
        if kept.is_pinned:
            found[table] = f"it is pinned: aai.unpin({table!r})"
        elif kept.views:
            found[table] = in_words(kept.views)
    return found


def _drop(services: Services, step: DropStep) -> DropStep:
    """Drop one table, with its files, and tell the log and the registry."""
    table = step.table_name
    if table in tables_in_reach(services):
        return replace(step, is_dropped=False, reason=f"this kernel holds it: %why {table}")
    try:
        services.drop_unheld(table, "lineage_aware_drop: nothing that was there was made of it")
    except UnknownTableError:
        return replace(step, is_dropped=False, reason="it is gone already")
    return step
