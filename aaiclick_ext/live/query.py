"""LiveQuery: one view that is watched, whoever watches it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis.expr.operations as ops
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc

from aaiclick_ext.engine import quote_identifier
from aaiclick_ext.engine.types import restore, wrap_fetch
from aaiclick_ext.live.increments import Increment, increment_of
from aaiclick_ext.objects.creation import create_table_as, new_table
from aaiclick_ext.objects.leaf import DatabaseTable
from aaiclick_ext.objects.making import spec_of_plan
from aaiclick_ext.objects.object import make_object
from aaiclick_ext.objects.planning import Plan
from aaiclick_ext.objects.results import refuse_objects
from aaiclick_ext.schema import Shape
from aaiclick_ext.schema.ibis_types import binary_paths, boolean_paths
from aaiclick_ext.schema.python_objects import object_columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aaiclick_ext.live.change import How
    from aaiclick_ext.live.heads import Head
    from aaiclick_ext.objects.backend import Backend
    from aaiclick_ext.objects.object import Object

ROWS = "aai_live_rows"
"""What the added rows are called in SQL."""

_WHERE = "aai_where_"
_AT_ONCE = 50
"""Inserts that one statement reads."""
_IN_ORDER = " SETTINGS max_threads = 1, query_plan_remove_redundant_sorting = 0"


@dataclass(frozen=True, slots=True)
class Filter:
    """What one subscriber wants of a view: all of it, or where a condition holds."""

    number: int
    condition: ops.Value | None


class LiveQuery:
    """A view and how it is kept up to date. Used by one thread, and the filters by any.

    Parameters
    ----------
    op
        The view, without memtables.
    head
        What is told of a result that may be too large; None for all of it.
    """

    def __init__(self, backend: Backend, op: ops.Relation, head: Head | None = None) -> None:
        self._backend = backend
        self.op = op
        self.head = head
        self.plan = backend.planner.plan(op)
        refuse_objects(self.plan, "subscribe")
        found = increment_of(op)
        if head is not None and isinstance(found, Increment) and not found.is_aggregate:
            found = "what is shown of it is read again"
        self.increment = found if isinstance(found, Increment) else None
        self.reason = found if isinstance(found, str) else None
        self._ran_at = self._took_s = 0.0
        self.merged_until = 0
        """The last insert that the aggregate contains."""
        self._compiled: dict[tuple[Filter, ...], tuple[Plan, Plan | None]] = {}
        self._state: Object | None = None

    @property
    def key(self) -> tuple[str, Head | None]:
        """What two subscribers have in common who are told the same."""
        return self.plan.sql, self.head

    @property
    def how(self) -> How:
        """Whether inserts cost what was inserted, or the whole view."""
        return "recomputed" if self.increment is None else "incremental"

    @property
    def has_added_rows(self) -> bool:
        """Whether an insert adds rows to the result, and changes none."""
        return self.increment is not None and not self.increment.is_aggregate

    # What runs.

    def result(self, filters: Sequence[Filter]) -> dict[int, pa.Table]:
        """Run the view; return the rows of each filter, by its number."""
        if self.head is None:
            plan, _ = self._plans(tuple(filters))
        else:
            plan = self._backend.planner.plan(self.head(self.op))
        started = time.monotonic()
        raw = self._backend.services.engine.fetch(plan.fetch_sql)[0]
        self._ran_at = time.monotonic()
        self._took_s = self._ran_at - started
        return _split(_restored(raw, plan), filters)

    def rest_s(self, throttle_s: float) -> float:
        """Return how long the view is not to be run again: it runs half of the time at most."""
        return self._ran_at + max(throttle_s, self._took_s) - time.monotonic()

    def added(self, staged: Sequence[str], filters: Sequence[Filter]) -> dict[int, pa.Table]:
        """Return the rows that inserts added, by the number of the filter.

        Parameters
        ----------
        staged
            The tables that have the rows of each insert alone, in order.
        """
        _, plan = self._plans(tuple(filters))
        assert plan is not None
        parts = []
        for start in range(0, len(staged), _AT_ONCE):
            sql = self._over(staged[start : start + _AT_ONCE], plan.fetch_sql)
            raw = self._backend.services.engine.fetch(sql + _IN_ORDER)[0]
            parts.append(_restored(raw, plan))
        return _split(pa.concat_tables(parts), filters)

    def begin(self) -> None:
        """Compute an aggregate, to be merged with what is added."""
        self._state = self._made(self.plan.sql)

    @property
    def has_begun(self) -> bool:
        """Whether there is an aggregate to merge with."""
        return self._state is not None

    def merge(self, staged: Sequence[str]) -> None:
        """Take the rows that inserts added into an aggregate."""
        assert self.increment is not None
        assert self._state is not None
        _, plan = self._plans(())
        assert plan is not None
        columns = [
            f"{self.increment.merges[name]}({quote_identifier(name)}) AS {quote_identifier(name)}"
            if name in self.increment.merges
            else quote_identifier(name)
            for name in self.plan.types
        ]
        keys = ", ".join(map(quote_identifier, self.increment.keys))
        grouped = f" GROUP BY {keys}" if keys else ""
        for start in range(0, len(staged), _AT_ONCE):
            added = self._over(staged[start : start + _AT_ONCE], plan.sql)
            state = quote_identifier(self._state.table_name)
            self._state = self._made(
                f"SELECT {', '.join(columns)} FROM (SELECT * FROM {state} UNION ALL "
                f"SELECT * FROM ({added})){grouped}"
            )

    def merged(self, filters: Sequence[Filter]) -> dict[int, pa.Table]:
        """Return the aggregate as it was merged, by the number of the filter."""
        assert self._state is not None
        backend = self._backend
        relation = self._state.op()
        columns = {name: ops.Field(relation, name) for name in self.op.schema}
        conditions = {
            f"{_WHERE}{f.number}": f.condition.replace(
                {ops.Field(self.op, name): field for name, field in columns.items()}
            )
            for f in filters
            if f.condition is not None
        }
        op = ops.Project(relation, columns | conditions) if conditions else relation
        plan = backend.planner.plan(op if self.head is None else self.head(op))
        raw = backend.services.engine.fetch(plan.fetch_sql)[0]
        return _split(_restored(raw, plan), filters)

    def forget(self) -> None:
        """Let go of an aggregate: it is not what the source has any more."""
        self._state = None

    # How it is compiled.

    def _plans(self, filters: tuple[Filter, ...]) -> tuple[Plan, Plan | None]:
        """Return the plan of the view with its conditions, and that over added rows."""
        known = self._compiled.get(filters)
        if known is None:
            whole = self._with_conditions(filters)
            over = None if self.increment is None else self._plan_over_rows(whole)
            known = (self._backend.planner.plan(whole) if filters else self.plan, over)
            self._compiled = {filters: known}  # of those that are subscribed now
        return known

    def _with_conditions(self, filters: Sequence[Filter]) -> ops.Relation:
        conditions = {
            f"{_WHERE}{f.number}": f.condition for f in filters if f.condition is not None
        }
        if not conditions:
            return self.op
        columns = {name: ops.Field(self.op, name) for name in self.op.schema}
        return ops.Project(self.op, columns | conditions)

    def _plan_over_rows(self, op: ops.Relation) -> Plan:
        assert self.increment is not None
        source = self.increment.source
        rows = DatabaseTable(
            name=ROWS, schema=source.schema, source=source.source, namespace=ops.Namespace()
        )
        replaced = op.replace({source: rows})
        expression = replaced.to_expr()
        sql = self._backend.compile(expression)
        names = ", ".join(map(quote_identifier, source.schema.names))
        none = f"SELECT {names} FROM {quote_identifier(source.name)} LIMIT 0"
        types = self._backend.services.engine.columns_of(_with_rows(none, sql))
        schema = expression.schema()
        binary, booleans = binary_paths(schema), boolean_paths(schema, types)
        fetch_sql = wrap_fetch(sql, types)
        return Plan(sql, fetch_sql, types, binary, booleans, objects=object_columns(schema))

    def _over(self, staged: Sequence[str], sql: str) -> str:
        """Return SQL with the rows of inserts, in order, in the place of the source's."""
        assert self.increment is not None
        names = ", ".join(map(quote_identifier, self.increment.source.schema.names))
        parts = " UNION ALL ".join(
            f"SELECT {number} AS aai_insert, rowNumberInAllBlocks() AS aai_row, {names} "
            f"FROM {quote_identifier(table)}"
            for number, table in enumerate(staged)
        )
        return _with_rows(f"SELECT {names} FROM ({parts}) ORDER BY aai_insert, aai_row", sql)

    def _made(self, sql: str) -> Object:
        """Return a table of a SELECT's rows, with the types of the view; the log has none of it."""
        spec = spec_of_plan(self.plan, Shape.TABLE)
        with new_table(self._backend, spec) as table:
            self._backend.services.notes.made_in_passing(table)
            leaf, _stats = create_table_as(self._backend, spec, sql, table=table, size_bytes=0)
            return make_object(leaf)


