"""Arrays and scalars: elementwise arithmetic by position, and reductions."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

import ibis.expr.operations as ops
import ibis.expr.types as ir

from aaiclick_ext.errors import UnsupportedTypeError, ValueRangeError
from aaiclick_ext.objects.attempts import attempted
from aaiclick_ext.objects.object_columns import has_objects
from aaiclick_ext.objects.ordering import (
    POS,
    hide_position,
    is_dense,
    positional,
    shape_of,
)
from aaiclick_ext.objects.pairing import check_lengths, length_of
from aaiclick_ext.objects.provenance import describe_argument, recorded_as_one
from aaiclick_ext.objects.unknown import adopt_column
from aaiclick_ext.objects.view import View, make_view
from aaiclick_ext.oplog.columns import NONE, ColumnEdge
from aaiclick_ext.schema import Shape

if TYPE_CHECKING:
    from aaiclick_ext.objects.provenance import Provenance

VALUE = "value"
RIGHT = "_right"

Function = Callable[[Any, Any], Any]


def _binary(name: str, function: Function, *, reflected: bool = False) -> Callable[..., View]:
    def method(self: View, other: Any) -> View:
        left, right = self, other
        return elementwise(name, function, left, right, reflected=reflected)

    method.__name__ = f"__{'r' if reflected else ''}{name}__"
    method.__doc__ = f"Return the elementwise `{name}` with an array, a scalar or a value; lazy."
    return method


def elementwise(
    name: str, function: Function, left: View, right: Any, *, reflected: bool = False
) -> View:
    """Combine two operands position by position; lazy.

    Raises
    ------
    LengthError
        If both are arrays and their lengths differ, now or when the result is run. Lengths of
        filtered arrays are counted, which runs a query.
    UnsupportedTypeError
        If an operand has neither one value nor a row order.
    """
    operand = _operand(left, right)
    provenance = left._backend.provenance  # noqa: SLF001
    roles, params = {"left": provenance.name_of(left.op())}, {}
    if isinstance(operand, View):
        roles["right"] = provenance.name_of(operand.op())
    else:
        is_of_objects = has_objects(left.op())
        params["right"] = type(operand).__name__ if is_of_objects else describe_argument(operand)
    if reflected:
        other = {"left": "right", "right": "left"}
        roles = {other[role]: table for role, table in roles.items()}
        params = {other[role]: text for role, text in params.items()}
    with attempted(left._backend, name, kwargs=roles, params=params), recorded_as_one():  # noqa: SLF001
        result = _combine(function, left, operand, reflected=reflected)
    _record(provenance, name, result, roles, params, operands=(left, operand))
    return result


def _record(
    provenance: Provenance,
    name: str,
    result: View,
    roles: Mapping[str, str],
    params: Mapping[str, str] = MappingProxyType({}),
    *,
    operands: Sequence[Any],
) -> None:
    """Record an elementwise operation as one of its operands, which the expression takes apart."""
    views = [operand for operand in operands if isinstance(operand, View)]
    scalars = [operand.op() for operand in operands if isinstance(operand, ir.Scalar)]
    edges = _edges(provenance, views)
    read = [table for scalar in scalars for table in provenance.names_below(scalar)]
    of_scalars = {"right" if n == 0 else f"source_{n}": table for n, table in enumerate(read)}
    for scalar in scalars:
        found = provenance.columns_of(scalar.to_expr().as_table().op())
        edges += [ColumnEdge(VALUE, e.source, e.column, e.use) for e in found or ()]
    provenance.record_view(name, result.op(), {**roles, **of_scalars}, params, columns=edges)


def _edges(provenance: Provenance, views: Sequence[View]) -> list[ColumnEdge]:
    """Return what the value and the rows of an elementwise operation come from."""
    sources = {provenance.name_of(view.op()): view for view in views}
    edges = [ColumnEdge(VALUE, name, view.columns[0], "value") for name, view in sources.items()]
    arrays = [name for name, view in sources.items() if shape_of(view.op()) is Shape.ARRAY]
    first, *others = arrays or list(sources)[:1]
    edges.append(ColumnEdge(NONE, first, NONE, "value"))
    return edges + [ColumnEdge(NONE, other, NONE, "join") for other in others]  # by position


def _operand(left: View, right: Any) -> Any:
    """Return the right operand as a View or as something an Ibis literal can hold."""
    if isinstance(right, (View, ir.Scalar)):
        return right
    if isinstance(right, ir.Expr):
        raise UnsupportedTypeError(
            f"a {type(right).__name__} has no row order of its own; combine columns of one table "
            "with x.mutate(…), or use one-column arrays"
        )
    is_of_objects = has_objects(left.op())
    if is_of_objects and not isinstance(right, (list, tuple)):
        return right
    if hasattr(right, "__array__") or isinstance(right, (list, tuple, range)):
        from aaiclick_ext.objects.making import object_from_value

        if is_of_objects:
            return object_from_value(left._backend, right, objects=[VALUE])  # noqa: SLF001
        return object_from_value(left._backend, right)  # noqa: SLF001
    if isinstance(right, int) and not -(2**63) <= right < 2**63:
        return _large(right)
    return right


def _large(value: int) -> ir.Scalar:
    """Return an integer that Ibis's own literals, which are signed, cannot hold."""
    import ibis

    if not 0 <= value < 2**64:
        raise ValueRangeError(f"{value} does not fit 64 bits; use decimal.Decimal (76 digits)")
    return ibis.literal(value, "uint64")


