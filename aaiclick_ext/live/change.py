"""Change: what a subscriber is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import datetime as dt

    import pyarrow as pa

Kind = Literal["rows", "result", "changed"]
How = Literal["incremental", "recomputed"]


@dataclass(frozen=True, slots=True)
class Change:
    """What has changed in the result of a view.

    Attributes
    ----------
    kind
        ``rows``: these were added, each told once. ``result``: an aggregate, or another view that
        rows are not simply added to, has a new result. ``changed``: something else than an insert
        of this process changed a source, and this is the result now.
    rows
        The added rows, or the whole result.
    how
        Whether it was found from the added rows alone, or by running the view again.
    number
        Of the change for its subscriber, from 1.
    at
        When it was found, in UTC.
    """

    kind: Kind
    rows: pa.Table
    how: How
    number: int
    at: dt.datetime

    def __repr__(self) -> str:
        return f"<Change {self.number}: {self.kind}, {self.rows.num_rows} rows, {self.how}>"
