"""Row lineage: the rows of each source that chosen rows of a result are made of.

The expression is walked from the result to its sources, and what is carried along is a predicate
(`selection`, `row_steps`): which rows of this relation are meant. At a source it is a filter of the
source's own table, which is the answer, lazy as any view.

Rows are told apart by their values and never by an identity. Small tables are of ClickHouse's
engine Memory, which gives rows no identity; and no relational operation tells equal rows apart, so
rows that are equal in all columns have contributed alike. Those operations that choose among equals
(a limit, a window's order, a sample) say that they are not exact.

What contributed is the lineage of Cui and Widom ("Tracing the lineage of view data in a warehousing
environment", 2000): of a group all its rows, of distinct rows all that are equal, of a join the
partners. A row that matters by its absence (right of an anti join or of a difference) contributes
nothing. What an operation's input was made of before a `copy` is not in the expression:
`further_trace` goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import ibis.expr.operations as ops
import ibis.expr.types as ir

from aaiclick_ext.errors import SettingsError, UnknownObjectError
from aaiclick_ext.objects.adoption import adopt_expression
from aaiclick_ext.objects.leaf import SQLQueryResult, SQLStringView, owned_tables
from aaiclick_ext.objects.ordering import POS, hide_position, ordered
from aaiclick_ext.objects.row_choice import chosen_rows
from aaiclick_ext.objects.row_keys import moved
from aaiclick_ext.objects.row_steps import branches
from aaiclick_ext.objects.selection import Selection, limits_first
from aaiclick_ext.objects.view import View, make_view
from aaiclick_ext.schema import POSITION
from aaiclick_ext.untrusted import visible

if TYPE_CHECKING:
    from aaiclick_ext.objects.backend import Backend


@dataclass(frozen=True, slots=True, eq=False)
class SourceRows:
    """The rows of one source that contributed.

    Attributes
    ----------
    source
        The name of the table, or of the view of SQL text.
    role
        How the result reads it (``left of the join``); empty where there is one way only.
    rows
        A lazy View of these rows, with all columns of the source. It keeps the tables that it has
        to read, the source's and those that decide which rows these are.
    exact
        Whether these are exactly the rows that contributed. Otherwise those are among them.
    notes
        Why they are not exact, and what else to know.
    names
        The variables that hold the source, as of the last cell; empty outside a notebook.
    """

    source: str
    role: str
    rows: View
    exact: bool
    notes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return self._told(self.source)

    def _told(self, key: str) -> str:
        """Return what it is, by its names and by the key of a trace, and how sure."""
        called = f"{', '.join(self.names)} ({key})" if self.names else key
        role = f", {self.role}" if self.role else ""
        sureness = "exactly these rows" if self.exact else "these rows or fewer"
        lines = [f"{visible(called)}{role}: {sureness}"]
        return "\n".join([*lines, *(f"    {visible(note)}" for note in self.notes)])


@dataclass(frozen=True, slots=True, eq=False)
class RowTrace(Mapping[str, SourceRows]):
    """The rows of every source that chosen rows of a result are made of: the answer of `trace`.

    A mapping; ``trace[flights]`` finds a source by its object as well as by its name, and
    ``trace["flights"]`` by that of a variable.

    Attributes
    ----------
    sources
        Name of a source to its rows. One that is read in several ways, as in a self-join, has an
        entry for each: ``name``, ``name #2``…
    """

    sources: Mapping[str, SourceRows]
    _operations: Mapping[str, ops.Relation] = field(default_factory=dict, repr=False)

    @property
    def exact(self) -> bool:
        """Whether the rows of every source are exact."""
        return all(found.exact for found in self.sources.values())

    def __getitem__(self, source: str | ir.Table) -> SourceRows:
        """Return the rows of a source, given by its key, its table or its object.

        Raises
        ------
        UnknownObjectError
            If it is no source of the result, or is one in several ways; lists the sources.
        """
        if isinstance(source, str) and source in self.sources:
            return self.sources[source]
        name: Any = source
        if isinstance(source, ir.Table):
            name = getattr(source.op(), "name", "a view that is made of others")
            found = {
                key: self.sources[key]
                for key, operation in self._operations.items()
                if is_same_source(operation, source.op())
            }
        else:
            found = {
                key: rows
                for key, rows in self.sources.items()
                if rows.source == source or source in rows.names
            }
        if len(found) == 1:
            return next(iter(found.values()))
        if found:
            raise UnknownObjectError(
                f"{name} is read in {len(found)} ways; take one of {_listed(found)}"
            )
        raise UnknownObjectError(
            f"{name} is no source of the result; its sources are {_listed(self.sources)}"
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self.sources)

    def __len__(self) -> int:
        return len(self.sources)

    def __repr__(self) -> str:
        if not self.sources:
            return "no source: the result is made of values only"
        return "\n".join(rows._told(key) for key, rows in self.sources.items())  # noqa: SLF001


def is_same_source(operation: ops.Relation, other: ops.Relation) -> bool:
    """Say whether two leaves are of one table, or are one text."""
    if isinstance(operation, ops.DatabaseTable) and isinstance(other, ops.DatabaseTable):
        return (operation.name, operation.namespace) == (other.name, other.namespace)
    return bool(operation == other)


def _listed(sources: Mapping[str, SourceRows]) -> str:
    return ", ".join(map(repr, sources)) or "none"


@dataclass(frozen=True, slots=True)
class Found:
    """A source with the rows of it that contributed, and the way to it from the result.

    Attributes
    ----------
    way
        The operations from the result down, each with the number of the branch that was taken.
    """

    source: ops.Relation
    selection: Selection
    way: tuple[tuple[ops.Relation, int], ...]
    roles: tuple[str, ...] = ()
    is_operand: bool = True

    @property
    def role(self) -> str:
        """What the source is to the operations that have several inputs, the nearest first."""
        return ", ".join(reversed(self.roles))


def trace(backend: Backend, result: Any, where: Any = None, *, depth: int | None = 1) -> RowTrace:
    """Return the rows of each source that chosen rows of a result are made of."""
    from aaiclick_ext.objects.further_trace import further

    if depth is not None and (not isinstance(depth, int) or depth < 1):
        raise SettingsError(f"depth is {depth!r}; it is 1 or more, or None for all of the way")
    op, selection = traced(backend, result, where)
    found = list(further(backend, sources(op, selection), depth))
    keys = source_keys(backend, found)
    rows = {
        key: SourceRows(
            backend.provenance.name_of(each.source),
            each.role,
            make_view(source_rows(each)),
            not each.selection.reasons,
            (*each.selection.reasons, *each.selection.remarks),
            backend.services.oplog.names_of(backend.provenance.name_of(each.source)),
        )
        for key, each in zip(keys, found, strict=True)
    }
    operations = {key: each.source for key, each in zip(keys, found, strict=True)}
    return RowTrace(MappingProxyType(rows), MappingProxyType(operations))


def traced(backend: Backend, result: Any, where: Any = None) -> tuple[ops.Relation, Selection]:
    """Return the relation to walk and the rows of it that are meant.

    The rows of arrays are in the order of their positions, so that a limit of an array is exact.

    Raises
    ------
    UnsupportedTypeError
        If the result is no table expression over tables of ours.
    SchemaError
        If `where` cannot be read.
    """
    backend.services.check_open()
    view = adopt_expression(backend, result)
    backend.services.sessions.tables.check(owned_tables(view.op()))
    given = backend.relation_of(view)
    predicate = chosen_rows(given, where)
    op = limits_first(ordered(backend.without_memtables(given)))
    return op, Selection(None if predicate is None else moved(predicate, given, op))


def sources(
    op: ops.Relation,
    selection: Selection,
    way: tuple[tuple[ops.Relation, int], ...] = (),
    roles: tuple[str, ...] = (),
    *,
    is_operand: bool = True,
) -> Iterator[Found]:
    """Yield the sources below an operation with the rows that its selected rows are made of."""
    if isinstance(op, ops.DatabaseTable):
        yield Found(op, selection, way, roles, is_operand)
    elif isinstance(op, (ops.SQLQueryResult, ops.SQLStringView)):
        yield from _of_text(op, selection, way, roles, is_operand)
    else:
        for number, branch in enumerate(branches(op, selection)):
            yield from sources(
                branch.child,
                branch.selection,
                (*way, (op, number)),
                (*roles, branch.role) if branch.role else roles,
                is_operand=is_operand and branch.is_operand,
            )


def _of_text(
    op: Any,
    selection: Selection,
    way: tuple[tuple[ops.Relation, int], ...],
    roles: tuple[str, ...],
    is_operand: bool,
) -> Iterator[Found]:
    """Yield SQL text as a source, and what it reads as sources of which nothing more is known."""
    remark = "SQL text cannot be looked into: these are rows of its own result"
    yield Found(op, selection.remarking(remark), way, roles, is_operand)
    read = [op.parent] if isinstance(op, SQLStringView) else []
    read += op.leaves.tables if isinstance(op, (SQLQueryResult, SQLStringView)) else ()
    whole = Selection().because("it is read by SQL text, which cannot be looked into")
    for number, relation in enumerate(read):
        inside = (*roles, "read by SQL text")
        yield from sources(relation, whole, (*way, (op, number)), inside, is_operand=is_operand)


def source_keys(backend: Backend, found: list[Found]) -> list[str]:
    """Return a key for each source: its name, numbered where it is there more than once."""
    counts: dict[str, int] = {}
    keys = []
    for each in found:
        name = backend.provenance.name_of(each.source)
        counts[name] = counts.get(name, 0) + 1
        keys.append(name if counts[name] == 1 else f"{name} #{counts[name]}")
    return keys


def source_rows(found: Found) -> ops.Relation:
    """Return a source's selected rows with the columns that its user knows."""
    relation, values = shown(found.source)
    rows = found.selection.substituted(found.source, values).over(relation)
    return rows if relation is found.source else hide_position(rows)


def shown(source: ops.Relation) -> tuple[ops.Relation, dict[str, ops.Value]]:
    """Return a source with its hidden position, if it has one, in sight.

    Returns
    -------
    relation, values
        For each column of the source, that of the relation.
    """
    if POSITION not in source.schema:
        return source, dict(source.fields)
    # First of all by its name: ``SELECT *`` leaves it out.
    columns = {POS if name == POSITION else name: name for name in source.schema}
    relation = ops.Project(source, {new: ops.Field(source, old) for new, old in columns.items()})
    return relation, {old: ops.Field(relation, new) for new, old in columns.items()}
