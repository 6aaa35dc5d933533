"""``%sessions``: every kernel of the registry, alive and dead, with what it holds."""

# IPython's argument decorators have no annotations.
# mypy: disallow-untyped-calls=False, disallow-untyped-decorators=False

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, ClassVar

from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

from aaiclick_ext.notebook.line_magic import LineMagic

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aaiclick_ext.context import DataContext


class SessionsMagic(LineMagic):
    """``%sessions``, as registered with a shell.

    Parameters
    ----------
    ip
        The IPython shell.
    """

    name = "sessions"
    functions: ClassVar[Mapping[str, str]] = {"": "aai.sessions"}

    def __init__(self, ip: Any, context: DataContext) -> None:
        self._context = context
        super().__init__(ip)

    @magic_arguments()
    @argument("--dead", action="store_true", help="Only kernels that are dead.")
    def sessions(self, line: str) -> None:
        """Show the kernels of this registry: where they are, whether they live, what they hold.

        What a dead kernel left is removed when a kernel starts that has its database open, or by
        ``aaiclick-ext reap`` from a shell. Of a kernel on another host or in another container
        only its heartbeat tells whether it lives. `aai.sessions()` returns the same as a list.

        Examples
        --------
        ::

            %sessions
            %sessions --dead
        """
        arguments = parse_argstring(self.sessions, line)
        infos = self._context.kernels()
        if arguments.dead:
            infos = [info for info in infos if info.state == "dead"]
        from IPython.display import display

        from aaiclick_ext.widgets import kernels_html, kernels_text

        now = dt.datetime.now(dt.UTC)
        text = kernels_text(infos, now)
        if hasattr(self._ip, "kernel"):
            display({"text/plain": text, "text/html": kernels_html(infos, now)}, raw=True)
        else:
            print(text)  # noqa: T201
