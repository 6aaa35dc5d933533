"""Pending events: what is recorded and not written yet, and how it is completed for the log."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from aaiclick_ext.logs import logger_of
from aaiclick_ext.masking import mask_literals
from aaiclick_ext.oplog.kept_values import encoded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pyarrow as pa

    from aaiclick_ext.oplog.cell import CellRecord
    from aaiclick_ext.oplog.columns import ColumnEdge
    from aaiclick_ext.oplog.event import OperationEvent

logger = logger_of("oplog")


@dataclasses.dataclass(slots=True)
class PendingEvent:
    """An event that is not written yet, with the cell that it belongs to.

    Attributes
    ----------
    columns
        Finds out the columns of the event when it is written.
    values
        What is kept of the values that went in, as `take` returns it.
    was_tried
        Whether it may be in the log already.
    """

    event: OperationEvent
    cell: CellRecord
    columns: Callable[[], Sequence[ColumnEdge] | None] | None = None
    values: Mapping[str, pa.Buffer] = dataclasses.field(default_factory=dict)
    was_tried: bool = False


def completed(entry: PendingEvent) -> OperationEvent:
    """Return the event with its cell's source, masked by all that is known to be secret now."""
    if entry.columns is not None:
        entry.event = dataclasses.replace(entry.event, columns=_found(entry.columns))
        entry.columns = None
    event, secrets = entry.event, entry.cell.secrets
    changes: dict[str, Any] = {}
    source, digest = entry.cell.stored()
    if entry.values:
        kept_values = encoded(entry.values, secrets)
        entry.event = event = dataclasses.replace(event, kept_values=kept_values)
        entry.values = {}
    if digest is not None:
        changes |= {"cell_source": source, "cell_source_hash": digest}
    if secrets:
        changes |= {
            "params": {name: mask_literals(text, secrets) for name, text in event.params.items()},
            "sql_template": event.sql_template and mask_literals(event.sql_template, secrets),
            "error": event.error and mask_literals(event.error, secrets),
        }
    return dataclasses.replace(event, **changes) if changes else event


def _found(columns: Callable[[], Sequence[ColumnEdge] | None]) -> tuple[ColumnEdge, ...]:
    try:
        return tuple(columns() or ())
    except Exception:  # an event has to be written, with what is known
        logger.debug("the columns of an event could not be found out", exc_info=True)
        return ()
