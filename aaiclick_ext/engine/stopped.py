"""The KeyboardInterrupt of a statement that Ctrl-C ended: shown by where the user's code was."""

from __future__ import annotations

import linecache
from typing import TYPE_CHECKING

from aaiclick_ext.errors import coloured

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

_NOT_THE_USERS = ("aaiclick_ext", "ibis", "IPython", "ipykernel", "asyncio", "concurrent")


class StoppedError(KeyboardInterrupt):
    """A KeyboardInterrupt that came out of a statement.

    In a notebook it is shown without the stack below the user's code, of which a screen or two
    would say how we wait for ClickHouse (`%tb` still has it).
    """

    def _render_traceback_(self) -> list[str]:
        name = coloured(KeyboardInterrupt.__name__)
        return [
            f"{name}: the query was stopped; %tb shows the whole traceback",
            *_places(self.__traceback__),
        ]


StoppedError.__name__ = KeyboardInterrupt.__name__  # by which front ends know what it is


def _places(traceback: TracebackType | None) -> Iterator[str]:
    """Yield the lines of the user's code that were running, the innermost last."""
    while traceback is not None:
        frame = traceback.tb_frame
        module = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if module not in _NOT_THE_USERS:
            line = linecache.getline(frame.f_code.co_filename, traceback.tb_lineno).strip()
            name = frame.f_code.co_name
            where = "" if name.startswith("<") else f" in {name}"
            yield f"    line {traceback.tb_lineno}{where}: {line}"
        traceback = traceback.tb_next
