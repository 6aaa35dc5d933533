"""A table of what is shown as HTML: static, legible in light and dark, with or without a kernel."""

from __future__ import annotations

import html
import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from aaiclick_ext.engine.types import parse
from aaiclick_ext.errors import SchemaError
from aaiclick_ext.objects.shown import NULL
from aaiclick_ext.untrusted import shortened, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aaiclick_ext.objects.shown import Shown

# JupyterLab's colours, else VS Code's, else those of the system's theme: paper and ink always
# together, so that it is legible on any page.
PALETTE = """
.aaiclick-view {--aai-paper: var(--jp-layout-color0, var(--vscode-editor-background, #fff));
  --aai-ink: var(--jp-ui-font-color1, var(--vscode-editor-foreground, #212121));
  --aai-faint: var(--jp-ui-font-color2, var(--vscode-descriptionForeground, #616161));
  --aai-line: var(--jp-border-color2, rgba(128, 128, 128, .35));
  --aai-mark: var(--jp-brand-color1, var(--vscode-charts-blue, #1976d2));
  --aai-warn: var(--jp-warn-color0, #b26a00); --aai-error: var(--jp-error-color1, #d32f2f);
  background: var(--aai-paper); color: var(--aai-ink);}
@media (prefers-color-scheme: dark) {.aaiclick-view {
  --aai-paper: var(--jp-layout-color0, var(--vscode-editor-background, #1e1e1e));
  --aai-ink: var(--jp-ui-font-color1, var(--vscode-editor-foreground, #e0e0e0));
  --aai-faint: var(--jp-ui-font-color2, var(--vscode-descriptionForeground, #a0a0a0));
  --aai-mark: var(--jp-brand-color1, var(--vscode-charts-blue, #64b5f6));
  --aai-warn: var(--jp-warn-color0, #ffb74d); --aai-error: var(--jp-error-color1, #ef9a9a);}}"""

# As specific as it is so that it wins over the notebook's own rules for tables.
STYLE = f"""<style>{PALETTE}
.aaiclick-scroll {{overflow: auto; max-width: 100%; max-height: 36em;}}
.aaiclick-scroll table.aaiclick-table {{border-collapse: separate; border-spacing: 0; margin: 0;
  font-variant-numeric: tabular-nums; color: var(--aai-ink);}}
.aaiclick-scroll table.aaiclick-table th,
.aaiclick-scroll table.aaiclick-table td {{padding: 2px 10px; text-align: left;
  vertical-align: top; white-space: pre; max-width: 36em; overflow: hidden;
  text-overflow: ellipsis; border: 0; border-bottom: 1px solid var(--aai-line);
  background: var(--aai-paper); color: inherit;}}
.aaiclick-scroll table.aaiclick-table thead th {{font-weight: 600; vertical-align: bottom;
  position: sticky; top: 0; z-index: 1;}}
.aaiclick-scroll table.aaiclick-table.aaiclick-wide th:first-child,
.aaiclick-scroll table.aaiclick-table.aaiclick-wide td:first-child {{position: sticky; left: 0;
  border-right: 1px solid var(--aai-line); max-width: 16em;}}
.aaiclick-scroll table.aaiclick-table.aaiclick-wide thead th:first-child {{z-index: 2;}}
.aaiclick-scroll table.aaiclick-table .aaiclick-number {{text-align: right;}}
.aaiclick-scroll table.aaiclick-table tbody tr:hover td {{
  background: linear-gradient(var(--aai-line), var(--aai-line)) var(--aai-paper);}}
.aaiclick-view .aaiclick-type, .aaiclick-footer, .aaiclick-null, .aaiclick-empty {{
  color: var(--aai-faint, gray); font-weight: 400; font-size: 90%;}}
.aaiclick-footer {{padding: 2px 0;}}
.aaiclick-null {{font-style: italic;}}
.aaiclick-digits {{margin-left: .2em;}}
.aaiclick-scroll details.aaiclick-long summary {{cursor: pointer; overflow: hidden;
  text-overflow: ellipsis;}}
.aaiclick-scroll details.aaiclick-long div {{white-space: pre-wrap; overflow-wrap: anywhere;
  max-height: 16em; overflow: auto;}}
.aaiclick-scroll pre.aaiclick-error {{color: var(--aai-error); padding: 0; white-space: pre-wrap;}}
.aaiclick-badge, .aaiclick-stale {{border: 1px solid var(--aai-line); border-radius: 3px;
  padding: 0 4px; white-space: normal;}}
.aaiclick-stale {{color: var(--aai-warn, #b26a00); border-color: currentColor;}}
</style>"""

_WIDE = 8  # columns from which the first one stays in sight
_MAX_DECIMALS = 6
_SMALL, _LARGE = 1e-4, 1e15
_NUMBER = re.compile(r"(-?)(\d{5,})((?:\.\d+)?)\Z")


