"""The user's variables, for completion: which are tables, their columns, and which are values."""

from __future__ import annotations

import datetime as dt
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from aaiclick_ext.notebook.reach import is_instance
from aaiclick_ext.notebook.variables import is_history, views_in_variables

if TYPE_CHECKING:
    from collections.abc import Iterator

_FRAMES = (
    ("pandas", "DataFrame", "columns"),
    ("polars", "DataFrame", "columns"),
    ("pyarrow", "Table", "column_names"),
)
"""Modules, the class that is a table in each, and its attribute of names."""

_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "Bool"),
    (int, "Int64"),
    (float, "Float64"),
    (str, "String"),
    (Decimal, "Decimal(38, 9)"),
    (dt.datetime, "DateTime64(6)"),
    (dt.date, "Date32"),
    (UUID, "UUID"),
)


class Variables:
    """Looks at the user's namespace; runs nothing and keeps nothing.

    Parameters
    ----------
    ip
        The IPython shell.
    """

    def __init__(self, ip: Any) -> None:
        self._ip = ip

    def tables(self) -> list[str]:
        """Return the variables that can stand for a table, the newest first."""
        views = views_in_variables(self._ip) if "aaiclick_ext.objects" in sys.modules else {}
        frames = {name for name, value in self._items() if _names_of(value) is not None}
        names = list(self._ip.user_ns)
        return [name for name in reversed(names) if name in views or name in frames]

    def values(self) -> list[str]:
        """Return the variables that hold one value, as ``name:Type``."""
        return [
            f"{name}:{kind}"
            for name, value in self._items()
            if (kind := next((kind for of, kind in _TYPES if is_instance(value, of)), None))
        ]

    def columns(self, name: str) -> list[str]:
        """Return the columns of a variable, none where it is no table."""
        value = self._ip.user_ns.get(name)
        names = _names_of(value)
        if names is None and name in views_in_variables(self._ip):
            names = value.columns
        return [] if names is None else [c for c in names if isinstance(c, str)]

    def _items(self) -> Iterator[tuple[str, Any]]:
        hidden = self._ip.user_ns_hidden
        for name, value in self._ip.user_ns.copy().items():
            if not is_history(name) and not name.startswith("_") and name not in hidden:
                yield name, value


def _names_of(value: Any) -> Any:
    """Return the names of the columns of a frame, None of anything else."""
    for module, kind, names in _FRAMES:
        found = getattr(sys.modules.get(module), kind, None)
        if isinstance(found, type) and is_instance(value, found):
            return getattr(value, names)
    return None
