"""Checks what a plot is asked for, before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aaiclick_ext.errors import SchemaError
from aaiclick_ext.objects.plot_work import MAX_CATEGORIES, Request
from aaiclick_ext.objects.plotting import AGGREGATES, KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import ibis.expr.datatypes as dt
    import ibis.expr.schema as sch

_MAX_BINS = 100


def plot_request(
    schema: sch.Schema,
    kind: str,
    *,
    x: str | None,
    y: str | Sequence[str] | None,
    color: str | None,
    aggregate: str,
    bins: int | None,
    top: int,
    title: str | None,
) -> Request:
    """Return what a plot was asked for.

    Raises
    ------
    SchemaError
        If there is no such kind, aggregate or column, or the kind cannot draw it.
    """
    for what, found, allowed in (
        ("kind", kind, KINDS),
        ("aggregate", aggregate, tuple(AGGREGATES)),
    ):
        if found not in allowed:
            raise SchemaError(f"{what} is {found!r}; it can be {', '.join(map(repr, allowed))}")
    if bins is not None and not 1 <= bins <= _MAX_BINS:
        raise SchemaError(f"bins is {bins!r}; it can be 1 to {_MAX_BINS}")
    if not 1 <= top <= MAX_CATEGORIES:
        raise SchemaError(f"top is {top!r}; it can be 1 to {MAX_CATEGORIES}")
    ys = () if y is None else (y,) if isinstance(y, str) else tuple(y)
    if not ys and kind == "line" and x is not None:
        ys = tuple(name for name, dtype in schema.items() if dtype.is_numeric() and name != x)
    given: tuple[Any, ...] = (x, *ys, color)
    for name in given:
        if not isinstance(name, str | None):
            kind_of = type(name).__name__
            raise SchemaError(f"a plot takes names of columns, as in x='carrier', not {kind_of}")
    missing = [name for name in (x, *ys, color) if name is not None and name not in schema]
    if missing:
        raise SchemaError(
            f"no column {', '.join(map(repr, missing))}; there are {', '.join(schema)}"
        )
    _check_given(kind, x, ys, color)
    _check_types(schema, kind, x, ys, color)
    return Request(kind, x, ys, color, aggregate, bins, top, title)


_NEEDED = {
    "line": ("x and y, as in x.plot('line', x='at', y='n')", True, (1, 6)),
    "bar": ("x, and y or none for rows, as in x.plot('bar', x='carrier', y='delay')", True, (0, 1)),
    "histogram": ("x, as in x.plot('histogram', x='delay')", True, (0, 0)),
    "scatter": ("x and y, as in x.plot('scatter', x='distance', y='delay')", True, (1, 1)),
    "box": ("y, and x or none, as in x.plot('box', x='carrier', y='delay')", False, (1, 1)),
    "heatmap": ("x and y, as in x.plot('heatmap', x='hour', y='origin')", True, (1, 1)),
}  # fmt: skip


def _check_given(kind: str, x: str | None, ys: Sequence[str], color: str | None) -> None:
    needed, needs_x, (least, most) = _NEEDED[kind]
    if (needs_x and x is None) or not least <= len(ys) <= most:
        many = f"; y is {len(ys)} columns, and can be {most}" if len(ys) > 1 else ""
        raise SchemaError(f"a {kind} plot needs {needed}{many}")
    if color is not None and (kind in ("histogram", "box") or len(ys) > 1):
        what = f"a {kind} plot" if len(ys) <= 1 else "several columns y"
        raise SchemaError(f"{what} cannot be coloured by {color!r}; leave color out")


def _check_types(
    schema: sch.Schema, kind: str, x: str | None, ys: Sequence[str], color: str | None
) -> None:
    is_scale = kind in ("line", "scatter")
    if x is not None and is_scale and not _is_measured(schema[x]):
        raise SchemaError(f"{_of('x', x, schema)}; a {kind} plot needs numbers or times there")
    for name in ys:
        if kind == "scatter" and not _is_measured(schema[name]):
            raise SchemaError(f"{_of('y', name, schema)}; a scatter plot needs numbers or times")
        if kind in ("line", "bar", "box") and not schema[name].is_numeric():
            raise SchemaError(f"{_of('y', name, schema)}; a {kind} plot needs numbers there")
    if kind == "heatmap" and color is not None and not schema[color].is_numeric():
        raise SchemaError(f"{_of('color', color, schema)}; a heatmap's colour is of numbers")
    drawn = [x, *(ys if kind == "heatmap" else ()), color]
    for name in filter(None, drawn):
        if not (_is_measured(schema[name]) or _is_told_apart(schema[name])):
            raise SchemaError(
                f"{name!r} is a column of {schema[name]}, which cannot be drawn; numbers, times, "
                "text, booleans and UUIDs can"
            )


def _of(role: str, name: str, schema: sch.Schema) -> str:
    return f"{role} is {name!r}, a column of {schema[name]}"


def _is_measured(dtype: dt.DataType) -> bool:
    return bool(dtype.is_numeric() or dtype.is_timestamp() or dtype.is_date())


def _is_told_apart(dtype: dt.DataType) -> bool:
    return bool(dtype.is_string() or dtype.is_boolean() or dtype.is_uuid() or dtype.is_inet())
