"""Fixed rows: every row of a view with a number that it keeps while it is browsed.

Pages need a total order, and neither a table of ClickHouse nor a view has one. What has one are the
parts of a MergeTree table: ``_part, _part_offset`` tells a row, and reading a row, or a range of
rows, by it costs one granule. But merges rename parts, and inserts add some. So what is browsed is
a table of its own that nobody merges:

* of a MergeTree table, and of what only filters, computes and chooses columns of one, a
  ``CLONE AS`` of it: hard links to its parts, 20 ms for any number of rows, no bytes;
* of anything else (a join, an aggregate, SQL text, a sorted view, a table in memory) its result,
  run once and kept until the browser is closed.

Both show the rows as they were when it was opened.
"""

from __future__ import annotations

import contextlib
import time
from bisect import bisect_right
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops

from aaiclick_ext.engine import quote_identifier, quote_literal
from aaiclick_ext.engine.sql import qualified_name
from aaiclick_ext.errors import EngineError
from aaiclick_ext.objects.creation import TableSpec, count_rows, new_table
from aaiclick_ext.objects.leaf import DatabaseTable, owned_tables
from aaiclick_ext.objects.making import spec_of_plan
from aaiclick_ext.objects.ordering import shape_of
from aaiclick_ext.objects.row_keys import hidden_names
from aaiclick_ext.schema import MERGE_TREE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from aaiclick_ext.objects.backend import Backend

_PART, _OFFSET = "_part", "_part_offset"
_NEVER_CLONED = ("Replicated", "Shared")
_MERGES_END_WITHIN_S = 2.0
_POLL_S = 0.01
_MEANS_OTHER_ROWS = (ops.WindowFunction, ops.Reduction, ops.Unnest, ops.Impure, ops.Subquery)


@dataclass(frozen=True, slots=True)
class Part:
    """A part: the rows from `start` on, so many, are its."""

    name: str
    start: int
    rows: int


@dataclass(frozen=True, slots=True)
class FixedRows:
    """The rows of a view, each with a number from 0.

    Attributes
    ----------
    relation
        The view's columns, and the two that tell a row. Holds the table.
    part, offset
        The names of those two.
    is_dense
        Whether every number is a row's: where the view filters, some are not.
    is_frozen
        Whether the view was run, and its result is kept.
    """

    relation: ops.Relation
    part: str
    offset: str
    parts: tuple[Part, ...]
    is_dense: bool
    is_frozen: bool

    @property
    def size(self) -> int:
        """One more than the last number."""
        return self.parts[-1].start + self.parts[-1].rows if self.parts else 0

    def number_sql(self) -> str:
        """Return the SQL of a row's number."""
        offset = quote_identifier(self.offset)
        if len(self.parts) < 2:
            return offset
        names = ", ".join(quote_literal(part.name) for part in self.parts)
        starts = ", ".join(f"toUInt64({part.start})" for part in self.parts)
        part = f"toString({quote_identifier(self.part)})"
        return f"({offset} + transform({part}, [{names}], [{starts}], toUInt64(0)))"

    def condition_sql(self, numbers: Iterable[int]) -> str:
        """Return the SQL that holds for rows of some numbers; ClickHouse reads no others' parts."""
        starts = [part.start for part in self.parts]
        conditions = []
        for place, group in groupby(sorted(numbers), lambda number: bisect_right(starts, number)):
            part = self.parts[place - 1]
            offsets = [number - part.start for number in group]
            first, last = offsets[0], offsets[-1]
            offset = quote_identifier(self.offset)
            if last - first + 1 == len(offsets):
                within = f"{offset} >= {first} AND {offset} <= {last}"
            else:
                within = f"{offset} IN ({', '.join(map(str, offsets))})"
            name = f"{quote_identifier(self.part)} = {quote_literal(part.name)}"
            conditions.append(f"({name} AND {within})")
        return " OR ".join(conditions) or "0"


def fix_rows(backend: Backend, op: ops.Relation) -> FixedRows:
    """Return the rows of a view as they are now. Runs three small statements, or the view.

    A clone costs some 20 ms whatever its size. Where the view has to be run, that takes as long as
    `copy` does, and as many bytes on disk.
    """
    backend.services.check_open()
    op = backend.without_memtables(op)
    leaf = _cloneable(backend, op)
    if leaf is not None:
        try:
            return _cloned(backend, op, leaf)
        except EngineError:
            backend.services.check_open()  # not allowed, or of a kind that has no clones
    return _frozen(backend, op)


def _cloneable(backend: Backend, op: ops.Relation) -> DatabaseTable | None:
    """Return the MergeTree table that a view only filters, computes and chooses columns of."""
    node: Any = op
    while not isinstance(node, DatabaseTable):
        if not isinstance(node, (ops.Project, ops.Filter, ops.DropColumns)):
            return None
        values = _values(node)
        if any(value.find(_MEANS_OTHER_ROWS) for value in values):
            return None
        node = node.parent
    if {_PART, _OFFSET} & set(node.schema):
        return None
    engine = backend.services.schemas.get(node.name, node.namespace.database).engine or ""
    if not engine.endswith(MERGE_TREE) or engine.startswith(_NEVER_CLONED):
        return None
    return node


