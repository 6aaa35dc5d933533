"""Sessions, as the making and the use of objects see them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import ibis.expr.types as ir
from ibis.expr.types.groupby import GroupedTable

from aaiclick_ext.engine.write_budget import WriteBudget
from aaiclick_ext.errors import SessionLimitError, UnsupportedTypeError
from aaiclick_ext.lifecycle.names import Scope
from aaiclick_ext.objects.leaf import DatabaseTable, is_owned, owned_tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import ibis.expr.operations as ops

    from aaiclick_ext.errors import AaiclickError
    from aaiclick_ext.objects.backend import Backend
    from aaiclick_ext.objects.services import Services
    from aaiclick_ext.registry import TableRow

_PATIENCE_S = 5.0


def tables_of(value: Any) -> list[str]:
    """Return the tables of ours that an object, view, column or scalar reaches.

    Raises
    ------
    UnsupportedTypeError
        If it is nothing made of tables.
    """
    if isinstance(value, GroupedTable):
        value = value.table
        return owned_tables(value.op() if isinstance(value, ir.Expr) else value)
    if not isinstance(value, ir.Expr):
        raise UnsupportedTypeError(
            f"keep takes an object, view or column, not {type(value).__name__}; "
            "give those inside a container one by one"
        )
    return owned_tables(value.op())


@contextlib.contextmanager
def admitted(
    services: Services, row: TableRow, scope: Scope, beside: str | None
) -> Iterator[TableRow]:
    """Count a table with the session it is made in; give its row. Not counted if the block fails.

    Where the session is full, what is about to be dropped is waited for.

    Raises
    ------
    SessionLimitError
        If it holds as many tables as it may.
    """
    sessions, is_named = services.sessions, scope is not Scope.TEMP
    try:
        admitted = sessions.admit(row, beside=beside, is_named=is_named)
    except SessionLimitError:
        services.worker.flush(_PATIENCE_S)
        admitted = sessions.admit(row, beside=beside, is_named=is_named)
    try:
        yield admitted
    except BaseException:
        sessions.tables.dropped([row.table_name], services.worker.is_live)
        raise


@contextlib.contextmanager
def limited_size(services: Services, table: str, *, is_part: bool) -> Iterator[None]:
    """Hold what the block writes to the bytes that the table's session has left.

    Runs queries only where there is a limit.

    Parameters
    ----------
    is_part
        Whether the rows are for another table, which is looked at afterwards.

    Raises
    ------
    SessionLimitError
        If the table is larger.
    """
    tables = services.sessions.tables
    owner = tables.owner(table)
    room = None if owner is None else tables.room_bytes(owner)
    if owner is None or room is None:
        with services.engine.limited(None):
            yield
        return

    def refuse(size_bytes: int) -> AaiclickError:
        return tables.too_large(owner, size_bytes, room)

    with services.engine.limited(WriteBudget(table, room, refuse)):
        yield
    if not is_part:
        tables.measured(table, services.engine.size_of(table))


def check_whole(backend: Backend, sources: Iterable[ops.Relation]) -> None:
    """Refuse a table that takes over more from others, row by row, than there is room for.

    Runs a query for each, and only where there is a limit.
    """
    engine = backend.services.engine
    if engine.is_limited:
        whole = [op.name for op in sources if isinstance(op, DatabaseTable) and is_owned(op)]
        engine.check_estimate(engine.size_of(*whole))


def note_growth(services: Services, table: str) -> None:
    """Count the rows that were added to a table, where its session has a limit. Runs a query."""
    tables = services.sessions.tables
    owner = tables.owner(table)
    if owner is not None and tables.room_bytes(owner) is not None:
        tables.note_size(table, services.engine.size_of(table))