def _combine(function: Function, left: View, right: Any, *, reflected: bool) -> View:

    def apply(x: Any, y: Any) -> Any:
        value = function(y, x) if reflected else function(x, y)
        if isinstance(value, bool):  # neither knew the other, so Python compared identities
            raise UnsupportedTypeError(
                f"{x.type()} has no comparison with {type(right).__name__} {right!r}"
            )
        return value

    if isinstance(right, View) and shape_of(right.op()) is Shape.ARRAY:
        if shape_of(left.op()) is Shape.SCALAR:
            return _with_scalar(lambda x, y: apply(y, x), right, _scalar(left))
        return _with_array(apply, left, right)
    if isinstance(right, View):
        if shape_of(right.op()) is not Shape.SCALAR:
            _refuse(right)
        right = _scalar(right)
    return _with_scalar(apply, left, right)


def _scalar(view: View) -> ir.Scalar:
    return ir.Table(view.op()).as_scalar()


def _with_scalar(function: Function, view: View, other: Any) -> View:
    relation = positional(view.op())
    if relation is None:  # a scalar: one row stays one row
        base, name = ir.Table(view.op()), view.columns[0]
        value = adopt_column(base[name])
        return make_view(base.select(**{VALUE: function(value, other)}).op())
    base, position, value = _columns(relation)
    out = base.select(**{POS: position, VALUE: function(value, other)})
    return make_view(hide_position(out.op()))


def _with_array(function: Function, left: View, right: View) -> View:
    p, q = _positional_array(left), _positional_array(right)
    if _base(p) == _base(q):  # the same rows: no join
        base, position, x = _columns(p)
        _, _, y = _columns(q)
    else:
        backend = left._backend  # noqa: SLF001
        check_lengths(backend, length_of(backend, p), length_of(backend, q))
        right_table = ir.Table(_dense(q)).rename({RIGHT: _value_name(q)})
        joined = ir.Table(ir.Table(_dense(p)).join(right_table, POS).op())
        base, position, x, y = joined, joined[POS], joined[_value_name(p)], joined[RIGHT]
        x, y = adopt_column(x), adopt_column(y)
    out = base.select(**{POS: position, VALUE: function(x, y)})
    return make_view(hide_position(out.op()))


def _positional_array(view: View) -> ops.Relation:
    relation = positional(view.op())
    if relation is None:
        _refuse(view)
    return relation


def _refuse(view: View) -> NoReturn:
    raise UnsupportedTypeError(
        f"this View ({', '.join(view.columns)}) has no row order, so it has no elementwise "
        "arithmetic; use its columns (x.mutate(…)), or make an array of one column"
    )


def _value_name(relation: ops.Relation) -> str:
    return str(next(name for name in relation.schema if name != POS))


def _base(relation: ops.Relation) -> ops.Relation:
    """Return what decides the rows: the relation below the projections that compute values."""
    return relation.parent if isinstance(relation, ops.Project) else relation


def _columns(relation: ops.Relation) -> tuple[ir.Table, ir.Column, ir.Column]:
    """Return the base and the position and value as expressions over it."""
    name = _value_name(relation)
    if isinstance(relation, ops.Project):
        base = ir.Table(relation.parent)
        value = relation.values[name].to_expr()
        return base, relation.values[POS].to_expr(), adopt_column(value)
    base = ir.Table(relation)
    return base, base[POS], adopt_column(base[name])


def _dense(relation: ops.Relation) -> ops.Relation:
    """Return the relation with positions 0, 1, 2… where it may have gaps."""
    if is_dense(relation):
        return relation
    import ibis

    table, name = ir.Table(relation), _value_name(relation)
    number = ibis.row_number().over(ibis.window(order_by=table[POS])).cast("!uint64")
    return table.select(**{POS: number, name: table[name]}).op()


class ElementwiseView(View):
    """A View whose operators work element by element; the loops below give it them."""

    __hash__ = object.__hash__


