"""SessionManager: the sessions of one kernel, and those of all kernels as the registry has them."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from aaiclick_ext.errors import ContextError, RegistryError, SessionError, SessionExistsError
from aaiclick_ext.lifecycle.preservation import PreservationMode
from aaiclick_ext.lifecycle.process import process
from aaiclick_ext.lifecycle.session import DEFAULT_MAX_REFS, DEFAULT_TTL_SECONDS, Session
from aaiclick_ext.lifecycle.session_options import check_number, check_seconds, stored_tags
from aaiclick_ext.lifecycle.session_scopes import is_running
from aaiclick_ext.lifecycle.session_tables import SessionTables, check_open, preserved, row_id
from aaiclick_ext.logs import logger_of
from aaiclick_ext.registry.session_store import SessionStore, taken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from aaiclick_ext.ids import Snowflake
    from aaiclick_ext.lifecycle.session_options import Tags
    from aaiclick_ext.registry import Registry, TableRow
    from aaiclick_ext.registry.session_store import SessionInfo

logger = logger_of("lifecycle")


class _Worker(Protocol):
    def drop_early(self, tables: Sequence[str]) -> None: ...

    def record(self, rows: Sequence[TableRow]) -> None: ...


class SessionManager:
    """The sessions of one kernel; what it says of other kernels' comes from the SQL registry.

    ``aai.context().sessions`` is the kernel's. Threads may share it.

    Parameters
    ----------
    registry
        Where sessions are written.
    job_id, node_id
        The kernel session, which is the session around all others, and its node.
    snowflake
        The source of ids.
    worker
        Drops tables, and writes their rows, in the background.
    tables_of
        Gives the tables of ours that an object, view or column reaches.
    max_refs, max_bytes, preservation
        Limits of the kernel's own session, and what becomes of its tables.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        job_id: int,
        node_id: int,
        snowflake: Snowflake,
        worker: _Worker,
        tables_of: Callable[[Any], Iterable[str]],
        max_refs: int = DEFAULT_MAX_REFS,
        max_bytes: int | None = None,
        preservation: PreservationMode = PreservationMode.NONE,
    ) -> None:
        self.own = Session(
            self,
            job_id,
            None,
            tags={},
            max_refs=max_refs,
            max_bytes=max_bytes,
            preservation=preservation,
        )
        self.tables = SessionTables()
        self._store = SessionStore(registry, node_id)
        self._snowflake = snowflake
        self._worker = worker
        self._tables_of = tables_of
        self._sessions: dict[int, Session] = {}
        self._lock = threading.Lock()  # held for a few steps, never across a query
        self._pid = os.getpid()
        self._to_drop: dict[str, None] = {}
        self._to_remove: dict[int, None] = {}
        self._is_closed = False

    # Which one is current.

    @staticmethod
    def current() -> Session | None:
        """Return the session that objects made here and now belong to.

        That is the innermost one entered, the kernel's own where none is, and None where no
        `DataContext` is open. Waits for a context that is opening; runs no query.
        """
        manager: SessionManager | None = next((c.sessions for c in process.contexts[-1:]), None)
        return None if manager is None else manager.innermost

    @property
    def innermost(self) -> Session:
        """The session of this kernel that objects made here and now belong to."""
        mine = [s for s in process.scopes.entered() if s.manager is self]
        return mine[-1] if mine else self.own

    # The registry's.

    def register(
        self,
        session_id: int,
        *,
        tags: Tags = (),
        max_refs: int = DEFAULT_MAX_REFS,
        max_bytes: int | None = None,
        ttl_seconds: float = DEFAULT_TTL_SECONDS,
        preservation: PreservationMode | str | None = None,
    ) -> Session:
        """Register a session inside the current one. It is not entered: ``with`` does that.

        Parameters
        ----------
        session_id
            A positive integer that no session has.
        tags
            Names, or names with values that JSON can hold.
        max_refs, max_bytes
            How many tables, and bytes of data before compression, it may hold at a time.
        ttl_seconds
            How long it may be idle, while it is not entered and owns no table, before it is ended.
        preservation
            What becomes of tables made in it; None: as in the session around it.

        Raises
        ------
        SessionExistsError
            If the id is taken.
        SettingsError
            If a value cannot be used.
        """
        self._check_process()
        session = self._new(session_id, tags, max_refs, max_bytes, ttl_seconds, preservation)
        self._register(session)
        return session

    def exists(self, session_id: int) -> bool:
        """Say whether a session is registered, by this kernel or another."""
        return session_id in self._sessions or self._store.exists(session_id)

    def get(self, session_id: int) -> SessionInfo:
        """Return what the registry knows of a session, of this kernel or another.

        Raises
        ------
        UnknownSessionError
            If there is none; it is a KeyError.
        """
        return self._store.get(session_id)

    def list(self, tags: Tags | None = None) -> list[SessionInfo]:
        """Return the sessions of all kernels that have all these tags, oldest first.

        Parameters
        ----------
        tags
            Names with the values they must have; a name alone stands for a tag without a value.
            None: all sessions.
        """
        return self._store.list(None if tags is None else stored_tags(tags))

    def refs(self, session_id: int) -> Sequence[str]:
        """Return the tables of a session, of this kernel or another, oldest first.

        Raises
        ------
        UnknownSessionError
            If there is none; it is a KeyError.
        """
        mine = self._mine(session_id)
        if mine is not None:
            return mine.refs
        self._store.get(session_id)
        return self._store.tables(session_id)

    def release(self, session_id: int) -> None:
        """End a session of this kernel: see `Session.close`.

        Raises
        ------
        UnknownSessionError
            If there is none; it is a KeyError.
        SessionError
            If it is another kernel's, or a kernel's own.
        """
        mine = self._mine(session_id)
        if mine is None:
            self._store.get(session_id)
            raise SessionError(
                f"session {session_id} belongs to another kernel, which alone can release it; "
                "once that has died, the next kernel that starts removes it"
            )
        mine.close()

    # What a session does.

    def session(
        self,
        *,
        tags: Tags = (),
        max_refs: int = DEFAULT_MAX_REFS,
        max_bytes: int | None = None,
        ttl_seconds: float = DEFAULT_TTL_SECONDS,
        preservation: PreservationMode | str | None = None,
    ) -> Session:
        """Return a session with a new id, which is registered when it is entered."""
        number = self._snowflake.next()
        return self._new(number, tags, max_refs, max_bytes, ttl_seconds, preservation)

    def open(self, session: Session) -> None:
        """Register a session, unless it is, and enter it here."""
        self._check_process()
        check_open(session)
        if session.entered_by is not None:
            raise SessionError(f"{session} is entered already; make another with aai.session()")
        try:
            session.entered_by = process.scopes.here()
            if not session.is_registered:
                session.parent = self.innermost
                self._register(session)
            process.scopes.enter(session)
        except BaseException:
            self.close_session(session)
            raise

    def close_session(self, session: Session) -> None:
        """End a session and those inside it; again is fine. Writes to the registry.

        Does nothing in a forked child: the session is its parent's.
        """
        if os.getpid() != self._pid:
            return
        session.is_ended = True
        process.scopes.leave()
        self._settle()

    def keep(self, session: Session, value: Any) -> None:
        """Give the tables that an object reaches to the session around."""
        tables = list(self._tables_of(value))
        self.tables.check(tables)
        check_open(session)
        if session.parent is not None:
            self._worker.record(self.tables.move(tables, session, session.parent))

    def admit(
        self, row: TableRow, *, beside: str | None = None, is_named: bool = False
    ) -> TableRow:
        """Count a table that is about to be made; return its row, with the session it belongs to.

        That is the current one; the kernel's own for a named table; and for one that is made
        `beside` another, as a part of it, the other's.

        Raises
        ------
        SessionLimitError
            If the session has no room for it.
        """
        while True:
            owner = self.own if is_named else self.innermost
            if beside is not None:
                owner = self.tables.owner(beside) or self.own
            row = replace(row, session_id=row_id(owner))
            row = replace(row, preservation=None if beside else preserved(owner))
            if self.tables.admit(owner, row, is_part=beside is not None):
                return row
            self._release_ended()  # it has just ended, perhaps not to the last step

    def end_expired(self) -> tuple[int, ...]:
        """End the sessions that are idle beyond their time, not entered, and own no table.

        Returns
        -------
        tuple of int
            Their ids.
        """
        now = time.monotonic()
        expired = [
            session
            for session in tuple(self._sessions.values())
            if now - session.used_at > session.ttl_seconds
            and not self._is_entered(session)
            and not self.tables.count(session)
        ]
        for session in expired:
            self.close_session(session)
        return tuple(session.session_id for session in expired)

    def write_limits(self) -> None:
        """Write the limits and the mode of the kernel's own session, whose row has the defaults."""
        own = self.own
        if (own.max_refs, own.max_bytes) != (DEFAULT_MAX_REFS, None):
            self._store.set_limits(own.session_id, own.max_refs, own.max_bytes)
        if own.preservation is PreservationMode.FULL:
            self._store.set_preserved(own.session_id)

    def close(self) -> None:
        """Remove what is left of the kernel's sessions from the registry; their context ends."""
        self._is_closed = True
        with self._lock:
            left = tuple(self._sessions.values())
            self._sessions.clear()
            self._to_remove.update(dict.fromkeys(s.session_id for s in left))
            self._to_drop.clear()
        for session in left:
            session.is_ended = True
        process.scopes.leave()
        self._remove_rows()

    def _new(
        self,
        session_id: int,
        tags: Tags,
        max_refs: int,
        max_bytes: int | None,
        ttl_seconds: float,
        preservation: PreservationMode | str | None,
    ) -> Session:
        check_number("session_id", session_id, 1)
        check_number("max_refs", max_refs, 0)
        if max_bytes is not None:
            check_number("max_bytes", max_bytes, 0)
        check_seconds("ttl_seconds", ttl_seconds)
        return Session(
            self,
            session_id,
            self.innermost,
            tags=stored_tags(tags),
            max_refs=max_refs,
            max_bytes=max_bytes,
            ttl_seconds=float(ttl_seconds),
            preservation=None if preservation is None else PreservationMode.of(preservation),
        )

    def _register(self, session: Session) -> None:
        self.end_expired()
        self._settle()
        assert session.parent is not None
        if self._mine(session.session_id) is not None:
            raise taken(session.session_id)
        try:
            self._store.add(
                session.session_id,
                parent_id=session.parent.session_id,
                tags=session.tags,
                ttl_seconds=session.ttl_seconds,
                max_refs=session.max_refs,
                max_bytes=session.max_bytes,
                preservation=preserved(session),
            )
            session.used_at = time.monotonic()
            session.is_registered = True
            self._sessions[session.session_id] = session
        except SessionExistsError:
            raise
        except BaseException:  # Ctrl-C may come when the row is there already
            self._sessions.pop(session.session_id, None)
            self._to_remove[session.session_id] = None
            raise

    def _check_process(self) -> None:
        if os.getpid() != self._pid:
            raise ContextError(
                f"this process was forked from kernel {self._pid}, whose sessions they are. Use "
                "them there, and open a DataContext in processes that are started with spawn."
            )

    def _mine(self, session_id: int) -> Session | None:
        return self.own if session_id == self.own.session_id else self._sessions.get(session_id)

    def _is_entered(self, session: Session) -> bool:
        return any(
            s.entered_by is not None and is_running(s.entered_by)
            for s in tuple(self._sessions.values())
            if session in s.chain
        )

    def _settle(self) -> None:
        """Do what the end of sessions asks for, also of an end that was interrupted."""
        if self._is_closed:
            return
        self._release_ended()
        tables = list(self._to_drop)
        self._worker.drop_early(tables)
        for table in tables:
            self._to_drop.pop(table, None)
        self._remove_rows()

    def _release_ended(self) -> None:
        with self._lock:
            ended = [s for s in self._sessions.values() if any(e.is_ended for e in s.chain)]
            for session in ended:
                session.is_ended = True
                self._to_remove[session.session_id] = None
            self._worker.record(self.tables.release(ended, self._to_drop))
            for session in ended:  # last: until then all is done again, should Ctrl-C come
                self._sessions.pop(session.session_id, None)

    def _remove_rows(self) -> None:
        ids = list(self._to_remove)
        try:
            self._store.remove(ids)
        except RegistryError as error:
            logger.warning("sessions %s are still in the registry: %s", ids, error)
            return
        for session_id in ids:
            self._to_remove.pop(session_id, None)
