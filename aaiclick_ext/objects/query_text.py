"""Text that ClickHouse gives of a query, a plan for example: shown as it is, whole."""

from __future__ import annotations

import html

from aaiclick_ext.untrusted import visible

_STYLE = (
    "white-space: pre; overflow-x: auto; line-height: 1.25; margin: 0; "
    "font-family: var(--jp-code-font-family, monospace)"
)


class QueryText(str):
    r"""Text of several lines, which a notebook and a terminal show as lines.

    Examples
    --------
    >>> QueryText("Limit\n  Read")
    Limit
      Read
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return visible(self, lines=True)

    def _repr_html_(self) -> str:
        return f'<pre style="{_STYLE}">{html.escape(repr(self))}</pre>'
