"""Loading chdb, the library that is the embedded engine."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from importlib.machinery import ExtensionFileLoader
from pathlib import Path

from aaiclick_ext.errors import PlatformError

_SERVER = "set AAICLICK_CH_URL to a server, as in clickhouse://user:password@host:8123/database"


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


def exit_without_destructors() -> None:
    """Let a forked child end when Python has: chdb's C++ destructors wait for threads it lacks.

    glibc runs what ``on_exit`` registers last before the destructors, with the exit status.
    """
    import ctypes

    libc = ctypes.CDLL(None)
    if hasattr(libc, "on_exit"):
        libc.on_exit(libc._exit, None)  # noqa: SLF001


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
