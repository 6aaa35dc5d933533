"""What a browser shows: the lineage picture, live and static, and its tree for terminals.

Nothing is imported until it is asked for: a terminal that prints a tree loads neither ipywidgets
nor Graphviz.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aaiclick_ext.widgets.lineage import LineageWidget, close_all, lineage_bundle
    from aaiclick_ext.widgets.picture import lineage_dot, lineage_svg
    from aaiclick_ext.widgets.tree import lineage_tree

__all__ = [
    "LineageWidget",
    "close_all",
    "lineage_bundle",
    "lineage_dot",
    "lineage_svg",
    "lineage_tree",
]

_HOME = {
    "LineageWidget": "lineage",
    "close_all": "lineage",
    "lineage_bundle": "lineage",
    "lineage_dot": "picture",
    "lineage_svg": "picture",
    "lineage_tree": "tree",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
