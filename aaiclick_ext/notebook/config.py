"""Settings through IPython's configuration: ``c.AaiclickExt.<setting>`` and ``%config``."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, get_type_hints

import traitlets
from traitlets.config import Configurable

from aaiclick_ext.errors import SettingsError
from aaiclick_ext.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

SECTION = "AaiclickExt"
"""Name of the section in a configuration."""

READ_WHEN_USED = frozenset(
    {"displayed_results", "display_rows", "display_columns", "memory_table_bytes"}
)
"""Settings that a change reaches at once; the others are read when the extension is loaded."""


def _traits() -> dict[str, Any]:
    """Return a trait for each field of `Settings`, of its type and with its documentation."""
    hints = get_type_hints(Settings)
    found: dict[str, Any] = {}
    for spec in fields(Settings):
        hint = str(hints[spec.name])
        kind: Any = traitlets.Unicode
        if "float" in hint:
            kind = traitlets.Float
        elif "int" in hint:
            kind = traitlets.Int
        trait = kind(spec.default, allow_none="None" in hint, help=spec.metadata["doc"])
        found[spec.name] = trait.tag(config=True)
    return found


_Section: Any = type(
    SECTION,
    (Configurable,),
    {"__doc__": "Settings of aaiclick_ext; for those not set here, AAICLICK_* variables count."}
    | _traits(),
)


class ShellSettings:
    """The settings of a shell: its configuration, on top of the environment, on top of defaults.

    Lists them in ``%config`` until `close`.

    Parameters
    ----------
    ip
        The IPython shell.
    on_change
        Called with the new settings when ``%config`` changed one that is read when used.

    Raises
    ------
    SettingsError
        If one of them has a value that it cannot have.
    """

    def __init__(self, ip: Any, on_change: Callable[[Settings], None]) -> None:
        self._ip = ip
        self._on_change = on_change
        try:
            self._section = _Section(parent=ip)
        except traitlets.TraitError as error:
            raise SettingsError(f"configuration of {SECTION}: {error}") from error
        self._section.observe(self._changed, names=[spec.name for spec in fields(Settings)])
        ip.configurables.append(self._section)

    def read(self) -> Settings:
        """Return the settings as they are now."""
        names = {spec.name for spec in fields(Settings)}
        given = [name for name in self._ip.config.get(SECTION, {}) if name in names]
        changes = {name: getattr(self._section, name) for name in given}
        return Settings.from_env().replace(**changes)

    def close(self) -> None:
        """Take the settings out of ``%config``."""
        self._section.unobserve_all()
        if self._section in self._ip.configurables:
            self._ip.configurables.remove(self._section)

    def _changed(self, change: Any) -> None:
        self._ip.config[SECTION][change.name] = change.new  # %reload_ext reads it from there
        if change.name in READ_WHEN_USED:
            self._on_change(self.read())
        else:
            print(f"{change.name} is read at %load_ext; run %reload_ext aaiclick_ext to use it")  # noqa: T201
