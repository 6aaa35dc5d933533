"""The embedded engine as this process has it: one directory at a time, one handle kept open."""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import importlib
import importlib.util
import os
import sys
import threading
import weakref
from importlib.machinery import ExtensionFileLoader
from pathlib import Path
from typing import Any, Protocol

from aaiclick_ext.engine.holder import holder_of
from aaiclick_ext.engine.scratch import make_scratch, remove_scratch, sweep_scratch
from aaiclick_ext.engine.translate import sentence
from aaiclick_ext.errors import ConnectError, DatabaseHeldError, PlatformError

_SERVER = "set AAICLICK_CH_URL to a server, as in clickhouse://user:password@host:8123/database"


class Closable(Protocol):
    """What is closed at exit before the engine is."""

    def close(self) -> None:
        """Close it."""


class EmbeddedProcess:
    """What is true of the embedded engine for a whole process.

    It opens one directory at a time, and every connection shares it. Closing the last connection
    shuts the engine down and leaks threads, so one spare connection stays open until exit, or
    until another directory is asked for while nothing else is open.
    """

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._path: Path | None = None
        self._spare: Any = None
        self._users = 0
        self._scratch: Path | None = None
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
        """
        check_platform()
        with self._lock:
            import_chdb()
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

    def release(self) -> None:
        """Give up one use of the directory; the spare keeps it open."""
        with self._lock:
            self._users = max(0, self._users - 1)

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
        if os.getpid() != self._pid:
            return  # a forked child owns none of this
        for engine in list(self._open_engines):
            with contextlib.suppress(Exception):
                engine.close()
        with self._lock:
            self._close_spare()
            if self._scratch is not None:
                remove_scratch(self._scratch)
                self._scratch = None

    def _scratch_in(self, parent: Path) -> Path:
        if self._scratch is None:
            try:
                self._scratch = make_scratch(parent)
            except OSError as error:
                raise ConnectError(
                    f"No scratch database can be made in {parent}: {error.strerror}. "
                    "Set AAICLICK_SCRATCH_DIR to a directory that can be written."
                ) from error
            sweep_scratch(parent)
        return self._scratch

    def _close_spare(self) -> None:
        spare, self._spare, self._path = self._spare, None, None
        if spare is not None:
            spare.close()


def check_platform() -> None:
    """Raise PlatformError where chdb is not.

    Raises
    ------
    PlatformError
        In one sentence, with what to do.
    """
    if sys.platform == "win32":
        raise PlatformError(
            f"Embedded ClickHouse has no Windows build: run Jupyter inside WSL, or {_SERVER}."
        )
    if "chdb" not in sys.modules and importlib.util.find_spec("chdb") is None:
        raise PlatformError(
            f"Embedded ClickHouse (the package chdb) is not installed: pip install chdb, "
            f"or {_SERVER}."
        )


def import_chdb() -> None:
    """Import chdb without moving the process.

    ``chdb/__init__.py`` changes the working directory while it loads a library of 400 MB, and we
    import in a background thread: a cell that opens a relative path meanwhile would fail. With
    the library loaded before, that moment is gone.
    """
    if "chdb" in sys.modules:
        return
    name = "chdb._chdb"
    spec = importlib.util.find_spec("chdb")
    folders = (spec.submodule_search_locations if spec else None) or []
    library = next((p for f in folders if (p := Path(f) / "_chdb.abi3.so").exists()), None)
    if library is not None:
        _preload(name, library)
    import chdb  # noqa: F401


def _preload(name: str, library: Path) -> None:
    import ctypes

    if sys.platform == "linux":  # as chdb loads it: its symbols before those of other libraries
        with contextlib.suppress(OSError):
            ctypes.CDLL(str(library), mode=sys.getdlopenflags() | os.RTLD_DEEPBIND)
    loader = ExtensionFileLoader(name, str(library))
    spec = importlib.util.spec_from_file_location(name, library, loader=loader)
    if spec is None:
        return
    try:
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
    except ImportError:
        return  # then chdb finds it itself, or says why not
    sys.modules[name] = module


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
