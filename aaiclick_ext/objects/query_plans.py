"""What a query would do, and what it did: its plan, its profile, its types and cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlglot
import sqlglot.errors
from sqlglot import exp

from aaiclick_ext.engine.describe import runs_when_described
from aaiclick_ext.errors import EngineError
from aaiclick_ext.lifecycle.named_views import VIEW_ENGINES
from aaiclick_ext.objects.leaf import tables_below
from aaiclick_ext.objects.query_text import QueryText
from aaiclick_ext.schema.dialect import ClickHouse
from aaiclick_ext.schema.lookups import tables_looked_up

if TYPE_CHECKING:
    from collections.abc import Mapping

    import ibis.expr.operations as ops

    from aaiclick_ext.engine import Engine
    from aaiclick_ext.objects.backend import Backend
    from aaiclick_ext.objects.view import View

_PLAN = "EXPLAIN PLAN pretty = 1, indexes = 1"
_OLDER_PLAN = "EXPLAIN PLAN indexes = 1"
_SYNTAX_ERROR = 62
_COMPUTED_AHEAD = (
    "not asked for: the query has a subquery in a value or a condition, or reads a view, which "
    "EXPLAIN would run"
)


@dataclass(frozen=True, slots=True)
class TableCost:
    """What a query would read of one table; None where it is not known.

    Attributes
    ----------
    total_rows, total_bytes
        All that the table has; bytes as they are stored.
    rows, parts, marks
        What the query would read of it after the primary key has left out what it can, by
        ``EXPLAIN ESTIMATE``; for MergeTree tables.
    """

    table: str
    total_rows: int | None
    total_bytes: int | None
    rows: int | None = None
    parts: int | None = None
    marks: int | None = None


@dataclass(frozen=True, slots=True)
class DryRun:
    """What is known of a query that has not run.

    Attributes
    ----------
    types
        Column to ClickHouse type of its result.
    tables
        What it would read, table by table, as far as the tables are known.
    reason
        Why there is no estimate, or empty.
    """

    types: Mapping[str, str]
    tables: tuple[TableCost, ...] = ()
    reason: str = ""

    def __repr__(self) -> str:
        return repr(self._text)

    def _repr_html_(self) -> str:
        return self._text._repr_html_()

    @property
    def _text(self) -> QueryText:
        width = max((len(name) for name in self.types), default=0)
        lines = ["Columns", *(f"  {name:<{width}}  {type_}" for name, type_ in self.types.items())]
        lines += ["Reads", *(f"  {_described(cost)}" for cost in self.tables)]
        if not self.tables:
            lines.append("  no table that is known")
        if self.reason:
            lines.append(f"Estimate: {self.reason}")
        return QueryText("\n".join([*lines, "Nothing was run."]))


def explain(view: View) -> QueryText:
    """Return ClickHouse's plan of a view; see `View.explain`."""
    backend, sql = _planned(view)
    engine = backend.services.engine
    try:
        return _lines(engine, f"{_PLAN} {sql}")
    except EngineError:  # an older server, or the query itself, of which this one then tells
        return _lines(engine, f"{_OLDER_PLAN} {sql}")


def profile_query(view: View) -> QueryText:
    """Run a view's query and return what it took; see `View.profile_query`."""
    backend, sql = _planned(view)
    engine = backend.services.engine
    try:
        return _lines(engine, f"EXPLAIN ANALYZE {sql}")
    except EngineError as error:
        if error.code != _SYNTAX_ERROR:
            raise
        return _profile_by_summary(engine, sql)


def _profile_by_summary(engine: Engine, sql: str) -> QueryText:
    """Do the same on a server without EXPLAIN ANALYZE, which tells no more than its summary."""
    stats = engine.command(f"SELECT * FROM (\n{sql}\n) FORMAT Null")
    rows = "not known" if stats.read_rows is None else f"{stats.read_rows:,}"
    size = "not known" if stats.read_bytes is None else f"{stats.read_bytes:,}"
    return QueryText(
        f"Time: {stats.elapsed_s:.3f} s\nRead: {rows} rows, {size} bytes\n"
        "Memory, steps: this server has no EXPLAIN ANALYZE, which tells them"
    )


