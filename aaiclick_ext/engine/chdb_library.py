"""Loading chdb, the library that is the embedded engine."""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
from typing import TYPE_CHECKING

from aaiclick_ext.errors import PlatformError

if TYPE_CHECKING:
    from _typeshed import StrOrBytesPath

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

    ``chdb/__init__.py`` goes to its own directory, though it would load from anywhere, and back to
    where it came from. We import in a background thread: a cell that opens a relative path
    meanwhile would fail, and one that changes the directory would find itself back in the old one.
    """
    if "chdb" in sys.modules:
        return
    change, importer, is_importing = os.chdir, threading.get_ident(), True

    def change_unless_importing(path: int | StrOrBytesPath) -> None:
        if not is_importing or threading.get_ident() != importer:
            change(path)

    os.chdir = change_unless_importing
    try:
        import chdb  # noqa: F401
    finally:
        is_importing = False
        if os.chdir is change_unless_importing:
            os.chdir = change


def exit_without_destructors() -> None:
    """Let a forked child end when Python has: chdb's C++ destructors wait for threads it lacks.

    glibc runs what ``on_exit`` registers last before the destructors, with the exit status.
    """
    import ctypes

    libc = ctypes.CDLL(None)
    if hasattr(libc, "on_exit"):
        libc.on_exit(libc._exit, None)  # noqa: SLF001
