"""The embedded engine as this process has it: one directory at a time, one handle kept open."""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import importlib
import os
import sys
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from aaiclick_ext.engine.chdb_library import check_platform, exit_without_destructors, import_chdb
from aaiclick_ext.engine.holder import holder_of
from aaiclick_ext.engine.scratch import (
    forget_scratch,
    make_scratch,
    mark_scratch,
    remove_scratch,
)
from aaiclick_ext.engine.translate import sentence
from aaiclick_ext.errors import ConnectError, ContextError, DatabaseHeldError

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


class Closable(Protocol):
    """What is closed at exit before the engine is, and left alone in a forked child."""

    def close(self) -> None:
        """Close it."""

    def abandon(self) -> None:
        """Make sure that nothing here touches the engine again, not even when collected."""


class EmbeddedProcess:
    """What is true of the embedded engine for a whole process.

    It opens one directory at a time, and every connection shares it. Closing the last connection
    shuts the engine down and leaks threads, so one spare connection stays open until exit, or
    until another directory is asked for while nothing else is open.
    """

    def __init__(self) -> None:
        self._pid: int | None = None  # of the process that loaded the engine
        self._lock = threading.RLock()
        self._path: Path | None = None
        self._spare: Any = None
        self._users = 0
        self._scratch: Path | None = None
        self._clients: weakref.WeakSet[Client] = weakref.WeakSet()
        self._open_engines: weakref.WeakSet[Closable] = weakref.WeakSet()

    def acquire(self, path: Path | None, scratch_parent: Path) -> Path:
        """Open a directory, None for this process's scratch; return where it really is.

        Each call needs one `release`.

        Raises
        ------
        PlatformError
            If there is no embedded engine here.
        DatabaseHeldError
            If another process has the directory open.
        ConnectError
            If this process has another directory in use, or the engine refuses.
        ContextError
            If this process was forked from one that uses the engine.
        """
        check_platform()
        self.check_not_forked()
        with self._lock:
            import_chdb()
            self._pid = os.getpid()
            real = self._scratch_in(scratch_parent) if path is None else _made(path)
            if self._path != real:
                if self._users:
                    raise ConnectError(
                        f"This process has the embedded database {self._path} open, and the "
                        f"embedded engine opens one directory per process. Close the other "
                        f"DataContext before opening {real}, or use another kernel."
                    )
                self._close_spare()
                self._spare = _connect(real)
                self._path = real
                self.restore_signal_handlers()
            self._users += 1
            return real

    def mark_scratch(self, owner: int) -> None:
        """Write into the scratch directory for which kernel session it is, once."""
        with self._lock:
            if self._scratch is not None:
                mark_scratch(self._scratch, owner)

    def release(self) -> None:
        """Give up one use of the directory; the spare keeps it open."""
        with self._lock:
            self._users = max(0, self._users - 1)

    def add_client(self, client: Client) -> None:
        """Know of a client that was just connected."""
        self._clients.add(client)
        self.restore_signal_handlers()

    def check_not_forked(self) -> None:
        """Raise where the engine was loaded before this process was forked: it would hang."""
        if self._pid not in (None, os.getpid()):
            raise ContextError(forked_from(self._pid))

    def restore_signal_handlers(self) -> None:
        """Take back the signals that chdb caught, so that a crash ends the process at once.

        chdb's handlers hang for a minute at SIGSEGV and SIGABRT. Connecting installs them, so
        this follows every connect.
        """
        _chdb: Any = importlib.import_module("chdb._chdb")
        _chdb.reset_signal_handlers()
        if faulthandler.is_enabled() and sys.__stderr__ is not None:
            faulthandler.disable()
            with contextlib.suppress(Exception):  # a stderr without a file
                faulthandler.enable(file=sys.__stderr__)

    def close_at_exit(self, engine: Closable) -> None:
        """Close an engine at exit, while connections still work."""
        self._open_engines.add(engine)

    def shut_down(self) -> None:
        """Close what is open, in order, and remove the scratch directory. Runs at exit."""
        if self._pid not in (None, os.getpid()):
            return  # a forked child owns none of this
        for engine in list(self._open_engines):
            with contextlib.suppress(Exception):
                engine.close()
        with self._lock:
            self._close_spare()
            if self._scratch is not None:
                remove_scratch(self._scratch)
                self._scratch = None

    def abandon(self) -> None:
        """Leave everything as it is. Runs in a forked child, where closing a connection hangs."""
        if self._pid is None:
            return
        forget_scratch()
        exit_without_destructors()
        for engine in list(self._open_engines):
            engine.abandon()
        for client in list(self._clients):
            driver = driver_of(client)
            keep_for_ever(driver.conn)
            driver.conn = None  # the driver's own finalizers then find nothing to close
        keep_for_ever(self._spare)
        self._spare = None

    def _scratch_in(self, parent: Path) -> Path:
        if self._scratch is None:
            try:
                self._scratch = make_scratch(parent)
            except OSError as error:
                raise ConnectError(
                    f"No scratch database can be made in {parent}: {error.strerror}. "
                    "Set AAICLICK_SCRATCH_DIR to a directory that can be written."
                ) from error
        return self._scratch

    def _close_spare(self) -> None:
        spare, self._spare, self._path = self._spare, None, None
        if spare is not None:
            spare.close()


def forked_from(pid: int | None) -> str:
    """Return what a forked process is told."""
    return (
        f"This process was forked from {pid}, and a ClickHouse engine does not survive that. Start "
        "processes with the spawn method (multiprocessing.get_context('spawn')) and open a "
        "DataContext in each."
    )


def driver_of(client: Any) -> Any:
    """Return the driver's own handle: its lock, and chdb's connection, which has no public way."""
    return client._backend._handle  # noqa: SLF001


def keep_for_ever(thing: object) -> None:
    """Give an object a reference that is never released, so that its finalizer never runs."""
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _made(path: Path) -> Path:
    real = Path(os.path.realpath(path))
    try:
        real.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConnectError(f"The directory {path} cannot be made: {error.strerror}.") from error
    return real


def _connect(path: Path) -> Any:
    chdb: Any = importlib.import_module("chdb")
    _check_free(path)
    try:
        return chdb.connect(str(path))
    except RuntimeError as error:
        _check_free(path)  # someone was faster
        raise ConnectError(
            f"The embedded database {path} cannot be opened: {sentence(str(error))}"
        ) from error


def _check_free(path: Path) -> None:
    holder = holder_of(path)
    if holder is not None and holder.pid != os.getpid():
        raise DatabaseHeldError(
            f"The database {path} is held by {holder}. One process at a time can open it: stop "
            f"that kernel, or use another directory, or share the data through a ClickHouse "
            f"server. Then run %reload_ext aaiclick_ext."
        )


# An empty finalizer first: `weakref` then registers its own exit function before ours, so that
# ours runs first, while the driver's clients, which it finalizes, are still open.
weakref.finalize(EmbeddedProcess, lambda: None)
embedded_process = EmbeddedProcess()
atexit.register(embedded_process.shut_down)
if sys.platform != "win32":
    os.register_at_fork(after_in_child=embedded_process.abandon)
