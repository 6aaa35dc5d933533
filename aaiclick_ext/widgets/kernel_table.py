"""The kernels of a registry as a table: for a terminal and for a page."""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING

from aaiclick_ext.sizes import size_text
from aaiclick_ext.untrusted import visible
from aaiclick_ext.widgets.grid import html_grid, text_grid
from aaiclick_ext.widgets.table_list import age_text

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from aaiclick_ext.lifecycle.kernel_list import KernelInfo

COLUMNS = (
    "state", "host", "pid", "user", "since", "last heartbeat", "tables", "bytes", "databases",
    "tags", "session",
)  # fmt: skip
_NUMERIC = tuple(name in {"pid", "since", "last heartbeat", "tables", "bytes"} for name in COLUMNS)
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

    return text_grid(COLUMNS, _NUMERIC, [_row(info, now) for info in infos], in_words(infos))


def kernels_html(infos: Sequence[KernelInfo], now: dt.datetime) -> str:
    """Return kernels as a static HTML table."""
    from aaiclick_ext.lifecycle.kernel_list import in_words

    grid = html_grid(COLUMNS, _NUMERIC, [_row(info, now) for info in infos])
    return (
        f'{_STYLE}<div class="aaiclick-kernels"><table>{grid}</table>'
        f"<p>{html.escape(in_words(infos))}</p></div>"
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
