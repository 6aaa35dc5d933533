"""What tables of this kernel were made of: expressions in memory that keep no table.

The log has the SQL of a copy, which cannot be looked into. To go on tracing from its rows takes the
expression itself, which is kept without its leaves (`unbinding`), so that it owns nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aaiclick_ext.lifecycle.names import TableName

if TYPE_CHECKING:
    from collections.abc import Iterable

    import ibis.expr.operations as ops


@dataclass(frozen=True, slots=True)
class Making:
    """How rows came into a table.

    Attributes
    ----------
    parts
        The expressions that they are rows of, without leaves.
    has_values
        Whether other rows were given as values.
    is_recorded
        Whether of other rows only the log says what they were made of (`recorded_making`).
    """

    parts: tuple[ops.Relation, ...] = ()
    has_values: bool = False
    is_recorded: bool = False


def made_elsewhere(job_id: int, table: str) -> bool:
    """Say whether another kernel made a table."""
    parsed = TableName.parse(table)
    return parsed is not None and parsed.job_id != job_id


class Makings:
    """The making of each table that a statement of this kernel filled; forgotten with the table."""

    def __init__(self) -> None:
        self._of: dict[str, Making] = {}

    def made(self, table: str, relations: Iterable[ops.Relation]) -> None:
        """Note that a table was made of relations alone."""
        self._of[table] = Making(tuple(relations))

    def recorded(self, table: str) -> None:
        """Note that what a table was made of is in the log alone."""
        self._of[table] = Making(is_recorded=True)

    def grown(
        self,
        table: str,
        relations: Iterable[ops.Relation],
        *,
        has_values: bool,
        is_recorded: bool = False,
    ) -> None:
        """Note that a table got more rows.

        One that was not made of relations had values before, or the log says what of.
        """
        before = Making(is_recorded=True) if is_recorded else Making(has_values=True)
        known = self._of.get(table, before)
        parts = dict.fromkeys((*known.parts, *relations))
        self._of[table] = Making(tuple(parts), known.has_values or has_values, known.is_recorded)

    def of(self, table: str) -> Making | None:
        """Return how a table's rows came into it, or None where they came from values or files."""
        return self._of.get(table)

    def forget(self, tables: Iterable[str]) -> None:
        """Drop what is known of tables that are gone."""
        for table in tables:
            self._of.pop(table, None)
