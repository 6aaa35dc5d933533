"""Table names from which the owner can be read, also after a crash.

``aai_<scope>_<node>_<job>_<id>[_<name>]``: the scope's letter, the node id, and the kernel
session and the table as Snowflakes in base 36. Lineage gives results that have no table names of
the same kind: ``view_<id>`` for a lazy view, ``fetch_<id>`` for what left the database.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from aaiclick_ext.errors import SchemaError
from aaiclick_ext.ids import to_base36

MAX_NAME_LENGTH = 180
"""Longest user-given name, a byte that is not ``[A-Za-z0-9_]`` counted three times.

ClickHouse keeps a table's definition in a file of its name, such bytes written as ``%XX``; with our
prefix and its suffix that must fit the 255 bytes of a file name.
"""

_NOT_IN_NAMES = frozenset("\0/{}*?")
"""The embedded engine takes a table name with any of the last four for a glob of files."""

_PATTERN = re.compile(
    r"aai_(?P<scope>[tsg])_(?P<node>\d+)_(?P<job>[0-9a-z]+)_(?P<id>[0-9a-z]+)(?:_(?P<name>.+))?",
    re.DOTALL,
)


class Scope(StrEnum):
    """How long a table lives.

    ``temp`` as long as something can reach it, ``session`` until the kernel session ends,
    ``global`` until it is deleted. Session and global tables have a name.
    """

    TEMP = "temp"
    SESSION = "session"
    GLOBAL = "global"


@dataclass(frozen=True, slots=True)
class TableName:
    """The parts of the name of one of our tables."""

    scope: Scope
    node_id: int
    job_id: int
    id: int
    name: str | None = None

    def __str__(self) -> str:
        parts = (
            "aai",
            self.scope.value[0],
            str(self.node_id),
            to_base36(self.job_id),
            to_base36(self.id),
        )
        return "_".join(parts if self.name is None else (*parts, self.name))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the parts of a name, or None where it is not one of ours.

        Examples
        --------
        >>> TableName.parse("aai_g_7_k3_k4_best flights").name
        'best flights'
        >>> TableName.parse("orders") is None
        True
        """
        match = _PATTERN.fullmatch(text)
        if match is None:
            return None
        scope = next(s for s in Scope if s.value[0] == match["scope"])
        if (match["name"] is None) != (scope is Scope.TEMP):
            return None
        return cls(
            scope, int(match["node"]), int(match["job"], 36), int(match["id"], 36), match["name"]
        )


def check_name(name: str) -> str:
    """Return a user-given object name, or raise SchemaError where it cannot be one."""
    if not isinstance(name, str) or not name.strip():
        raise SchemaError(f"an object's name is non-empty text, got {name!r}")
    refused = sorted(set(name) & _NOT_IN_NAMES)
    if refused:
        raise SchemaError(f"object name {name!r} contains {refused}, which no table name can")
    length = sum(1 if (chr(b).isalnum() and b < 128) or b == 95 else 3 for b in name.encode())
    if length > MAX_NAME_LENGTH:
        raise SchemaError(
            f"object name {name[:20]!r}… is too long: {MAX_NAME_LENGTH} letters and digits, or a "
            "third of that in other characters, is the most"
        )
    return name