def _with_rows(rows: str, sql: str) -> str:
    return f"WITH {quote_identifier(ROWS)} AS ({rows}) SELECT * FROM ({sql})"


def _restored(raw: pa.Table, plan: Plan) -> pa.Table:
    return restore(raw, plan.types, binary=plan.binary, booleans=plan.booleans)


def _split(table: pa.Table, filters: Sequence[Filter]) -> dict[int, pa.Table]:
    """Return the rows for which each filter's condition holds, without the conditions."""
    names = [name for name in table.column_names if not name.startswith(_WHERE)]
    rows = table.select(names)
    found = {}
    for each in filters:
        if each.condition is None:
            found[each.number] = rows
        else:
            mask = table[f"{_WHERE}{each.number}"].cast(pa.bool_())
            found[each.number] = rows.filter(pc.fill_null(mask, False))
    return found


def condition_of(view: ir.Table, where: object) -> ops.Value:
    """Return the condition that a subscriber gave, over a view's columns.

    Raises
    ------
    SchemaError
        If it is not one boolean.
    """
    from aaiclick_ext.errors import SchemaError

    conditions = [column.op() for column in view.bind(where)]
    if not conditions or not all(c.dtype.is_boolean() for c in conditions):
        kinds: Mapping[str, str] = {c.name: str(c.dtype) for c in conditions}
        raise SchemaError(
            f"where is a condition over the view's columns, as in v.delay > 60; this is {kinds}"
        )
    first, *others = conditions
    for other in others:
        first = ops.And(first, other)
    return first


def over(condition: ops.Value | None, op: ops.Relation, other: ops.Relation) -> ops.Value | None:
    """Return a condition over the columns of another relation with the same SQL."""
    if condition is None or op is other:
        return condition
    fields = {ops.Field(op, name): ops.Field(other, name) for name in op.schema}
    return condition.replace(fields)
