"""Which tables the sessions of one kernel hold, and whether there is room for more."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aaiclick_ext.errors import ReleasedError, SessionError, SessionLimitError
from aaiclick_ext.lifecycle.names import Scope, TableName
from aaiclick_ext.lifecycle.preservation import PreservationMode
from aaiclick_ext.sizes import size_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from aaiclick_ext.lifecycle.session import Session
    from aaiclick_ext.registry import TableRow


@dataclass(frozen=True, slots=True)
class _Held:
    """One table of a session."""

    session: Session
    row: TableRow
    size_bytes: int = 0
    is_pinned: bool = False

    @property
    def stays(self) -> bool:
        """Whether it outlives its session."""
        return self.is_pinned or self.row.preservation is not None


class SessionTables:
    """Counts, in memory, what each session holds. Any thread may call it.

    A session holds its own tables and those of the sessions inside it. Bytes are those of the data
    before compression, and only known where a session around has a limit.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # held for a few steps, never across a query
        self._held: dict[str, _Held] = {}  # all that is counted: Ctrl-C can leave no half of it
        self._released: dict[str, Session] = {}  # that something still reaches
        self._gone: set[str] = set()  # of these, whose tables are dropped, or another kernel's now

    def of(self, session: Session) -> list[str]:
        """Return the tables that belong to a session itself, oldest first."""
        held = self._held.copy()
        return [table for table, entry in held.items() if entry.session is session]

    def owner(self, table: str) -> Session | None:
        """Return the session that a table belongs to, or None where it is not known."""
        entry = self._held.get(table)
        return None if entry is None else entry.session

    def count(self, session: Session) -> int:
        """Return how many tables a session holds."""
        held = self._held.copy().values()
        return sum(session in entry.session.chain for entry in held)

    def admit(self, session: Session, row: TableRow, *, is_part: bool = False) -> bool:
        """Count a table that is about to be made; say no if the session has just ended.

        Parameters
        ----------
        is_part
            Whether it is there for a moment, for the rows of another; then there is always room.

        Raises
        ------
        SessionLimitError
            If the session, or one around it, holds as many as it may. Nothing is counted then.
        """
        with self._lock:
            if session.is_ended:
                return False
            for each in () if is_part else session.chain:
                # That there are few in all says that each has few, without counting.
                if len(self._held) >= each.max_refs and self.count(each) >= each.max_refs:
                    raise SessionLimitError(
                        f"{each} may hold {_tables(each.max_refs)} at a time (max_refs) and holds "
                        f"{self.count(each):,}; no table was made. {_advice(each, 'max_refs')}"
                    )
            self._held[row.table_name] = _Held(session, row)
        _touch(session)
        return True

    def room_bytes(self, session: Session) -> int | None:
        """Return how many bytes a session may still get, or None where nothing limits them."""
        limited = [each for each in session.chain if each.max_bytes is not None]
        if not limited:
            return None
        return max(0, min((each.max_bytes or 0) - self.size_bytes(each) for each in limited))

    def size_bytes(self, session: Session) -> int:
        """Return the bytes that a session holds, as far as they were measured."""
        held = self._held.copy().values()
        return sum(entry.size_bytes for entry in held if session in entry.session.chain)

    def measured(self, table: str, size_bytes: int) -> None:
        """Note the size of a table.

        Raises
        ------
        SessionLimitError
            If its session, or one around it, then holds more than it may.
        """
        with self._lock:
            entry = self._held.get(table)
            if entry is None:
                return
            self._held[table] = replace(entry, size_bytes=0)
            if size_bytes > (room := self.room_bytes(entry.session) or 0):
                self._held[table] = entry
                raise self.too_large(entry.session, size_bytes, room)
            self._held[table] = replace(entry, size_bytes=size_bytes)

    def note_size(self, table: str, size_bytes: int) -> None:
        """Note the size of a table whatever it is: its rows are in it."""
        with self._lock:
            entry = self._held.get(table)
            if entry is not None:
                self._held[table] = replace(entry, size_bytes=size_bytes)

    def too_large(self, session: Session, size_bytes: int, room_bytes: int) -> SessionLimitError:
        """Return the error of a table that is, or would become, larger than there is room for."""
        limited = [each for each in session.chain if each.max_bytes is not None]
        limiting = min(limited, key=lambda each: (each.max_bytes or 0) - self.size_bytes(each))
        return SessionLimitError(
            f"{limiting} may hold {size_text(limiting.max_bytes or 0)} (max_bytes, of data before "
            f"compression). It holds {size_text(self.size_bytes(limiting))} in "
            f"{_tables(self._measured(limiting))}, so that {size_text(room_bytes)} are left, and "
            f"this needs {size_text(size_bytes)} or more. Nothing of it stays. "
            f"{_advice(limiting, 'max_bytes')}"
        )

    def _measured(self, session: Session) -> int:
        """Return how many tables of a session have a size: not those that are being made."""
        held = self._held.copy().values()
        return sum(entry.size_bytes > 0 and session in entry.session.chain for entry in held)

    def move(self, tables: Iterable[str], source: Session, target: Session) -> list[TableRow]:
        """Give tables of a session, or of one inside it, to another; return their rows."""
        moved = []
        with self._lock:
            for table in tables:
                entry = self._held.get(table)
                if entry is None or source not in entry.session.chain:
                    continue
                row = replace(entry.row, session_id=row_id(target))
                self._held[table] = replace(entry, session=target, row=row)
                moved.append(row)
        return moved

    def pin(self, tables: Iterable[str], is_pinned: bool) -> None:
        """Note that tables outlive their session, or do so no more."""
        with self._lock:
            for table in tables:
                entry = self._held.get(table)
                if entry is not None:
                    self._held[table] = replace(entry, is_pinned=is_pinned)

    def preserved(self, tables: Iterable[str]) -> set[str]:
        """Return which of these tables were made to be preserved."""
        entries = ((table, self._held.get(table)) for table in tables)
        return {
            table
            for table, entry in entries
            if entry and entry.row.preservation is not None and not _is_global(table)
        }

    def release(self, sessions: Sequence[Session], to_drop: dict[str, None]) -> list[TableRow]:
        """Take all tables from sessions that end into `to_drop`; they cannot be used any more.

        What stays belongs to the session around from now on; its rows are returned.
        """
        moved = []
        with self._lock:
            taken = [table for table, e in self._held.items() if e.session in sessions]
            for table in taken:
                entry = self._held[table]
                if entry.stays:
                    heir = next(s for s in entry.session.chain if s not in sessions)
                    row = replace(entry.row, session_id=row_id(heir))
                    self._held[table] = replace(entry, session=heir, row=row)
                    moved.append(row)
                    continue
                to_drop[table] = None
                self._released[table] = entry.session
                del self._held[table]
        return moved

    def dropped(self, tables: Iterable[str], is_live: Callable[[str], bool]) -> None:
        """Forget tables that are gone; one that something reaches stays known as released."""
        with self._lock:
            for table in tables:
                entry = self._held.pop(table, None)
                if entry is not None:
                    _touch(entry.session)
                if not is_live(table):
                    self._released.pop(table, None)
                    self._gone.discard(table)
                elif table in self._released:
                    self._gone.add(table)

    def still_there(self, tables: Iterable[str], is_live: Callable[[str], bool]) -> Sequence[str]:
        """Return which of the tables to drop have not gone with their session already.

        Another kernel may hold one that went: what was let go of once is nobody's here any more.
        """
        gone = [table for table in tables if table in self._gone]
        self.dropped(gone, is_live)
        return [table for table in tables if table not in gone]

    @property
    def has_released(self) -> bool:
        """Whether something reaches a table that went with its session."""
        return bool(self._released)

    def released_by(self, table: str) -> Session | None:
        """Return the session whose end took a table that something still reaches, or None."""
        return self._released.get(table)

    def check(self, tables: Iterable[str]) -> None:
        """Raise ReleasedError where a table went with its session."""
        for table in tables:
            session = self._released.get(table)
            if session is not None:
                raise ReleasedError(
                    f"this object was made in {session}, which has ended, and its table went with "
                    "it. Make it again; session.keep(x) before the end keeps an object."
                )


def _is_global(table: str) -> bool:
    name = TableName.parse(table)
    return name is not None and name.scope is Scope.GLOBAL


def _touch(session: Session) -> None:
    now = time.monotonic()
    for each in session.chain:
        each.used_at = now


def row_id(session: Session) -> int | None:
    """Return what `TableRow.session_id` says of a session; None stands for the kernel's own."""
    return None if session.parent is None else session.session_id


def preserved(session: Session) -> str | None:
    """Return what `TableRow.preservation` says of tables that are made in a session."""
    mode = session.preservation
    return str(mode) if mode is PreservationMode.FULL else None


def check_open(session: Session) -> None:
    """Raise SessionError where a session has ended."""
    if session.is_ended:
        raise SessionError(f"{session} has ended; make another with aai.session()")


def _advice(session: Session, limit: str) -> str:
    let_go = "Delete variables that are not needed any more"
    if session.parent is None:
        return f"{let_go}, or raise AAICLICK_{limit.upper()} before the kernel starts."
    return f"{let_go}, or open the session with a larger {limit}."


def _tables(count: int) -> str:
    return f"{count:,} table" if count == 1 else f"{count:,} tables"
