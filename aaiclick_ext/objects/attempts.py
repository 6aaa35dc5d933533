"""Attempts: an operation that fails leaves an event, too, with its error."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from aaiclick_ext.errors import ContextError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aaiclick_ext.objects.backend import Backend


@contextlib.contextmanager
def attempted(backend: Backend, operation: str, **known: Any) -> Iterator[dict[str, Any]]:
    """Record an operation if the block fails or is interrupted; the error goes on.

    Yields what the event will say, as `OplogCollector.record` takes it: the block adds what it
    finds out.

    Parameters
    ----------
    **known
        What is known at first. Without a `result_table` the event has the name of a sink, since
        nothing was made.
    """
    event = dict(known)
    source = known.get("kwargs", {}).get("source")
    try:
        with backend.services.engine.progress.operation(operation, source):
            yield event
    except ContextError:  # it is closed, and so is its log
        raise
    except BaseException as error:
        record_failure(backend, operation, event, error)
        raise


def record_failure(
    backend: Backend, operation: str, event: dict[str, Any], error: BaseException
) -> None:
    """Record that an operation failed."""
    text = str(error) or type(error).__name__
    event.setdefault("result_table", backend.provenance.sink_name())
    backend.services.oplog.record(operation, **event, status="error", error=text)
