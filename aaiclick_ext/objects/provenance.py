"""Provenance: gives every result a name in the operation log and records what made it."""

from __future__ import annotations

import contextlib
import json
import threading
import weakref
from itertools import count
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir

from aaiclick_ext.ids import to_base36
from aaiclick_ext.logs import logger_of
from aaiclick_ext.objects.column_lineage import column_edges
from aaiclick_ext.objects.leaf import is_owned, relations_below
from aaiclick_ext.oplog.columns import unchanged_columns
from aaiclick_ext.oplog.graph import SINK_PREFIX, VIEW_PREFIX
from aaiclick_ext.oplog.system_names import SYSTEM_PREFIX, is_system_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from aaiclick_ext.objects.services import Services
    from aaiclick_ext.oplog.collector import Columns
    from aaiclick_ext.oplog.columns import ColumnEdge

MAX_PARAMETER = 500
"""Characters of one parameter kept in the log; longer text ends in an ellipsis."""

logger = logger_of("objects")

_depth = threading.local()


@contextlib.contextmanager
def recorded_as_one() -> Iterator[bool]:
    """Make every operation inside part of one event; yields whether this is the outermost."""
    outermost = not getattr(_depth, "inside", False)
    _depth.inside = True
    try:
        yield outermost
    finally:
        if outermost:
            _depth.inside = False