class ScalarView(ElementwiseView):
    """One row and one column: combines with arrays, scalars and values."""

    __hash__ = object.__hash__


class ArrayView(ElementwiseView):
    """One column with a row order: elementwise operations and reductions.

    Every reduction is a lazy one-row View, so ``a / a.sum()`` works and ``a.sum().data()`` is a
    number. Reducing nothing gives null, as does reducing only nulls.
    """

    __hash__ = object.__hash__

    @property
    def _as_ibis(self) -> ir.Table:
        return ir.Table(self.op())  # whose count and the like are Ibis's, as Ibis needs them

    def _reduce(self, name: str, reduce: Callable[[ir.Column], ir.Scalar], **params: Any) -> View:
        table = ir.Table(self.op())
        with recorded_as_one():
            result = make_view(
                table.aggregate(**{VALUE: reduce(adopt_column(table[self.columns[0]]))}).op()
            )
        provenance = self._backend.provenance
        described = {key: describe_argument(value) for key, value in params.items()}
        source = {"source": provenance.name_of(self.op())}
        provenance.record_view(name, result.op(), source, described)
        return result

    def sum(self) -> View:
        """Return the sum of the elements that are not null."""
        return self._reduce("sum", lambda c: c.sum())

    def mean(self) -> View:
        """Return the arithmetic mean, as a Float64."""
        return self._reduce("mean", lambda c: c.mean())

    def min(self) -> View:
        """Return the smallest element."""
        return self._reduce("min", lambda c: c.min())

    def max(self) -> View:
        """Return the largest element."""
        return self._reduce("max", lambda c: c.max())

    def std(self, *, how: str = "sample") -> View:
        """Return the standard deviation; `how` is ``"sample"`` (n - 1) or ``"pop"`` (n)."""
        return self._reduce("std", lambda c: c.std(how=how), how=how)

    def var(self, *, how: str = "sample") -> View:
        """Return the variance; `how` is ``"sample"`` (n - 1) or ``"pop"`` (n)."""
        return self._reduce("var", lambda c: c.var(how=how), how=how)

    def count(self) -> View:
        """Return the number of elements that are not null."""
        return self._reduce("count", lambda c: c.count())

    def nunique(self) -> View:
        """Return the number of distinct elements that are not null."""
        return self._reduce("nunique", lambda c: c.nunique())

    def quantile(self, q: float = 0.5) -> View:
        """Return the element below which a fraction `q` of the elements lies.

        ClickHouse's ``quantile``: an approximation by reservoir sampling, exact up to 8192
        elements.
        """
        return self._reduce("quantile", lambda c: c.quantile(q), q=q)

    def unique(self) -> View:
        """Return the distinct elements in the order of their first appearance."""
        relation = _positional_array(self)
        with recorded_as_one():
            table, name = ir.Table(relation), _value_name(relation)
            first = table.group_by(table[name].name(VALUE)).aggregate(**{POS: table[POS].min()})
            result = make_view(hide_position(first.op()))
        provenance = self._backend.provenance
        source, value = provenance.name_of(self.op()), self.columns[0]
        edges = (
            ColumnEdge(VALUE, source, value, "value"),
            ColumnEdge(NONE, source, value, "group"),
        )
        provenance.record_view("unique", result.op(), {"source": source}, columns=edges)
        return result


_OPERATORS: dict[str, Function] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "truediv": operator.truediv,
    "floordiv": operator.floordiv,
    "mod": operator.mod,
    "pow": operator.pow,
    "and": operator.and_,
    "or": operator.or_,
    "xor": operator.xor,
    "lshift": operator.lshift,
    "rshift": operator.rshift,
}
_COMPARISONS: dict[str, Function] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}
_UNARY: dict[str, Callable[[Any], Any]] = {
    "neg": operator.neg,
    "invert": operator.invert,
    "abs": lambda column: column.abs(),
}


def _unary(name: str, function: Callable[[Any], Any]) -> Callable[..., View]:
    def method(self: View) -> View:
        with recorded_as_one():
            result = _with_scalar(lambda x, _: function(x), self, None)
        provenance = self._backend.provenance
        source = {"source": provenance.name_of(self.op())}
        _record(provenance, name, result, source, operands=(self,))
        return result

    method.__name__ = f"__{name}__"
    method.__doc__ = f"Return the elementwise `{name}`; lazy."
    return method


for _name, _function in (_OPERATORS | _COMPARISONS).items():
    setattr(ElementwiseView, f"__{_name}__", _binary(_name, _function))
for _name, _function in _OPERATORS.items():
    setattr(ElementwiseView, f"__r{_name}__", _binary(_name, _function, reflected=True))
for _name, _single in _UNARY.items():
    setattr(ElementwiseView, f"__{_name}__", _unary(_name, _single))
