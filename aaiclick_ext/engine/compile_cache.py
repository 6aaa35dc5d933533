"""A memo of compiled SQL whose keys pin nothing.

Equality of Ibis operations is not equality of SQL (``0.0 == -0.0``, equal instants in two time
zones), and a memo keyed by the operation itself would keep its leaves, and so their tables, alive.
The key here is structural and hash-consed: every distinct shape of a node, with its children
already turned into integers, is given an integer. Equal key means equal SQL.
"""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import ibis.expr.operations as ops
from ibis.common.graph import Node

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

T = TypeVar("T")

MAX_SHAPES = 10_000
"""Shapes remembered before the table is emptied; later keys then only miss."""

MAX_PLANS = 1_000
"""Plans remembered before all are forgotten: those of dropped tables are never asked for again."""


class StructuralKeys:
    """Gives expressions of the same SQL the same integer.

    A call costs 6 to 60 µs. Not thread-safe by locks: `dict.setdefault` with a fresh number is
    atomic, and two numbers for one shape would only miss.
    """

    def __init__(self) -> None:
        self._shapes: dict[Hashable, int] = {}
        self._numbers = itertools.count()

    def key(self, root: Node) -> int | None:
        """Return the key of an operation, or None where its SQL must not be remembered."""
        if len(self._shapes) > MAX_SHAPES:
            self._shapes.clear()
        try:
            return _Walk(self._shapes, self._numbers).node(root)
        except _NotMemoisableError:
            return None


class _NotMemoisableError(Exception):
    """The expression carries data or code that a key would have to hold."""


class _Walk:
    """One computation of a key."""

    def __init__(self, shapes: dict[Hashable, int], numbers: itertools.count[int]) -> None:
        self._shapes = shapes
        self._numbers = numbers
        self._seen: dict[int, int] = {}
        self._self_references: dict[Any, int] = {}

    def node(self, node: Node) -> int:
        known = self._seen.get(id(node))
        if known is None:
            shape = self._shape(node)
            known = self._shapes.get(shape)
            if known is None:
                known = self._shapes.setdefault(shape, next(self._numbers))
            self._seen[id(node)] = known
        return known

    def _shape(self, node: Node) -> Hashable:
        kind = type(node)
        if isinstance(node, (ops.InMemoryTable, ops.ScalarUDF, ops.AggUDF)):
            raise _NotMemoisableError
        if isinstance(node, ops.DatabaseTable):
            return (kind, node.name, node.schema, node.namespace)
        if isinstance(node, ops.SQLQueryResult):
            return (kind, node.query, node.schema)
        if isinstance(node, ops.SQLStringView):
            return (kind, self.node(node.parent), node.query, node.schema)
        if isinstance(node, ops.Literal):
            return (kind, type(node.value), repr(node.value), node.dtype)
        if isinstance(node, ops.SelfReference):  # numbered upwards for ever: number them per key
            number = self._self_references.setdefault(node.identifier, len(self._self_references))
            return (kind, self.node(node.parent), number)
        return (kind, *[self._value(argument) for argument in node.__args__])

    def _value(self, value: Any) -> Hashable:
        if isinstance(value, Node):
            return self.node(value)
        kind = type(value)
        if kind in (tuple, list):
            return (kind, *[self._value(item) for item in value])
        if kind is frozenset:
            return (kind, frozenset([self._value(item) for item in value]))
        if hasattr(value, "items") and hasattr(value, "__getitem__"):
            return (kind, *[(self._value(k), self._value(v)) for k, v in value.items()])
        return (kind, value)


class CompileCache(Generic[T]):
    """Plans by structural key.

    Attributes
    ----------
    hits, misses
        How often a plan was found, and how often it was made.
    """

    def __init__(self) -> None:
        self._keys = StructuralKeys()
        self._plans: dict[Hashable, T] = {}
        self._lock = threading.Lock()
        self.hits = 0
        self.misses = 0

    def get(self, root: Node, make: Callable[[], T], *, variant: Hashable = None) -> T:
        """Return the plan of an operation, made by `make` where there is none.

        Parameters
        ----------
        variant
            Tells apart several plans of one operation.
        """
        key = self._keys.key(root)
        if key is None:
            self.misses += 1
            return make()
        plan = self._plans.get((key, variant))
        if plan is not None:
            self.hits += 1
            return plan
        self.misses += 1
        plan = make()
        with self._lock:
            if len(self._plans) >= MAX_PLANS:
                self._plans.clear()
            self._plans[key, variant] = plan
        return plan

    def clear(self) -> None:
        """Forget every plan."""
        with self._lock:
            self._plans.clear()
