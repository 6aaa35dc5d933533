"""TableRow: one table as the registry knows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt


@dataclass(frozen=True, slots=True)
class TableRow:
    """One table of ours and the kernel session that made it."""

    table_name: str
    database_identity: str
    """Which database it is in, as `Engine.identity`."""
    job_id: int | None
    """The kernel session; None where an old registry did not know it."""
    task_id: int | None
    """The cell execution, or None outside cells."""
    run_id: int | None
    created_at: dt.datetime
    """In UTC, to the microsecond."""
    session_id: int | None = None
    """The session inside the kernel that made it; None where that is the kernel's own."""
    preservation: str | None = None
    """``FULL`` where it stays until its job expires though nothing refers to it; else None."""
