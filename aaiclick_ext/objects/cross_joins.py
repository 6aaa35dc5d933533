"""Cross joins that would give more rows than anybody waits for: refused before anything runs.

Only where the numbers of rows are known: of tables, and of what keeps or bounds their rows. What is
behind a filter or a GROUP BY may be small, and runs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis.expr.operations as ops
import sqlglot
from sqlglot import exp

from aaiclick_ext.engine.limits import UNLIMITED_HINT, limits_are_lifted
from aaiclick_ext.errors import LimitError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aaiclick_ext.objects.services import Services

_CROSS = (None, "", "CROSS", "INNER")


@dataclass(frozen=True, slots=True)
class Rows:
    """How many rows something has, without what it is: a plan must hold no table.

    Attributes
    ----------
    table, database
        A table that has as many, or None.
    at_most
        A bound, or None.
    """

    table: str | None
    database: str | None = None
    at_most: int | None = None

    def known(self, services: Services) -> int | None:
        """Return the number, where memory has it. Runs no query."""
        if self.table is None:
            return self.at_most
        schema = services.schemas.known(self.table, self.database)
        if schema is None or schema.rows is None:
            return None
        return schema.rows if self.at_most is None else min(schema.rows, self.at_most)


def crosses_in(op: ops.Relation) -> tuple[tuple[Rows, ...], ...]:
    """Return the sides of each cross join that is carried out whole."""
    stopped = _stopped_early(op)
    chains = [_sides(chain) for chain in op.find(ops.JoinChain) if chain is not stopped]
    texts = [_sides_in_text(text) for text in op.find(ops.SQLQueryResult) if text is not stopped]
    return tuple(found for sides in (*chains, *texts) if len(found := tuple(sides)) > 1)


def check_crosses(services: Services, crosses: tuple[tuple[Rows, ...], ...]) -> None:
    """Refuse cross joins of more rows than the setting `max_cross_join_rows`. Runs no query.

    Raises
    ------
    LimitError
        If one has more.
    """
    limit = services.settings.max_cross_join_rows
    if limit is None or limits_are_lifted():
        return
    for sides in crosses:
        counts = [side.known(services) for side in sides]
        known = [count for count in counts if count is not None]
        if len(known) == len(counts) and math.prod(known) > limit:
            shown = " x ".join(f"{count:,}" for count in known)
            raise LimitError(
                f"a cross join of {shown} rows would give {math.prod(known):,}, more than "
                f"{limit:,} (setting max_cross_join_rows), so nothing was run. Join by a "
                f"condition, or filter or aggregate the sides first; {UNLIMITED_HINT}"
            )


def _stopped_early(op: ops.Relation) -> ops.Relation | None:
    """Return the join of which a LIMIT takes the first rows that come."""
    is_limited = False
    while isinstance(op, (ops.Limit, ops.Project)):
        is_limited = is_limited or (isinstance(op, ops.Limit) and isinstance(op.n, int))
        op = op.parent
    return op if is_limited else None


def _sides(chain: ops.JoinChain) -> Iterator[Rows]:
    """Yield what is multiplied, from the first table on."""
    yield _rows(chain.first)
    for link in chain.rest:
        if not _is_cross(link):
            return
        yield _rows(link.table)


def _sides_in_text(op: ops.SQLQueryResult) -> Iterator[Rows]:
    """Yield the same of a SELECT given as text, where it is a plain one that keeps all rows."""
    try:
        select = sqlglot.parse_one(op.query, read="clickhouse")
    except sqlglot.errors.SqlglotError:  # ClickHouse may know it
        return
    args = select.args
    source = args.get("from_") or args.get("from")
    joins = args.get("joins") or []
    if (
        source is None
        or not joins
        or any(args.get(part) for part in ("where", "prewhere", "limit"))
    ):
        return
    named = {common.alias for common in select.find_all(exp.CTE)}
    for joined in (source, *joins):
        if any(joined.args.get(part) for part in ("on", "using", "method")):
            return
        if joined.args.get("kind") not in _CROSS:  # PASTE, for one
            return
        table = joined.this
        is_table = isinstance(table, exp.Table) and isinstance(table.this, exp.Identifier)
        if not is_table or table.name in named:
            yield Rows(None)
        else:
            yield Rows(table.name, table.db or None)


def _is_cross(link: ops.JoinLink) -> bool:
    return link.how == "cross" or (
        link.how in ("inner", "left", "right", "outer")
        and all(isinstance(p, ops.Literal) and p.value is True for p in link.predicates)
    )


def _rows(op: ops.Relation) -> Rows:
    at_most: int | None = None
    while True:
        if isinstance(op, ops.DatabaseTable):
            return Rows(op.name, op.namespace.database, at_most)
        if isinstance(op, ops.Aggregate) and not op.groups:
            return Rows(None, at_most=1)
        if isinstance(op, ops.Limit) and isinstance(op.n, int):
            at_most = op.n if at_most is None else min(op.n, at_most)
        elif not isinstance(op, (ops.Project, ops.Sort, ops.Reference)) or (
            isinstance(op, ops.Project) and op.find(ops.Unnest, filter=ops.Value)
        ):
            return Rows(None)
        op = op.parent