def as_html(shown: Shown) -> str:
    """Return an HTML table.

    Floats of a column have as many decimals as each other, up to six; their title has all digits.
    Long text unfolds at a click. Digits are in groups for the eye, and copied without.
    """
    columns = list(zip(shown.names, shown.types, shown.numeric, strict=True))
    head = "".join(_header(name, type_, number=number) for name, type_, number in columns)
    cells = [_column_cells(shown, place) for place in range(len(columns))]
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in zip(*cells, strict=True))
    wide = " aaiclick-wide" if len(columns) >= _WIDE else ""
    table = (
        f'<table class="aaiclick-table{wide}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )
    told = "; ".join(filter(None, (shown.summary, shown.further)))
    return framed(table, f"{html.escape(told)}{_badges(shown)}")


def framed(content: str, footer: str = "") -> str:
    """Return HTML in a frame that scrolls, with its styles."""
    below = f'<div class="aaiclick-footer">{footer}</div>' if footer else ""
    scrolled = f'<div class="aaiclick-scroll">{content}</div>'
    return f'{STYLE}<div class="aaiclick-view">{scrolled}{below}</div>'


def error_html(text: str) -> str:
    """Return an error in place of a table."""
    return framed(f'<pre class="aaiclick-error" role="alert">{html.escape(text)}</pre>')


def type_html(type_: str) -> str:
    """Return a type; one that may be null ends in a question mark, and its title has it whole."""
    label = type_label(type_)
    title = shortened(visible(type_), 300) + (": may be null" if label.endswith("?") else "")
    return f'<span class="aaiclick-type" title="{html.escape(title)}">{html.escape(label)}</span>'


def type_label(type_: str) -> str:
    """Return a type as the head of a column has it: short, with ``?`` where it may be null.

    Examples
    --------
    >>> type_label("Nullable(Float64)"), type_label("LowCardinality(Nullable(String))")
    ('Float64?', 'LowCardinality(String)?')
    """
    label, may_be_null = _told(type_)
    return visible(shortened(label, 40)) + ("?" if may_be_null else "")


def _told(type_: str) -> tuple[str, bool]:
    try:
        found = parse(type_)
    except SchemaError:  # of Python objects, or none of ClickHouse's
        return type_, False
    if found.name == "LowCardinality" and found.nullable:
        return str(replace(found, args=found.args[0].args)), True
    return (str(found.args[0]), True) if found.name == "Nullable" else (type_, found.nullable)


def grouped(text: str) -> str:
    """Return a number as HTML whose digits stand in threes, from five digits on.

    Examples
    --------
    >>> grouped("2013")
    '2013'
    >>> grouped("12345.5")
    '12<span class="aaiclick-digits">345</span>.5'
    """
    found = _NUMBER.match(text)
    if found is None:
        return html.escape(text)
    sign, digits, rest = found.groups()
    start = len(digits) % 3 or 3
    threes = [digits[at : at + 3] for at in range(start, len(digits), 3)]
    spans = "".join(f'<span class="aaiclick-digits">{three}</span>' for three in threes)
    return f"{sign}{digits[:start]}{spans}{rest}"


def _header(name: str, type_: str, *, number: bool) -> str:
    kind = ' class="aaiclick-number"' if number else ""
    title = html.escape(visible(shortened(name, 300)))
    label = html.escape(visible(shortened(name, 40)))
    told = f' title="{title}"' if title != label else ""
    return f'<th scope="col"{kind}{told}>{label}<br>{type_html(type_)}</th>'


def _column_cells(shown: Shown, place: int) -> list[str]:
    texts = [row[place] for row in shown.rows]
    if not shown.numeric[place]:
        return [
            f"<td>{_text_cell(text, shown.wholes.get((row, place)))}</td>"
            for row, text in enumerate(texts)
        ]
    places = _decimals(texts) if "Float" in shown.types[place] else None
    return [_number_cell(text, places) for text in texts]


def _text_cell(text: str | None, whole: str | None) -> str:
    if text is None:
        return f'<span class="aaiclick-null">{NULL}</span>'
    if not text:
        return '<span class="aaiclick-empty" title="empty text">""</span>'
    if whole is None:
        return html.escape(text)
    return (
        f'<details class="aaiclick-long"><summary>{html.escape(text)}</summary>'
        f"<div>{html.escape(whole)}</div></details>"
    )


def _number_cell(text: str | None, places: int | None) -> str:
    if text is None:
        return f'<td class="aaiclick-number">{_text_cell(None, None)}</td>'
    shown = text
    if places is not None and math.isfinite(value := float(text)):
        shown = f"{value:.{places}f}"
        if places and float(shown) != value:
            return f'<td class="aaiclick-number" title="{text}">{grouped(shown)}</td>'
    return f'<td class="aaiclick-number">{grouped(shown)}</td>'


def _decimals(texts: Sequence[str | None]) -> int | None:
    """Return how many decimals the floats of a column have; None where they differ too much."""
    values = [abs(float(text)) for text in texts if text is not None]
    finite = [value for value in values if math.isfinite(value) and value]
    if any(not _SMALL <= value < _LARGE for value in finite):
        return None
    needed = (len(repr(value).partition(".")[2]) for value in finite if value % 1)
    return min(max(needed, default=1), _MAX_DECIMALS)


def _badges(shown: Shown) -> str:
    origin, stale = html.escape(visible(shown.origin)), html.escape(shown.stale)
    told = ""
    if origin:
        title = "%lineage draws where it came from"
        told = f' <span class="aaiclick-badge" title="{title}">{origin}</span>'
    return told + (stale and f' <span class="aaiclick-stale" role="status">{stale}</span>')
