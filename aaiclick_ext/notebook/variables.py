"""Which variables of the user hold what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aaiclick_ext.notebook.reach import is_instance

if TYPE_CHECKING:
    from aaiclick_ext.context import DataContext


def views_in_variables(ip: Any) -> dict[str, Any]:
    """Return the user's variables that hold a `View`, by name.

    IPython's own names (``_``, ``_3``, ``Out``) are left out.
    """
    from aaiclick_ext.objects import View

    hidden = ip.user_ns_hidden
    return {
        name: value
        for name, value in ip.user_ns.copy().items()  # in one go, whatever other threads do
        if is_instance(value, View) and hidden.get(name) is not value and not is_history(name)
    }


def names_of_views(ip: Any, context: DataContext) -> dict[str, list[str]]:
    """Return the names of the variables that hold each result: log name to variable names.

    Empty until the context is open. May be called in any thread; runs nothing.
    """
    if not context.is_open:
        return {}
    name_of = context.backend.provenance.names_in_variables
    found: dict[str, list[str]] = {}
    for variable, view in views_in_variables(ip).items():
        name = name_of(view.op())
        if name is not None:
            found.setdefault(name, []).append(variable)
    return found


def is_history(name: str) -> bool:
    """Whether a name is one of IPython's for what was displayed."""
    return name.startswith("_") and (name.strip("_").isdigit() or not name.strip("_"))
