"""Tracing on through tables that were made of others: from their rows to the rows of those."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ibis.expr.operations as ops

from aaiclick_ext.errors import AaiclickError, DroppedTableError
from aaiclick_ext.lifecycle.names import TableName
from aaiclick_ext.objects.catalog import Catalog, qualified
from aaiclick_ext.objects.foreign import foreign_leaf
from aaiclick_ext.objects.leaf import is_owned, tables_below
from aaiclick_ext.objects.making_of import Making, made_elsewhere
from aaiclick_ext.objects.ordering import ordered
from aaiclick_ext.objects.owners import tables_in_reach
from aaiclick_ext.objects.recorded_making import RecordedMaking, recorded_making
from aaiclick_ext.objects.row_keys import is_row_of
from aaiclick_ext.objects.row_trace import Found, sources
from aaiclick_ext.objects.selection import Selection, across, conditions, limits_first
from aaiclick_ext.objects.unbinding import with_leaves
from aaiclick_ext.schema import POSITION

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aaiclick_ext.objects.backend import Backend


def further(backend: Backend, found: Iterable[Found], depth: int | None) -> Iterator[Found]:
    """Yield sources, those that were made of others replaced by what they were made of.

    Parameters
    ----------
    depth
        How many tables to go through, the source that is given included; None for all.
    """
    for each in found:
        source = each.source
        if depth == 1 or not (isinstance(source, ops.DatabaseTable) and is_owned(source)):
            yield each
            continue
        parts, ended = _parts(backend, each)
        below = None if depth is None else depth - 1
        for part in parts:
            yield from further(backend, part, below)
        if ended is not None:
            yield ended


def _parts(backend: Backend, found: Found) -> tuple[list[list[Found]], Found | None]:
    """Return the sources of each part of a table; and the table where its own rows are an end."""
    table = found.source.name
    making = backend.services.makings.of(table)
    if making is None and made_elsewhere(backend.services.job_id, table):
        making = Making(is_recorded=True)
    if making is None:
        return [], found
    parts, gone = [], []
    for stored in making.parts:
        try:
            parts.append(_sources_of(backend, found, with_leaves(backend, stored)))
        except DroppedTableError as error:
            gone.append(str(error))
    has_values = making.has_values
    if making.is_recorded:  # by another kernel, or by what was restored
        recorded = recorded_making(backend.services, table)
        parts += _recorded_parts(backend, found, recorded, gone)
        gone += recorded.gone
        has_values |= recorded.has_values and bool(parts)
    if gone:
        return parts, _remarking(found, f"made of {', '.join(gone)}, which is gone", parts)
    if has_values:
        return parts, _remarking(found, "rows that were given as values are its own", parts)
    return parts, None if parts else found


def _recorded_parts(
    backend: Backend, found: Found, recorded: RecordedMaking, gone: list[str]
) -> list[list[Found]]:
    """Return the sources that the log names; note those that this kernel cannot read as gone."""
    leaves = {}
    for name, is_same in recorded.sources.items():
        try:
            leaves[_leaf(backend, name)] = is_same
        except AaiclickError:
            gone.append(name)
    is_only = len(recorded.sources) == 1 and not recorded.gone and not recorded.has_values
    way = (*found.way, (found.source, 0))
    return [
        [Found(leaf, selection, way, found.roles, found.is_operand)]
        for leaf, is_same in leaves.items()
        for selection in (_recorded_rows(backend, found, leaf, is_same=is_same, is_only=is_only),)
    ]


def _leaf(backend: Backend, name: str) -> ops.DatabaseTable:
    """Return a leaf of a table, which may be one that another kernel pinned."""
    if TableName.parse(name) is None:
        database, table = qualified(name)
        return foreign_leaf(backend, table, database)
    if name in tables_in_reach(backend.services):
        return backend.leaf(name)
    op: ops.DatabaseTable = Catalog(backend).open(name).op()
    return op


def _recorded_rows(
    backend: Backend, found: Found, source: ops.DatabaseTable, *, is_same: bool, is_only: bool
) -> Selection:
    """Return the rows of a source that a table's selected rows were made of, by the log."""
    table = found.source
    is_alike = dict(source.schema) == dict(table.schema) and POSITION not in table.schema
    if not (is_same and is_alike):
        return Selection().because(
            *found.selection.reasons,
            f"the log has the SQL that made {table.name}, which cannot be looked into; all rows of "
            "what it read are given",
        )
    selection = across(table, found.selection, lambda chosen: is_row_of(source, chosen))
    if not is_only:
        reason = f"{table.name} was made of others, too; rows that are equal are given of each"
        selection = selection.because(reason)
    if changes := backend.services.freshness.changes_below([table.name]):
        selection = selection.because(_got_more(table.name, changes) + ", which may be among these")
    return selection


