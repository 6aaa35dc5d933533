"""What a browser shows, live and static, and what a terminal prints: lineage, and tables.

Nothing is imported until it is asked for: a terminal that prints a tree loads neither ipywidgets
nor Graphviz.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aaiclick_ext.widgets.answers import KernelAnswers, RestoreOutcome
    from aaiclick_ext.widgets.kernel_table import kernels_html, kernels_text
    from aaiclick_ext.widgets.lineage import LineageWidget, close_all, lineage_bundle
    from aaiclick_ext.widgets.live import LiveWidget, close_live, live_widget
    from aaiclick_ext.widgets.mermaid import lineage_mermaid
    from aaiclick_ext.widgets.mode import Mode
    from aaiclick_ext.widgets.picture import lineage_dot, lineage_svg
    from aaiclick_ext.widgets.table_list import size_text, tables_text
    from aaiclick_ext.widgets.tables import TablesWidget, close_tables, tables_bundle
    from aaiclick_ext.widgets.tree import lineage_tree

__all__ = [
    "KernelAnswers",
    "LineageWidget",
    "LiveWidget",
    "Mode",
    "RestoreOutcome",
    "TablesWidget",
    "close_all",
    "close_live",
    "close_tables",
    "kernels_html",
    "kernels_text",
    "lineage_bundle",
    "lineage_dot",
    "lineage_mermaid",
    "lineage_svg",
    "lineage_tree",
    "live_widget",
    "size_text",
    "tables_bundle",
    "tables_text",
]

_HOME = {
    "KernelAnswers": "answers",
    "LineageWidget": "lineage",
    "LiveWidget": "live",
    "Mode": "mode",
    "RestoreOutcome": "answers",
    "TablesWidget": "tables",
    "close_all": "lineage",
    "close_live": "live",
    "close_tables": "tables",
    "kernels_html": "kernel_table",
    "kernels_text": "kernel_table",
    "lineage_bundle": "lineage",
    "lineage_dot": "picture",
    "lineage_mermaid": "mermaid",
    "lineage_svg": "picture",
    "lineage_tree": "tree",
    "live_widget": "live",
    "size_text": "table_list",
    "tables_bundle": "tables",
    "tables_text": "table_list",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
