"""Arrays joined by position: their lengths, when they are combined and whenever they are run.

A view sees later inserts. Two arrays that were of one length when they were added may not be when
the sum is fetched, and a join by position would then cut the longer one in silence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ibis.expr.operations as ops
import ibis.expr.types as ir

from aaiclick_ext.errors import LengthError
from aaiclick_ext.objects.leaf import DatabaseTable
from aaiclick_ext.objects.ordering import POS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aaiclick_ext.objects.backend import Backend


@dataclass(frozen=True, slots=True)
class Length:
    """Where the length of one side is known from: its table, or else a count.

    Holds no expression, so that a remembered plan keeps no table alive.
    """

    table: str | None
    count_sql: str | None

    def now(self, backend: Backend) -> int:
        """Return the length; from memory where the whole table is meant, else by a query."""
        if self.table is not None:
            known = backend.services.schemas.get(self.table).rows
            if known is not None:
                return known
        assert self.count_sql is not None
        return int(backend.services.engine.query_rows(self.count_sql)[0][0])


def length_of(backend: Backend, relation: ops.Relation) -> Length:
    """Return where the length of a positional relation is known from. Runs nothing."""
    node: Any = relation
    while isinstance(node, (ops.Project, ops.JoinChain, ops.Reference)):
        node = node.first if isinstance(node, ops.JoinChain) else node.parent
    table = node.name if isinstance(node, DatabaseTable) else None
    return Length(table, backend.compile(ir.Table(relation).count().as_table()))


def pairs_in(backend: Backend, op: ops.Relation) -> tuple[tuple[Length, Length], ...]:
    """Return both lengths of every join by position below an operation."""
    return tuple(
        (length_of(backend, left), length_of(backend, right)) for left, right in _joins(op)
    )


def _joins(op: ops.Relation) -> Iterator[tuple[ops.Relation, ops.Relation]]:
    for chain in op.find(ops.JoinChain):
        for link in chain.rest:
            if any(
                isinstance(p, ops.Equals) and {p.left.name, p.right.name} == {POS}
                for p in link.predicates
                if isinstance(getattr(p, "left", None), ops.Field)
                and isinstance(getattr(p, "right", None), ops.Field)
            ):
                yield chain.first.parent, link.table.parent


def check_lengths(backend: Backend, left: Length, right: Length) -> None:
    """Raise LengthError where two arrays cannot be combined by position."""
    n, m = left.now(backend), right.now(backend)
    if n != m:
        raise LengthError(
            f"arrays of different lengths: {n} and {m} elements; elementwise operations go by "
            "position"
        )
