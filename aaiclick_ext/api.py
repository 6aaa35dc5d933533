"""The functions of ``import aaiclick_ext as aai``: methods of the current `DataContext`."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from aaiclick_ext.context import DataContext, context

if TYPE_CHECKING:
    from collections.abc import Callable

    from aaiclick_ext.objects import View

P = ParamSpec("P")
R = TypeVar("R")


def _of_current(method: Callable[Concatenate[DataContext, P], R]) -> Callable[P, R]:
    """Return a method as a function over the current context, with its signature and docs."""

    @functools.wraps(method)
    def function(*args: P.args, **kwargs: P.kwargs) -> R:
        return method(context(), *args, **kwargs)

    parameters = list(inspect.signature(method).parameters.values())[1:]
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return function


create_object_from_value = _of_current(DataContext.create_object_from_value)
create_object = _of_current(DataContext.create_object)
read_parquet = _of_current(DataContext.read_parquet)
read_csv = _of_current(DataContext.read_csv)
read_json = _of_current(DataContext.read_json)
concat = _of_current(DataContext.concat)
change_settings = _of_current(DataContext.change_settings)
connect = _of_current(DataContext.connect)
status = _of_current(DataContext.status)
session = _of_current(DataContext.session)
table = _of_current(DataContext.table)
sql = _of_current(DataContext.sql)
raw_sql = _of_current(DataContext.raw_sql)
view = _of_current(DataContext.view)
pin = _of_current(DataContext.pin)
lineage_aware_drop = _of_current(DataContext.lineage_aware_drop)
unpin = _of_current(DataContext.unpin)
open_object = _of_current(DataContext.open_object)
open_ref = _of_current(DataContext.open_ref)
create_view = _of_current(DataContext.create_view)
drop_view = _of_current(DataContext.drop_view)
list_views = _of_current(DataContext.list_views)
validate_views = _of_current(DataContext.validate_views)
list_objects = _of_current(DataContext.list_objects)
delete_object = _of_current(DataContext.delete_object)
sessions = _of_current(DataContext.kernels)
tables = _of_current(DataContext.tables)
why = _of_current(DataContext.why)
live = _of_current(DataContext.live)
backward_oplog = _of_current(DataContext.backward_oplog)
forward_oplog = _of_current(DataContext.forward_oplog)
trace = _of_current(DataContext.trace)
why_not = _of_current(DataContext.why_not)
oplog_subgraph = _of_current(DataContext.oplog_subgraph)
fed_by = _of_current(DataContext.fed_by)
oplog_path = _of_current(DataContext.oplog_path)
restore = _of_current(DataContext.restore)
stale_results = _of_current(DataContext.stale_results)
variable_history = _of_current(DataContext.variable_history)
backward_columns = _of_current(DataContext.backward_columns)
forward_columns = _of_current(DataContext.forward_columns)
cell_changes = _of_current(DataContext.cell_changes)


class _System:
    """The system tables of the current context: ``aai.system.tables`` and so on, each a View."""

    def __getattr__(self, name: str) -> View:
        if name.startswith("_"):  # what Python and its tools look for
            raise AttributeError(name)
        view: View = getattr(context().system, name)
        return view

    def __dir__(self) -> list[str]:
        return dir(context().system)

    def __repr__(self) -> str:
        return repr(context().system)


system = _System()
