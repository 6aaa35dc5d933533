"""`describe`: a row of figures per column, as Ibis has it, from one reading of the table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir

from aaiclick_ext.errors import SchemaError
from aaiclick_ext.objects.attempts import attempted
from aaiclick_ext.objects.provenance import recorded_as_one
from aaiclick_ext.objects.view import View, make_view

if TYPE_CHECKING:
    from collections.abc import Sequence

    import ibis.expr.operations as ops

_NUMBER, _TEXT, _COUNT = "float64", "string", "int64"


def describe(view: View, quantile: Sequence[float]) -> View:
    """Return a lazy View of figures of each column. See `View.describe`."""
    backend = view._backend  # noqa: SLF001
    source = backend.relation_of(view)
    name = backend.provenance.name_of(source)
    known: dict[str, Any] = {"kwargs": {"source": name}, "params": {"quantile": str(quantile)}}
    with attempted(backend, "describe", **known), recorded_as_one():
        op = _described(source, sorted(quantile))
    backend.provenance.record_view("describe", op, **known, inputs=[source])
    return make_view(op)


def _described(source: ops.Relation, quantile: Sequence[float]) -> ops.Relation:
    wrong = [q for q in quantile if not 0 <= q <= 1]
    if wrong or not source.schema:
        raise SchemaError(
            f"quantile has {wrong[0]!r}; it can be 0 to 1" if wrong else "there is no column"
        )
    table = ir.Table(source)
    rows = [_figures(table, place, name, quantile) for place, name in enumerate(table.columns)]
    # An array for each figure: a union of an aggregate per column would read the table for each.
    one = table.agg(**{name: ibis.array([row[name] for row in rows]) for name in rows[0]})
    each = one.mutate(aai_column=ibis.range(len(rows)).unnest())
    figures = each.select(**{name: each[name][each.aai_column] for name in rows[0]})
    kinds = source.schema.values()
    if not any(dtype.is_numeric() or dtype.is_boolean() for dtype in kinds):
        figures = figures.drop("mean", "std", "min", *map(_name_of, quantile), "max")
    if not any(dtype.is_string() for dtype in kinds):
        figures = figures.drop("mode")
    ordered: ops.Relation = figures.order_by("pos").op()
    return ordered


def _figures(
    table: ir.Table, place: int, name: str, quantile: Sequence[float]
) -> dict[str, ir.Value]:
    column, dtype = table[name], table[name].type()
    none = {kind: ibis.null(kind) for kind in (_NUMBER, _TEXT, _COUNT)}
    found: dict[str, ir.Value] = {
        "name": ibis.literal(name),
        "pos": ibis.literal(place, "int16"),
        "type": ibis.literal(str(dtype)),
        "count": table.count(),
        "nulls": none[_COUNT],
        "unique": none[_COUNT],
        "mode": none[_TEXT],
        **dict.fromkeys(("mean", "std", "min", *map(_name_of, quantile), "max"), none[_NUMBER]),
    }
    if isinstance(column, ir.UnknownColumn) or dtype.is_unknown():
        return found
    found["nulls"] = table.count() - column.count()  # of no rows 0, not null
    if not (dtype.is_nested() or dtype.is_json()):
        found["unique"] = column.nunique() - ibis.literal(0, "int64")  # Int64, as nulls of others
    if dtype.is_string():
        found["mode"] = column.mode()
    elif dtype.is_boolean():
        found["mean"] = column.mean().cast(_NUMBER)
    elif dtype.is_numeric():
        number = column.cast(_NUMBER)
        if dtype.is_floating():
            number = _known(number)
        mean, std = number.mean(), number.std()  # of one value NaN, beside an infinite one 0
        is_spread = ~(mean.isnan() | mean.isinf() | std.isnan())
        measured = {"mean": _known(mean), "std": is_spread.ifelse(std, None), "min": number.min()}
        measured |= {_name_of(q): _known(number.quantile(q)) for q in quantile}
        found |= {**measured, "max": number.max()}
    return found


def _known(number: ir.NumericValue) -> ir.NumericValue:
    """Return a number, null where it is NaN."""
    return number.isnan().ifelse(None, number)


def _name_of(quantile: float) -> str:
    return f"p{100 * quantile:.6f}".rstrip("0").rstrip(".")
