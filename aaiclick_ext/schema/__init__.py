"""What the columns of a table are: ClickHouse types, Ibis schema, shape."""

from __future__ import annotations

from aaiclick_ext.schema.registry import MEMORY, MERGE_TREE, SchemaRegistry, TableSchema
from aaiclick_ext.schema.shape import BINARY_COMMENT, POSITION, SCALAR_COMMENT, Shape

__all__ = [
    "BINARY_COMMENT",
    "MEMORY",
    "MERGE_TREE",
    "POSITION",
    "SCALAR_COMMENT",
    "SchemaRegistry",
    "Shape",
    "TableSchema",
]
