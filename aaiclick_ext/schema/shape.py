"""The three shapes of an object, and how a table in ClickHouse says which it has."""

from __future__ import annotations

from enum import Enum

POSITION = "_row"
"""Hidden column of an array's table: MATERIALIZED, so that ``SELECT *`` leaves it out."""

SCALAR_COMMENT = "aaiclick:scalar"
"""Comment of the table of a scalar."""

BINARY_COMMENT = "aaiclick:binary"
"""Comment of a String column that holds bytes; ClickHouse has one type for both."""

OBJECT_COMMENT = "aaiclick:object"
"""Comment of a UInt64 column that refers to Python objects, with the kernel they live in."""


class Shape(Enum):
    """What a value is once it is a table.

    A *scalar* has one row and an *array* any number, both with the one column ``value``; an array
    keeps its order by a hidden row number. A *table* has named columns and no order.
    """

    SCALAR = "scalar"
    ARRAY = "array"
    TABLE = "table"
