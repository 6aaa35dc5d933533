"""The leases of this process: one on each registry, shared by its contexts."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aaiclick_ext.errors import SettingsError
from aaiclick_ext.lifecycle.lease import Lease
from aaiclick_ext.outcome import Outcome

if TYPE_CHECKING:
    from aaiclick_ext.settings import Settings


@dataclass(eq=False)
class _Shared:
    """A lease and how many contexts use it."""

    registry: str
    taken: Outcome[Lease] = field(default_factory=Outcome)
    users: int = 0

    @property
    def is_lost(self) -> bool:
        return self.taken.done() and self.taken.exception() is None and self.taken.result().is_lost


class ProcessLeases:
    """Takes a lease for the first context of a registry and ends it after the last.

    Attributes
    ----------
    reaping
        Held by the reaper of this process that works; all have one kernel's id.
    """

    def __init__(self) -> None:
        self._jobs: set[int] = set()
        self._begin()

    def _begin(self) -> None:
        self.reaping = threading.Lock()
        self._lock = threading.Lock()
        self._shared: list[_Shared] = []

    @property
    def jobs(self) -> frozenset[int]:
        """All kernel sessions that this process has had: on each registry one after the other."""
        return frozenset(self._jobs)

    def acquire(self, settings: Settings) -> Lease:
        """Return the lease of this process in a registry; each call needs one `release`.

        Raises
        ------
        SettingsError
            If the process holds another node id than the one that is set.
        NodeTakenError, RegistryError
            As `Lease.take`.
        """
        shared, is_first = self._join(settings.sql_url or str(settings.state_path))
        if is_first:
            self._take(shared, settings)
        lease = shared.taken.result()
        self._jobs.add(lease.job_id)
        if settings.node_id not in (None, lease.node_id):
            self.release(lease)
            raise SettingsError(
                f"node_id is set to {settings.node_id}, and this process holds node "
                f"{lease.node_id} for an open DataContext; a process has one. Close that first, "
                "or set no node_id."
            )
        return lease

    def release(self, lease: Lease) -> None:
        """Give up one use of a lease; the last ends it."""
        with self._lock:
            found = [
                shared
                for shared in self._shared
                if shared.taken.done()
                and shared.taken.exception() is None
                and shared.taken.result() is lease
            ]
            for shared in found:
                shared.users -= 1
            is_last = any(shared.users == 0 for shared in found)
            self._shared = [shared for shared in self._shared if shared.users]
        if is_last:
            lease.end()

    def forget(self) -> None:
        """Leave every lease to the process that this one was forked from."""
        self._begin()

    def _join(self, registry: str) -> tuple[_Shared, bool]:
        with self._lock:
            for shared in self._shared:
                if shared.registry == registry and not shared.is_lost:
                    shared.users += 1
                    return shared, False
            shared = _Shared(registry, users=1)
            self._shared.append(shared)
            return shared, True

    def _take(self, shared: _Shared, settings: Settings) -> None:
        try:
            lease = Lease.take(settings)
        except BaseException as error:
            with self._lock:
                self._shared.remove(shared)
            shared.taken.set_exception(error)
            raise
        shared.taken.set_result(lease)


process_leases = ProcessLeases()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=process_leases.forget)
