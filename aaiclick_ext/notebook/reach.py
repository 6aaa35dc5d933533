"""Which Python values keep one of our tables."""

from __future__ import annotations

import gc
import sys
import types
import weakref
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MAX_ITEMS = 10_000
"""Items of one container that are looked at."""

_OPAQUE = (type, types.ModuleType, types.FrameType, types.CodeType, types.BuiltinFunctionType)
_CONTAINERS = (list, tuple, set, frozenset, deque)


def is_expression_of_ours(value: object) -> bool:
    """Say whether a value is an Ibis expression, or a part of one, on our backend."""
    if "aaiclick_ext.objects" not in sys.modules:
        return False  # nobody can have made one yet, and asking must not import Ibis
    import ibis.expr.operations as ops
    import ibis.expr.types as ir
    from ibis.expr.types.groupby import GroupedTable

    from aaiclick_ext.objects.leaf import services_of

    found: Any = value
    if is_instance(found, GroupedTable):
        found = found.table
    if is_instance(found, ir.Expr):
        found = found.op()
    return is_instance(found, ops.Node) and services_of(found) is not None


def is_instance(value: object, kinds: type | tuple[type, ...]) -> bool:
    """Do what `isinstance` does without asking the value, which a dead ``weakref.proxy`` refuses.

    A proxy that lives is not what it stands for: it keeps nothing.
    """
    return issubclass(type(value), kinds)


def reaches_table(
    value: object, budget: int = 500, *, ignored: Iterable[object] = ()
) -> bool | None:
    """Say whether a value is, or holds, an expression on our backend.

    Follows references breadth first, through containers, instances, closures and bound methods,
    but not into modules and classes.

    Parameters
    ----------
    budget
        How many objects are looked at; the answer is None where that did not settle it. One costs
        about a microsecond.
    ignored
        Objects that are not looked into.
    """
    seen = {id(item) for item in ignored}
    todo = deque([value])
    while todo:
        current = todo.popleft()
        if id(current) in seen:
            continue
        seen.add(id(current))
        if is_expression_of_ours(current):
            return True
        if len(seen) > budget:
            return None
        todo.extend(item for item in _referents(current) if gc.is_tracked(item))
    return False


def _referents(value: object) -> Iterable[Any]:
    if is_instance(value, (*_OPAQUE, *weakref.ProxyTypes)):
        return ()
    try:
        return _held_by(value)
    except RuntimeError:  # another thread changed it meanwhile
        return gc.get_referents(value)  # looks in one go, but at all of it


def _held_by(value: object) -> Iterable[Any]:
    """List what a value holds, without calling methods that its own class may have."""
    if isinstance(value, dict):
        if "__builtins__" in value and "__name__" in value:
            return ()  # the globals of a module, or the user's
        return [*islice(dict.values(value), _MAX_ITEMS), *islice(dict.keys(value), _MAX_ITEMS)]
    for kind in _CONTAINERS:
        if isinstance(value, kind):
            return list(islice(kind.__iter__(cast("Any", value)), _MAX_ITEMS))
    if isinstance(value, types.FunctionType):
        cells = value.__closure__ or ()
        return [*(value.__defaults__ or ()), *_contents(cells)]
    return gc.get_referents(value)


def _contents(cells: Iterable[types.CellType]) -> Iterator[Any]:
    for cell in cells:
        try:
            yield cell.cell_contents
        except ValueError:  # still empty
            continue
