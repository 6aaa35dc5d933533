"""The lease of a node id, kept by a heartbeat for as long as the kernel lives.

A kernel that could not write its heartbeat for a while, because the machine slept or a debugger
held it, looks whether it still is the holder before it touches anything.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING, Self

from aaiclick_ext import logs
from aaiclick_ext.errors import AaiclickError, ContextError, LeaseLostError
from aaiclick_ext.lifecycle.node_choice import described, lease_node
from aaiclick_ext.registry import Registry
from aaiclick_ext.registry.kernel_store import KernelStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from aaiclick_ext.lifecycle.node_choice import Grant
    from aaiclick_ext.settings import Settings

logger = logs.logger_of("lifecycle")

_TRUSTED_SHARE = 0.5
"""The share of the grace for which a written heartbeat is trusted: before all of it has passed,
nobody takes a kernel that they cannot see for dead."""

_TABLES_NAMED = 10


class Lease:
    """A node id that this process holds. Any thread may use it.

    Attributes
    ----------
    node_id
        0 to 1023; the node part of every id that `snowflake` makes.
    job_id
        The kernel session: the id of its row in `sessions`.
    fence
        What that row has while the lease holds.
    snowflake
        The process's source of ids.
    is_lost
        Whether the kernel was taken for dead; never goes back.
    """

    def __init__(self, registry: Registry, grant: Grant, settings: Settings) -> None:
        self.snowflake = grant.snowflake
        self.node_id = grant.snowflake.node_id
        self.job_id = grant.job_id
        self.fence = grant.fence
        self.is_lost = False
        self._registry = registry
        self._store = KernelStore(registry)
        self._settings = settings
        self._trusted_s = settings.lease_grace_s * _TRUSTED_SHARE
        self._pid = os.getpid()
        self._confirmed = _clocks()
        self._away_s = 0.0
        self._is_silent = False  # the registry could not be reached
        self._at_beat: list[Callable[[], object]] = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._beat_on, name="aai-heartbeat", daemon=True)

    @classmethod
    def take(cls, settings: Settings) -> Self:
        """Lease a node id, register the kernel and start its heartbeat.

        Raises
        ------
        NodeTakenError
            If the node id that is set, or every one, is held by a kernel not known to be dead.
        RegistryError
            If the registry cannot be used.
        """
        registry = Registry(settings.sql_url, settings.state_path)
        try:
            store = KernelStore(registry)
            grant = lease_node(store, settings.node_id, settings.lease_grace_s)
        except BaseException:
            registry.close()
            raise
        lease = cls(registry, grant, settings)
        logs.set_owner(lease.node_id, lease.job_id)
        lease._thread.start()
        return lease

    @property
    def is_detached(self) -> bool:
        """Whether this process was forked from the one that holds the lease."""
        return os.getpid() != self._pid

    def verify(self, tables: Callable[[], Iterable[str]] = tuple) -> None:
        """Return if this process may touch its tables.

        Runs no query while the last heartbeat is young; else it writes one.

        Parameters
        ----------
        tables
            Gives the tables that are lost with the lease, for the message.

        Raises
        ------
        LeaseLostError
            If the kernel was taken for dead.
        ContextError
            If this is a forked child of the kernel.
        RegistryError
            If the registry would have to be asked and cannot be reached.
        """
        if self.is_detached:
            raise ContextError(
                f"this process was forked from kernel {self._pid}, which owns the tables. Use them "
                "there, and open a DataContext in processes that are started with spawn."
            )
        if self.is_lost or not (self._is_trusted() or self.beat()):
            raise self._lost(sorted(tables()))

    def beat(self) -> bool:
        """Write a heartbeat; return whether the lease still holds. One transaction."""
        asked = _clocks()
        if self._store.beat(self.job_id, self.fence):
            self._confirmed = max(asked, self._confirmed)
            return not self.is_lost
        self._lose()
        return False

    def call_at_beat(self, work: Callable[[], object]) -> None:
        """Let the heartbeat's thread do something small after each beat; an error is logged."""
        self._at_beat.append(work)

    def call_no_more(self, work: Callable[[], object]) -> None:
        """End what `call_at_beat` began; again is fine."""
        if work in self._at_beat:
            self._at_beat.remove(work)

    def end(self) -> None:
        """Give the node id back and end the heartbeat. Idempotent; never raises.

        Does nothing in a forked child.
        """
        if self.is_detached or self._ending.is_set():
            return
        self._ending.set()
        self._thread.join(self._settings.close_timeout_s)
        try:
            self._store.end(self.job_id, self.fence)
        except AaiclickError as error:
            logger.warning("node %d could not be given back: %s", self.node_id, error)
        self._registry.close()
        logs.clear_owner(self.node_id, self.job_id)

    def _is_trusted(self) -> bool:
        return _elapsed_s(self._confirmed) < self._trusted_s

    def _beat_on(self) -> None:
        while not self.is_lost and not self._ending.wait(self._settings.heartbeat_s):
            try:
                self.beat()
            except AaiclickError as error:
                if not self._is_silent:
                    logger.warning("no heartbeat could be written: %s", error)
                self._is_silent = True
            else:
                self._is_silent = False
                self._work_along()

    def _work_along(self) -> None:
        for work in tuple(self._at_beat):
            try:
                work()
            except Exception:
                logger.exception("what follows a heartbeat failed")

    def _lose(self) -> None:
        if self.is_lost or self._ending.is_set():
            return
        self._away_s = _elapsed_s(self._confirmed)
        self.is_lost = True
        logger.error("%s", self._lost([]))

    def _successor(self) -> str:
        """Return who holds the node id now, where that can be said. Runs a query."""
        holder = None
        with contextlib.suppress(AaiclickError):
            holder = self._store.holder_of(self.node_id)
        if holder is None or holder.job_id == self.job_id:
            return ""
        return f", and {described(holder)} has its node id now"

    def _lost(self, tables: list[str]) -> LeaseLostError:
        named = ", ".join(tables[:_TABLES_NAMED])
        more = len(tables) - _TABLES_NAMED
        lost = f": {named}{f' and {more} more' if more > 0 else ''}" if tables else ""
        return LeaseLostError(
            f"this kernel lost its lease of node {self.node_id}: it gave no sign of life for "
            f"{self._away_s:.0f} s and was taken for dead{self._successor()}. Its temp and session "
            f"tables may be gone{lost}. It drops nothing from now on. Run %reload_ext "
            "aaiclick_ext, or open another DataContext, and make them again.",
            node_id=self.node_id,
            tables=tuple(tables),
        )


def _clocks() -> tuple[float, float]:
    """Return two clocks: one that nobody sets, and one that goes on while the machine sleeps."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        boot_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        return boot_s, boot_s
    return time.monotonic(), time.time()


def _elapsed_s(since: tuple[float, float]) -> float:
    """Return the seconds since then, by the clock that says more."""
    return max(now - then for now, then in zip(_clocks(), since, strict=True))
