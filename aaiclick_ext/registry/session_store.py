"""Rows of the registry's `sessions`, for the sessions inside this kernel."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from aaiclick_ext.errors import SessionExistsError, UnknownSessionError
from aaiclick_ext.importing import import_whole

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping, Sequence

    from aaiclick_ext.registry.registry import Registry


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """One session as the registry knows it: a kernel's own, or one inside a kernel.

    Attributes
    ----------
    parent_id
        The session around it; None of a kernel's own.
    tags
        What it was given to be found by.
    ttl_seconds
        How long it may be idle while nothing of it lives.
    max_refs, max_bytes
        How many tables, and bytes of data before compression, it may hold; None is no limit.
    state
        ``live``, or ``dead`` once its kernel was judged so.
    """

    session_id: int
    parent_id: int | None
    node_id: int
    tags: Mapping[str, Any] = field(hash=False)
    started_at: dt.datetime
    state: str
    ttl_seconds: float
    max_refs: int
    max_bytes: int | None


class SessionStore:
    """Reads all sessions and writes those of a node. Each method is one transaction.

    Any thread may call it.
    """

    def __init__(self, registry: Registry, node_id: int) -> None:
        self._registry = registry
        self._node_id = node_id

    def add(
        self,
        session_id: int,
        *,
        parent_id: int,
        tags: Mapping[str, Any],
        ttl_seconds: float,
        max_refs: int,
        max_bytes: int | None,
        preservation: str | None = None,
    ) -> None:
        """Add a session inside a kernel.

        Raises
        ------
        SessionExistsError
            If the id is taken.
        """
        import_whole("sqlalchemy.orm")
        from sqlalchemy import func, insert
        from sqlalchemy.exc import IntegrityError

        from aaiclick_ext.registry.models import SessionRecord

        now = func.current_timestamp()
        values = {
            "session_id": session_id,
            "parent_id": parent_id,
            "node_id": self._node_id,
            "tags": dict(tags),
            "fence": 0,
            "started_at": now,
            "heartbeat_at": now,
            "state": "live",
            "ttl_seconds": ttl_seconds,
            "max_refs": max_refs,
            "max_bytes": max_bytes,
            "preservation": preservation,
        }
        with self._registry.transaction() as connection:
            try:
                connection.execute(insert(SessionRecord).values(**values))
            except IntegrityError:
                raise taken(session_id) from None

    def get(self, session_id: int) -> SessionInfo:
        """Return a session.

        Raises
        ------
        UnknownSessionError
            If there is none of this id.
        """
        found = self._select(session_id)
        if not found:
            raise unknown(session_id)
        return found[0]

    def exists(self, session_id: int) -> bool:
        """Say whether there is a session of this id."""
        return bool(self._select(session_id))

    def list(self, tags: Mapping[str, Any] | None = None) -> list[SessionInfo]:
        """Return the sessions that have all these tags, oldest first; without tags, all."""
        wanted = dict(tags or {})
        return [
            info
            for info in self._select(None)
            if all(name in info.tags and info.tags[name] == wanted[name] for name in wanted)
        ]

    def tables(self, session_id: int) -> Sequence[str]:
        """Return the tables of a session, oldest first; a kernel's own are those of no other."""
        import_whole("sqlalchemy.orm")
        from sqlalchemy import and_, or_, select

        from aaiclick_ext.registry.models import TableRecord

        query = (
            select(TableRecord.table_name)
            .where(
                or_(
                    TableRecord.session_id == session_id,
                    and_(TableRecord.job_id == session_id, TableRecord.session_id.is_(None)),
                )
            )
            .order_by(TableRecord.created_at, TableRecord.table_name)
        )
        with self._registry.transaction() as connection:
            return list(connection.scalars(query))

    def set_limits(self, session_id: int, max_refs: int, max_bytes: int | None) -> None:
        """Change what a session may hold."""
        import_whole("sqlalchemy.orm")
        from sqlalchemy import update

        from aaiclick_ext.registry.models import SessionRecord

        with self._registry.transaction() as connection:
            connection.execute(
                update(SessionRecord)
                .where(SessionRecord.session_id == session_id)
                .values(max_refs=max_refs, max_bytes=max_bytes)
            )

    def set_preserved(self, session_id: int) -> None:
        """Write down that tables of a session are preserved; this is never taken back."""
        import_whole("sqlalchemy.orm")
        from sqlalchemy import update

        from aaiclick_ext.registry.models import SessionRecord

        with self._registry.transaction() as connection:
            connection.execute(
                update(SessionRecord)
                .where(SessionRecord.session_id == session_id)
                .values(preservation="FULL")
            )

    def remove(self, session_ids: Iterable[int]) -> None:
        """Remove sessions of this node; ids without a row are no error."""
        ids = list(session_ids)
        if not ids:
            return
        import_whole("sqlalchemy.orm")
        from sqlalchemy import delete

        from aaiclick_ext.registry.models import SessionRecord

        with self._registry.transaction() as connection:
            connection.execute(
                delete(SessionRecord).where(
                    SessionRecord.session_id.in_(ids),
                    SessionRecord.node_id == self._node_id,
                    SessionRecord.parent_id.is_not(None),
                )
            )

    def _select(self, session_id: int | None) -> Sequence[SessionInfo]:
        import_whole("sqlalchemy.orm")
        from sqlalchemy import select

        from aaiclick_ext.registry.models import SessionRecord

        columns = [getattr(SessionRecord, spec.name) for spec in fields(SessionInfo)]
        query = select(*columns).order_by(SessionRecord.started_at, SessionRecord.session_id)
        if session_id is not None:
            query = query.where(SessionRecord.session_id == session_id)
        with self._registry.transaction() as connection:
            return [SessionInfo(**row) for row in connection.execute(query).mappings()]


def unknown(session_id: object) -> UnknownSessionError:
    """Return the error of an id that no session has."""
    return UnknownSessionError(
        f"no session has the id {session_id!r}: it was released, or never registered. "
        "aai.context().sessions.list() gives those that there are."
    )


def taken(session_id: int) -> SessionExistsError:
    """Return the error of an id that another session has."""
    return SessionExistsError(
        f"session {session_id} is registered already; release it first, or leave the id to "
        "aai.session()"
    )
