"""Session: what a ``with aai.session():`` block is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self, TypeVar

from aaiclick_ext.errors import SessionError
from aaiclick_ext.lifecycle.preservation import PreservationMode

if TYPE_CHECKING:
    import weakref
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from aaiclick_ext.lifecycle.sessions import SessionManager

T = TypeVar("T")
DEFAULT_MAX_REFS = 10_000
DEFAULT_TTL_SECONDS = 3600.0


class Session:
    """Temp objects that are made inside belong to it, and go when it ends.

    Entered by ``with`` or ``async with``, or by `open`, and ended by `close`. Sessions nest: what
    is made belongs to the innermost. At its end the tables of its temp objects are dropped, also
    those that variables still reach; using such an object raises `ReleasedError`. What `keep` was
    called with stays. What is pinned, or made under `PreservationMode.FULL`, stays too, and belongs
    to the session around it from then on. Objects with a name are not the session's:
    ``scope="session"`` is the kernel's session, as it is outside.

    In cells: a session that one cell opens is there in the next, whether they ``await`` or not.
    An asyncio task made inside belongs to it, and has what it enters itself to itself; a thread
    starts outside. Where a session has ended in the meantime, the one around it takes over.

    Attributes
    ----------
    session_id
        Its key in the registry. The kernel's own has the kernel's job id.
    parent
        The session around it; None of the kernel's own.
    tags
        What it can be found by.
    max_refs
        How many tables it, and the sessions inside it, may hold at a time.
    max_bytes
        How many bytes of data, before compression; None is no limit.
    ttl_seconds
        After this many seconds without a table it may be ended by others, unless it is entered.
    is_ended
        Whether it was closed or released.
    used_at
        When it was made, or last got or lost a table, by `time.monotonic`.
    """

    def __init__(
        self,
        manager: SessionManager,
        session_id: int,
        parent: Session | None,
        *,
        tags: Mapping[str, Any],
        max_refs: int = DEFAULT_MAX_REFS,
        max_bytes: int | None = None,
        ttl_seconds: float = DEFAULT_TTL_SECONDS,
        preservation: PreservationMode | None = None,
    ) -> None:
        self.manager = manager
        self.session_id = session_id
        self.parent = parent
        self.tags = dict(tags)
        self.max_refs = max_refs
        self.max_bytes = max_bytes
        self.ttl_seconds = ttl_seconds
        self.own_preservation = preservation
        self.is_ended = False
        self.is_registered = parent is None
        self.entered_by: weakref.ref[Any] | None = None
        self.used_at = time.monotonic()

    def __repr__(self) -> str:
        state = "ended" if self.is_ended else "live" if self.is_registered else "not open yet"
        return f"<{str(self)[0].upper()}{str(self)[1:]}, {state}>"

    def __str__(self) -> str:
        name = "the kernel's session" if self.parent is None else "session"
        tags = ", ".join(
            key if value is True else f"{key}={value}" for key, value in self.tags.items()
        )
        return f"{name} {self.session_id}" + (f" ({tags})" if tags else "")

    @property
    def preservation(self) -> PreservationMode:
        """What becomes of tables made in it; as in the session around it unless it was given."""
        modes = (s.own_preservation for s in self.chain if s.own_preservation is not None)
        return next(modes, PreservationMode.NONE)

    @property
    def chain(self) -> Iterator[Session]:
        """The session itself and those around it, the kernel's own last."""
        session: Session | None = self
        while session is not None:
            yield session
            session = session.parent

    @property
    def refs(self) -> list[str]:
        """The tables that belong to it, oldest first; those of sessions inside it do not."""
        return self.manager.tables.of(self)

    def open(self) -> Self:
        """Register and enter it: what is made from now on belongs to it, until `close`.

        Writes one row of the registry.

        Raises
        ------
        SessionError
            If it is entered already, or has ended.
        """
        self.manager.open(self)
        return self

    def close(self) -> None:
        """End it, from anywhere; again is fine.

        Sessions inside it end with it. Its tables are dropped in the background; that waits for
        queries that read them. Its row is removed from the registry.

        Raises
        ------
        SessionError
            If it is the kernel's own, which ends with the kernel.
        """
        if self.parent is None:
            raise SessionError(f"{self} ends with the kernel: %unload_ext aaiclick_ext ends it now")
        self.manager.close_session(self)

    def keep(self, value: T) -> T:
        """Give an object of this session to the one around it; return the object.

        Every table of this session, and of those inside it, that the object, view or column can
        reach goes along.

        Raises
        ------
        ReleasedError
            If the session has ended, and the object with it.
        UnsupportedTypeError
            If it is nothing made of tables.
        """
        self.manager.keep(self, value)
        return value

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except KeyboardInterrupt:
            self.close()  # what the press came in between of
            raise

    async def __aenter__(self) -> Self:
        return self.open()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)