def _values(node: Any) -> list[ops.Value]:
    if isinstance(node, ops.Project):
        return list(node.values.values())
    return list(node.predicates) if isinstance(node, ops.Filter) else []


def _cloned(backend: Backend, op: ops.Relation, leaf: DatabaseTable) -> FixedRows:
    database = leaf.namespace.database
    source = backend.services.schemas.get(leaf.name, database)
    spec = TableSpec(source.types, source.comments)
    with _passing_table(backend, spec, owned_tables(leaf)) as table:
        backend.services.engine.command(
            f"CREATE TABLE {quote_identifier(table)} CLONE AS {qualified_name(leaf.name, database)}"
        )
        clone, parts = _unmerged(backend, spec, table, leaf.schema)
    part, offset = hidden_names(op, 2, leaf.schema)
    relation, is_dense = _carrying(op, clone, part, offset)
    return FixedRows(relation, part, offset, parts, is_dense, is_frozen=False)


def _frozen(backend: Backend, op: ops.Relation) -> FixedRows:
    plan = backend.planner.plan(op)
    whole = spec_of_plan(plan, shape_of(op))
    names = {name: f"c{place}" for place, name in enumerate(plan.types)}
    spec = TableSpec({names[name]: type_ for name, type_ in whole.types.items()})
    with _passing_table(backend, spec, plan.tables) as table:
        # One stream writes what a sort at the top gives in order; by position, not by name.
        backend.services.engine.command(
            f"{spec.ddl(table, MERGE_TREE)} AS {plan.sql} SETTINGS max_insert_threads = 1"
        )
        schema = ibis.schema({names[name]: dtype for name, dtype in op.schema.items()})
        leaf, parts = _unmerged(backend, spec, table, schema)
    part, offset = hidden_names(op, 2)
    values = {name: ops.Field(leaf, names[name]) for name in op.schema}
    relation = ops.Project(leaf, values | _telling(leaf, part, offset))
    return FixedRows(relation, part, offset, parts, is_dense=True, is_frozen=True)


@contextlib.contextmanager
def _passing_table(backend: Backend, spec: TableSpec, sources: Sequence[str]) -> Iterator[str]:
    """Give a name for a table with no history, in the session of what it is made of."""
    with new_table(backend, spec, beside=sources[0] if sources else None) as table:
        backend.services.notes.made_in_passing(table)
        yield table


def _unmerged(
    backend: Backend, spec: TableSpec, table: str, schema: Mapping[str, dt.DataType]
) -> tuple[DatabaseTable, tuple[Part, ...]]:
    """Return a leaf of a new table, with its parts, which stay as they are."""
    engine = backend.services.engine
    try:
        engine.command(f"SYSTEM STOP MERGES {quote_identifier(table)}")
    except EngineError:  # not allowed; a page whose parts are merged says so
        backend.services.check_open()
    until = time.monotonic() + _MERGES_END_WITHIN_S
    of_table = "WHERE database = currentDatabase() AND table = {table:String}"
    while time.monotonic() < until and engine.query_rows(
        f"SELECT 1 FROM system.merges {of_table}", {"table": table}
    ):
        time.sleep(_POLL_S)
    found = engine.query_rows(
        f"SELECT name, rows FROM system.parts {of_table} AND active "
        "ORDER BY partition_id, min_block_number, name",
        {"table": table},
    )
    parts, start = [], 0
    for name, rows in found:
        parts.append(Part(name, start, rows))
        start += rows
    backend.services.schemas.put(table, spec.schema(MERGE_TREE, count_rows(backend, table)))
    virtual = {_PART: dt.String(nullable=False), _OFFSET: dt.UInt64(nullable=False)}
    leaf = DatabaseTable(
        name=table,
        schema=ibis.schema({**schema, **virtual}),
        source=backend,
        namespace=ops.Namespace(),
    )
    return leaf, tuple(parts)


def _telling(leaf: DatabaseTable, part: str, offset: str) -> dict[str, ops.Value]:
    return {part: ops.Field(leaf, _PART), offset: ops.Field(leaf, _OFFSET)}


def _carrying(op: Any, clone: DatabaseTable, part: str, offset: str) -> tuple[ops.Relation, bool]:
    """Return a view over a clone, with what tells a row; and whether it has every row."""
    if isinstance(op, DatabaseTable):
        values = {name: ops.Field(clone, name) for name in op.schema}
        return ops.Project(clone, values | _telling(clone, part, offset)), True
    parent, is_dense = _carrying(op.parent, clone, part, offset)
    moved = {ops.Field(op.parent, name): ops.Field(parent, name) for name in op.parent.schema}
    if isinstance(op, ops.Filter):
        conditions = [value.replace(moved) for value in op.predicates]
        return ops.Filter(parent, conditions), False
    if isinstance(op, ops.DropColumns):
        return op.copy(parent=parent), is_dense
    values = {name: value.replace(moved) for name, value in op.values.items()}
    telling = {name: ops.Field(parent, name) for name in (part, offset)}
    return ops.Project(parent, values | telling), is_dense


def without_telling(rows: FixedRows) -> ops.Relation:
    """Return the relation as the view has it, over the rows as they are kept."""
    return ops.DropColumns(rows.relation, columns_to_drop=frozenset([rows.part, rows.offset]))
