"""Columns in a list of names: ``view[["delay", "…``, which IPython does not complete itself."""

from __future__ import annotations

import re
from typing import Any

from aaiclick_ext.notebook.variables import views_in_variables

_LISTED = re.compile(
    r"(?<![\w.])(?P<name>[^\W\d]\w*)\s*\[\s*\[(?P<before>[^\[\]]*)(?P<quote>[\"'])(?P<start>(?:\\.|[^\"'\\\n])*)\Z"
)
_QUOTED = re.compile(r"\s*(?:(?:\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*')\s*,\s*)*")


def listed_columns(ip: Any, before: str) -> tuple[str, list[str]] | None:
    """Return what a name in a list begins with, and the columns that it can be.

    Parameters
    ----------
    ip
        The IPython shell.
    before
        The text up to the cursor.

    Returns
    -------
    tuple or None
        None where no list of columns of a variable is being written. Names are escaped for the
        quotes that they stand in.
    """
    found = _LISTED.search(before)
    if found is None or not _QUOTED.fullmatch(found["before"]):
        return None
    view = views_in_variables(ip).get(found["name"])
    if view is None:
        return None
    names = [_escaped(name, found["quote"]) for name in view.columns]
    return found["start"], [name for name in names if name.startswith(found["start"])]


def _escaped(name: str, quote: str) -> str:
    inner = repr(f"{name}'\"")[1:-1]  # with both quotes in it, repr escapes the first kind alone
    plain = inner.removesuffix("\\'\"").replace("\\'", "'")
    return plain.replace(quote, f"\\{quote}")
