"""What IPython's own places are called: the names that `%why` and `%tables` give to holders."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aaiclick_ext.lifecycle.roots import HolderKind, Named, keys_of, namespace_root, variable
from aaiclick_ext.notebook.error_frames import frames_of
from aaiclick_ext.notebook.output_history import is_history

if TYPE_CHECKING:
    from aaiclick_ext.lifecycle.roots import Namer

_LAST_ERROR = ("last_exc", "last_value", "last_traceback", "last_type")


def notebook_roots(ip: Any) -> dict[int, Namer]:
    """Return the roots of a shell: the user's variables, output history and the last error.

    Everything else that IPython holds is not shown.
    """
    outputs = ip.user_ns.get("_oh", {})
    names = _Names(ip, outputs)
    hidden = vars(ip.displayhook)
    found: dict[int, Namer] = {
        id(ip.user_ns): names.of_user,
        id(ip.user_ns_hidden): names.of_history,
        id(outputs): names.of_outputs,
        id(hidden): names.of_history,
        id(ip.displayhook): names.of_history_attributes(hidden),
        id(vars(sys)): namespace_root(vars(sys), names.of_sys),
    }
    # Of a kernel, too: what a widget's comm reaches is else held by all that holds the kernel.
    kernel = getattr(ip, "kernel", None)
    for part in (ip, kernel, getattr(kernel, "comm_manager", None)):
        if part is not None:
            found[id(part)] = found[id(vars(part))] = lambda _: []
    found[id(vars(ip.InteractiveTB))] = found[id(ip.InteractiveTB)] = names.of_last_error
    found |= _browsed_roots()
    stored = getattr(getattr(ip, "db", None), "cache", None)
    if isinstance(stored, dict):
        found[id(stored)] = namespace_root(stored, _stored)
    last = ip.last_execution_result
    if last is not None:
        found[id(last)] = found[id(vars(last))] = names.of_last_result
    return found


def _browsed_roots() -> dict[int, Namer]:
    """Return a root for each table that is browsed."""
    if "aaiclick_ext.widgets.browse" not in sys.modules:
        return {}
    from aaiclick_ext.widgets import BrowseWidget, open_widgets

    found: dict[int, Namer] = {}
    for widget in open_widgets(BrowseWidget):
        table, name = widget.table, widget.name
        named = Named(
            HolderKind.WIDGET,
            "browsed table" if name else "",
            name,
            heads=() if name else ("browsed table",),
            command="delete its output, or %browse --close",
        )
        for holder in (table, vars(table)):  # which of both refers to a value, Python decides
            found[id(holder)] = partial(_always, [named])
    return found


def _always(names: list[Named], _: object) -> list[Named]:
    return names


def _stored(path: Any) -> Named:
    """Return what a value is called that ``%store`` keeps beside its copy on disk."""
    name = Path(path).name
    return Named(HolderKind.STORED, "%store of variable", name, command=f"%store -d {name}")


class _Names:
    """Names of what one shell holds."""

    def __init__(self, ip: Any, outputs: dict[int, Any]) -> None:
        self._ip = ip
        self._outputs = outputs

    def of_user(self, value: object) -> list[Named]:
        """Return the user's variables, and IPython's among them, that are a value."""
        found = []
        for key in keys_of(self._ip.user_ns, value):
            if is_history(key) or (
                key.startswith("_") and self._ip.user_ns_hidden.get(key) is value
            ):
                found += self._output(value, key)
            elif self._ip.user_ns_hidden.get(key) is not value:
                found.append(variable(key))
        return found

    def of_history(self, value: object) -> list[Named]:
        """Return what a copy of a result, hidden from the user, is called."""
        return self._output(value, "")

    def of_history_attributes(self, attributes: dict[str, Any]) -> Namer:
        """Return what names the results that are attributes of IPython's display hook."""

        def named(value: object) -> list[Named]:
            return self._output(value, "") if keys_of(attributes, value) else []

        return named

    def of_outputs(self, value: object) -> list[Named]:
        """Return the entries of ``Out`` that are a value."""
        return self._output(value, "")

    def of_last_result(self, value: object) -> list[Named]:
        """Return what IPython's record of the last cell holds: its result, or its error."""
        if self._ip.last_execution_result.result is value:
            return self._output(value, "")
        return self.of_last_error(value)

    def of_last_error(self, _: object) -> list[Named]:
        """Return what the last error is called."""
        return [self._error()]

    def of_sys(self, key: str) -> Named | None:
        """Return what an entry of `sys` is called, if it is the last error."""
        return self._error() if key in _LAST_ERROR else None

    def _output(self, value: object, alias: str) -> list[Named]:
        """Return ``Out[7]`` for a value that is in it; else the name that holds the value."""
        counts = [count for count, item in list(self._outputs.items()) if item is value]
        code = f"Out[{counts[0]}]" if counts else alias or "_"
        return [
            Named(
                HolderKind.OUTPUT,
                place=code,
                command=f"%why --release {code}",
                automatic=True,
                group=("output", id(value)),
                alias=alias,
            )
        ]

    def _error(self) -> Named:
        cell = self._cell_of_error()
        where = "the last error" if cell is None else f"cell {cell}"
        return Named(
            HolderKind.ERROR,
            command="%tables --free --yes",
            automatic=True,
            heads=(f"traceback of {where}",),
            group="error",
        )

    def _cell_of_error(self) -> int | None:
        error = getattr(sys, "last_value", None)
        if not isinstance(error, BaseException):
            error = getattr(self._ip.last_execution_result, "error_in_exec", None)
        if not isinstance(error, BaseException):
            return None
        cells = getattr(self._ip.compile, "_filename_map", {})
        numbers = [cells.get(frame.f_code.co_filename) for frame in frames_of(error)]
        return next((number for number in numbers if number), None)