def _remarking(found: Found, remark: str, parts: list[list[Found]] | None = None) -> Found:
    """Return a source that is an end, where it also has parts for not all of its rows."""
    selection = found.selection.remarking(remark)
    if parts:
        selection = selection.because("some of these rows came from the other sources")
    return Found(found.source, selection, found.way, found.roles, found.is_operand)


def _sources_of(backend: Backend, found: Found, part: ops.Relation) -> list[Found]:
    """Return the sources of a part with the rows that a table's selected rows were made of."""
    table = found.source
    way, roles = (*found.way, (table, 0)), found.roles
    changes = backend.services.freshness.changes_below([table.name])
    reason = _got_more(table.name, changes)
    if changes and not _only_gets_more(part):
        whole = Selection().because(*found.selection.reasons, f"{reason}; all its rows are given")
        leaves = {(leaf.name, leaf.namespace): leaf for leaf in tables_below(part)}
        return [Found(leaf, whole, way, roles, found.is_operand) for leaf in leaves.values()]
    selection = found.selection
    if changes:
        selection = selection.because(f"{reason}, which may be among these")
    op = limits_first(ordered(part))
    selection = _over(selection, table, op)
    return list(sources(op, selection, way, roles, is_operand=found.is_operand))


def _got_more(table: str, changes: Iterable[str]) -> str:
    return f"what {table} was made of got rows later ({', '.join(changes)})"


def _over(selection: Selection, table: ops.Relation, part: ops.Relation) -> Selection:
    """Return a selection of a table's rows as one of the rows that a part gave it."""
    values: dict[str, ops.Value] = {}
    for name, dtype in table.schema.items():
        given = name
        if name not in part.schema and len(table.schema) == len(part.schema) == 1:
            given = part.schema.names[0]  # an array's only column, whatever it is called
        if given in part.schema:
            field = ops.Field(part, given)
            is_same = field.dtype.copy(nullable=True) == dtype.copy(nullable=True)
            values[name] = field if is_same else ops.Cast(field, dtype)
    numbered = _columns_of(selection.predicate, table) - values.keys()
    without = sorted(numbered - {POSITION})
    if numbered:
        named = ", ".join(without) or "the position in it"
        selection = selection.without(
            table, numbered, f"{named}: what {table.name} was made of has no such column"
        )
    return selection.substituted(table, values)


def _columns_of(predicate: ops.Value | None, table: ops.Relation) -> set[str]:
    return {
        field.name
        for part in conditions(predicate)
        for field in part.find(ops.Field, filter=ops.Value)
        if field.rel == table
    }


_ADDING = (
    ops.Project, ops.Filter, ops.Union, ops.Distinct, ops.Sort, ops.DropColumns, ops.DropNull,
    ops.FillNull, ops.Reference, ops.AliasedRelation, ops.PhysicalTable, ops.TableUnnest,
)  # fmt: skip


def _only_gets_more(op: ops.Relation) -> bool:
    """Say whether more rows below can only add rows, and change and take away none."""
    values: Any = op.find((ops.WindowFunction, ops.Subquery, ops.Reduction))
    return not values and all(
        isinstance(node, _ADDING)
        or (
            isinstance(node, ops.JoinChain)
            and all(link.how in ("inner", "cross", "semi") for link in node.rest)
        )
        for node in op.find(ops.Relation)
    )
