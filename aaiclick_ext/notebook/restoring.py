"""The button that restores a table: what it makes goes into a variable, which then owns it."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aaiclick_ext.context import DataContext
    from aaiclick_ext.objects import Object

_NAMELESS = "restored"
_binding = threading.Lock()  # two restores at once take two names


@dataclass(frozen=True, slots=True)
class Restored:
    """What came of a click on the button.

    Attributes
    ----------
    status, reason
        As of a `Restoration`.
    table
        The new table; None where there is none.
    variable
        The variable that holds it.
    """

    status: str
    reason: str | None
    table: str | None
    variable: str | None


class Restorer:
    """Restores a table by its name and binds it in the user's namespace.

    Parameters
    ----------
    ip
        The IPython shell.
    """

    def __init__(self, ip: Any, context: DataContext) -> None:
        self._ip = ip
        self._context = context

    def __call__(self, table: str) -> Restored:
        """Restore a table; it takes its variable's name where that is free, else one like it."""
        node = self._context.oplog_subgraph(table, max_depth=0).node(table)
        names = [name for event in node.events for name in event.variable_names]
        bound: list[str] = []

        def bind(restored: Object) -> str:
            with _binding:
                bound.append(self._free_name(names))
                self._ip.user_ns[bound[0]] = restored
            return bound[0]

        found = self._context._restored(table, bind)  # noqa: SLF001
        made = None if found.object is None else found.object.table_name
        return Restored(str(found.status), found.reason, made, bound[0] if bound else None)

    def _free_name(self, names: Sequence[str]) -> str:
        other = f"{names[0]}_{_NAMELESS}" if names else _NAMELESS
        numbered = (f"{other}_{number}" for number in itertools.count(2))
        tries = itertools.chain(names, [other], numbered)
        return next(name for name in tries if name.isidentifier() and name not in self._ip.user_ns)
