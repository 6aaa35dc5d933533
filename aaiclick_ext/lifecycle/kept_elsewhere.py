"""Tables of an embedded database that stay by what another registry, or another path, knew of them.

The directory may have been moved or copied, and another user, or a container, has another registry.
Their comments say what is kept there, and the registry by names. Both are noted for the database as
it is opened, so that what is kept is shown, opened and unpinned as anywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aaiclick_ext.ids import time_of
from aaiclick_ext.lifecycle.comment_marks import outlives_registry
from aaiclick_ext.lifecycle.keep_plan import with_marks
from aaiclick_ext.lifecycle.leftovers import tables_of
from aaiclick_ext.lifecycle.names import TableName
from aaiclick_ext.registry.keep_store import KeepStore

if TYPE_CHECKING:
    import datetime as dt

    from aaiclick_ext.engine import Engine
    from aaiclick_ext.registry import Registry


def note_kept(engine: Engine, registry: Registry) -> None:
    """Let the registry know which tables of an embedded database stay.

    Runs a query and reads the registry twice; writes to it where it did not know one here.
    """
    if not outlives_registry(engine):
        return
    tables = tables_of(engine)
    if not tables:
        return
    store = KeepStore(registry, engine.identity)
    ours = [table for table in tables if TableName.parse(table.name) is not None]
    found = with_marks(store.known([table.name for table in ours]), ours)
    here = store.all()
    missing = [kept for name, kept in found.items() if kept.is_kept and kept != here.get(name)]
    if missing:
        store.note((kept, _made_at(kept.table_name)) for kept in missing)


def _made_at(table: str) -> dt.datetime:
    name = TableName.parse(table)
    assert name is not None
    return time_of(name.id)
