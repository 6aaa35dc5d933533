"""Loading into a shell and unloading from it.

Loading imports nothing heavy and waits for nothing: the context opens its engine, and imports what
that needs, in a thread of its own.
"""

from __future__ import annotations

import contextlib
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from aaiclick_ext.context import DataContext
from aaiclick_ext.errors import AaiclickError
from aaiclick_ext.notebook.aaiclick_magic import AaiclickMagic
from aaiclick_ext.notebook.browse_magic import BrowseMagic
from aaiclick_ext.notebook.cell_hooks import CellHooks
from aaiclick_ext.notebook.completion import Completion
from aaiclick_ext.notebook.config import ShellSettings
from aaiclick_ext.notebook.display import ValueFormatters
from aaiclick_ext.notebook.idle import IdleCollection
from aaiclick_ext.notebook.last_error import LastError
from aaiclick_ext.notebook.live_display import LiveDisplay
from aaiclick_ext.notebook.loading_cell import imports_others
from aaiclick_ext.notebook.lost_interrupts import LostInterrupts
from aaiclick_ext.notebook.magics import LineageMagic
from aaiclick_ext.notebook.moving import check_nothing_lost, creds_of
from aaiclick_ext.notebook.output_history import OutputHistory
from aaiclick_ext.notebook.progress import ProgressDisplay
from aaiclick_ext.notebook.releasing import Releaser
from aaiclick_ext.notebook.roots import notebook_roots
from aaiclick_ext.notebook.sessions_magic import SessionsMagic
from aaiclick_ext.notebook.sql_magic import SqlMagic
from aaiclick_ext.notebook.tables_magic import TablesMagic
from aaiclick_ext.notebook.typed_secrets import forget_secret
from aaiclick_ext.notebook.variables import names_of_views
from aaiclick_ext.notebook.why_magic import WhyMagic

if TYPE_CHECKING:
    from collections.abc import Callable

    from aaiclick_ext.settings import Settings


class Extension:
    """The extension, loaded into one shell: its `DataContext` and all that is registered.

    The context is a plain attribute, never a ContextVar: a value that a cell with ``await`` sets
    in one of those is gone in the next cell.

    Parameters
    ----------
    ip
        The IPython shell.

    Attributes
    ----------
    loaded
        The one of this process, or None.
    context
        Opens in the background; a failure to open is raised by its first use.
    """

    loaded: ClassVar[Extension | None] = None

    def __init__(self, ip: Any, context: DataContext | None = None) -> None:
        self.ip = ip
        with contextlib.ExitStack() as undo:
            shell_settings = ShellSettings(ip, self._settings_changed)
            undo.callback(shell_settings.close)
            if context is None:
                context = DataContext(settings=shell_settings.read())
            self.context = undo.enter_context(context)
            self.context.settings_changed = lambda changes: shell_settings.put(**changes)
            self.context.moved = self._move
            self._shell_settings = shell_settings
            undo.callback(_close_widgets)
            undo.callback(ValueFormatters(ip).close)
            undo.callback(LiveDisplay(ip).close)
            undo.callback(LostInterrupts().close)
            undo.callback(_colour_errors(ip))
            ProgressDisplay(ip, self.context)
            undo.callback(LineageMagic(ip, self.context).close)
            undo.callback(BrowseMagic(ip, self.context).close)
            completion = Completion(ip, self.context)
            undo.callback(completion.close)
            idle = IdleCollection(then=completion.prepare)
            undo.callback(idle.cancel)
            outputs = OutputHistory(ip, lambda: self.context.settings.displayed_results)
            last_error = LastError(ip, self.context)
            self.context.roots = partial(notebook_roots, ip)
            self.context.variable_names = partial(names_of_views, ip, self.context)
            releaser = Releaser(ip, self.context, outputs, last_error)
            undo.callback(WhyMagic(ip, self.context, releaser).close)
            undo.callback(TablesMagic(ip, self.context, releaser).close)
            undo.callback(SessionsMagic(ip, self.context).close)
            undo.callback(SqlMagic(ip, self.context).close)
            undo.callback(AaiclickMagic(ip, self.context, shell_settings).close)
            hooks = CellHooks(ip, self.context, outputs, last_error, idle)
            undo.callback(hooks.unregister)
            hooks.register()
            self._undo = undo.pop_all()

    @classmethod
    def load(cls, ip: Any) -> Extension:
        """Load into a shell; into the one it is already loaded into, do nothing.

        Raises
        ------
        SettingsError
            If the environment or the configuration has a value that cannot be used. Nothing is
            left registered.
        """
        if cls.loaded is not None and cls.loaded.ip is not ip:
            cls.unload(cls.loaded.ip)
        if cls.loaded is None:
            cls.loaded = cls(ip)
        return cls.loaded

    @classmethod
    def unload(cls, ip: Any) -> None:
        """Unregister everything and close the context; its tables and threads end.

        Does nothing if it is not loaded into this shell.
        """
        extension = cls.loaded
        if extension is None or extension.ip is not ip:
            return
        cls.loaded = None
        extension.close()

    def close(self) -> None:
        """Unregister everything, the last first, and close the context, whatever fails."""
        self._undo.close()

    def _settings_changed(self, settings: Settings) -> None:
        self.context.use_settings(settings)

    def _move(self, url: str, drop: bool) -> DataContext:
        """Put an extension on another database in the place of this one; see `connect`."""
        forget_secret(self.ip, url)
        here, there = creds_of(self.context, url)
        if here == there and self.context.is_open:
            return self.context
        if not drop:
            check_nothing_lost(self.ip, self.context)
        before = self._shell_settings.given("ch_url")
        self._shell_settings.put(ch_url=url)
        try:
            # The embedded engine has one directory at a time; any other can be tried first.
            is_tried = not (here.is_embedded and there.is_embedded)
            context = self._opened(self._shell_settings.read()) if is_tried else None
            Extension.unload(self.ip)
            Extension.loaded = Extension(self.ip, context)
            _ = Extension.loaded.context.engine
        except BaseException:
            self._put_back(before)
            raise
        return Extension.loaded.context

    def _opened(self, settings: Settings) -> DataContext:
        context = DataContext(settings=settings)
        try:
            _ = context.engine
        except BaseException:
            context.close()
            raise
        return context

    def _put_back(self, url: str | None) -> None:
        """Be where it was before, after moving has failed."""
        self._shell_settings.forget("ch_url")
        if url is not None:
            self._shell_settings.put(ch_url=url)
        if Extension.loaded is not self:
            Extension.unload(self.ip)
            Extension.load(self.ip)


def load(ip: Any) -> None:
    """Load the extension into a shell, as ``%load_ext aaiclick_ext`` does."""
    loaded = Extension.load(ip)
    if imports_others(ip):
        loaded.context.imported.wait()


def unload(ip: Any) -> None:
    """Unload the extension from a shell, as ``%unload_ext aaiclick_ext`` does."""
    Extension.unload(ip)


def _colour_errors(ip: Any) -> Callable[[], None]:
    """Let our errors have the colours that the shell's own have; return what undoes it."""
    before = AaiclickError.is_coloured

    def undo() -> None:
        AaiclickError.is_coloured = staticmethod(before)

    AaiclickError.is_coloured = staticmethod(lambda: ip.colors.lower() != "nocolor")
    return undo


def _close_widgets() -> None:
    """End what `%lineage`, `%tables` and `%browse` show, and live results."""
    if "aaiclick_ext.widgets.page_widget" in sys.modules:
        from aaiclick_ext.widgets import close_widgets

        close_widgets()
