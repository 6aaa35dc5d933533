"""What the columns of a table are: ClickHouse types, Ibis schema, shape."""

from __future__ import annotations

from aaiclick_ext.schema.columns import (
    MEMORY,
    MERGE_TREE,
    ColumnDefault,
    Columns,
    TableSchema,
)
from aaiclick_ext.schema.registry import SchemaRegistry, SchemaStats
from aaiclick_ext.schema.shape import BINARY_COMMENT, POSITION, SCALAR_COMMENT, Shape

__all__ = [
    "BINARY_COMMENT",
    "MEMORY",
    "MERGE_TREE",
    "POSITION",
    "SCALAR_COMMENT",
    "ColumnDefault",
    "Columns",
    "SchemaRegistry",
    "SchemaStats",
    "Shape",
    "TableSchema",
]
