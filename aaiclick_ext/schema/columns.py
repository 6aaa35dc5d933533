"""What the columns of a table or query are: as ClickHouse, as Ibis and as Arrow has them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from aaiclick_ext.engine.types import arrow_schema, parse
from aaiclick_ext.schema.ibis_types import binary_paths, ibis_schema
from aaiclick_ext.schema.shape import Shape

if TYPE_CHECKING:
    from collections.abc import Mapping

    import ibis.expr.schema as sch
    import pyarrow as pa

MEMORY = "Memory"
MERGE_TREE = "MergeTree"

_NONE: Mapping[str, Any] = MappingProxyType({})  # most tables have no comments: one for all
_building = threading.Lock()  # of two that ask at once, both are given the same


def _no_columns() -> Mapping[str, Any]:
    return _NONE


@dataclass(frozen=True, slots=True)
class ColumnDefault:
    """What a column holds where nothing is given for it.

    Attributes
    ----------
    kind
        ``DEFAULT``, ``MATERIALIZED``, ``ALIAS`` or ``EPHEMERAL``.
    expression
        As SQL.
    """

    kind: str
    expression: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The columns of a query.

    Immutable. The Ibis and the Arrow schema are built when they are first asked for, once, and are
    the same objects for everyone.

    Attributes
    ----------
    types
        Column to ClickHouse type, in order, without hidden columns.
    comments
        Column to comment, where it has one.

    Examples
    --------
    >>> columns = Columns(types={"a": "Int64", "t": "Nullable(DateTime)"})
    >>> columns.nullable
    frozenset({'t'})
    >>> print(columns.arrow)
    a: int64 not null
    t: timestamp[s]
    """

    types: Mapping[str, str]
    comments: Mapping[str, str] = field(default_factory=_no_columns)
    _ibis: sch.Schema | None = field(default=None, init=False, repr=False, compare=False)
    _arrow: pa.Schema | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def ibis(self) -> sch.Schema:
        """The same columns as an Ibis schema."""
        if self._ibis is None:
            with _building:
                if self._ibis is None:
                    object.__setattr__(self, "_ibis", ibis_schema(self.types, self.comments))
        return self._ibis

    @property
    def arrow(self) -> pa.Schema:
        """The schema that a fetch of these columns has as Arrow.

        Raises
        ------
        UnsupportedTypeError
            If it is not known how ClickHouse sends a type.
        """
        if self._arrow is None:
            binary = binary_paths(self.ibis)
            with _building:
                if self._arrow is None:
                    object.__setattr__(self, "_arrow", arrow_schema(self.types, binary=binary))
        return self._arrow

    @property
    def nullable(self) -> frozenset[str]:
        """The columns that can be null."""
        return frozenset(name for name, text in self.types.items() if parse(text).nullable)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSchema(Columns):
    """The columns of one table, and what else ClickHouse says of it.

    Attributes
    ----------
    defaults
        Column to default, where it has one; hidden columns (MATERIALIZED, ALIAS, EPHEMERAL) too.
    shape
        What it is as an object.
    engine
        ClickHouse's table engine.
    rows
        Number of rows where it is known without a query, else None.
    sorting_key, primary_key, partition_key
        As SQL; empty where there is none.
    version
        A hash of its definition in ClickHouse, or None where that was not asked for: this kernel
        made the table.
    """

    defaults: Mapping[str, ColumnDefault] = field(default_factory=_no_columns)
    shape: Shape = Shape.TABLE
    engine: str | None = None
    rows: int | None = None
    sorting_key: str = ""
    primary_key: str = ""
    partition_key: str = ""
    version: int | None = field(default=None, compare=False)

    def with_rows(self, rows: int | None, engine: str | None = None) -> Self:
        """Return the same columns, built schemas included, with another number of rows."""
        changed = replace(self, rows=rows, engine=engine or self.engine)
        object.__setattr__(changed, "_ibis", self._ibis)
        object.__setattr__(changed, "_arrow", self._arrow)
        return changed
