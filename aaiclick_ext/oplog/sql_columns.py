"""Column lineage of SQL text, from the text and the schemas of the tables it names; runs nothing.

sqlglot reads the text. What its names mean is decided here and in `sql_scope`, as ClickHouse does
it: sqlglot's own optimizer qualifies them as standard SQL does, which knows no alias in another
expression of the same SELECT, no ARRAY JOIN and no lambda.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import sqlglot
import sqlglot.errors
from sqlglot import exp

from aaiclick_ext.oplog.columns import ALL, NONE
from aaiclick_ext.oplog.derivation import Derivation, Origin, as_used, edges_of
from aaiclick_ext.oplog.sql_scope import (
    NOTHING,
    Origins,
    Scope,
    Source,
    SQLRelation,
    UnresolvedError,
    aliases_in,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from aaiclick_ext.oplog.columns import ColumnEdge, Use

Columns = list[tuple[str | None, Origins]]


def sql_column_edges(
    sql: str,
    schemas: Mapping[str, Mapping[str, str]],
    *,
    names: Sequence[str] | None = None,
) -> tuple[ColumnEdge, ...] | None:
    """Return the edges from the tables that a SELECT names to the columns of its result.

    Takes milliseconds, most of them in sqlglot's parser. Reads nothing but its arguments, so it
    may run in any thread at any time.

    Parameters
    ----------
    sql
        One SELECT in ClickHouse's dialect.
    schemas
        Columns and types of tables, by the name that the text has for them: ``"table"`` or
        ``"database.table"``. A table that is not among them can still be read where no ``*`` and
        no other table of unknown schema makes its columns uncertain.
    names
        The columns of the result, in order, where they are known. Without them every output must
        be a column or have an alias: what ClickHouse calls an expression is not guessed.

    Returns
    -------
    tuple of ColumnEdge, or None
        None where the text cannot be parsed or something in it cannot be resolved.
    """
    try:
        query = sqlglot.parse_one(sql, dialect="clickhouse")
        if not isinstance(query, exp.Query):
            return None
        tables = {name: _table(name, list(schema)) for name, schema in schemas.items()}
        relation = _read(query, Scope(_read, tables))
        return edges_of(_derivation(relation, schemas, names))
    except (sqlglot.errors.SqlglotError, UnresolvedError, RecursionError):
        return None


def _derivation(
    relation: SQLRelation, schemas: Mapping[str, Mapping[str, str]], names: Sequence[str] | None
) -> Derivation:
    listed = relation.listed()
    given = [name for name, _ in listed] if names is None else list(names)
    if len(given) != len(listed) or None in given or len(set(given)) != len(given):
        raise UnresolvedError("the names of the result's columns are not known")
    columns = {str(name): origins for name, (_, origins) in zip(given, listed, strict=True)}
    passes = _passing(columns, schemas)
    rows = _with_all_as_one(relation.rows, schemas)
    return Derivation(tuple(columns), {} if passes else columns, rows, passes)


def _with_all_as_one(rows: Origins, schemas: Mapping[str, Mapping[str, str]]) -> Origins:
    """Return what decides about rows, with ``*`` where all columns of a table do."""
    whole = {
        (source, use)
        for source, use in {(source, use) for source, _, use in rows}
        if schemas.get(source) and all((source, name, use) in rows for name in schemas[source])
    }
    kept = {origin for origin in rows if origin[1] == NONE or (origin[0], origin[2]) not in whole}
    return frozenset(kept | {(source, ALL, use) for source, use in whole})


def _passing(
    columns: Mapping[str, Origins], schemas: Mapping[str, Mapping[str, str]]
) -> tuple[str, ...]:
    """Return the sources all of whose columns are those of the result, unchanged."""
    first = next(iter(columns.values()), NOTHING)
    sources = sorted({source for source, _, _ in first})
    if not all(schemas.get(source, {}).keys() == columns.keys() for source in sources):
        return ()
    for name, origins in columns.items():
        if origins != {(source, name, "value") for source in sources}:
            return ()
    return tuple(sources)


def _table(name: str, columns: Sequence[str] | None) -> SQLRelation:
    rows: Origins = frozenset([(name, NONE, "value")])
    if columns is None:
        return SQLRelation(None, rows, name)
    return SQLRelation([(c, frozenset([(name, c, "value")])) for c in columns], rows)


def _read(query: exp.Query, around: Scope) -> SQLRelation:
    """Return the relation of a query, which can name what is in the scope around it."""
    if isinstance(query, exp.Select):
        return _Select(query, around).relation()
    scope = _with_expressions(query, around)
    if isinstance(query, exp.Subquery):
        _check(query, {"this", "alias", "with_"})
        if not isinstance(query.this, exp.Query):
            raise UnresolvedError("a join in parentheses")
        return _read(query.this, scope)
    if isinstance(query, exp.SetOperation):
        _check(query, {"this", "expression", "distinct", "with_", "settings", "format"})
        return _combined(query, _read(query.this, scope), _read(query.expression, scope))
    raise UnresolvedError(type(query).__name__)


def _combined(query: exp.SetOperation, left: SQLRelation, right: SQLRelation) -> SQLRelation:
    pairs = list(zip(left.listed(), right.listed(), strict=False))
    if len(pairs) != len(left.listed()) or len(pairs) != len(right.listed()):
        raise UnresolvedError("different numbers of columns")
    if isinstance(query, exp.Union):
        rows = left.rows | right.rows
        if query.args.get("distinct"):
            rows |= as_used(left.together() | right.together(), "group")
        return SQLRelation([(name, a | b) for (name, a), (_, b) in pairs], rows)
    # All columns of both sides decide, as the keys of a semi or anti join do.
    compared = left.together() | right.together() | right.rows
    return SQLRelation(left.columns, left.rows | as_used(compared, "join"))


def _with_expressions(query: exp.Query, around: Scope) -> Scope:
    """Return a scope with the common table expressions and WITH aliases of a query."""
    tables = dict(around.tables)
    scope = Scope(_read, tables, parent=around)
    clause = query.args.get("with_")
    if clause is None:
        return scope
    if clause.args.get("recursive"):
        raise UnresolvedError("WITH RECURSIVE")
    for common in clause.expressions:
        if common.args["alias"].args.get("columns"):
            raise UnresolvedError("columns of a common table expression renamed")
        if common.args.get("scalar") or not isinstance(common.this, exp.Query):
            scope.aliases[common.alias] = common.this
        else:
            tables[common.alias] = _read(common.this, scope)
    return scope


_OF_SELECT = {
    "with_", "expressions", "distinct", "from_", "joins", "prewhere", "where", "group", "having",
    "qualify", "windows", "order", "limit", "offset", "sample", "settings", "format", "hint",
}  # fmt: skip


def _check(node: exp.Expr, known: set[str]) -> None:
    """Raise where a clause is there that is not understood."""
    for clause, value in node.args.items():
        if value and clause not in known:
            raise UnresolvedError(f"{clause} in {type(node).__name__}")


class _Select:
    """One SELECT: reads its sources, then its clauses."""

    def __init__(self, query: exp.Select, around: Scope) -> None:
        _check(query, _OF_SELECT)
        self._query = query
        self._scope = _with_expressions(query, around)
        self._rows: set[Origin] = set()

    def relation(self) -> SQLRelation:
        query, scope, args = self._query, self._scope, self._query.args
        joins = args.get("joins") or ()
        if args.get("from_") is not None:
            self._add_source(args["from_"].this)
        for join in joins:
            if join.args.get("kind") != "ARRAY":
                self._add_source(join.this, join)
        clauses = [*query.expressions, *joins]
        clauses += [args[name] for name in _WITH_ALIASES if args.get(name)]
        for alias, expression in aliases_in(clauses):
            scope.aliases.setdefault(alias, expression)
        scope.windows = {window.name: window for window in args.get("windows") or ()}
        for join in joins:
            self._decide_by_join(join)
        outputs = list(self._outputs())
        self._decide_by_clauses(outputs)
        return SQLRelation(outputs, frozenset(self._rows | scope.multiplied))

    def _decide(self, nodes: Iterable[exp.Expr | None], use: Use) -> None:
        self._rows |= self._scope.all_origins([node for node in nodes if node], use=use)

    # Sources.

    def _add_source(self, node: exp.Expr, join: exp.Join | None = None) -> None:
        while isinstance(node, (exp.Final, exp.TableSample)):
            node = node.this
        qualifiers, relation = self._source(node)
        merged: set[str] = set()
        for key in (join.args.get("using") or ()) if join is not None else ():
            assert join is not None
            merged.add(key.name)
            self._merge(join, key.name, relation)
        only_decides = join is not None and join.args.get("kind") in {"SEMI", "ANTI"}
        self._rows |= as_used(relation.rows, "join" if only_decides else "value")
        self._scope.sources.append(Source(qualifiers, relation, frozenset(merged)))

    def _merge(self, join: exp.Join, key: str, relation: SQLRelation) -> None:
        """Merge a column of USING; which side gives its value depends on the kind of join."""
        left, right = self._scope.lookup([key]), relation.column(key)
        if left is None or right is None:
            raise UnresolvedError(f"no column {key} on both sides")
        self._rows |= as_used(left | right, "join")
        side = join.args.get("side") or ""
        given = {"RIGHT": right, "FULL": left | right}.get(side, left)
        self._scope.merged[key] = given

    def _source(self, node: exp.Expr) -> tuple[tuple[tuple[str, ...], ...], SQLRelation]:
        if isinstance(node, exp.Subquery):
            return ((node.alias,),) if node.alias else (), _read(node, self._scope)
        if not isinstance(node, exp.Table):
            raise UnresolvedError(f"{type(node).__name__} in FROM")
        _check(node, {"this", "db", "alias", "sample"})
        if not isinstance(node.this, exp.Identifier):
            return ((node.alias,),) if node.alias else (), _table_function(node.this)
        parts = (node.db, node.name) if node.db else (node.name,)
        name = ".".join(parts)
        relation = self._scope.tables.get(name)
        if relation is None:
            relation = _table(name, ["dummy"] if name == "system.one" else None)
        if node.alias:
            return ((node.alias,),), relation
        return tuple({parts, (node.name,)}), relation

    def _decide_by_join(self, join: exp.Join) -> None:
        _check(join, {"this", "on", "using", "side", "kind", "expressions", "global_", "method"})
        if join.args.get("kind") == "ARRAY":
            self._decide([join.this, *join.expressions], "join")
        elif join.expressions:
            raise UnresolvedError("more than one table in a join")
        self._decide([join.args.get("on")], "join")

    # Clauses.

    def _outputs(self) -> Iterator[tuple[str | None, Origins]]:
        for node in self._query.expressions:
            star = node.this if isinstance(node, exp.Column) else node
            if isinstance(star, exp.Star):
                table = node.table if isinstance(node, exp.Column) else ""
                yield from self._starred(star, self._scope.star(table))
            elif isinstance(node, exp.Column):
                is_element = isinstance(node.this, exp.Literal)  # x.1
                yield None if is_element else node.name, self._scope.origins(node)
            else:
                yield node.alias or None, self._scope.origins(node)

    def _starred(self, star: exp.Star, columns: Columns) -> Iterator[tuple[str | None, Origins]]:
        _check(star, {"except_", "replace"})
        dropped = {column.name for column in star.args.get("except_") or ()}
        replaced = {item.alias: item.this for item in star.args.get("replace") or ()}
        if (dropped | replaced.keys()) - {name for name, _ in columns}:
            raise UnresolvedError("a column in EXCEPT or REPLACE that is not there")
        for name, origins in columns:
            if name in replaced:
                yield name, self._scope.origins(replaced[name])
            elif name not in dropped:
                yield name, origins

    def _decide_by_clauses(self, outputs: Columns) -> None:
        args = self._query.args
        for clause in ("prewhere", "where", "having", "qualify"):
            self._decide([args.get(clause)], "filter")
        if (distinct := args.get("distinct")) is not None:
            self._decide([distinct.args.get("on")], "group")
            if distinct.args.get("on") is None:
                self._rows |= as_used(_together(outputs), "group")
        self._group(args.get("group"), outputs)
        if (order := args.get("order")) is not None:
            for key in order.expressions:
                self._rows |= as_used(self._order_key(key, outputs), "order")
        for clause in ("limit", "offset"):
            if (limit := args.get(clause)) is not None:
                self._decide([limit.args.get("expression"), limit.args.get("count")], "filter")
                self._decide(limit.expressions, "group")  # LIMIT n BY

    def _group(self, group: exp.Expr | None, outputs: Columns) -> None:
        if group is None:
            return
        _check(group, {"expressions", "all", "rollup", "cube", "totals", "grouping_sets"})
        keys = list(group.expressions)
        if group.args.get("all") or any(self._is_all(key) for key in keys):
            keys = [key for key in keys if not self._is_all(key)]
            self._decide(_keys_of_all(self._query.expressions), "group")
        for key in keys:
            self._rows |= as_used(self._at(key, outputs), "group")
        for clause in ("rollup", "cube", "grouping_sets"):
            self._decide(group.args.get(clause) or (), "group")

    def _order_key(self, key: exp.Expr, outputs: Columns) -> Origins:
        if isinstance(key, exp.Ordered):
            if self._is_all(key.this):
                return _together(outputs)
            if isinstance(key.this, exp.Literal):
                return self._at(key.this, outputs)
        return self._scope.origins(key)

    def _is_all(self, key: exp.Expr) -> bool:
        """Say whether a key is the ALL of ``ORDER BY ALL``, which sqlglot takes for a column."""
        is_word = isinstance(key, exp.Column) and key.name.upper() == "ALL" and not key.table
        return is_word and not key.this.args.get("quoted") and self._scope.lookup(["ALL"]) is None

    def _at(self, key: exp.Expr, outputs: Columns) -> Origins:
        """Return the origins of a key, which may be the number of an output."""
        if isinstance(key, exp.Literal) and not key.is_string:
            with contextlib.suppress(ValueError, IndexError):
                return outputs[int(key.this) - 1][1]
        return self._scope.origins(key)


_WITH_ALIASES = ("prewhere", "where", "group", "having", "qualify", "order", "limit")


def _together(columns: Columns) -> Origins:
    return NOTHING.union(*(origins for _, origins in columns))


def _keys_of_all(outputs: Iterable[exp.Expr]) -> Iterator[exp.Expr]:
    """Yield what ``GROUP BY ALL`` groups by: the largest parts that hold no aggregate."""
    todo = list(outputs)
    while todo:
        node = todo.pop()
        if isinstance(node, exp.AggFunc):
            continue
        if node.find(exp.AggFunc) is None:
            yield node
        else:
            todo.extend(node.iter_expressions())


def _table_function(function: exp.Expr) -> SQLRelation:
    """Return the columns of a table function; only those that read no data are known."""
    columns = _GENERATED.get(function.name.lower())
    if columns is None:
        raise UnresolvedError(f"{function.name}() reads what the text does not tell")
    return SQLRelation([(columns, NOTHING)], NOTHING)


_GENERATED = {
    "numbers": "number", "numbers_mt": "number", "generate_series": "generate_series",
    "zeros": "zero", "zeros_mt": "zero",
}  # fmt: skip
