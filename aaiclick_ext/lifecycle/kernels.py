"""The kernels that a registry knows, and whether they live."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aaiclick_ext.lifecycle.liveness import ProcessIdentity, Verdict, judge

if TYPE_CHECKING:
    from aaiclick_ext.registry.reap_store import KernelRecord, ReapStore

_LIVE = "live"


@dataclass(frozen=True, slots=True)
class JudgedKernel:
    """A kernel, as the registry has it and as it was judged.

    Attributes
    ----------
    has_reaper
        Whether another kernel, which may live, is removing what it left.
    """

    record: KernelRecord
    verdict: Verdict
    has_reaper: bool

    @property
    def is_reapable(self) -> bool:
        """Whether what it left may be claimed."""
        return self.verdict is Verdict.DEAD and not self.has_reaper

    @property
    def label(self) -> str:
        """The kernel, in words."""
        return str(identity_of(self.record))


def judged_kernels(
    store: ReapStore, here: ProcessIdentity, *, job_id: int | None, grace_s: float
) -> list[JudgedKernel]:
    """Return all kernels, oldest first. Reads the registry, and looks up processes of this host.

    Parameters
    ----------
    here
        The process that judges.
    job_id
        The kernel session that asks; what it claims itself has no other reaper.
    grace_s
        How old the last heartbeat of a kernel elsewhere must be for it to count as dead.
    """
    records = store.kernels()
    verdicts = {record.session_id: _verdict(record, here, grace_s) for record in records}
    return [
        JudgedKernel(
            record,
            verdicts[record.session_id],
            record.reaper_id not in (None, job_id)
            # A reaper without a row has ended.
            and verdicts.get(record.reaper_id or 0, Verdict.DEAD) is not Verdict.DEAD,
        )
        for record in records
    ]


def identity_of(record: KernelRecord) -> ProcessIdentity:
    """Return the process of a kernel."""
    return ProcessIdentity(
        host_id=record.host_id,
        host_name=record.host_name,
        pid=record.pid,
        process_started=record.process_started,
        boot_id=record.boot_id,
        pid_namespace=record.pid_namespace,
        user_name=record.user_name,
    )


def _verdict(record: KernelRecord, here: ProcessIdentity, grace_s: float) -> Verdict:
    if record.state != _LIVE:
        return Verdict.DEAD  # it ended, or was judged before
    return judge(identity_of(record), record.heartbeat_age_s, here=here, grace_s=grace_s)