class Provenance:
    """Names of results, by identity of their operation, and the recording of events.

    A table is named by itself; a lazy view gets a name when the operation that makes it is
    recorded. An operation that no wrapper saw (``ibis.union``, ``Column.value_counts``) gets its
    event when its name is first asked for.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._names: dict[int, tuple[weakref.ref[Any], str]] = {}

    def name_of(self, op: ops.Relation) -> str:
        """Return the name of a relation in the log, recording how it was made where nobody has."""
        while isinstance(op, ops.Reference):
            op = op.parent
        if isinstance(op, ops.DatabaseTable):
            database = op.namespace.database
            return op.name if database is None else f"{database}.{op.name}"
        known = self.known_name(op)
        return known if known is not None else self._invent(op)

    def known_name(self, op: ops.Relation) -> str | None:
        """Return the name of a relation that has one."""
        entry = self._names.get(id(op))
        return entry[1] if entry is not None and entry[0]() is op else None

    def called_on(self, op: ops.Relation) -> str | None:
        """Return the name of a relation, or of the nearest one below it that has one."""
        node: ops.Relation | None = op
        while node is not None:
            if isinstance(node, ops.DatabaseTable):
                return self.name_of(node)
            if (known := self.known_name(node)) is not None:
                return known
            node = getattr(node, "parent", None)
        return None

    def relation_named(self, name: str) -> ops.Relation | None:
        """Return the lazy view of a name while anything reaches it."""
        known = next((ref for ref, known in list(self._names.values()) if known == name), None)
        return None if known is None else known()

    def record_view(
        self,
        operation: str,
        op: ops.Relation,
        kwargs: Mapping[str, str],
        params: Mapping[str, str] | None = None,
        sql_template: str | None = None,
        *,
        inputs: Sequence[ops.Relation] = (),
        columns: Columns = None,
    ) -> str:
        """Record the making of a lazy view; return its name.

        Parameters
        ----------
        kwargs
            The names of its inputs by role.
        inputs
            What it was called on and with. What the view reads besides, in a condition or a value,
            is recorded as an input, too.
        columns
            What its columns depend on; by default that is found in the expression.
        """
        known = self.known_name(op)
        if known is not None:
            return known
        besides = self._read_besides(op, inputs, kwargs) if inputs else []
        read = [*kwargs.values(), *besides]
        is_system = bool(read) and all(map(is_system_name, read))
        name = self._assign_name(op, SYSTEM_PREFIX if is_system else "")
        self._services.oplog.record(
            operation,
            result_table=name,
            kwargs={**kwargs, **_further_roles(kwargs, besides)},
            params=params or {},
            sql_template=sql_template,
            columns=self.columns_of(op, inputs) if columns is None else columns,
        )
        return name

    def _read_besides(
        self, op: ops.Relation, inputs: Sequence[ops.Relation], kwargs: Mapping[str, str]
    ) -> list[str]:
        """Return the names of the nearest relations that a view reads besides its inputs.

        Ibis takes some inputs apart: a join that is joined further, an array that is computed
        with. What those read is no input of its own.
        """
        known = set(kwargs.values())
        found = self.names_below(op)
        if known.issuperset(found):
            return []
        joins = isinstance(op, ops.JoinChain)
        for relation in inputs:
            if (joins and isinstance(relation, ops.JoinChain)) or (
                self.name_below(relation) not in found
            ):
                known.update(self.names_below(relation))
        return [name for name in found if name not in known]

    def names_below(self, op: ops.Node) -> list[str]:
        """Return the names of the nearest relations below a node that have one."""
        found: dict[str, None] = {}
        seen: set[int] = set()
        todo = [op]
        while todo:
            for relation in relations_below(todo.pop()):
                if id(relation) in seen:
                    continue
                seen.add(id(relation))
                is_memory = isinstance(relation, ops.InMemoryTable)
                name = self.name_of(relation) if is_memory else self.name_below(relation)
                if name is None:
                    todo.append(relation)
                else:
                    found[name] = None
        return list(found)

    def columns_of(
        self, op: ops.Relation, inputs: Sequence[ops.Relation] = ()
    ) -> Sequence[ColumnEdge] | None:
        """Return what the columns of an expression depend on, or None where it is not known.

        Takes milliseconds where the expression is SQL text.
        """
        try:
            return column_edges(op, self.name_below, inputs)
        except Exception:  # what cannot be explained must still run
            kind = type(op).__name__
            logger.debug("the columns of a %s could not be traced", kind, exc_info=True)
            return None

    def name_below(self, op: ops.Relation) -> str | None:
        """Return the name of a table, or of a view that has one."""
        return self.name_of(op) if isinstance(op, ops.DatabaseTable) else self.known_name(op)

    def record_ingested(self, memtable: ops.InMemoryTable, table: str) -> None:
        """Record which table of ours stands for an `ibis.memtable`."""
        name = self.known_name(memtable) or self._assign_name(memtable)
        self._services.oplog.record(
            "memtable",
            result_table=name,
            kwargs={"source": table},
            columns=unchanged_columns([table]),
        )

    def sink_name(self, prefix: str = SINK_PREFIX) -> str:
        """Return a name for data that leaves the database."""
        return f"{prefix}{to_base36(self._services.snowflake.next())}"

    def names_in_variables(self, op: ops.Relation) -> str | None:
        """Return the log name of a relation held by a variable, without recording anything."""
        if isinstance(op, ops.DatabaseTable):
            return op.name if is_owned(op) else None
        return self.known_name(op)

    def _assign_name(self, op: ops.Relation, prefix: str = "") -> str:
        name = f"{prefix}{VIEW_PREFIX}{to_base36(self._services.snowflake.next())}"
        key, names = id(op), self._names
        names[key] = (weakref.ref(op, lambda _: names.pop(key, None)), name)
        return name

    def _invent(self, op: ops.Relation) -> str:
        if isinstance(op, ops.InMemoryTable):  # recorded once it is a table
            return self._assign_name(op)
        parents = list(dict.fromkeys(self.name_of(parent) for parent in relations_below(op)))
        operation = _OPERATIONS.get(type(op).__name__, type(op).__name__.lower())
        return self.record_view(operation, op, numbered_roles(parents))


_OPERATIONS = {
    "Project": "select",
    "Sort": "order_by",
    "JoinChain": "join",
    "DropColumns": "drop",
    "FillNull": "fill_null",
    "DropNull": "drop_null",
    "SQLQueryResult": "sql",
    "SQLStringView": "sql",
    "TableUnnest": "unnest",
}


def numbered_roles(names: Iterable[str]) -> dict[str, str]:
    """Return ``source`` for one input, ``source_0``, ``source_1``… for several."""
    listed = list(names)
    if len(listed) == 1:
        return {"source": listed[0]}
    return {f"source_{number}": name for number, name in enumerate(listed)}


def _further_roles(kwargs: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """Return roles for more inputs that none of the others has."""
    free = (role for number in count(1) if (role := f"source_{number}") not in kwargs)
    return {role: name for name, role in zip(names, free, strict=False)}


def describe_argument(value: Any) -> str:
    """Return an argument of an operation as compact text for the log; runs no query."""
    text = _describe(value, 0)
    return text if len(text) <= MAX_PARAMETER else text[: MAX_PARAMETER - 1] + "…"


def _describe(value: Any, depth: int) -> str:
    if isinstance(value, ir.Table):
        return "table"
    if isinstance(value, ir.Expr):
        return _describe_node(value.op(), depth)
    if isinstance(value, (list, tuple, set, frozenset)):
        return "[" + ", ".join(_describe(item, depth + 1) for item in list(value)[:50]) + "]"
    if isinstance(value, dict):
        shown = list(value.items())[:50]
        return "{" + ", ".join(f"{k}: {_describe(v, depth + 1)}" for k, v in shown) + "}"
    if isinstance(value, ibis.common.deferred.Deferred):
        return repr(value)
    if isinstance(value, (str, int, float, bool, type(None))):
        return json.dumps(value, ensure_ascii=False)
    if callable(value):
        return getattr(value, "__name__", type(value).__name__)
    return repr(value)[:MAX_PARAMETER]


_SYMBOLS = {
    "Add": "+", "Subtract": "-", "Multiply": "*", "Divide": "/", "FloorDivide": "//",
    "Modulus": "%", "Power": "**", "Equals": "=", "NotEquals": "!=", "Less": "<",
    "LessEqual": "<=", "Greater": ">", "GreaterEqual": ">=", "And": "and", "Or": "or",
}  # fmt: skip


def _describe_node(node: Any, depth: int) -> str:
    if depth > 12:
        return "…"
    if isinstance(node, ops.Field):
        return str(node.name)
    if isinstance(node, ops.Literal):
        return repr(node.value)
    if isinstance(node, ops.Alias):
        return f"{_describe_node(node.arg, depth + 1)} as {node.name}"
    if isinstance(node, ops.SortKey):
        direction = "asc" if node.ascending else "desc"
        return f"{_describe_node(node.args[0], depth + 1)} {direction}"
    if isinstance(node, ops.Relation):
        return "table"
    kind = type(node).__name__
    arguments = [
        _describe_node(child, depth + 1)
        for child in node.__children__
        if not isinstance(child, ops.Relation)
    ]
    if kind in _SYMBOLS and len(arguments) == 2:
        return f"({arguments[0]} {_SYMBOLS[kind]} {arguments[1]})"
    return f"{kind}({', '.join(arguments)})"
