"""Operations in words: what a step of an expression does to rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ibis.expr.operations as ops

from aaiclick_ext.objects.join_steps import join_role
from aaiclick_ext.objects.ordering import POS
from aaiclick_ext.objects.provenance import describe_argument
from aaiclick_ext.objects.row_steps import limit_text

if TYPE_CHECKING:
    from collections.abc import Callable


def step_name(op: ops.Relation, branch: int) -> str:
    """Return what an operation does to the rows of one of its inputs. Runs no query."""
    for kind, name in _NAMES.items():
        if isinstance(op, kind):
            return name(op, branch)
    return type(op).__name__.lower()


def described(value: ops.Value) -> str:
    """Return a value in short words."""
    if isinstance(value, ops.Not):
        return f"not {described(value.arg)}"
    if isinstance(value, ops.InSubquery):
        return f"{described(value.needle)} in {next(iter(value.rel.schema))} of another table"
    if isinstance(value, ops.SortKey):
        return f"{described(value.arg)} {'asc' if value.ascending else 'desc'}"
    if isinstance(value, ops.Field) and value.name == POS:
        return "position"
    return describe_argument(value.to_expr())


def _all(values: Any) -> str:
    return ", ".join(described(value) for value in values)


def _filter(op: ops.Filter, _branch: int) -> str:
    text = " and ".join(described(predicate) for predicate in op.predicates)
    return f"filter {text}" if text.startswith("(") else f"filter ({text})"


def _project(op: ops.Project, _branch: int) -> str:
    columns = [name for name in op.values if name != POS]
    unnested = [n for n, v in op.values.items() if v.find(ops.Unnest, filter=ops.Value)]
    return f"unnest {', '.join(unnested)}" if unnested else f"select {', '.join(columns)}"


def _join(op: ops.JoinChain, branch: int) -> str:
    if branch >= len(op.tables):
        return "condition of a join"
    links = op.rest if branch == 0 else op.rest[branch - 1 :]
    joins = ", ".join(f"{link.how} join" + _on(link) for link in links)
    return f"{joins} ({join_role(op, branch)})"


def _on(link: ops.JoinLink) -> str:
    if not link.predicates:
        return ""
    fields = {
        field.name for value in link.predicates for field in value.find(ops.Field, filter=ops.Value)
    }
    return " by position" if fields == {POS} else f" on {_all(link.predicates)}"


def _aggregate(op: ops.Aggregate, _branch: int) -> str:
    return f"group by {', '.join(op.groups)}" if op.groups else "aggregate of all rows"


def _drop_null(op: ops.DropNull, _branch: int) -> str:
    columns = op.parent.schema if op.subset is None else [c.name for c in op.subset]
    return f"drop_null {op.how} of {', '.join(columns)}"


_SIDES = ("left", "right")

_NAMES: dict[type[ops.Relation], Callable[[Any, int], str]] = {
    ops.Filter: _filter,
    ops.Project: _project,
    ops.JoinChain: _join,
    ops.Aggregate: _aggregate,
    ops.Union: lambda op, _: "union of distinct rows" if op.distinct else "union",
    ops.Intersection: lambda _, branch: f"intersection ({_SIDES[branch]} side)",
    ops.Difference: lambda _, branch: f"difference ({_SIDES[branch]} side)",
    ops.Limit: lambda op, _: limit_text(op) or "limit",
    ops.Sample: lambda op, _: f"sample of {op.fraction:g}",
    ops.DropNull: _drop_null,
    ops.FillNull: lambda *_: "fill_null",
    ops.TableUnnest: lambda op, _: f"unnest {op.column_name}",
    ops.Sort: lambda op, _: f"order by {_all(op.keys)}",
    ops.Distinct: lambda *_: "distinct",
    ops.DropColumns: lambda op, _: f"drop {', '.join(sorted(op.columns_to_drop))}",
}


def reduction_of(op: ops.Relation) -> str | None:
    """Return what a relation of one cell is by, as its method is called: count, sum; else None."""
    if not isinstance(op, ops.Aggregate) or op.groups or len(op.metrics) != 1:
        return None
    name = type(next(iter(op.metrics.values()))).__name__.removesuffix("Star")
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).removeprefix("_")
