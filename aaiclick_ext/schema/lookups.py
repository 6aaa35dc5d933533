"""Tables that SQL reads outside FROM: right of IN, and by functions that look something up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import exp

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_FUNCTIONS = ("dictget", "dicthas", "dictis", "joinget")
_WITHOUT_COLUMNS = (
    "dicthas", "dictis", "dictgethierarchy", "dictgetchildren", "dictgetdescendants",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lookup:
    """A call of ``dictGet``, ``joinGet`` or one of their kind.

    Attributes
    ----------
    table
        The dictionary or the table with the engine Join, with its database where the text has it.
    columns
        What is looked up; None where the text does not tell, empty where only rows count.
    keys
        The other arguments.
    """

    table: str
    columns: tuple[str, ...] | None
    keys: Sequence[exp.Expr]


def is_lookup(node: exp.Expr) -> bool:
    """Say whether an expression looks something up by a function's name."""
    return isinstance(node, exp.Anonymous) and node.name.lower().startswith(_FUNCTIONS)


def lookup_of(node: exp.Expr) -> Lookup | None:
    """Return what a function looks up; None where it is no such one or does not say where."""
    if not is_lookup(node) or not node.expressions:
        return None
    table, *rest = node.expressions
    name = table.this if isinstance(table, exp.Literal) else dotted_name(table)
    if name is None:
        return None
    if node.name.lower().startswith(_WITHOUT_COLUMNS):
        return Lookup(name, (), rest)
    return Lookup(name, _texts(rest[0]) if rest else None, rest[1:])


def dotted_name(node: exp.Expr | None) -> str | None:
    """Return the name that stands where a column might; None for anything else."""
    if not isinstance(node, exp.Column) or isinstance(node.this, exp.Star):
        return None
    return ".".join(part.name for part in node.parts)


def tables_looked_up(query: exp.Expr) -> Iterator[str]:
    """Yield names of tables that a query reads outside FROM, and of columns that hold arrays."""
    for node in query.find_all(exp.In, exp.Anonymous):
        found = lookup_of(node)
        if found is not None:
            yield found.table
        elif isinstance(node, exp.In) and (name := dotted_name(node.args.get("field"))):
            yield name


def _texts(node: exp.Expr) -> tuple[str, ...] | None:
    """Return the texts that a literal, or a tuple of some, has."""
    parts = node.expressions if isinstance(node, exp.Tuple) else [node]
    if not all(isinstance(part, exp.Literal) and part.is_string for part in parts):
        return None
    return tuple(part.this for part in parts)
