"""Notes to Ibis's own errors while an expression is built: the names that are near."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aaiclick_ext.objects.error_fixes import nearest

if TYPE_CHECKING:
    import ibis.expr.types as ir

_NO_COLUMN = re.compile(r"Column '(.+)' is not found in table\. Existing columns: (.*)\.$")
_QUOTED = re.compile(r"'([^']*)'")


def note_nearest_column(error: Exception) -> None:
    """Add which column was meant to an error of Ibis that says that there is none of a name."""
    found = _NO_COLUMN.match(str(error))
    if found is None or getattr(error, "__notes__", None):
        return
    near = nearest(found[1], _QUOTED.findall(found[2]), what="columns")
    if near.startswith("Did"):  # the columns that there are, Ibis has listed
        error.add_note(near)


def note_nearest_attribute(error: AttributeError, table: ir.Table, name: str) -> None:
    """Add to an error which column or method was meant, or which columns there are."""
    if not getattr(error, "__notes__", None):
        columns = list(table.op().schema)
        methods = [each for each in dir(type(table)) if not each.startswith("_")]
        note = nearest(name, [*columns, *methods], what="columns")
        error.add_note(note if note.startswith("Did") else nearest("", columns, what="columns"))
