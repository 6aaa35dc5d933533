"""What a display shows of a view, and how it looks as plain text.

Everything shown is untrusted: control characters are written out.
"""

from __future__ import annotations

import datetime as dt
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aaiclick_ext.sizes import size_text
from aaiclick_ext.untrusted import shortened, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MAX_CELL = 80
"""Characters of a cell shown; a longer one ends in an ellipsis."""

MAX_WHOLE = 1_000
"""Characters of a longer one that HTML can unfold."""

NULL = "NULL"


@dataclass(frozen=True, slots=True)
class Shown:
    """What a display shows of a view.

    Attributes
    ----------
    rows
        Cells as text; None is null.
    total_rows
        Rows of the whole, or None where counting them would cost a query.
    total_columns
        Columns of the whole.
    changes
        When tables changed that this was made of, before they did.
    files
        Files that this was made of and that are others now.
    wholes
        By row and column, texts of which the cell has only the start.
    size_bytes
        On disk, or in memory, where ClickHouse knows it: of tables.
    origin
        What it is and where it came from, in a few words; or empty.
    """

    names: Sequence[str]
    types: Sequence[str]
    numeric: Sequence[bool]
    rows: Sequence[Sequence[str | None]]
    total_rows: int | None
    total_columns: int
    more_rows: bool
    changes: Sequence[str] = ()
    files: Sequence[str] = ()
    wholes: Mapping[tuple[int, int], str] = field(default_factory=dict)
    size_bytes: int | None = None
    origin: str = ""

    @property
    def stale(self) -> str:
        """What is to be said of a result that would be another if it were made again; or empty."""
        reasons = []
        if self.changes:
            reasons.append(f"a table it was made of got rows later, {', '.join(self.changes)}")
        if self.files:
            named = ", ".join(map(visible, self.files))
            reasons.append(f"changed after it was read: {named}")
        return f"stale: {'; '.join(reasons)}" if reasons else ""

    @property
    def summary(self) -> str:
        """One line: how much there is, and how much of it is shown."""
        columns = f"{self.total_columns:,} column{'' if self.total_columns == 1 else 's'}"
        if self.total_rows is None:
            size = f"first {len(self.rows):,} rows, {columns}"
        else:
            size = f"{self.total_rows:,} row{'' if self.total_rows == 1 else 's'}, {columns}"
            if self.total_rows > len(self.rows):
                size += f"; {len(self.rows):,} rows shown"
        hidden = self.total_columns - len(self.names)
        return size + (f"; {hidden:,} columns not shown" if hidden else "")

    @property
    def further(self) -> str:
        """What else is known of the whole, or why it is not; or empty."""
        if self.total_rows is None:
            return "rows not counted; len(x) counts them"
        return size_text(self.size_bytes)


def cell_text(value: Any) -> str:
    """Return a value as one line of safe text."""
    return cut_text(whole_text(value))


def cut_text(text: str) -> str:
    """Return a text as a cell has it."""
    return visible(shortened(text, MAX_CELL))


def whole_text(value: Any) -> str:
    """Return a value as text."""
    if isinstance(value, str):
        return value
    if isinstance(value, (float, bytes)):
        return repr(value)
    return value.isoformat(" ") if isinstance(value, dt.datetime) else str(value)


def as_text(shown: Shown) -> str:
    """Return an aligned table of plain text.

    A text that could be taken for null or for nothing is in quotes.
    """
    names = [visible(shortened(name, 40)) for name in shown.names]
    types = [visible(shortened(type_, 30)) for type_ in shown.types]
    rows = [[NULL if cell is None else told_apart(cell) for cell in row] for row in shown.rows]
    footer = [f"({text})" for text in (shown.summary, shown.stale) if text]
    return "\n".join([*aligned([names, types], rows, shown.numeric), *footer])


def aligned(
    heads: Sequence[Sequence[str]], rows: Sequence[Sequence[str]], numeric: Sequence[bool]
) -> list[str]:
    """Return lines of cells under each other, a rule between heads and rows."""
    lines = [*heads, *rows]
    widths = [max(_width(line[i]) for line in lines) for i in range(len(numeric))]
    join: Callable[[Sequence[str]], str] = "  ".join

    def line(cells: Sequence[str]) -> str:
        padded = [
            " " * (width - _width(cell)) + cell if number else cell + " " * (width - _width(cell))
            for cell, width, number in zip(cells, widths, numeric, strict=True)
        ]
        return join(padded).rstrip()

    rule = join(["─" * width for width in widths])
    return [*map(line, heads), rule, *map(line, rows)]


def told_apart(cell: str) -> str:
    """Return a text, in quotes where it could be taken for null or for nothing."""
    is_odd = not cell or cell != cell.strip() or cell[0] == '"' or cell.upper() == NULL
    return f'"{cell}"' if is_odd else cell


def _width(text: str) -> int:
    """Return the columns that a text takes in a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )
