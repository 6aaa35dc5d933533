"""Magics of ours: registered, taken back, and finding what a user's text stands for."""

from __future__ import annotations

import difflib
import functools
import re
from typing import TYPE_CHECKING, Any, ClassVar

from IPython.core.error import UsageError

from aaiclick_ext.notebook.completion_options import is_help_asked
from aaiclick_ext.notebook.reach import is_expression_of_ours
from aaiclick_ext.notebook.variables import views_in_variables
from aaiclick_ext.untrusted import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

_MAX_CANDIDATES = 10
_LAST_NAMES = re.compile(r"(?P<variable>[^\W\d]\w*)(?:\.(?P<column>\w*))?\Z")


class LineMagic:
    """One magic, of a line or of a cell, as registered with a shell.

    Each has ``--help``, is completed by what its parser says, and does what functions of
    `aaiclick_ext` do.

    Parameters
    ----------
    ip
        The IPython shell.

    Attributes
    ----------
    name, kind
        Of the magic, and of the method that is it; ``"line"``, ``"cell"`` or ``"line_cell"``.
    takes_text
        Whether SQL follows the options.
    functions
        What does the same in Python: by option, under ``""`` for the magic itself.
    of_tables
        Options whose values are variables or tables, as the values of other arguments are.
    lacking, nothing
        What is said of a value of another kind, and where no variable holds a table.
    """

    name = ""
    kind = "line"
    takes_text = False
    functions: ClassVar[Mapping[str, str]] = {}
    of_tables: ClassVar[frozenset[str]] = frozenset({"what", "source"})
    lacking = "has no table of its own"
    nothing = "No variable holds a table."

    def __init__(self, ip: Any) -> None:
        self._ip = ip
        magics = ip.magics_manager.magics
        self._before = {kind: magics[kind].get(self.name) for kind in self.kind.split("_")}
        ip.register_magic_function(self._as_magic(getattr(self, self.name)), self.kind, self.name)

    def close(self) -> None:
        """Put back what was registered before."""
        manager = self._ip.magics_manager
        vars(manager.user_magics).pop(self.name, None)
        for kind, before in self._before.items():
            manager.magics[kind].pop(self.name, None)
            if before is not None:
                self._ip.register_magic_function(before, kind, self.name)

    def values_of(self, argument: str, before: Sequence[str], start: str) -> Iterable[str]:
        """Return what an argument can be, for completion; those that do not fit are left out.

        Parameters
        ----------
        before
            The words before it.
        start
            What it begins with.
        """
        del before
        if argument not in self.of_tables:
            return ()
        views = views_in_variables(self._ip)
        last = _LAST_NAMES.search(start)
        ahead = start if last is None else start[: last.start()]
        if last is None or last["column"] is None:
            return [f"{ahead}{variable}" for variable in reversed(views)]
        variable = last["variable"]
        columns = views[variable].columns if variable in views else ()
        return [f"{ahead}{variable}.{column}" for column in columns if column.isidentifier()]

    def _as_magic(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the magic, which prints how it is used where that is asked for.

        What IPython writes of a `UsageError` shows all that is in it.
        """

        @functools.wraps(function)
        def magic(line: str, *cell: str | None, **scope: Any) -> Any:
            parser = function.parser  # type: ignore[attr-defined]
            if is_help_asked(parser, line, takes_text=self.takes_text):
                print(parser.format_help().removeprefix("::").strip("\n"))  # noqa: T201
                return None
            try:
                return function(line, *cell, **scope)
            except UsageError as error:
                text = str(error)
                if not text.startswith("%"):  # the parser's own
                    text = f"%{self.name}: {text}; see %{self.name} --help"
                error.args = (visible(text, lines=True),)
                raise

        return magic

    def _evaluated(self, text: str) -> Any:
        """Return the expression of ours that text stands for; the text where it can be a name.

        Raises
        ------
        UsageError
            If it is of something else, or its evaluation fails.
        """
        if not text:
            raise UsageError(f"%{self.name}: of what? {self._candidates('')}")
        root = text.split(".")[0].split("[")[0].split("(")[0].strip()
        if root not in self._ip.user_ns:
            return text
        try:
            value = self._ip.ev(text)
        except Exception as error:
            if text.isidentifier() or "." in text:
                return text
            raise UsageError(
                f"%{self.name}: {text} failed with {type(error).__name__}: {error}"
            ) from error
        if not is_expression_of_ours(value):
            raise UsageError(
                f"%{self.name}: {text} is a {type(value).__name__}, which {self.lacking}. "
                f"{self._candidates(root)}"
            )
        return value

    def _candidates(self, text: str) -> str:
        """Return a sentence with the variables it could have been, the likeliest first."""
        names = list(views_in_variables(self._ip))
        if not names:
            return self.nothing
        close = difflib.get_close_matches(text, names, n=_MAX_CANDIDATES, cutoff=0.5)
        ordered = list(dict.fromkeys([*close, *reversed(names)]))
        rest = len(ordered) - _MAX_CANDIDATES
        more = f" and {rest} more" if rest > 0 else ""
        return f"There are: {', '.join(ordered[:_MAX_CANDIDATES])}{more}"


def magic_of(function: Any) -> LineMagic | None:
    """Return the magic of ours that a registered function is, None where it is of others."""
    magic = getattr(getattr(function, "__wrapped__", None), "__self__", None)
    return magic if isinstance(magic, LineMagic) else None
