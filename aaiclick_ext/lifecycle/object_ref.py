"""ObjectRef: the name of one counted thing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from aaiclick_ext.errors import UnsupportedTypeError

Holds = Iterable[Any] | Mapping[Any, Any]
"""Refs in any nesting of iterables and mappings, labels among them."""

_LABELS = (str, bytes, int, float, type(None))


class RefKind(StrEnum):
    """What a ref stands for."""

    TABLE = "table"
    VIEW = "view"
    OBJECT = "object"
    QUERY = "query"
    SCALAR = "scalar"


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """One counted thing: a table, a stored view, a Python object, a live query, a scalar.

    Attributes
    ----------
    id
        1 and up, given again after the ref is freed; 0 for the empty ref, which is falsy.
    generation
        How many refs have had this id so far, this one counted.
    node, session
        Of the kernel that counts it.
    """

    kind: RefKind
    id: int
    generation: int
    node: int
    session: int

    @classmethod
    def empty(cls) -> Self:
        """Return the ref that stands for nothing; to claim and to release it does nothing."""
        return cls(RefKind.SCALAR, 0, 0, 0, 0)

    def __bool__(self) -> bool:
        return self.id != 0

    def __str__(self) -> str:
        return f"{self.kind} {self.id}.{self.generation}" if self else "the empty ref"


def refs_in(holds: Holds) -> dict[ObjectRef, None]:
    """Return every ref in nested iterables and mappings once, in order, the empty one left out.

    Text, numbers and None are labels and stand for nothing. Iterates what it is given, to any
    depth; keys count like values.

    Raises
    ------
    UnsupportedTypeError
        If there is anything else: it would look held and be let go.
    """
    found: dict[ObjectRef, None] = {}
    todo: list[Any] = [holds]
    while todo:
        item = todo.pop()
        if isinstance(item, ObjectRef):
            if item:
                found[item] = None
        elif isinstance(item, Mapping):
            todo += reversed([part for pair in item.items() for part in pair])
        elif isinstance(item, Iterable) and not isinstance(item, _LABELS):
            todo += reversed([*item])
        elif not isinstance(item, _LABELS):
            raise UnsupportedTypeError(
                f"a {type(item).__name__} cannot be held by a ref; register it and hold its ref"
            )
    return found
