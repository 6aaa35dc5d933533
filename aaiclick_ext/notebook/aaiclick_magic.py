"""``%aaiclick``: where the kernel is connected to, how it does, and its settings."""

# IPython's argument decorators have no annotations.
# mypy: disallow-untyped-calls=False, disallow-untyped-decorators=False

from __future__ import annotations

import difflib
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar

from IPython.core.error import UsageError
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

from aaiclick_ext.errors import SettingsError
from aaiclick_ext.notebook.line_magic import LineMagic
from aaiclick_ext.notebook.typed_secrets import forget_secret
from aaiclick_ext.settings import READ_WHEN_USED, Settings, described_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from aaiclick_ext.context import DataContext
    from aaiclick_ext.notebook.config import ShellSettings

_URLS = ("chdb://", "chdb:///", "clickhouse://", "clickhouses://")


class AaiclickMagic(LineMagic):
    """``%aaiclick``, as registered with a shell.

    Parameters
    ----------
    ip
        The IPython shell.
    """

    name = "aaiclick"
    functions: ClassVar[Mapping[str, str]] = {
        "": "aai.status",
        "connect": "aai.connect",
        "set": "aai.change_settings",
    }

    def __init__(self, ip: Any, context: DataContext, shell_settings: ShellSettings) -> None:
        self._context = context
        self._shell_settings = shell_settings
        super().__init__(ip)

    @magic_arguments()
    @argument(
        "command", nargs="?", choices=("connect", "set"),
        help="connect URL: move to another database. set NAME VALUE: change a setting.",
    )  # fmt: skip
    @argument("words", nargs="*", metavar="URL | NAME VALUE", help="What the command needs.")
    @argument("--drop", action="store_true", help="With connect: let tables of variables go.")
    def aaiclick(self, line: str) -> None:
        """Show engine, version, database, memory, disk, tables, kernels and settings.

        ``connect`` moves the kernel to another database. Tables that variables hold would go, so
        that it refuses while there are any, unless ``--drop`` is given. A password in the URL is
        taken out of the input history; ``$url`` takes the URL from a variable.

        ``set`` changes a setting and says from when on it counts; ``set NAME`` tells what it is.

        Examples
        --------
        ::

            %aaiclick
            %aaiclick connect chdb:///data/flights
            %aaiclick connect clickhouse://alice@db.example:8123/flights
            %aaiclick set display_rows 20
        """
        arguments = parse_argstring(self.aaiclick, line)
        if arguments.drop and arguments.command != "connect":
            raise UsageError("%aaiclick: --drop goes with connect")
        if arguments.command == "connect":
            self._connect(arguments.words, drop=arguments.drop)
        elif arguments.command == "set":
            self._set(arguments.words)
        else:
            self._show(self._context)

    def values_of(self, argument: str, before: Sequence[str], start: str) -> Iterable[str]:
        """Return the settings, the values that one can have, or how URLs begin."""
        del start
        words = [word for word in before if not word.startswith("-")]
        if argument != "words":
            return ()
        if words == ["set"]:
            return [spec.name for spec in fields(Settings)]
        if words[:1] == ["set"] and len(words) == 2:
            return next((s.metadata["choices"] for s in fields(Settings) if s.name == words[1]), ())
        return _URLS if words == ["connect"] else ()

    def _connect(self, words: Sequence[str], *, drop: bool) -> None:
        if len(words) != 1:
            raise UsageError("%aaiclick connect: one URL, as in %aaiclick connect chdb:///data/db")
        forget_secret(self._ip, words[0])
        self._show(self._context.connect(words[0], drop=drop))

    def _set(self, words: Sequence[str]) -> None:
        settings = self._context.settings
        there = {setting.name: setting for setting in described_settings(settings)}
        if not words or words[0] not in there:
            raise UsageError(f"%aaiclick set: {_which(words, list(there))}")
        name, *values = words
        if not values:
            setting = there[name]
            print(f"{name} = {setting.value} (default {setting.default}): {setting.doc}")  # noqa: T201
            return
        text = _unquoted(" ".join(values))
        forget_secret(self._ip, text)
        try:
            changed = settings.replace(**{name: _none_where(name, text)})
        except SettingsError as error:
            raise UsageError(f"%aaiclick set: {error}") from None
        value = getattr(changed, name)
        after = {setting.name: setting for setting in described_settings(changed)}[name].value
        if name in READ_WHEN_USED:
            self._context.change_settings(**{name: value})
            print(f"{name} = {after} (was {there[name].value})")  # noqa: T201
            return
        self._shell_settings.put(**{name: value})
        how = (
            "%aaiclick connect URL moves to a database now"
            if name == "ch_url"
            else "%reload_ext aaiclick_ext does that now, and drops what only variables hold"
        )
        print(  # noqa: T201
            f"{name} = {after} (was {there[name].value}) once a context opens: {how}"
        )

    def _show(self, context: DataContext) -> None:
        from IPython.display import display

        display(context.status())


def _which(words: Sequence[str], names: Sequence[str]) -> str:
    if not words:
        return f"which? There are {', '.join(names)}"
    close = difflib.get_close_matches(words[0], names, n=3, cutoff=0.5)
    likely = f"did you mean {' or '.join(close)}? " if close else ""
    return f"there is no setting {words[0]!r}; {likely}There are {', '.join(names)}"


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def _none_where(name: str, text: str) -> str | None:
    """Return None for the word, of a setting that can be it."""
    is_optional = next(spec.default is None for spec in fields(Settings) if spec.name == name)
    return None if is_optional and text.lower() == "none" else text
