"""The one loop in which Ibis's methods are wrapped.

A wrapped method keeps its name, signature and documentation. Its result, where it leads back to a
table, becomes a View, and its outermost call becomes one event in the operation log. That and the
`Backend`, which sees every execution, is all the instrumentation there is.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from typing import TYPE_CHECKING, Any

import ibis.expr.operations as ops
import ibis.expr.types as ir
from ibis.expr.types.groupby import GroupedTable
from ibis.expr.types.joins import Join

from aaiclick_ext.objects.attempts import record_failure
from aaiclick_ext.objects.backend import backend_of
from aaiclick_ext.objects.building_errors import note_nearest_column
from aaiclick_ext.objects.leaf import relations_below
from aaiclick_ext.objects.looking import Looking
from aaiclick_ext.objects.provenance import describe_argument, recorded_as_one
from aaiclick_ext.objects.unknown import adopt_column
from aaiclick_ext.objects.view import GroupedView, JoinView, View, make_view

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

NOT_WRAPPED = frozenset(
    {
        "pipe", "op", "equals", "bind", "get_name", "get_backend", "compile", "execute", "columns",
        "schema", "preview", "visualize", "to_pyarrow", "to_pyarrow_batches", "to_pandas",
        "to_pandas_batches", "to_polars", "to_torch", "to_csv", "to_parquet", "to_parquet_dir",
        "to_json", "to_delta", "to_xlsx", "to_sql", "unbind",
    }
)  # fmt: skip
"""Methods that make no table, run through the backend, or must not be seen as one operation."""

SET_OPERATIONS = frozenset({"union", "intersect", "difference"})


def adopt(result: Any) -> Any:
    """Return a result of Ibis as ours: a Table as a View, a join and a grouped table likewise."""
    kind = type(result)
    if kind is ir.UnknownColumn:
        return adopt_column(result)
    if kind is ir.Table:
        return make_view(result.op())
    if kind is Join:
        return JoinView(result.op(), result._collisions, result._equalities)  # noqa: SLF001
    if kind is GroupedTable:
        return GroupedView(
            table=result.table,
            groupings=result.groupings,
            orderings=result.orderings,
            havings=result.havings,
        )
    return result


def _wrap(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    parameters = list(inspect.signature(method).parameters.values())[1:]

    @functools.wraps(method)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        with recorded_as_one() as outermost:
            table = self._as_ibis
            try:
                result = method(table, *args, **kwargs)
            except Exception as error:
                note_nearest_column(error)
                if outermost and name != "__getitem__":  # which others call to see what it does
                    _record_failure(name, parameters, self, args, kwargs, error)
                raise
            result = self if result is table else adopt(result)
        if outermost and isinstance(result, View) and result is not self:
            _record(name, parameters, self, args, kwargs, result)
        return result

    return wrapped


def _record(
    name: str,
    parameters: list[inspect.Parameter],
    self: Any,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    result: View,
) -> None:
    op = result.op()
    backend = backend_of(op)
    if backend is None or isinstance(op, ops.DatabaseTable):
        return
    provenance = backend.provenance
    source = self.table if isinstance(self, GroupedTable) else self.op()
    inputs = [source, *_other_sources((*args, *kwargs.values()))]
    names = [provenance.name_of(given) for given in inputs]
    params = dict(_named_arguments(parameters, args, kwargs))
    if isinstance(self, GroupedTable):
        keys = ", ".join(describe_argument(key.to_expr()) for key in self.groupings)
        params = {"keys": f"[{keys}]", **params}
    provenance.record_view(name, op, _roles(name, names), params, inputs=inputs)


def _record_failure(
    name: str,
    parameters: list[inspect.Parameter],
    self: Any,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    error: Exception,
) -> None:
    """Record that a call failed while its expression was built; whatever it is about."""
    source = self.table if isinstance(self, GroupedTable) else self.op()
    backend = backend_of(source)
    if backend is None or backend.services.closed:
        return
    with contextlib.suppress(Exception):
        event = {
            "kwargs": {"source": backend.provenance.name_of(source)},
            "params": dict(_named_arguments(parameters, args, kwargs)),
        }
        record_failure(backend, name, event, error)


def _other_sources(values: tuple[Any, ...]) -> Iterator[ops.Relation]:
    for value in values:
        if isinstance(value, ir.Table):
            yield value.op()
        elif isinstance(value, ir.Expr):
            yield from relations_below(value.op())
        elif isinstance(value, (list, tuple)):
            yield from _other_sources(tuple(value))


def _roles(name: str, inputs: list[str]) -> dict[str, str]:
    """Return the inputs by role: left and right of a join, numbered in a set operation."""
    if name in SET_OPERATIONS:
        return {f"source_{number}": given for number, given in enumerate(inputs)}
    distinct = list(dict.fromkeys(inputs))
    if name.endswith("join"):
        right = inputs[1] if len(inputs) > 1 else inputs[0]
        return {"left": inputs[0], "right": right}
    roles = {"source": distinct[0]}
    roles.update({f"source_{number}": given for number, given in enumerate(distinct[1:], 1)})
    return roles


def _named_arguments(
    parameters: list[inspect.Parameter], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """Yield the arguments that are not tables, by parameter name, as text."""
    for position, value in enumerate(args):
        parameter = parameters[min(position, len(parameters) - 1)] if parameters else None
        if isinstance(value, ir.Table):
            continue
        if parameter is not None and parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            rest = [item for item in args[position:] if not isinstance(item, ir.Table)]
            if rest:
                shown = rest if len(rest) > 1 else rest[0]
                yield parameter.name, describe_argument(shown)
            break
        yield parameter.name if parameter else str(position), describe_argument(value)
    for keyword, value in kwargs.items():
        if not isinstance(value, ir.Table):
            yield keyword, describe_argument(value)


def _wrap_class(ours: type, base: type, own: frozenset[str]) -> None:
    for name in dir(base):
        if name in NOT_WRAPPED or name in own:
            continue
        if name.startswith("_") and name != "__getitem__":
            continue
        method = inspect.getattr_static(base, name)
        if inspect.isfunction(method):
            setattr(ours, name, _wrap(name, method))


_OURS = frozenset(vars(View)) | frozenset(vars(Looking))

_wrap_class(View, ir.Table, _OURS)
_wrap_class(JoinView, Join, _OURS - frozenset(vars(Join)) | {"cache", "copy", "sql"})
_wrap_class(GroupedView, GroupedTable, frozenset())
