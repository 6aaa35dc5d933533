"""The public names, written down: adding or losing one is a decision, not an accident."""

from __future__ import annotations

import inspect

import pytest

import aaiclick_ext as aai

EXPORTS = {
    "AaiclickError",
    # the context and its connection
    "CellChanges",
    "Change",
    "ClickHouseCreds",
    "ColumnUse",
    "DataContext",
    "KernelInfo",
    "LiveQueryManager",
    "LiveResult",
    "LiveState",
    "Settings",
    "Status",
    "change_settings",
    "connect",
    "status",
    "StaleResult",
    "Subscription",
    "context",
    "get_ch_client",
    "get_creds_from_env",
    # sessions inside a kernel, and what stays
    "DropPlan",
    "PreservationMode",
    "lineage_aware_drop",
    "pin",
    "unpin",
    "validate_views",
    "SessionManager",
    "session",
    # objects
    "Object",
    "ObjectInfo",
    "Scope",
    "TableInfo",
    "DryRun",
    "QueryText",
    "raw_sql",
    "View",
    "ViewDefinition",
    "ViewProblem",
    "Why",
    "cell_changes",
    "concat",
    "create_object",
    "create_object_from_value",
    "create_view",
    "delete_object",
    "drop_view",
    "fed_by",
    "list_objects",
    "list_views",
    "live",
    "open_object",
    "open_ref",
    "oplog_path",
    "read_csv",
    "read_json",
    "read_parquet",
    "restore",
    "sessions",
    "sql",
    "stale_results",
    "system",
    "table",
    "tables",
    "unlimited",
    "view",
    "why",
    # lineage
    "OperationEvent",
    "OplogGraph",
    "backward_columns",
    "backward_oplog",
    "forward_columns",
    "forward_oplog",
    "Restoration",
    "RestoreStatus",
    "RowTrace",
    "WhyNot",
    "oplog_subgraph",
    "trace",
    "why_not",
    # IPython calls these
    "load_ipython_extension",
    "unload_ipython_extension",
    "variable_history",
}


def test_the_public_names_are_these():
    assert set(aai.__all__) == EXPORTS
    assert len(aai.__all__) == len(set(aai.__all__))


@pytest.mark.parametrize("name", sorted(EXPORTS))
def test_a_public_name_exists_and_is_documented(name: str):
    value = getattr(aai, name)
    assert inspect.getdoc(value)
    assert name in dir(aai)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        aai.no_such_name  # noqa: B018


def test_tools_that_look_at_the_system_tables_need_no_context():
    assert not hasattr(aai.system, "__wrapped__")
