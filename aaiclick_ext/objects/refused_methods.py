"""Methods of an Ibis backend that would make a table nobody owns: each says what to use instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aaiclick_ext.errors import UnsupportedTypeError

if TYPE_CHECKING:
    from collections.abc import Callable


class RefusedMethods:
    """The part of our backend that refuses; the loop below gives it its methods."""


def _refusing(method: str, instead: str) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> Any:
        raise UnsupportedTypeError(f"{method} would make a table that nobody owns; use {instead}")

    refuse.__name__ = method
    refuse.__doc__ = f"Refuse: use {instead}."
    return refuse


for _method, _instead in {
    "create_table": "create_object_from_value or View.copy",
    "drop_table": "delete_object or del",
    "create_view": "a variable: a View is a view",
    "drop_view": "del",
    "insert": "Object.insert",
    "raw_sql": "context().sql",
    "create_database": "the engine's own client (get_ch_client)",
    "drop_database": "the engine's own client (get_ch_client)",
}.items():
    setattr(RefusedMethods, _method, _refusing(_method, _instead))
