"""Column lineage of one operation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Use = Literal["value", "filter", "join", "group", "order"]


@dataclass(frozen=True, slots=True)
class ColumnEdge:
    """That a column of a result depends on a column of an input."""

    output: str
    source: str
    column: str
    use: Use
