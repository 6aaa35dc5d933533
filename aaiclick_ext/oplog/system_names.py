"""Names of system tables in the log, which leaves them out: they show the work, and are none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aaiclick_ext.oplog.graph import SINK_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aaiclick_ext.oplog.columns import ColumnEdge

SYSTEM_DATABASE = "aai"
"""The database of the system tables."""

SYSTEM_PREFIX = f"{SYSTEM_DATABASE}."


def is_system_name(name: str) -> bool:
    """Say whether a name is that of a system table, or of a view of nothing else.

    Examples
    --------
    >>> is_system_name("aai.tables"), is_system_name("aai_t_1_2_3")
    (True, False)
    """
    return name.startswith(SYSTEM_PREFIX)


def is_left_out(result: str, inputs: Iterable[str]) -> bool:
    """Say whether the log leaves an operation out.

    Examples
    --------
    >>> is_left_out("aai.view_1", ["aai.tables"]), is_left_out("fetch_1", ["aai.view_1"])
    (True, True)
    >>> is_left_out("fetch_1", ["aai.tables", "t"]), is_left_out("aai_t_1_2_3", ["aai.tables"])
    (False, False)
    """
    if is_system_name(result):
        return True
    read = list(inputs)
    return result.startswith(SINK_PREFIX) and bool(read) and all(map(is_system_name, read))


def without_system(kwargs: Mapping[str, str]) -> dict[str, str]:
    """Return the inputs of an operation but for system tables."""
    return {role: name for role, name in kwargs.items() if not is_system_name(name)}


def edges_without_system(edges: Iterable[ColumnEdge]) -> tuple[ColumnEdge, ...]:
    """Return the column lineage of an operation but for what comes from system tables."""
    return tuple(edge for edge in edges if not is_system_name(edge.source))
