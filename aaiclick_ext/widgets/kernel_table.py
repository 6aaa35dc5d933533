"""The kernels of a registry as a table: for a terminal and for a page."""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING

from aaiclick_ext.widgets.table_list import age_text, size_text
from aaiclick_ext.widgets.untrusted import display_width, visible

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from aaiclick_ext.lifecycle.kernel_list import KernelInfo

COLUMNS = (
    "state", "host", "pid", "user", "since", "last heartbeat", "tables", "bytes", "databases",
    "tags", "session",
)  # fmt: skip
_NUMERIC = frozenset({"pid", "since", "last heartbeat", "tables", "bytes"})
_CURRENT = "this kernel"

_STYLE = """<style>
.aaiclick-kernels {overflow-x: auto; max-width: 100%;}
.aaiclick-kernels table {border-collapse: collapse; font-variant-numeric: tabular-nums;
  color: var(--jp-ui-font-color1, inherit);}
.aaiclick-kernels table th, .aaiclick-kernels table td {padding: 2px 10px; text-align: left;
  border: 0; border-bottom: 1px solid var(--jp-border-color2, rgba(128, 128, 128, .35));}
.aaiclick-kernels table .aaiclick-number {text-align: right; white-space: nowrap;}
</style>"""


def kernels_text(infos: Sequence[KernelInfo], now: dt.datetime) -> str:
    """Return kernels as an aligned table of plain text."""
    from aaiclick_ext.lifecycle.kernel_list import in_words

    rows = [list(COLUMNS), *(_row(info, now) for info in infos)]
    widths = [max(display_width(row[place]) for row in rows) for place in range(len(COLUMNS))]
    lines = [_line(row, widths) for row in rows]
    rule = "  ".join("─" * width for width in widths)
    return "\n".join([lines[0], rule, *lines[1:], f"({in_words(infos)})"])


def kernels_html(infos: Sequence[KernelInfo], now: dt.datetime) -> str:
    """Return kernels as a static HTML table."""
    from aaiclick_ext.lifecycle.kernel_list import in_words

    kinds = [' class="aaiclick-number"' if name in _NUMERIC else "" for name in COLUMNS]
    head = "".join(
        f'<th scope="col"{kind}>{name}</th>' for name, kind in zip(COLUMNS, kinds, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{kind}>{html.escape(cell)}</td>"
            for cell, kind in zip(_row(info, now), kinds, strict=True)
        )
        + "</tr>"
        for info in infos
    )
    return (
        f'{_STYLE}<div class="aaiclick-kernels"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table><p>{html.escape(in_words(infos))}</p></div>"
    )


def _row(info: KernelInfo, now: dt.datetime) -> list[str]:
    """Return the cells of a kernel, safe to show and no markup."""
    cells = [
        f"{info.state} ({_CURRENT})" if info.is_current else str(info.state),
        info.host or "",
        "" if info.pid is None else str(info.pid),
        info.user or "",
        age_text(now - info.since),
        age_text(now - info.last_heartbeat),
        str(info.tables),
        size_text(info.bytes),
        ", ".join(info.databases),
        json.dumps(dict(info.tags), ensure_ascii=False) if info.tags else "",
        str(info.session_id),
    ]
    return [visible(cell) for cell in cells]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        " " * (width - display_width(cell)) + cell
        if name in _NUMERIC
        else cell + " " * (width - display_width(cell))
        for name, cell, width in zip(COLUMNS, row, widths, strict=True)
    ]
    return "  ".join(padded).rstrip()
