"""Column lineage of one event as OpenLineage has it: from tables, through the views between.

Our uses are transformations there: a value is DIRECT; a filter, join, group or order is INDIRECT
(https://openlineage.io/docs/spec/facets/dataset-facets/column_lineage_facet).
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from aaiclick_ext.oplog.columns import ALL, NONE, USES, ColumnUse, backward_columns
from aaiclick_ext.oplog.graph import is_table_name
from aaiclick_ext.oplog.openlineage_facets import Facets, facet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from aaiclick_ext.oplog.columns import ColumnEdge, Use
    from aaiclick_ext.oplog.event import OperationEvent
    from aaiclick_ext.oplog.graph import OplogNode

_TRANSFORMATIONS: dict[Use, dict[str, str]] = {
    "value": {"type": "DIRECT"},
    "filter": {"type": "INDIRECT", "subtype": "FILTER"},
    "join": {"type": "INDIRECT", "subtype": "JOIN"},
    "group": {"type": "INDIRECT", "subtype": "GROUP_BY"},
    "order": {"type": "INDIRECT", "subtype": "SORT"},
}


def column_lineage(
    event: OperationEvent,
    nodes: Mapping[str, OplogNode],
    dataset_id: Callable[[str], Mapping[str, str]],
) -> Facets:
    """Return what columns of other tables each column, and all rows, of a result depend on.

    Parameters
    ----------
    event
        What made or changed a table.
    nodes
        The views between, by name.
    dataset_id
        From a table to its namespace and name.
    """
    result = event.result_table
    edges: dict[str, list[ColumnEdge]] = {
        name: [edge for made in node.events for edge in made.columns]
        for name, node in nodes.items()
        if not is_table_name(name)
    }
    edges[result] = [edge for edge in event.columns if edge.source != result]
    if not edges[result]:
        return {}
    rows = _of_tables(backward_columns(edges, result, NONE, uses=USES), nodes)
    columns = event.result_schema or dict.fromkeys(
        edge.output for edge in edges[result] if edge.output not in (ALL, NONE)
    )
    fields = {}
    for column in columns:
        used = _of_tables(backward_columns(edges, result, column, uses=USES), nodes)
        own = {use for use in used if use not in rows or use.use == "value"}
        if own:
            fields[column] = {"inputFields": _input_fields(own, dataset_id)}
    dataset = _input_fields((use for use in rows if use.use != "value"), dataset_id)
    values = {"fields": fields} | ({"dataset": dataset} if dataset else {})
    return {"columnLineage": facet("1-2-0", "ColumnLineageDatasetFacet", **values)}


def _of_tables(uses: Iterable[ColumnUse], nodes: Mapping[str, OplogNode]) -> set[ColumnUse]:
    """Return the uses of named columns of tables; "all columns" as each of them, if known."""
    found = set()
    for use in uses:
        if not is_table_name(use.table) or use.column == NONE:
            continue
        names = [use.column]
        if use.column == ALL and use.table in nodes:
            events = reversed(nodes[use.table].events)
            names = list(next((e.result_schema for e in events if e.result_schema), {ALL: ""}))
        found |= {ColumnUse(use.table, name, use.use) for name in names}
    return found


def _input_fields(
    uses: Iterable[ColumnUse], dataset_id: Callable[[str], Mapping[str, str]]
) -> list[dict[str, Any]]:
    """Return each column once, with everything that it is for."""
    by_column: defaultdict[tuple[str, str], set[Use]] = defaultdict(set)
    for use in uses:
        by_column[use.table, use.column].add(use.use)
    return [
        {
            **dataset_id(table),
            "field": column,
            "transformations": [_TRANSFORMATIONS[use] for use in USES if use in found],
        }
        for (table, column), found in sorted(by_column.items())
    ]
