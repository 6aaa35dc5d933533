"""Progress in the place where the cell's output goes: one display for a cell, updated in place.

A front end gets HTML without script, so that the saved notebook shows the end as it was; a terminal
gets a line of stderr that is written over. Where output is captured, or goes to a file, nothing is
shown.
"""

from __future__ import annotations

import shutil
import sys
import uuid
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from IPython.core.displaypub import CapturingDisplayPublisher

from aaiclick_ext.notebook.progress_text import as_html, as_text

if TYPE_CHECKING:
    from aaiclick_ext.context import DataContext
    from aaiclick_ext.engine.progress import Progress

_BOARDS = 16
_ERASE = "\r\x1b[K"


class ProgressDisplay:
    """Shows the progress of a context's statements in a shell, for as long as the context is open.

    Parameters
    ----------
    ip
        The IPython shell.
    """

    def __init__(self, ip: Any, context: DataContext) -> None:
        self._ip = ip
        self._context = context
        self._streams = sys.stdout, sys.stderr
        self._boards: OrderedDict[str, _Board] = OrderedDict()
        is_kernel = hasattr(ip, "kernel")
        context.show_progress = self._show_in_front_end if is_kernel else self._show_in_terminal

    def _show_in_front_end(self, progress: Progress) -> None:
        """Show a statement among those of its cell; called in its context, one call at a time."""
        cell = str(self._ip.display_pub.parent_header.get("msg_id", ""))
        board = self._boards.get(cell)
        if board is None:
            if self._is_captured:
                return
            board = self._boards[cell] = _Board(self._ip)
            while len(self._boards) > _BOARDS:
                self._boards.popitem(last=False)
        board.show(progress, self._name_of(progress))

    @property
    def _is_captured(self) -> bool:
        """Whether somebody else takes what the cell puts out: ``%%capture``, a redirection."""
        return (
            isinstance(self._ip.display_pub, CapturingDisplayPublisher)
            or (sys.stdout, sys.stderr) != self._streams
        )

    def _show_in_terminal(self, progress: Progress) -> None:
        stream = sys.stderr
        # With a prompt on the screen a line would go into what the user types.
        if self._is_captured or not self._ip.display_trap.is_active or not stream.isatty():
            return
        text = as_text([(progress, self._name_of(progress))])
        width = shutil.get_terminal_size().columns - 1
        stream.write(f"{_ERASE}{text[:width]}{chr(10) if progress.has_ended else ''}")
        stream.flush()

    def _name_of(self, progress: Progress) -> str:
        """Return the operation, with the variable that it was called on where there is one."""
        if progress.source is None:
            return progress.operation
        variables = self._context.variable_names().get(progress.source, ())
        named = sorted(name for name in variables if not name.startswith("_"))
        return f"{progress.operation} {named[0]}" if named else progress.operation


class _Board:
    """The statements of one cell that took long, in one display."""

    def __init__(self, ip: Any) -> None:
        self._publisher = ip.display_pub
        self._id = uuid.uuid4().hex
        self._lines: dict[Progress, str] = {}
        self._is_displayed = False

    def show(self, progress: Progress, name: str) -> None:
        """Put a statement on the board, or update it there."""
        self._lines.setdefault(progress, name)
        lines = list(self._lines.items())
        self._publisher.publish(
            {"text/html": as_html(lines), "text/plain": as_text(lines)},
            transient={"display_id": self._id},
            update=self._is_displayed,
        )
        self._is_displayed = True
