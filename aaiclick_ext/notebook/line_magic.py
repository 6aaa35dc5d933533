"""Magics of ours: registered, taken back, and finding what a user's text stands for."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError

from aaiclick_ext.notebook.reach import is_expression_of_ours
from aaiclick_ext.notebook.variables import views_in_variables

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_CANDIDATES = 10


class LineMagic:
    """One magic, of a line or of a cell, as registered with a shell.

    Parameters
    ----------
    ip
        The IPython shell.

    Attributes
    ----------
    name, kind
        Of the magic, and of the method that is it; ``"line"`` or ``"cell"``.
    lacking, nothing
        What is said of a value of another kind, and where no variable holds a table.
    """

    name = ""
    kind = "line"
    lacking = "has no table of its own"
    nothing = "No variable holds a table."

    def __init__(self, ip: Any) -> None:
        self._ip = ip
        self._before = ip.magics_manager.magics[self.kind].get(self.name)
        function: Callable[..., Any] = getattr(self, self.name)
        ip.register_magic_function(function, self.kind, self.name)

    def close(self) -> None:
        """Put back what was registered before."""
        manager = self._ip.magics_manager
        for names in (manager.magics[self.kind], vars(manager.user_magics)):
            names.pop(self.name, None)
        if self._before is not None:
            self._ip.register_magic_function(self._before, self.kind, self.name)

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
