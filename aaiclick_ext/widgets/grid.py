"""Rows of cells as an aligned table of plain text, and as a static HTML table."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from aaiclick_ext.untrusted import display_width

if TYPE_CHECKING:
    from collections.abc import Sequence


def text_grid(
    columns: Sequence[str], numeric: Sequence[bool], rows: Sequence[Sequence[str]], summary: str
) -> str:
    """Return rows under their columns, with numbers to the right, and a summary below."""
    lines = [columns, *rows]
    widths = [max(display_width(line[place]) for line in lines) for place in range(len(columns))]
    head, *body = (_line(line, widths, numeric) for line in lines)
    rule = "  ".join("─" * width for width in widths)
    return "\n".join([head, rule, *body, f"({summary})"])


def html_grid(
    columns: Sequence[str], numeric: Sequence[bool], rows: Sequence[Sequence[str]]
) -> str:
    """Return the head and the body of an HTML table; cells are escaped, columns are not."""
    kinds = [' class="aaiclick-number"' if is_number else "" for is_number in numeric]
    head = "".join(
        f'<th scope="col"{kind}>{title}</th>' for title, kind in zip(columns, kinds, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{kind}>{html.escape(cell)}</td>" for cell, kind in zip(row, kinds, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"


def _line(row: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    padded = []
    for cell, width, is_number in zip(row, widths, numeric, strict=True):
        space = " " * (width - display_width(cell))
        padded.append(space + cell if is_number else cell + space)
    return "  ".join(padded).rstrip()
