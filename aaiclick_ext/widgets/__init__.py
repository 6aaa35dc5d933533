"""What a browser shows, live and static, and what a terminal prints: lineage, and tables.

Nothing is imported until it is asked for: a terminal that prints a tree loads neither ipywidgets
nor Graphviz.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aaiclick_ext.widgets.answers import KernelAnswers, RestoreOutcome
    from aaiclick_ext.widgets.browse import BrowseWidget
    from aaiclick_ext.widgets.kernel_table import kernels_html, kernels_text
    from aaiclick_ext.widgets.lineage import LineageWidget, lineage_bundle
    from aaiclick_ext.widgets.live import LiveWidget, live_widget
    from aaiclick_ext.widgets.mermaid import lineage_mermaid
    from aaiclick_ext.widgets.mode import Mode
    from aaiclick_ext.widgets.page_widget import PageWidget, close_widgets, open_widgets
    from aaiclick_ext.widgets.picture import lineage_dot, lineage_svg
    from aaiclick_ext.widgets.table_list import tables_text
    from aaiclick_ext.widgets.tables import TablesWidget, tables_bundle
    from aaiclick_ext.widgets.tree import lineage_tree

__all__ = [
    "BrowseWidget",
    "KernelAnswers",
    "LineageWidget",
    "LiveWidget",
    "Mode",
    "PageWidget",
    "RestoreOutcome",
    "TablesWidget",
    "close_widgets",
    "kernels_html",
    "kernels_text",
    "lineage_bundle",
    "lineage_dot",
    "lineage_mermaid",
    "lineage_svg",
    "lineage_tree",
    "live_widget",
    "open_widgets",
    "tables_bundle",
    "tables_text",
]

_HOME = {
    "BrowseWidget": "browse",
    "KernelAnswers": "answers",
    "LineageWidget": "lineage",
    "LiveWidget": "live",
    "Mode": "mode",
    "PageWidget": "page_widget",
    "RestoreOutcome": "answers",
    "TablesWidget": "tables",
    "close_widgets": "page_widget",
    "kernels_html": "kernel_table",
    "kernels_text": "kernel_table",
    "lineage_bundle": "lineage",
    "lineage_dot": "picture",
    "lineage_mermaid": "mermaid",
    "lineage_svg": "picture",
    "lineage_tree": "tree",
    "live_widget": "live",
    "open_widgets": "page_widget",
    "tables_bundle": "tables",
    "tables_text": "table_list",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