def dry_run(view: View) -> DryRun:
    """Return the types and cost of a view's query, which does not run; see `View.dry_run`."""
    backend, sql = _planned(view)
    op = backend.without_memtables(backend.relation_of(view))
    types = backend.services.schemas.of_query(sql).types
    costs = {(c.database, c.cost.table): c.cost for c in _sizes(backend, op)}
    if computes_ahead(sql) or any(_reads_view(backend, leaf) for leaf in tables_below(op)):
        return DryRun(types, tuple(costs.values()), _COMPUTED_AHEAD)
    here = backend.current_database
    for database, table, parts, rows, marks in backend.services.engine.query_rows(
        f"EXPLAIN ESTIMATE {sql}"
    ):
        key = (None if database == here else database, table)
        known = costs.get(key, TableCost(table, None, None))
        costs[key] = TableCost(table, known.total_rows, known.total_bytes, rows, parts, marks)
    return DryRun(types, tuple(costs.values()))


def computes_ahead(sql: str) -> bool:
    """Say whether ClickHouse may compute a part of a query when it explains it.

    It runs subqueries that stand for a value, and those right of IN, to see what the primary key
    leaves out. Those in FROM it does not.

    Examples
    --------
    >>> computes_ahead("SELECT a FROM (SELECT a FROM t) JOIN (SELECT b FROM u) ON a = b")
    False
    >>> computes_ahead("SELECT (SELECT 1)"), computes_ahead("SELECT a FROM t WHERE a IN u")
    (True, True)
    """
    try:
        query = sqlglot.parse_one(sql, dialect=ClickHouse)
    except (sqlglot.errors.SqlglotError, RecursionError):
        return True
    if any(True for _ in tables_looked_up(query)) or any(map(_is_scalar, query.find_all(exp.CTE))):
        return True
    return runs_when_described(sql) and any(
        not _is_relation(select) for select in query.find_all(exp.Select)
    )


def _is_scalar(common: exp.CTE) -> bool:
    """Say whether WITH names a value: ``WITH (SELECT 1) AS x``."""
    return bool(common.args.get("scalar"))


def _is_relation(select: exp.Expr) -> bool:
    """Say whether a SELECT is the whole query, or stands where a table can."""
    node = select.parent
    while isinstance(node, (exp.Subquery, exp.SetOperation, exp.Paren)):
        node = node.parent
    return node is None or isinstance(node, (exp.From, exp.Join, exp.CTE))


@dataclass(frozen=True, slots=True)
class _Sized:
    database: str | None
    cost: TableCost


def _sizes(backend: Backend, op: ops.Relation) -> list[_Sized]:
    leaves = {(leaf.namespace.database, leaf.name) for leaf in tables_below(op)}
    rows = backend.services.engine.query_rows(
        "SELECT database, name, database = currentDatabase(), total_rows, total_bytes "
        "FROM system.tables WHERE name IN {names:Array(String)} ORDER BY database, name",
        {"names": sorted(name for _, name in leaves)},
    )
    found = []
    for database, name, is_here, total_rows, total_bytes in rows:
        key = next((k for k in ((None, name), (database, name)) if k in leaves), None)
        if key is not None and (key[0] is not None or is_here):
            found.append(_Sized(key[0], TableCost(name, total_rows, total_bytes)))
    return found


def _reads_view(backend: Backend, leaf: ops.DatabaseTable) -> bool:
    schema = backend.services.schemas.get(leaf.name, leaf.namespace.database)
    return schema.engine in VIEW_ENGINES


def _described(cost: TableCost) -> str:
    def shown(value: int | None) -> str:
        return "not known" if value is None else f"{value:,}"

    total = f"{shown(cost.total_rows)} rows, {shown(cost.total_bytes)} bytes in all"
    if cost.rows is None:
        return f"{cost.table}: {total}"
    return (
        f"{cost.table}: {cost.rows:,} rows in {cost.marks:,} marks of {cost.parts:,} parts; {total}"
    )


def _planned(view: View) -> tuple[Backend, str]:
    backend = view._backend  # noqa: SLF001
    op = backend.without_memtables(backend.relation_of(view))
    return backend, backend.planner.plan(op).sql


def _lines(engine: Engine, statement: str) -> QueryText:
    return QueryText("\n".join(str(row[0]) for row in engine.query_rows(statement)))
