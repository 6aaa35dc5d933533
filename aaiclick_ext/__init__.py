"""ClickHouse as a dataframe library in Jupyter, with owned tables and lineage.

``%load_ext aaiclick_ext`` binds one `DataContext` to the kernel; ``import aaiclick_ext as aai`` is
the documented import. Importing loads nothing heavy: names are resolved at their first use.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from aaiclick_ext.api import (
        backward_columns,
        backward_oplog,
        cell_changes,
        change_settings,
        concat,
        connect,
        create_object,
        create_object_from_value,
        create_view,
        delete_object,
        drop_view,
        fed_by,
        forward_columns,
        forward_oplog,
        lineage_aware_drop,
        list_objects,
        list_views,
        live,
        open_object,
        open_ref,
        oplog_path,
        oplog_subgraph,
        pin,
        raw_sql,
        read_csv,
        read_json,
        read_parquet,
        restore,
        session,
        sessions,
        sql,
        stale_results,
        status,
        system,
        table,
        tables,
        trace,
        unpin,
        validate_views,
        variable_history,
        view,
        why,
        why_not,
    )
    from aaiclick_ext.context import DataContext, context
    from aaiclick_ext.engine import ClickHouseCreds, get_ch_client, get_creds_from_env
    from aaiclick_ext.engine.limits import unlimited
    from aaiclick_ext.errors import AaiclickError
    from aaiclick_ext.lifecycle import PreservationMode, Scope
    from aaiclick_ext.lifecycle.kernel_list import KernelInfo
    from aaiclick_ext.lifecycle.named_views import ViewDefinition
    from aaiclick_ext.lifecycle.sessions import SessionManager
    from aaiclick_ext.live import Change, LiveQueryManager, LiveResult, LiveState, Subscription
    from aaiclick_ext.objects import (
        DropPlan,
        DryRun,
        Object,
        ObjectInfo,
        QueryText,
        Restoration,
        RestoreStatus,
        RowTrace,
        TableInfo,
        View,
        ViewProblem,
        Why,
        WhyNot,
    )
    from aaiclick_ext.objects.status import Status
    from aaiclick_ext.oplog import OperationEvent, OplogGraph, StaleResult
    from aaiclick_ext.oplog.cell_runs import CellChanges
    from aaiclick_ext.oplog.columns import ColumnUse
    from aaiclick_ext.settings import Settings

__version__ = "0.1.0"

__all__ = [
    "AaiclickError",
    "CellChanges",
    "Change",
    "ClickHouseCreds",
    "ColumnUse",
    "DataContext",
    "DropPlan",
    "DryRun",
    "KernelInfo",
    "LiveQueryManager",
    "LiveResult",
    "LiveState",
    "Object",
    "ObjectInfo",
    "OperationEvent",
    "OplogGraph",
    "PreservationMode",
    "QueryText",
    "Restoration",
    "RestoreStatus",
    "RowTrace",
    "Scope",
    "SessionManager",
    "Settings",
    "StaleResult",
    "Status",
    "Subscription",
    "TableInfo",
    "View",
    "ViewDefinition",
    "ViewProblem",
    "Why",
    "WhyNot",
    "backward_columns",
    "backward_oplog",
    "cell_changes",
    "change_settings",
    "concat",
    "connect",
    "context",
    "create_object",
    "create_object_from_value",
    "create_view",
    "delete_object",
    "drop_view",
    "fed_by",
    "forward_columns",
    "forward_oplog",
    "get_ch_client",
    "get_creds_from_env",
    "lineage_aware_drop",
    "list_objects",
    "list_views",
    "live",
    "load_ipython_extension",
    "open_object",
    "open_ref",
    "oplog_path",
    "oplog_subgraph",
    "pin",
    "raw_sql",
    "read_csv",
    "read_json",
    "read_parquet",
    "restore",
    "session",
    "sessions",
    "sql",
    "stale_results",
    "status",
    "system",
    "table",
    "tables",
    "trace",
    "unlimited",
    "unload_ipython_extension",
    "unpin",
    "validate_views",
    "variable_history",
    "view",
    "why",
    "why_not",
]

_HOMES = {
    "AaiclickError": "errors",
    "CellChanges": "oplog.cell_runs",
    "Change": "live",
    "ClickHouseCreds": "engine",
    "ColumnUse": "oplog.columns",
    "DataContext": "context",
    "DropPlan": "objects",
    "DryRun": "objects",
    "KernelInfo": "lifecycle.kernel_list",
    "LiveQueryManager": "live",
    "LiveResult": "live",
    "LiveState": "live",
    "Object": "objects",
    "ObjectInfo": "objects",
    "OperationEvent": "oplog",
    "OplogGraph": "oplog",
    "PreservationMode": "lifecycle",
    "QueryText": "objects",
    "Restoration": "objects",
    "RestoreStatus": "objects",
    "RowTrace": "objects",
    "Scope": "lifecycle",
    "SessionManager": "lifecycle.sessions",
    "Settings": "settings",
    "StaleResult": "oplog",
    "Status": "objects.status",
    "Subscription": "live",
    "TableInfo": "objects",
    "View": "objects",
    "ViewDefinition": "lifecycle.named_views",
    "ViewProblem": "objects",
    "Why": "objects",
    "WhyNot": "objects",
    "context": "context",
    "get_ch_client": "engine",
    "get_creds_from_env": "engine",
    "unlimited": "engine.limits",
}
"""Modules of the names that are not functions of `aaiclick_ext.api`."""

_HEAVY = frozenset({"engine", "lifecycle", "live", "objects", "oplog"})
"""Homes that import Ibis or Arrow; a context that is opening may be importing them right now."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'aaiclick_ext' has no attribute {name!r}")
    home = _HOMES.get(name, "api")
    if home.partition(".")[0] in _HEAVY:
        from aaiclick_ext.context import wait_for_imports

        wait_for_imports()
    value = getattr(import_module(f"aaiclick_ext.{home}"), name)
    globals()[name] = value
    return value


class _Package(ModuleType):
    def __setattr__(self, name: str, value: object) -> None:
        # These are submodules too, which importing them would bind here; the names are the
        # functions'.
        if name not in {"context", "live"} or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    return sorted(__all__)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Bind a `DataContext` to the kernel (``%load_ext aaiclick_ext``). Returns at once."""
    from aaiclick_ext.notebook.extension import load

    load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Close the kernel's context and take back every hook (``%unload_ext aaiclick_ext``)."""
    from aaiclick_ext.notebook.extension import unload

    unload(shell)
