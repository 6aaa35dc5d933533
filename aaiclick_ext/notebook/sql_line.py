"""What stands on the line of ``%sql`` and ``%%sql``: options, ``name <<``, and SQL."""

from __future__ import annotations

import re
from typing import NamedTuple

from IPython.core.error import UsageError

_WORD = re.compile(r"\s*(\S+)")
_OPTION = re.compile(r"\s*(--[a-z][a-z-]*)(?:=(\S+))?(?=\s|$)")
_ASSIGNED = re.compile(r"\s*(\w+)\s*<<(?=\s|$)")


class SqlLine(NamedTuple):
    """The parts of a line.

    Attributes
    ----------
    options
        As `argparse` takes them.
    variable
        What ``name <<`` binds.
    rest
        SQL, as it stands there.
    """

    options: list[str]
    variable: str | None
    rest: str


def read_line(line: str, with_value: frozenset[str]) -> SqlLine:
    """Return the parts of a line.

    The SQL is taken as it is, and not as a shell would split it: it has quotes and comments of its
    own, and one that begins with ``--`` and a blank is no option.

    Parameters
    ----------
    with_value
        The options that take a value.

    Raises
    ------
    UsageError
        If what ``<<`` binds is no name.

    Examples
    --------
    >>> read_line("--view late  x << SELECT 'it''s' -- c", frozenset({"--view"}))
    SqlLine(options=['--view', 'late'], variable='x', rest="SELECT 'it''s' -- c")
    """
    options: list[str] = []
    end = 0
    while found := _OPTION.match(line, end):
        options += [part for part in found.groups() if part is not None]
        end = found.end()
        takes = found[1] in with_value and found[2] is None
        if takes and (value := _WORD.match(line, end)):
            options.append(value[1])
            end = value.end()
    variable = None
    if found := _ASSIGNED.match(line, end):
        variable, end = found[1], found.end()
        if not variable.isidentifier():
            raise UsageError(f"%sql: {variable!r} before << is no name of a variable")
    return SqlLine(options, variable, line[end:].strip())
