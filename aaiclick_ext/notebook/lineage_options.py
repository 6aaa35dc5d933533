"""Which options of ``%lineage`` go together."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from IPython.core.error import UsageError

from aaiclick_ext.notebook.lineage_formats import SCRIPTS

_WAYS = ("--forward", "--both", "--depth", "--from")

_TOGETHER = {
    frozenset(pair)
    for pair in [
        ("--forward", "--depth"), ("--both", "--depth"), ("--columns", "--all"),
        ("--cells", "--all"),
        *((way, look) for way in _WAYS for look in ("--as", "--columns", "--cells", "--all")),
        *((look, "--as") for look in ("--columns", "--cells", "--all")),
    ]
}  # fmt: skip


def check_options(arguments: Any) -> None:
    """Check what was given to ``%lineage``; ``--sql`` then says the same as ``--as sql``.

    Raises
    ------
    UsageError
        If a value is none that the option can have, or two options do not go together.
    """
    if arguments.depth is not None and arguments.depth < 1:
        raise UsageError(f"%lineage: --depth is {arguments.depth}; it is 1 or more")
    given = _given(arguments)
    for one, other in combinations(given, 2):
        if frozenset((one, other)) not in _TOGETHER:
            raise UsageError(f"%lineage: give {one} or {other}, not both of them")
    if arguments.changes is not None and arguments.what:
        raise UsageError("%lineage: --changes is of a cell; leave out the variable")
    for name in SCRIPTS:
        if getattr(arguments, name):
            arguments.format = name


def _given(arguments: Any) -> list[str]:
    """Return the options that were given; a script has one name, however it was asked for."""
    values = dict(vars(arguments))
    given = {f"--{name}": values[name] for name in ("forward", "both", "columns", "history")}
    given |= {f"--{name}": values[name] for name in ("stale", "cells", "all", "sql", "python")}
    given["--from"] = values["source"] is not None
    given["--depth"] = values["depth"] is not None
    given["--changes"] = values["changes"] is not None
    if values["format"] in SCRIPTS:
        given[f"--{values['format']}"] = True
    else:
        given["--as"] = values["format"] is not None
    return [name for name, is_given in given.items() if is_given]
