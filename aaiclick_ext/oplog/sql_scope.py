"""SQL scope: what the names in one SELECT mean to ClickHouse, and what expressions are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlglot import exp

from aaiclick_ext.oplog.derivation import Origin, as_used
from aaiclick_ext.schema.lookups import dotted_name, is_lookup, lookup_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from aaiclick_ext.oplog.columns import Use

Origins = frozenset[Origin]

NOTHING: Origins = frozenset()


class UnresolvedError(Exception):
    """A name or construct whose columns the text alone does not tell."""


@dataclass(frozen=True, slots=True)
class SQLRelation:
    """What a SELECT, a table or a join gives: columns by position, as SQL has them."""

    columns: Sequence[tuple[str | None, Origins]] | None
    """Names with origins. A name is None where only ClickHouse knows what it calls the
    expression; all is None for a table whose schema is not known."""
    rows: Origins
    table: str = ""
    """The name of a table whose schema is not known."""

    def column(self, name: str) -> Origins | None:
        """Return the origins of a column, or None where there is none of that name."""
        if self.columns is None:
            return frozenset([(self.table, name, "value")])
        return next((origins for known, origins in self.columns if known == name), None)

    def listed(self) -> Sequence[tuple[str | None, Origins]]:
        """Return all columns; raise where they are not known."""
        if self.columns is None:
            raise UnresolvedError(f"the columns of {self.table} are not known")
        return self.columns

    def together(self) -> Origins:
        """Return the origins of all columns."""
        return NOTHING.union(*(origins for _, origins in self.listed()))


@dataclass(frozen=True, slots=True)
class Source:
    """A relation in FROM or JOIN, with the names that columns can be qualified with."""

    qualifiers: tuple[tuple[str, ...], ...]
    relation: SQLRelation
    merged: frozenset[str] = frozenset()
    """Columns that USING merges with those of a source before; ``*`` has them once."""


@dataclass(slots=True)
class Scope:
    """The names of one SELECT.

    Aliases come before columns, everywhere in the query and wherever they are defined in it; only
    inside its own expression does an alias mean the column (ClickHouse with its default
    ``prefer_column_name_to_alias = 0``, as the engine does it).
    """

    read: Callable[[exp.Query, Scope], SQLRelation]
    """Gives the relation of a subquery."""
    tables: Mapping[str, SQLRelation]
    """Common table expressions and tables of known schema, by name."""
    parent: Scope | None = None
    sources: list[Source] = field(default_factory=list)
    aliases: dict[str, exp.Expr] = field(default_factory=dict)
    windows: dict[str, exp.Expr] = field(default_factory=dict)
    merged: dict[str, Origins] = field(default_factory=dict)
    """The columns of USING under their bare names."""
    multiplied: set[Origin] = field(default_factory=set)
    """What arrayJoin turned into rows, which decides how many there are."""
    _resolving: set[str] = field(default_factory=set)
    _cut: set[str] = field(default_factory=set)
    _known: dict[str, Origins] = field(default_factory=dict)

    def origins(self, node: exp.Expr | None, bound: frozenset[str] = frozenset()) -> Origins:
        """Return the columns an expression depends on; `bound` are the arguments of lambdas."""
        if node is None:
            return NOTHING
        if isinstance(node, exp.Column):
            return self._column(node, bound)
        for kind, method in _EXPRESSIONS:
            if isinstance(node, kind):
                return method(self, node, bound)
        return self.all_origins(node.iter_expressions(), bound)

    def all_origins(
        self, nodes: Iterable[exp.Expr], bound: frozenset[str] = frozenset(), use: Use = "value"
    ) -> Origins:
        """Return the columns several expressions depend on, put to a use."""
        return as_used(NOTHING.union(*(self.origins(node, bound) for node in nodes)), use)

    def star(self, table: str = "") -> list[tuple[str | None, Origins]]:
        """Return the columns of ``*`` or of ``table.*``."""
        found: list[tuple[str | None, Origins]] = []
        for source in self.sources:
            if table and (table,) not in source.qualifiers:
                continue
            for name, origins in source.relation.listed():
                if table or name is None:
                    found.append((name, origins))
                elif name not in source.merged:
                    found.append((name, self.merged.get(name, origins)))
        if table and not any((table,) in source.qualifiers for source in self.sources):
            raise UnresolvedError(f"no table {table}")
        return found

    def _column(self, node: exp.Column, bound: frozenset[str]) -> Origins:
        if isinstance(node.this, exp.Star):
            return NOTHING.union(*(origins for _, origins in self.star(node.table)))
        parts = [part.name for part in node.parts]
        if parts[0] in bound:
            return NOTHING
        found = self.lookup(parts)
        if found is None and parts in (["inf"], ["nan"]):
            return NOTHING
        if found is None:
            raise UnresolvedError(f"no column {'.'.join(parts)}")
        return found

    def lookup(self, parts: list[str]) -> Origins | None:
        """Return the origins of a name, or None where this SELECT and those around have none."""
        found = self._qualified(parts) if len(parts) > 1 else None
        if found is None:
            found = self._alias(parts[0])
        if found is None and len(parts) == 1:
            found = self.merged.get(parts[0])
        if found is None:
            found = self._bare(parts)
        if found is None and self.parent is not None:
            found = self.parent.lookup(parts)
        return found

    def _alias(self, name: str) -> Origins | None:
        if name in self._known:
            return self._known[name]
        if name not in self.aliases:
            return None
        if name in self._resolving:
            self._cut.add(name)
            return None
        self._resolving.add(name)
        found = self.origins(self.aliases[name])
        self._resolving.discard(name)
        self._cut.discard(name)
        if not self._cut:  # else an alias around this one meant a column, only this time
            self._known[name] = found
        return found

    def _qualified(self, parts: list[str]) -> Origins | None:
        for source in self.sources:
            for qualifier in source.qualifiers:
                rest = parts[len(qualifier) :]
                if rest and tuple(parts[: len(qualifier)]) == qualifier:
                    found = _nested(source.relation, rest)
                    if found is not None:
                        return found
        return None

    def _bare(self, parts: list[str]) -> Origins | None:
        known = [source for source in self.sources if source.relation.columns is not None]
        for source in known:
            if (found := _nested(source.relation, parts)) is not None:
                return found
        unknown = [source for source in self.sources if source.relation.columns is None]
        if len(unknown) > 1:
            raise UnresolvedError(f"{parts[0]} may be of more than one table")
        return unknown[0].relation.column(parts[0]) if unknown else None

    # Expressions that are more than the sum of their parts.

    def _of_lambda(self, node: exp.Expr, bound: frozenset[str]) -> Origins:
        arguments = frozenset(argument.name for argument in node.expressions)
        return self.origins(node.this, bound | arguments)

    def _of_query(self, node: exp.Expr, _: frozenset[str]) -> Origins:
        assert isinstance(node, exp.Query)
        relation = self.read(node, self)
        return relation.together() | relation.rows

    def _of_exists(self, node: exp.Expr, _: frozenset[str]) -> Origins:
        return self.read(node.this, self).rows

    def _of_in(self, node: exp.Expr, bound: frozenset[str]) -> Origins:
        table = node.args.get("field")
        name = dotted_name(table)
        if table is None or name is None:
            return self.all_origins(node.iter_expressions(), bound)
        if self.lookup([part.name for part in table.parts]) is None:
            relation = self._table(name)
            return self.origins(node.this, bound) | relation.together() | relation.rows
        return self.origins(node.this, bound) | self.origins(table, bound)

    def _table(self, name: str) -> SQLRelation:
        relation = self.tables.get(name)
        if relation is None:
            raise UnresolvedError(f"no table {name}")
        return relation

    def _of_window(self, node: exp.Expr, bound: frozenset[str]) -> Origins:
        found = NOTHING if isinstance(node.this, exp.Identifier) else self.origins(node.this, bound)
        found |= self.all_origins(node.args.get("partition_by") or (), bound, "group")
        order = node.args.get("order")
        found |= self.all_origins([order] if order else (), bound, "order")
        spec = node.args.get("spec")
        found |= self.all_origins(spec.iter_expressions() if spec else (), bound)
        if (name := node.args.get("alias")) is not None:
            if name.name not in self.windows:
                raise UnresolvedError(f"no window {name.name}")
            found |= self.origins(self.windows[name.name], bound)
        return found

    def _of_filtered(self, node: exp.Expr, bound: frozenset[str]) -> Origins:
        return self.origins(node.this, bound) | self.all_origins([node.expression], bound, "filter")

    def _of_combined(self, node: exp.Expr, bound: frozenset[str]) -> Origins:
        """Take the last argument of ``…If`` for what decides which rows are aggregated."""
        arguments = list(node.expressions)
        if not node.name.endswith("If") or not arguments:
            return self.all_origins(node.iter_expressions(), bound)
        decided = self.all_origins([arguments.pop()], bound, "filter")
        return self.all_origins(arguments, bound) | decided

    def _of_count_if(self, node: exp.Expr, bound: frozenset[str]) -> Origins:
        return self.all_origins(node.iter_expressions(), bound, "filter")

    def _of_extreme(self, node: exp.Expr, bound: frozenset[str]) -> Origins:
        key = self.all_origins([node.expression], bound, "order")
        return self.origins(node.this, bound) | key

    def _of_array_join(self, node: exp.Expr, bound: frozenset[str]) -> Origins:
        found = self.origins(node.this, bound)
        if isinstance(node.this, exp.Array):  # of as many elements as are written there
            return found
        self.multiplied |= as_used(found, "join")
        return found

    def _of_count(self, node: exp.Expr, bound: frozenset[str]) -> Origins:
        if isinstance(node.this, exp.Star):
            return NOTHING
        return self.all_origins(node.iter_expressions(), bound)

    def _of_star(self, node: exp.Expr, _: frozenset[str]) -> Origins:
        if any(node.args.values()):
            raise UnresolvedError(f"{node.sql()} in an expression")
        return NOTHING.union(*(origins for _, origins in self.star()))

    def _of_function(self, node: exp.Expr, bound: frozenset[str]) -> Origins:
        if is_lookup(node):
            return self._of_lookup(node, bound)
        if node.name.lower().startswith(_READS_ELSEWHERE):
            raise UnresolvedError(f"{node.name} reads what the text does not tell")
        return self.all_origins(node.iter_expressions(), bound)

    def _of_lookup(self, node: exp.Expr, bound: frozenset[str]) -> Origins:
        """Return what is looked up and the keys; where nothing is, the rows that have the keys."""
        lookup = lookup_of(node)
        if lookup is None or lookup.columns is None:
            raise UnresolvedError(f"{node.name} reads what the text does not tell")
        relation, keys = self._table(lookup.table), self.all_origins(lookup.keys, bound)
        if not lookup.columns:
            return keys | relation.rows
        found = [relation.column(name) for name in lookup.columns]
        if None in found:
            raise UnresolvedError(f"no such column in {lookup.table}")
        return keys.union(*(origins or () for origins in found))

    def _none(self, _node: exp.Expr, _bound: frozenset[str]) -> Origins:
        return NOTHING

    def _refused(self, node: exp.Expr, _: frozenset[str]) -> Origins:
        raise UnresolvedError(f"{type(node).__name__} in an expression")


_READS_ELSEWHERE = ("columns", "untuple", "apply")

_EXPRESSIONS: tuple[
    tuple[type | tuple[type, ...], Callable[[Scope, exp.Expr, frozenset[str]], Origins]], ...
] = (
    ((exp.Literal, exp.Identifier, exp.DataType, exp.Var), Scope._none),  # noqa: SLF001
    (exp.Lambda, Scope._of_lambda),  # noqa: SLF001
    (exp.Query, Scope._of_query),  # noqa: SLF001
    (exp.Exists, Scope._of_exists),  # noqa: SLF001
    (exp.In, Scope._of_in),  # noqa: SLF001
    (exp.Window, Scope._of_window),  # noqa: SLF001
    (exp.Filter, Scope._of_filtered),  # noqa: SLF001
    (exp.CombinedAggFunc, Scope._of_combined),  # noqa: SLF001
    ((exp.ArgMax, exp.ArgMin), Scope._of_extreme),  # noqa: SLF001
    (exp.Explode, Scope._of_array_join),  # noqa: SLF001
    (exp.CountIf, Scope._of_count_if),  # noqa: SLF001
    (exp.Count, Scope._of_count),  # noqa: SLF001
    (exp.Star, Scope._of_star),  # noqa: SLF001
    (exp.Anonymous, Scope._of_function),  # noqa: SLF001
    ((exp.Columns, exp.Apply, exp.Command, exp.Table, exp.JSONExtract), Scope._refused),  # noqa: SLF001
)


def _nested(relation: SQLRelation, parts: Sequence[str]) -> Origins | None:
    """Return the origins of a column, of an element of one, or of one with dots in its name."""
    for length in range(len(parts), 0, -1):
        if (found := relation.column(".".join(parts[:length]))) is not None:
            return found
    return None


def aliases_in(nodes: Iterable[exp.Expr]) -> Iterator[tuple[str, exp.Expr]]:
    """Yield the aliases that expressions define, also in their middle, but not in subqueries."""
    todo = list(nodes)[::-1]
    while todo:
        node = todo.pop()
        if isinstance(node, exp.Alias):
            yield node.alias, node.this
        if not isinstance(node, (exp.Query, exp.Table)):
            todo.extend(list(node.iter_expressions())[::-1])
