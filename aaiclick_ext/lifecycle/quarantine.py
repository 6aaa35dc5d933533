"""Quarantine: the name that a table gets before it is removed for its dead kernel.

``aai_q_<node>_<job>_<id>`` is the name of none of our objects, so that nobody takes the table for
one, also a kernel that comes back to life. Who finds such a name knows what was decided, and that
the drop is still to be done.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from aaiclick_ext.ids import to_base36

if TYPE_CHECKING:
    from aaiclick_ext.lifecycle.names import TableName

_PATTERN = re.compile(r"aai_q_(?P<node>\d+)_(?P<job>[0-9a-z]+)_(?P<id>[0-9a-z]+)")


@dataclass(frozen=True, slots=True)
class QuarantineName:
    """The parts of the name of a table that is being removed.

    Attributes
    ----------
    job_id
        The kernel that made the table, not the one that removes it.
    """

    node_id: int
    job_id: int
    id: int

    def __str__(self) -> str:
        return f"aai_q_{self.node_id}_{to_base36(self.job_id)}_{to_base36(self.id)}"

    @classmethod
    def of(cls, table: TableName) -> Self:
        """Return the name under which a table goes; ids are unique, so that no two share one.

        Examples
        --------
        >>> from aaiclick_ext.lifecycle.names import Scope, TableName
        >>> str(QuarantineName.of(TableName(Scope.SESSION, 7, 720, 721, "best")))
        'aai_q_7_k0_k1'
        """
        return cls(table.node_id, table.job_id, table.id)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the parts of a name, or None where it is of another kind."""
        match = _PATTERN.fullmatch(text)
        if match is None:
            return None
        return cls(int(match["node"]), int(match["job"], 36), int(match["id"], 36))
