"""Planner: from an Ibis operation to the SQL that fetches it with its types intact."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aaiclick_ext.engine.compile_cache import CompileCache
from aaiclick_ext.engine.types import wrap_fetch
from aaiclick_ext.objects.cross_joins import Rows, crosses_in
from aaiclick_ext.objects.leaf import owned_tables, reads_below, system_tables, tables_here
from aaiclick_ext.objects.object_columns import check_uses
from aaiclick_ext.objects.ordering import ordered
from aaiclick_ext.objects.pairing import Length, check_lengths, pairs_in
from aaiclick_ext.schema.ibis_types import binary_paths, boolean_paths
from aaiclick_ext.schema.python_objects import object_columns

if TYPE_CHECKING:
    from collections.abc import Mapping

    import ibis.expr.datatypes as dt
    import ibis.expr.operations as ops

    from aaiclick_ext.engine.type_paths import Path
    from aaiclick_ext.objects.backend import Backend


@dataclass(frozen=True, slots=True)
class Plan:
    """How one expression is run.

    Attributes
    ----------
    sql
        The statement as the compiler made it; what a copy is made from.
    fetch_sql
        The same with casts around it, so that Arrow can carry every type.
    types
        Column to ClickHouse type of `sql`.
    binary, booleans
        Where, inside which columns, Ibis says binary, and boolean for ClickHouse's UInt8.
    pairs
        Lengths of the arrays that it joins by position.
    tables
        Tables of ours that it reads.
    system
        System tables that it reads.
    objects
        Column to Ibis type, for those that refer to Python objects.
    others
        Tables and views that it reads and that are not ours, of the current database.
    crosses
        Sides of the cross joins that it carries out.
    """

    sql: str
    fetch_sql: str
    types: Mapping[str, str]
    binary: frozenset[Path]
    booleans: frozenset[Path]
    pairs: tuple[tuple[Length, Length], ...] = ()
    tables: tuple[str, ...] = ()
    system: tuple[str, ...] = ()
    objects: Mapping[str, dt.DataType] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    crosses: tuple[tuple[Rows, ...], ...] = ()


class Planner:
    """Makes and remembers plans.

    The first plan of an expression costs a compilation (2 to 3 ms) and one DESCRIBE (1 ms); a
    remembered one some 10 µs.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._cache: CompileCache[Plan] = CompileCache()
        self._generation = 0

    @property
    def cache(self) -> CompileCache[Plan]:
        """The memo, for its counts."""
        return self._cache

    def plan(self, op: ops.Relation, params: Mapping[Any, Any] | None = None) -> Plan:
        """Return the plan of a relation.

        Parameters
        ----------
        params
            Values of `ibis.param` scalars; a plan with any is not remembered.

        Raises
        ------
        LengthError
            If arrays that it joins by position are of different lengths by now.
        ReleasedError
            If it reads a table that went with its session.
        UnsupportedTypeError
            If it computes with a column of Python objects.
        """
        sessions = self._backend.services.sessions
        if sessions.tables.has_released:
            sessions.tables.check(owned_tables(op))
        generation = self._backend.services.schemas.generation
        if generation != self._generation:  # plans know the columns' ClickHouse types
            self._generation = generation
            self._cache.clear()
        if params:
            plan = self._make(op, params)
        else:
            plan = self._cache.get(op, lambda: self._make(op, None))
        self._backend.services.notes.used(plan.tables)
        if plan.system:
            self._backend.services.system.refresh(plan.system)
        for left, right in plan.pairs:
            check_lengths(self._backend, left, right)
        return plan

    def _make(self, op: ops.Relation, params: Mapping[Any, Any] | None) -> Plan:
        expression = ordered(op).to_expr()
        check_uses(expression.op())
        sql = self._backend.compile(expression, params=params)
        types = self._backend.services.schemas.of_query(sql, reads_below([op])).types
        schema = expression.schema()
        binary, booleans = binary_paths(schema), boolean_paths(schema, types)
        pairs, objects = pairs_in(self._backend, expression.op()), object_columns(schema)
        fetch_sql = wrap_fetch(sql, types)
        tables = tuple(owned_tables(expression.op()))
        others = tuple(name for name in tables_here(expression.op()) if name not in tables)
        system = tuple(system_tables(expression.op()))
        return Plan(
            sql,
            fetch_sql,
            types,
            binary,
            booleans,
            pairs,
            tables,
            system,
            objects,
            others,
            crosses_in(op),
        )
