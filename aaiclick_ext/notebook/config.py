"""Settings through IPython's configuration: ``c.AaiclickExt.<setting>`` and ``%config``."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, get_type_hints

import traitlets
from traitlets.config import Configurable

from aaiclick_ext.errors import SettingsError
from aaiclick_ext.settings import READ_WHEN_USED, Settings, masked

if TYPE_CHECKING:
    from collections.abc import Callable

SECTION = "AaiclickExt"
"""Name of the section in a configuration."""


class _MaskedText(str):
    """Text that a URL's password is in, which nobody sees who looks at the setting."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(masked(str(self)))


class MaskedUnicode(traitlets.Unicode[Any, Any]):
    """Text that shows no password in ``%config``."""

    def validate(self, obj: Any, value: Any) -> Any:
        """Return the text, as one that masks itself."""
        found = super().validate(obj, value)
        return None if found is None else _MaskedText(found)


def _traits() -> dict[str, Any]:
    """Return a trait for each field of `Settings`, of its type and with its documentation."""
    hints = get_type_hints(Settings)
    found: dict[str, Any] = {}
    for spec in fields(Settings):
        hint = str(hints[spec.name])
        kind: Any = MaskedUnicode
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
        ip.configurables.append(self._section)
        self._observe()

    def read(self) -> Settings:
        """Return the settings as they are now."""
        names = {spec.name for spec in fields(Settings)}
        given = [name for name in self._ip.config.get(SECTION, {}) if name in names]
        changes = {name: getattr(self._section, name) for name in given}
        return Settings.from_env().replace(**changes)

    def put(self, **changes: Any) -> None:
        """Set some without saying anything, as if they had been configured so."""
        self._section.unobserve_all()
        try:
            for name, value in changes.items():
                plain = value if value is None or isinstance(value, (int, float)) else str(value)
                setattr(self._section, name, plain)
                self._ip.config[SECTION][name] = getattr(self._section, name)
        finally:
            self._observe()

    def forget(self, name: str) -> None:
        """Take back what was set, so that the environment or the default counts."""
        self._ip.config[SECTION].pop(name, None)

    def given(self, name: str) -> Any:
        """Return what is configured, None where nothing is."""
        return self._ip.config.get(SECTION, {}).get(name)

    def close(self) -> None:
        """Take the settings out of ``%config``."""
        self._section.unobserve_all()
        if self._section in self._ip.configurables:
            self._ip.configurables.remove(self._section)

    def _observe(self) -> None:
        if self._section in self._ip.configurables:
            self._section.observe(self._changed, names=[spec.name for spec in fields(Settings)])

    def _changed(self, change: Any) -> None:
        self._ip.config[SECTION][change.name] = change.new  # %reload_ext reads it from there
        if change.name in READ_WHEN_USED:
            self._on_change(self.read())
        else:
            print(f"{change.name} is read at %load_ext; run %reload_ext aaiclick_ext to use it")  # noqa: T201
