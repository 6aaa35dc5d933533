"""The handles of one engine: as many as never wait for each other."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING

from aaiclick_ext.errors import ContextError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clickhouse_connect.driver.client import Client

    from aaiclick_ext.engine.handle import Handle

Connect = Callable[[dict[str, str]], "Client"]
_IDLE_KEPT = 8
_POLL_S = 0.005
CLOSED = "This DataContext was closed; open another to go on."


class Role(Enum):
    """Who runs a statement; each role has a handle of its own, and more where that is busy.

    A drop waits for the readers of its table, a log insert must not wait for a query, and a KILL
    must wait for nobody.
    """

    USER = auto()
    WORKER = auto()
    KILLER = auto()
    LOG = auto()


class _OfThread(threading.local):
    """The handle on which this thread's user has a session, if any."""

    session: Handle | None = None


class Handles:
    """Opens, lends and closes handles.

    The main thread has one, as has each other role; further threads, and streams, take an idle one
    or open one more (a few milliseconds and about 1 MB), so that no statement waits for another's.
    Up to eight idle ones are kept.
    """

    def __init__(
        self, kind: type[Handle], connect: Connect, connect_killer: Connect, tag: str
    ) -> None:
        self._kind = kind
        self._connect = connect
        self._connect_beside = connect_killer
        self._numbers = itertools.count(1)
        self._tag = tag
        self._closed = False
        self._idle: deque[Handle] = deque()
        self._lent: dict[Handle, tuple[Role, int]] = {}
        self._sessions: set[Handle] = set()
        self._of_thread = _OfThread()
        self._own = {
            role: kind(
                connect_killer if role is Role.KILLER else connect, f"{tag}-{role.name.lower()}"
            )
            for role in Role
        }

    @property
    def killer(self) -> Handle:
        """The handle that KILLs are sent with; never lent."""
        return self._own[Role.KILLER]

    @property
    def client(self) -> Client:
        """The main thread's client, for what it knows of the server."""
        return self._own[Role.USER].client

    def take(self, role: Role) -> Handle:
        """Lend a handle that nobody else has; `give_back` returns it.

        Raises
        ------
        ContextError
            If the handles are closed.
        """
        return self._lend(self._pick(role), role)

    def take_extra(self) -> Handle:
        """Lend a user a handle for something that lasts; `give_back` returns it."""
        return self._lend(self._pick_extra(), Role.USER)

    def open_beside(self) -> Handle:
        """Open a handle to ask beside everything else how it goes; the caller closes it."""
        return self._kind(self._connect_beside, f"{self._tag}-progress")

    def give_back(self, handle: Handle) -> None:
        """Return a lent handle."""
        del self._lent[handle]
        handle.lock.release()
        if handle in self._own.values() or handle in self._sessions:
            return
        if self._closed or len(self._idle) >= _IDLE_KEPT:
            handle.close()
        else:
            self._idle.append(handle)

    @contextlib.contextmanager
    def session(self) -> Iterator[None]:
        """Run what this thread's user runs in the block on one handle, which nobody else gets.

        It has the settings, the database and the temporary tables that statements there give it,
        and ends with the block. Streams have handles of their own.
        """
        handle = self._kind(self._connect, f"{self._tag}-{next(self._numbers)}")
        outer = self._of_thread.session
        self._sessions.add(handle)
        try:
            handle.begin_session()
            self._of_thread.session = handle
            yield
        finally:
            self._of_thread.session = outer
            self._sessions.discard(handle)
            handle.close()

    def of_users(self, thread: int | None = None) -> list[Handle]:
        """Return the handles on which users run something: not the worker's, not the log's.

        Parameters
        ----------
        thread
            Identifier of the only thread that is asked about.
        """
        lent = self._lent.copy().items()
        return [
            handle
            for handle, (role, borrower) in lent
            if role is Role.USER and thread in (None, borrower)
        ]

    def user_conditions(self) -> list[str]:
        """Return SQL conditions for what users run now."""
        return [handle.running for handle in self.of_users()]

    def conditions(self) -> list[str]:
        """Return SQL conditions for everything that runs now."""
        return [handle.running for handle in list(self._lent)]

    def wait_until_idle(self, timeout_s: float) -> bool:
        """Return whether nothing is lent, or became so in time."""
        deadline = time.monotonic() + timeout_s
        while self._lent:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        return True

    def lend_no_more(self) -> None:
        """Refuse every further `take`."""
        self._closed = True

    def close(self) -> None:
        """Close every handle that is not lent. One that is, is in a statement and cannot be."""
        for handle in (*self._idle, *self._own.values()):
            if handle not in self._lent:
                handle.close()
        self._idle.clear()

    def _lend(self, handle: Handle, role: Role) -> Handle:
        self._lent[handle] = role, threading.get_ident()
        if self._closed:
            self.give_back(handle)
            raise ContextError(CLOSED)
        return handle

    def _pick(self, role: Role) -> Handle:
        session = self._of_thread.session
        if role is Role.USER and session is not None and session.lock.acquire(blocking=False):
            return session
        own = self._own[role]
        is_owner = role is not Role.USER or threading.current_thread() is threading.main_thread()
        if is_owner and own.lock.acquire(blocking=False):
            return own
        return self._pick_extra()

    def _pick_extra(self) -> Handle:
        handle = self._idle_handle()
        if handle is None:
            if self._closed:
                raise ContextError(CLOSED)
            handle = self._kind(self._connect, f"{self._tag}-{next(self._numbers)}")
        handle.lock.acquire()
        return handle

    def _idle_handle(self) -> Handle | None:
        """Take an idle handle, but for one that a KILL is under way for: it is not for the next."""
        for _ in range(len(self._idle)):
            with contextlib.suppress(IndexError):  # another thread was quicker
                handle = self._idle.pop()
                if not handle.is_being_killed:
                    return handle
                self._idle.appendleft(handle)
        return None
