"""What the columns of a table or query are: as ClickHouse, as Ibis and as Arrow has them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from aaiclick_ext.engine.types import arrow_schema, parse
from aaiclick_ext.schema.ibis_types import binary_paths, ibis_schema
from aaiclick_ext.schema.shape import Shape

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import ibis.expr.schema as sch
    import pyarrow as pa

MEMORY = "Memory"
MERGE_TREE = "MergeTree"


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
    comments: Mapping[str, str] = field(default_factory=dict)
    _built: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def ibis(self) -> sch.Schema:
        """The same columns as an Ibis schema."""
        return self._once("ibis", lambda: ibis_schema(self.types, self.comments))

    @property
    def arrow(self) -> pa.Schema:
        """The schema that a fetch of these columns has as Arrow.

        Raises
        ------
        UnsupportedTypeError
            If it is not known how ClickHouse sends a type.
        """
        return self._once("arrow", lambda: arrow_schema(self.types, binary=binary_paths(self.ibis)))

    @property
    def nullable(self) -> frozenset[str]:
        """The columns that can be null."""
        return frozenset(name for name, text in self.types.items() if parse(text).nullable)

    def _once(self, what: str, build: Callable[[], Any]) -> Any:
        found = self._built.get(what)
        # Of two that build at once, both are given what came first.
        return self._built.setdefault(what, build()) if found is None else found


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

    defaults: Mapping[str, ColumnDefault] = field(default_factory=dict)
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
        object.__setattr__(changed, "_built", self._built)
        return changed
