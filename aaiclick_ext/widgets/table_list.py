"""What is said of a kernel's tables, as rows of cells: for a terminal, a page and the widget."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aaiclick_ext.sizes import size_text
from aaiclick_ext.untrusted import shortened, visible
from aaiclick_ext.widgets.grid import html_grid, text_grid

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from aaiclick_ext.objects import TableInfo

COLUMNS = (
    "held by", "rows", "bytes", "cell", "age", "last use", "scope", "claims", "table",
)  # fmt: skip
NUMERIC = (False, True, True, True, True, True, False, True, False)
MAX_HOLDERS = 3
"""Holders of one table that are named; that there are more is said."""

_HOLDER_COLUMNS = 60

_STYLE = """<style>
.aaiclick-tables {overflow-x: auto; max-width: 100%;}
.aaiclick-tables table.aaiclick-list {border-collapse: collapse;
  font-variant-numeric: tabular-nums;
  color: var(--jp-ui-font-color1, inherit);}
.aaiclick-tables table.aaiclick-list th,
.aaiclick-tables table.aaiclick-list td {padding: 2px 10px; text-align: left;
  border: 0; border-bottom: 1px solid var(--jp-border-color2, rgba(128, 128, 128, .35));}
.aaiclick-tables table.aaiclick-list .aaiclick-number {text-align: right; white-space: nowrap;}
</style>"""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell.

    Attributes
    ----------
    text
        What is shown; safe to show, and no markup.
    order
        What it sorts by; None sorts last.
    """

    text: str
    order: float | str | None


def table_rows(infos: Sequence[TableInfo], now: dt.datetime) -> list[list[Cell]]:
    """Return a row of cells for each table, in the order of `COLUMNS`."""
    return [_row(info, now) for info in infos]


def summary(infos: Sequence[TableInfo]) -> str:
    """Return one line: how many tables there are, and how large they are together.

    Examples
    --------
    >>> summary([])
    'This kernel keeps no table.'
    """
    if not infos:
        return "This kernel keeps no table."
    count = "1 table" if len(infos) == 1 else f"{len(infos):,} tables"
    return f"{count}, {size_text(sum(info.bytes or 0 for info in infos))}"


def tables_text(infos: Sequence[TableInfo], now: dt.datetime) -> str:
    """Return tables as an aligned table of plain text."""
    if not infos:
        return summary(infos)
    return text_grid(COLUMNS, NUMERIC, _texts(infos, now), summary(infos))


def tables_html(infos: Sequence[TableInfo], now: dt.datetime) -> str:
    """Return tables as a static HTML table."""
    if not infos:
        return f'<p class="aaiclick-tables">{html.escape(summary(infos))}</p>'
    grid = html_grid(COLUMNS, NUMERIC, _texts(infos, now))
    return (
        f'{_STYLE}<div class="aaiclick-tables"><table class="aaiclick-list">{grid}</table>'
        f"<p>{html.escape(summary(infos))}</p></div>"
    )


def age_text(age: dt.timedelta) -> str:
    """Return how long something is ago.

    Examples
    --------
    >>> import datetime as dt
    >>> age_text(dt.timedelta(seconds=75)), age_text(dt.timedelta(days=3, hours=5))
    ('1 min', '3 d')
    """
    seconds = max(int(age.total_seconds()), 0)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _row(info: TableInfo, now: dt.datetime) -> list[Cell]:
    holders = _holders(info)
    age, unused = now - info.made_at, None if info.last_used is None else now - info.last_used
    return [
        Cell(holders, holders.casefold()),
        Cell("" if info.rows is None else f"{info.rows:,}", info.rows),
        Cell(size_text(info.bytes), info.bytes),
        Cell("" if info.cell is None else f"[{info.cell}]", info.cell),
        Cell(age_text(age), age.total_seconds()),
        Cell(
            "" if unused is None else age_text(unused),
            None if unused is None else unused.total_seconds(),
        ),
        Cell(str(info.scope), str(info.scope)),
        Cell(f"{info.claims:,}", info.claims),
        Cell(visible(info.table_name), info.table_name),
    ]


def _holders(info: TableInfo) -> str:
    names = [shortened(visible(holder), _HOLDER_COLUMNS) for holder in info.holders]
    names = [name.removeprefix("variable ") for name in names]
    if not names:
        return "nothing that can be named"
    more = len(names) - MAX_HOLDERS
    return "; ".join(names[:MAX_HOLDERS]) + (f"; {more} more" if more > 0 else "")


def _texts(infos: Sequence[TableInfo], now: dt.datetime) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table_rows(infos, now)]
