"""Every exception this package raises.

::

    AaiclickError
    ├── ContextError            RuntimeError   no DataContext is open, or it was closed
    │   └── LeaseLostError                     this kernel was taken for dead meanwhile
    ├── SettingsError           ValueError     a setting, URL or argument that cannot be used
    ├── PlatformError           RuntimeError   this platform has no embedded ClickHouse
    ├── EngineError             RuntimeError   ClickHouse refused or failed; has sql, code, query_id
    │   ├── ConnectError        ConnectionError
    │   │   └── DatabaseHeldError              another process has the directory open
    │   ├── UnknownTableError   LookupError
    │   ├── UnknownColumnError  LookupError
    │   ├── BrokenViewError     LookupError    a view whose sources are not what it was made of
    │   ├── LimitError                         more than a setting allows; `unlimited` lifts it
    │   ├── QueryTimeoutError   TimeoutError
    │   └── MemoryLimitError    MemoryError
    ├── DroppedTableError       LookupError    a claim on a table that is gone
    │   └── ReleasedError                      an object that went with its session
    ├── StaleRefError           LookupError    a ref that has been freed
    ├── RefCountError           ValueError     a release without a claim, a ref that holds itself
    ├── ShareError              ValueError     a table that cannot be shared, a token of no use
    ├── SessionError            RuntimeError   a session that cannot be used in this way
    ├── SessionExistsError      ValueError     the session's id is taken
    ├── SessionLimitError       RuntimeError   a table that its session has no room for
    ├── UnknownSessionError     KeyError       no session of that id
    ├── UnknownObjectError      LookupError    no object of that name
    ├── ObjectExistsError       ValueError     the name is taken and ``if_exists="fail"``
    ├── UnsupportedTypeError    TypeError      of a type that cannot be kept or used
    ├── ValueRangeError         ValueError     a value that its column's type cannot hold
    ├── SchemaError             ValueError     columns that are missing, unknown or unequal
    ├── LengthError             ValueError     arrays of different lengths
    ├── SQLError                ValueError     SQL text that cannot be accepted
    ├── ViewError               ValueError     a view that cannot be made, or not be dropped
    ├── SystemTableError        RuntimeError   a system table that cannot be used
    ├── ForeignTableError       ValueError     a change to a table that is not ours
    ├── FileError               OSError        a file that cannot be reached, read or written
    │   └── MissingFileError    FileNotFoundError
    ├── FileContentError        ValueError     a file that is not what its format says
    ├── RegistryError           RuntimeError   the SQL registry cannot be used
    │   ├── NodeTakenError                     the node id is held by another kernel
    │   └── OtherRegistryError                 the server's kernels use another registry
    ├── OplogError              RuntimeError   the operation log cannot be used
    └── PictureError            RuntimeError   a graph that cannot be drawn
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from aaiclick_ext.untrusted import visible

if TYPE_CHECKING:
    from collections.abc import Callable

_TRACEBACK_HINT = "%tb shows the whole traceback"
_RED, _PLAIN = "\x1b[31m", "\x1b[39m"


class AaiclickError(Exception):
    """Root of every error of this package.

    A message says what failed, where, what was available and what to do next; notes
    (`BaseException.add_note`) say more of it. In a notebook it is shown without the stack (`%tb`
    still has it).
    """

    is_coloured: ClassVar[Callable[[], bool]] = staticmethod(lambda: False)
    """Whether who shows errors knows colours; the notebook sets it."""

    def _render_traceback_(self) -> list[str]:
        """Lines for IPython, which asks an exception for them before it formats a stack."""
        lines = [line for note in self._notes() for line in visible(note, lines=True).split("\n")]
        marked = [line if line.strip(" ^") else coloured(line) for line in lines]
        message = visible(str(self), lines=True)
        return [*f"{coloured(type(self).__name__)}: {message}".split("\n"), *marked]

    def as_text(self) -> str:
        """Return it and its notes as plain text, for where it is shown and nothing is raised."""
        text = "\n".join([f"{type(self).__name__}: {self}", *self._notes()])
        return text.replace(_TRACEBACK_HINT, "data() raises it")

    def _notes(self) -> list[str]:
        return list(getattr(self, "__notes__", ()))


def coloured(text: str) -> str:
    """Return a text in the colour of errors, where who shows it knows colours."""
    return f"{_RED}{text}{_PLAIN}" if AaiclickError.is_coloured() else text


class ContextError(AaiclickError, RuntimeError):
    """No `DataContext` is open, or the one this object belongs to was closed."""


class LeaseLostError(ContextError):
    """The kernel gave no sign of life for too long, and was taken for dead.

    Attributes
    ----------
    node_id
        The node id that it held.
    tables
        Its tables, which may be gone.
    """

    def __init__(self, message: str, *, node_id: int, tables: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.node_id = node_id
        self.tables = tables


class SettingsError(AaiclickError, ValueError):
    """A setting, URL or argument that cannot be used."""


class PlatformError(AaiclickError, RuntimeError):
    """The embedded engine does not exist for this platform."""


class EngineError(AaiclickError, RuntimeError):
    """ClickHouse refused or failed.

    Attributes
    ----------
    sql
        The statement, with credentials masked, or None where there was none.
    code
        ClickHouse's error code (``src/Common/ErrorCodes.cpp``), or None.
    query_id
        The id under which ClickHouse ran it, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        sql: str | None = None,
        code: int | None = None,
        query_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.sql = sql
        self.code = code
        self.query_id = query_id

    def _notes(self) -> list[str]:
        known = [] if self.code is None else [f"ClickHouse error {self.code}"]
        known += [] if self.query_id is None else [f"query id {self.query_id}"]
        if not known:
            return super()._notes()
        return [*super()._notes(), f"{', '.join(known)}; {_TRACEBACK_HINT}"]


class ConnectError(EngineError, ConnectionError):
    """The engine could not be opened or reached."""


class DatabaseHeldError(ConnectError):
    """Another process has the embedded database's directory open."""


class UnknownTableError(EngineError, LookupError):
    """A query names a table that does not exist."""


class UnknownColumnError(EngineError, LookupError):
    """A query names a column that does not exist."""


class BrokenViewError(EngineError, LookupError):
    """A query reads a named view whose sources are gone, or not what it was made of."""


class LimitError(EngineError):
    """More than a setting allows: bytes fetched, rows of a cross join, too little free disk."""


class QueryTimeoutError(EngineError, TimeoutError):
    """A query ran longer than it was allowed to."""


class MemoryLimitError(EngineError, MemoryError):
    """A query needed more memory than it was allowed."""


class DroppedTableError(AaiclickError, LookupError):
    """A claim on a table that has been dropped."""


class ReleasedError(DroppedTableError):
    """The object's table went with the session that it was made in."""


class SessionError(AaiclickError, RuntimeError):
    """A session that cannot be used in this way: it is open already, has ended, is another's."""


class SessionExistsError(AaiclickError, ValueError):
    """A session of that id is registered already."""


class SessionLimitError(AaiclickError, RuntimeError):
    """A table that its session has no room for; it was not made, or is gone again."""


class UnknownSessionError(AaiclickError, KeyError):
    """No session of that id."""

    def __str__(self) -> str:
        """Return the message as it is; a plain KeyError shows it in quotes."""
        return str(self.args[0]) if self.args else ""


class StaleRefError(AaiclickError, LookupError):
    """A ref that has been freed, or belongs to another session."""


class RefCountError(AaiclickError, ValueError):
    """A release without a claim, or a ref that would hold itself."""


class ShareError(AaiclickError, ValueError):
    """A table that cannot be shared with another kernel, or a token that cannot be redeemed."""


class UnknownObjectError(AaiclickError, LookupError):
    """No object of that name."""


class ObjectExistsError(AaiclickError, ValueError):
    """The name is taken."""


class UnsupportedTypeError(AaiclickError, TypeError):
    """A value, column or operation of a type that cannot be kept or used."""


class ValueRangeError(AaiclickError, ValueError):
    """A value that the type of its column cannot hold."""


class SchemaError(AaiclickError, ValueError):
    """Columns are missing, unknown, of unequal length or of the wrong type."""


class LengthError(AaiclickError, ValueError):
    """Arrays of different lengths in one elementwise operation."""


class SQLError(AaiclickError, ValueError):
    """SQL text that cannot be accepted."""


class ViewError(AaiclickError, ValueError):
    """A named view that cannot be made, or not be dropped."""


class SystemTableError(AaiclickError, RuntimeError):
    """A system table that is of a newer version, or in whose place something else is."""


class ForeignTableError(AaiclickError, ValueError):
    """A change to a table that this package does not own."""


class RegistryError(AaiclickError, RuntimeError):
    """The SQL registry cannot be used."""


class NodeTakenError(RegistryError):
    """The node id that is set, or every one there is, is held by another kernel."""


class OtherRegistryError(RegistryError):
    """The kernels of this ClickHouse server use another registry."""


class OplogError(AaiclickError, RuntimeError):
    """The operation log cannot be used."""


class PictureError(AaiclickError, RuntimeError):
    """A graph that cannot be drawn."""


class FileError(AaiclickError, OSError):
    """A file that cannot be reached, read or written."""


class MissingFileError(FileError, FileNotFoundError):
    """No such file, or no file that a pattern matches."""


class FileContentError(AaiclickError, ValueError):
    """A file whose content is not what its format says."""
