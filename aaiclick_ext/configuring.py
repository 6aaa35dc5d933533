"""The methods of a `DataContext` over its settings, where it is, and how it does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from aaiclick_ext.errors import ContextError, SettingsError
from aaiclick_ext.settings import READ_WHEN_USED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aaiclick_ext.context import DataContext
    from aaiclick_ext.objects.status import Status
    from aaiclick_ext.opening import Opened
    from aaiclick_ext.settings import Settings


class Configuring(ABC):
    """How a `DataContext` is set up."""

    settings: Settings
    settings_changed: Callable[[Mapping[str, Any]], None]
    moved: Callable[[str, bool], DataContext] | None

    @property
    @abstractmethod
    def _opened(self) -> Opened:
        """The parts of the context; waits until it is open."""

    @abstractmethod
    def use_settings(self, settings: Settings) -> None:
        """Use settings from now on, as far as they are read when used."""

    def status(self) -> Status:
        """Return where this context is and how it does; it shows itself as text and as HTML.

        Engine, version, database, memory, disk, tables, kernels and settings, passwords masked.
        Runs a few queries, none over data, and reads the registry.

        Raises
        ------
        ConnectError
            If the database could not be opened.
        """
        opened = self._opened  # waits for what is imported below
        from aaiclick_ext.objects.status import status_of

        return status_of(opened.services)

    def change_settings(self, /, **changes: Any) -> None:
        """Use other values of settings from now on, of those that are read when they are used.

        In a notebook `%aaiclick set` does the same, and keeps others for the next ``%load_ext``.

        Parameters
        ----------
        **changes
            Values by the names of settings; text is converted.

        Raises
        ------
        SettingsError
            If there is no such setting, it is read only when a context opens, or it cannot have
            the value. Nothing is changed.

        Examples
        --------
        >>> from aaiclick_ext import DataContext
        >>> with DataContext() as ctx:
        ...     ctx.change_settings(display_rows=3)
        ...     ctx.settings.display_rows
        3
        """
        settings = self.settings.replace(**changes)
        for name in changes:
            if name not in READ_WHEN_USED:
                raise SettingsError(
                    f"setting {name} is read when a context opens: give it to "
                    f"DataContext(settings=Settings({name}=…)), or run %aaiclick set {name} … in "
                    f"a notebook. Those that can change are {', '.join(sorted(READ_WHEN_USED))}"
                )
        self.use_settings(settings)
        self.settings_changed({name: getattr(settings, name) for name in changes})

    def connect(self, url: str, *, drop: bool = False) -> DataContext:
        """Move a notebook to another database: a new context takes the place of this one.

        To where it is already it does nothing. Where the other cannot be opened, the kernel stays,
        or is again, where it was. This context is closed, as by
        ``%unload_ext``: what it kept for variables is dropped, and objects of it raise. So that
        nothing is lost unseen, that is refused while there are such tables. What has a global
        name, is pinned or preserved stays in the old database.

        Parameters
        ----------
        url
            As the setting `ch_url`.
        drop
            Whether tables of variables may go.

        Returns
        -------
        DataContext
            The new one, open.

        Raises
        ------
        SettingsError
            If it is no URL of a database.
        ConnectError
            If the database cannot be opened.
        ContextError
            If tables would be dropped, or this is no context of a notebook.
        """
        if self.moved is None:
            raise ContextError(
                "connect() moves a notebook; in a script open another context: "
                "`with DataContext(url):`"
            )
        return self.moved(url, drop)
