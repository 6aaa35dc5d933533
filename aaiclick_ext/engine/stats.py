"""What a statement did, and the column facts ClickHouse reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class QueryStats:
    """What one statement did; None where this ClickHouse does not say.

    Attributes
    ----------
    query_id
        The id under which a server ran it; the embedded engine gives none.
    read_rows, read_bytes, written_rows, written_bytes
        As ClickHouse counted them.
    elapsed_s
        Seconds from the call to its end, seen from here.
    """

    query_id: str | None
    read_rows: int | None
    read_bytes: int | None
    written_rows: int | None
    written_bytes: int | None
    elapsed_s: float

    @classmethod
    def from_summary(
        cls, summary: Mapping[str, object], query_id: str | None, elapsed_s: float
    ) -> QueryStats:
        """Read the summary header of a server's answer."""

        def count(name: str) -> int | None:
            value = summary.get(name)
            return None if value is None else int(str(value))

        return cls(
            query_id=query_id,
            read_rows=count("read_rows"),
            read_bytes=count("read_bytes"),
            written_rows=count("written_rows"),
            written_bytes=count("written_bytes"),
            elapsed_s=elapsed_s,
        )


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    """A column of a table, as ``DESCRIBE TABLE`` gives it.

    Attributes
    ----------
    name, type
        Its name and ClickHouse type.
    default_kind, default_expression
        ``DEFAULT``, ``MATERIALIZED``, ``ALIAS``, ``EPHEMERAL``, and the SQL of it; or empty.
    comment
        Its comment, or empty.
    """

    name: str
    type: str
    default_kind: str
    default_expression: str
    comment: str
