"""Objects that several kernels hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aaiclick_ext.errors import ShareError
from aaiclick_ext.lifecycle.names import Scope
from aaiclick_ext.objects.object import Object, make_object

if TYPE_CHECKING:
    from aaiclick_ext.objects.backend import Backend


def share_object(shared: Object, expires_s: float) -> str:
    """Return a token for an object's table."""
    services = shared._backend.services  # noqa: SLF001
    services.check_open()
    services.sessions.tables.check([shared.table_name])
    if shared.scope is Scope.GLOBAL:
        raise ShareError(
            f"{shared.name!r} is global: any kernel on this database opens it with "
            f"open_object({shared.name!r})"
        )
    services.kept.note([shared.table_name])  # another kernel may pin it
    token = services.sharing.give(shared.table_name, expires_s)
    services.schemas.watch([shared.table_name])
    return token


def open_shared(backend: Backend, token: str) -> Object:
    """Redeem a token and return the Object, which keeps the table like one made here."""
    services = backend.services
    services.check_open()
    table = services.sharing.take(token)
    services.kept.note([table])  # its maker may preserve it
    hold = services.worker.hold(table)  # from here on the claim ends with the last owner here
    try:
        return make_object(backend.leaf(table))
    finally:
        hold.release()
