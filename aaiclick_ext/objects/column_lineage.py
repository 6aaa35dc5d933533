"""Column lineage of an Ibis expression: which input columns each output column comes from.

Relations are taken from the inputs up, each once; values are walked from the result down with the
use that is made of them. Neither recurses, so that no expression is too deep.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ibis.expr.operations as ops

from aaiclick_ext.objects.leaf import SQLQueryResult, SQLStringView
from aaiclick_ext.objects.value_parts import parts_of, values_of_field
from aaiclick_ext.oplog.columns import NONE, Use, used_as
from aaiclick_ext.oplog.derivation import Derivation, Origin, as_used, edges_of, named, through
from aaiclick_ext.oplog.sql_columns import sql_column_edges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from aaiclick_ext.oplog.columns import ColumnEdge

    NameOf = Callable[[ops.Relation], str | None]


def column_edges(
    op: ops.Relation, name_of: NameOf, inputs: Iterable[ops.Relation] = ()
) -> tuple[ColumnEdge, ...] | None:
    """Return the edges from the nearest named relations below a relation to its columns.

    Runs no query. Takes time linear in the size of the expression down to those relations; SQL
    text in between is parsed, which takes milliseconds.

    Parameters
    ----------
    op
        The relation; its own name, if it has one, does not count.
    name_of
        Gives the name of a relation in the log, or None to look through the relation. A table
        without one keeps the name that it has in ClickHouse.
    inputs
        What the operation was called on. Ibis makes one join of a join and what is joined to it or
        selected of it; a named join among these still counts as one relation.

    Returns
    -------
    tuple of ColumnEdge, or None
        None where it is not known: there is SQL text below that `sql_column_edges` cannot read,
        or a relation of a kind that this Ibis does not compile for ClickHouse.
    """
    try:
        return edges_of(_Lineage(op, name_of, inputs).run())
    except _UnknownError:
        return None


class _UnknownError(Exception):
    """The columns of a relation cannot be traced."""


class _Unresolved(dict[str, frozenset[Origin]]):
    """Columns of a relation whose turn has not come; every name is there, so that a walk ends."""

    def __missing__(self, name: str) -> frozenset[Origin]:
        return frozenset()


_UNRESOLVED = Derivation((), _Unresolved(), frozenset())


class _Lineage:
    """The derivations of the relations below one relation, by their identity."""

    def __init__(
        self, root: ops.Relation, name_of: NameOf, inputs: Iterable[ops.Relation] = ()
    ) -> None:
        self._root = root
        self._name_of = name_of
        self._inputs = inputs
        self._known: dict[int, Derivation] = {}
        self._missing: list[ops.Relation] = []
        self.unnested: list[ops.Value] = []
        """The lists that `origins` has seen turned into rows, which decides how many there are.

        Not those that are written down, which are of one length.
        """
        self.continued: dict[ops.Field, Origin] = {}
        """Columns of the joins that the root continues, by what they are there."""

    def run(self) -> Derivation:
        if isinstance(self._root, ops.PhysicalTable) and not hasattr(self._root, "parent"):
            return Derivation((), {}, frozenset())
        todo = [self._root]
        while todo:
            relation = todo[-1]
            if id(relation) not in self._known:
                self._missing.clear()
                derivation = self._derived(relation)
                if self._missing:  # first those, then this one again
                    todo.extend(self._missing)
                    continue
                self._known[id(relation)] = derivation
            todo.pop()
        return self._known[id(self._root)]

    def at(self, relation: ops.Relation) -> Derivation:
        """Return the derivation of a relation, or note that it has to come first."""
        while isinstance(relation, ops.Reference):
            relation = relation.parent
        known = self._known.get(id(relation))
        if known is not None:
            return known
        if relation is not self._root:
            name = self._name_of(relation)
            if name is not None:
                known = self._known[id(relation)] = named(name, relation.schema.names)
                return known
        self._missing.append(relation)
        return _UNRESOLVED

    def _derived(self, relation: ops.Relation) -> Derivation:
        parent = getattr(relation, "parent", None)
        if parent is not None:
            self.at(parent)
            if self._missing:
                return _UNRESOLVED
        for kind in type(relation).__mro__:
            if (derive := _RELATIONS.get(kind)) is not None:
                return derive(self, relation)
        raise _UnknownError

    def origins(self, values: Iterable[ops.Node], use: Use = "value") -> frozenset[Origin]:
        """Return the columns that values are computed from, put to a use."""
        found: set[Origin] = set()
        seen: set[tuple[int, Use]] = set()
        todo = [(value, use) for value in values]
        while todo:
            node, use = todo.pop()
            kind = type(node)
            if kind is ops.Literal:
                continue
            if kind is ops.Field:
                found |= as_used(self._of_field(node), use)
                continue
            key = (id(node), use)
            if key in seen:
                continue
            seen.add(key)
            if kind is ops.StructField and (fields := values_of_field(node, self._is_source)):
                todo.extend((part, use) for part in fields)
                continue
            if kind is ops.Unnest and not isinstance(node.arg, ops.Array):
                self.unnested.append(node.arg)
            elif isinstance(node, _OF_RELATIONS):
                found |= self._of_relation(node, use)
            todo.extend(
                (part, used_as(use, inner))
                for part, inner in parts_of(node)
                if not isinstance(part, ops.Relation)
            )
        return frozenset(found)

    def _is_source(self, relation: ops.Relation) -> bool:
        return relation is not self._root and self._name_of(relation) is not None

    def _of_field(self, field: ops.Field) -> frozenset[Origin]:
        origin = self.continued.get(field) if self.continued else None
        return self.at(field.rel).of(field.name) if origin is None else frozenset([origin])

    def continue_join(self, op: ops.JoinChain) -> tuple[str, int] | None:
        """Return the name of the join that the root goes on from, and how many links it has.

        From here on its columns stand for those of what it joins.
        """
        if op is not self._root:
            return None
        for relation in self._inputs:
            is_start = isinstance(relation, ops.JoinChain) and (
                relation.first == op.first and relation.rest == op.rest[: len(relation.rest)]
            )
            if is_start and relation is not op and (name := self._name_of(relation)) is not None:
                self.continued = {
                    value: (name, column, "value")
                    for column, value in relation.values.items()
                    if type(value) is ops.Field
                }
                return name, len(relation.rest)
        return None

    def _of_relation(self, node: Any, use: Use) -> frozenset[Origin]:
        """Return what a value that reads a whole relation depends on, apart from other values."""
        if isinstance(node, (ops.CountStar, ops.RowID)):
            return frozenset()  # on the rows, which the relation around it depends on anyway
        if isinstance(node, ops.CountDistinctStar):
            return self.at(node.arg).all_columns(use)
        relation = self.at(node.rel)
        rows = as_used(relation.rows, use)
        if isinstance(node, ops.ExistsSubquery):
            return rows
        return relation.all_columns(use) | rows


_OF_RELATIONS = (ops.Subquery, ops.CountStar, ops.CountDistinctStar, ops.RowID)


def _projected(
    lineage: _Lineage, parent: ops.Relation, values: Mapping[str, ops.Value]
) -> Derivation:
    """Return the derivation of values over one relation, with the rows of that."""
    below = lineage.at(parent)
    columns = {}
    unchanged = 0
    for name, value in values.items():
        if type(value) is ops.Field and value.rel is parent:
            columns[name] = below.of(value.name)
            unchanged += value.name == name
        else:
            columns[name] = lineage.origins([value])
    if below.passes and unchanged == len(columns) == len(below.names):
        return below
    return Derivation(tuple(columns), columns, below.rows)


def _project(lineage: _Lineage, op: ops.Project) -> Derivation:
    lineage.unnested = []
    derivation = _projected(lineage, op.parent, op.values)
    lists = lineage.unnested
    return derivation.with_rows(lineage.origins(tuple(lists), "join")) if lists else derivation


def _same(lineage: _Lineage, op: Any) -> Derivation:
    return lineage.at(op.parent)


def _filter(lineage: _Lineage, op: ops.Filter) -> Derivation:
    return lineage.at(op.parent).with_rows(lineage.origins(op.predicates, "filter"))


def _sort(lineage: _Lineage, op: ops.Sort) -> Derivation:
    return lineage.at(op.parent).with_rows(lineage.origins(op.keys, "order"))


def _limit(lineage: _Lineage, op: ops.Limit) -> Derivation:
    bounds = [bound for bound in (op.n, op.offset) if isinstance(bound, ops.Node)]
    parent = lineage.at(op.parent)
    return parent.with_rows(lineage.origins(bounds, "filter")) if bounds else parent


def _distinct(lineage: _Lineage, op: ops.Distinct) -> Derivation:
    parent = lineage.at(op.parent)
    return parent.with_rows(parent.all_columns("group"))


def _drop_null(lineage: _Lineage, op: ops.DropNull) -> Derivation:
    parent = lineage.at(op.parent)
    if op.subset is None:
        return parent.with_rows(parent.all_columns("filter"))
    return parent.with_rows(lineage.origins(op.subset, "filter"))


def _fill_null(lineage: _Lineage, op: ops.FillNull) -> Derivation:
    parent, given = lineage.at(op.parent), op.replacements
    if isinstance(given, ops.Node):
        given = dict.fromkeys(parent.names, given)
    fills = {name: fill for name, fill in given.items() if isinstance(fill, ops.Node)}
    added = {name: lineage.origins([fill]) for name, fill in fills.items()}
    if not any(added.values()):
        return parent
    columns = {name: parent.of(name) | added.get(name, frozenset()) for name in parent.names}
    return Derivation(parent.names, columns, parent.rows)


def _drop_columns(lineage: _Lineage, op: ops.DropColumns) -> Derivation:
    parent = lineage.at(op.parent)
    columns = {name: parent.of(name) for name in parent.names if name not in op.columns_to_drop}
    return Derivation(tuple(columns), columns, parent.rows)


def _aggregate(lineage: _Lineage, op: ops.Aggregate) -> Derivation:
    below = lineage.at(op.parent)
    derivation = _projected(lineage, op.parent, {**op.groups, **op.metrics})
    groups = lineage.origins(op.groups.values(), "group")
    rows = below.rows | groups
    return Derivation(tuple(op.schema.names), _explicit(derivation), rows)


def _explicit(derivation: Derivation) -> Mapping[str, frozenset[Origin]]:
    if not derivation.passes:
        return derivation.columns
    return {name: derivation.of(name) for name in derivation.names}


def _join(lineage: _Lineage, op: ops.JoinChain) -> Derivation:
    continued = lineage.continue_join(op)
    if continued is None:
        derivation, known = _projected(lineage, op.first, op.values), 0
    else:
        name, known = continued
        columns = {column: lineage.origins([value]) for column, value in op.values.items()}
        derivation = Derivation(tuple(columns), columns, frozenset([(name, NONE, "value")]))
    rows = set(derivation.rows)
    for link in op.rest[known:]:
        only_decides = link.how in {"semi", "anti"}
        rows |= as_used(lineage.at(link.table).rows, "join" if only_decides else "value")
        rows |= lineage.origins(link.predicates, "join")
    return derivation.with_rows(rows)


def _union(lineage: _Lineage, op: ops.Union) -> Derivation:
    left, right = lineage.at(op.left), lineage.at(op.right)
    rows = left.rows | right.rows
    if op.distinct:
        rows |= left.all_columns("group") | right.all_columns("group")
    if left.passes and right.passes:
        both = tuple(dict.fromkeys(left.passes + right.passes))
        return Derivation(left.names, {}, rows, both)
    columns = {name: left.of(name) | right.of(name) for name in op.schema.names}
    return Derivation(tuple(columns), columns, rows)


def _compared(lineage: _Lineage, op: ops.Intersection | ops.Difference) -> Derivation:
    """Return the left side; all columns of both decide, as the keys of a semi or anti join do."""
    left, right = lineage.at(op.left), lineage.at(op.right)
    compared = left.all_columns("join") | right.all_columns("join")
    return left.with_rows(compared | as_used(right.rows, "join"))


def _unnest(lineage: _Lineage, op: ops.TableUnnest) -> Derivation:
    below = lineage.at(op.parent)
    columns = {name: below.of(name) for name in below.names}
    columns[op.column_name] = lineage.origins([op.column])
    if op.offset is not None:
        columns[op.offset] = columns[op.column_name]
    ordered = {name: columns[name] for name in op.schema.names} if below.names else columns
    return Derivation(tuple(ordered), ordered, below.rows | lineage.origins([op.column], "join"))


def _values(lineage: _Lineage, op: ops.DummyTable) -> Derivation:
    columns = {name: lineage.origins([value]) for name, value in op.values.items()}
    return Derivation(tuple(columns), columns, frozenset())


def _memory(_: _Lineage, op: ops.InMemoryTable) -> Derivation:
    return Derivation(op.schema.names, dict.fromkeys(op.schema.names, frozenset()), frozenset())


def _table(_: _Lineage, op: ops.DatabaseTable) -> Derivation:
    return named(_name_in_text(op), op.schema.names)


def _name_in_text(leaf: ops.DatabaseTable) -> str:
    database = leaf.namespace.database
    return leaf.name if database is None else f"{database}.{leaf.name}"


def _text(lineage: _Lineage, op: Any) -> Derivation:
    """Return the derivation of SQL text over the leaves that it names and the view below it."""
    relations = {_name_in_text(leaf): leaf for leaf in getattr(op.leaves, "tables", ())}
    below = getattr(op, "parent", None)
    if isinstance(below, ops.AliasedRelation):
        relations[below.name] = below
    sources = {name: lineage.at(relation) for name, relation in relations.items()}
    if any(source is _UNRESOLVED for source in sources.values()):
        return _UNRESOLVED
    schemas = {
        name: {column: str(kind) for column, kind in relation.schema.items()}
        for name, relation in relations.items()
    }
    edges = sql_column_edges(op.query, schemas, names=op.schema.names)
    if edges is None:
        raise _UnknownError
    return through(edges, op.schema.names, sources)


_RELATIONS: dict[type, Callable[[_Lineage, Any], Derivation]] = {
    ops.Project: _project,
    ops.Filter: _filter,
    ops.Sort: _sort,
    ops.Limit: _limit,
    ops.Sample: _same,
    ops.Distinct: _distinct,
    ops.DropNull: _drop_null,
    ops.FillNull: _fill_null,
    ops.DropColumns: _drop_columns,
    ops.Aggregate: _aggregate,
    ops.JoinChain: _join,
    ops.Union: _union,
    ops.Intersection: _compared,
    ops.Difference: _compared,
    ops.TableUnnest: _unnest,
    ops.Reference: _same,
    ops.AliasedRelation: _same,
    ops.DummyTable: _values,
    ops.InMemoryTable: _memory,
    ops.DatabaseTable: _table,
    SQLQueryResult: _text,
    SQLStringView: _text,
}
