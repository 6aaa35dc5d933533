"""Profile: the summary of every column of a view, as a page and as text."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

from aaiclick_ext.errors import SchemaError
from aaiclick_ext.objects.column_summaries import ColumnSummary, column_summaries
from aaiclick_ext.objects.shown import aligned, told_apart, whole_text
from aaiclick_ext.objects.table_html import framed, grouped, type_html
from aaiclick_ext.untrusted import shortened, visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aaiclick_ext.objects.view import View

OPERATION = "profile"

_BAR_WIDTH, _HEIGHT, _GAP = 8, 36, 1
_TOP_SHOWN, _MAX_VALUE, _MAX_NAME = 5, 24, 40
_MANY_COLUMNS = 200
_PLAIN, _LARGE = 1e6, 1e15  # floats without a point and without an exponent

_STYLE = """<style>
.aaiclick-scroll table.aaiclick-profile td {vertical-align: middle;}
.aaiclick-scroll table.aaiclick-profile td:last-child {white-space: normal; min-width: 14em;}
.aaiclick-profile svg {display: block;}
.aaiclick-profile svg rect {fill: var(--aai-mark);}
.aaiclick-profile .aaiclick-share {display: inline-block; width: 60px; height: 5px;
  background: var(--aai-line); margin-left: 6px; vertical-align: middle;}
.aaiclick-profile .aaiclick-share span {display: block; height: 100%; background: var(--aai-mark);}
.aaiclick-profile .aaiclick-top {display: grid; grid-template-columns: auto auto; gap: 0 8px;
  width: max-content;}
.aaiclick-profile .aaiclick-top span:nth-child(even) {text-align: right;
  color: var(--aai-faint);}
</style>"""


class Profile:
    """What `View.profile` found: a `ColumnSummary` for every column."""

    def __init__(self, summaries: Sequence[ColumnSummary]) -> None:
        self.columns: tuple[ColumnSummary, ...] = tuple(summaries)

    @property
    def rows(self) -> int:
        """Rows of the view when it was asked."""
        return self.columns[0].rows if self.columns else 0

    def __getitem__(self, name: str) -> ColumnSummary:
        for summary in self.columns:
            if summary.name == name:
                return summary
        names = ", ".join(summary.name for summary in self.columns)
        raise SchemaError(f"no column {name!r}; there are {names}")

    def __iter__(self) -> Iterator[ColumnSummary]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    def __repr__(self) -> str:
        heads = [
            "column",
            "type",
            "nulls",
            "distinct",
            "min",
            "median",
            "max",
            "mean",
            "most often",
        ]
        numeric = [False, False, True, True, True, True, True, True, False]
        rows = [_text_row(summary) for summary in self.columns[:_MANY_COLUMNS]]
        return "\n".join([*aligned([heads], rows, numeric), f"({self._summary})"])

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/html": self._html(), "text/plain": repr(self)}

    def _html(self) -> str:
        heads = ("column", "nulls", "distinct", "values", "figures")
        head = "".join(f'<th scope="col">{name}</th>' for name in heads)
        body = "".join(_html_row(summary) for summary in self.columns[:_MANY_COLUMNS])
        table = (
            f'<table class="aaiclick-table aaiclick-profile"><thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table>"
        )
        return _STYLE + framed(table, html.escape(self._summary))

    @property
    def _summary(self) -> str:
        columns = f"{len(self.columns):,} column{'' if len(self.columns) == 1 else 's'}"
        said = f"{self.rows:,} row{'' if self.rows == 1 else 's'}, {columns}"
        if len(self.columns) > _MANY_COLUMNS:
            said += f"; {_MANY_COLUMNS} columns shown, the others are in .columns"
        estimates = any(
            not (s.is_distinct_exact and s.are_quartiles_exact and s.is_top_exact)
            for s in self.columns
        )
        return said + ("; ≈ is an estimate" if estimates else "")


def profile(view: View) -> Profile:
    """Return the profile of a view. Runs one statement."""
    return Profile(column_summaries(view, operation=OPERATION))


def figure(value: Any) -> str:
    """Return a value as short text: a float of six digits, everything else whole.

    Examples
    --------
    >>> figure(None), figure(1 / 3), figure(1e300), figure(12345678)
    ('', '0.333333', '1e+300', '12345678')
    >>> figure(1.23451e10)
    '12345100000'
    """
    if value is None:
        return ""
    if not isinstance(value, float):
        return visible(shortened(whole_text(value), _MAX_NAME))
    is_plain = _PLAIN <= abs(value) < _LARGE
    return f"{value:.0f}" if is_plain else f"{value:.6g}"


def _distinct(summary: ColumnSummary) -> str:
    if summary.distinct is None:
        return ""
    about = "" if summary.is_distinct_exact else "≈"
    return f"{about}{summary.distinct:,}"


def _distinct_html(summary: ColumnSummary) -> str:
    if summary.distinct is None:
        return ""
    return ("" if summary.is_distinct_exact else "≈ ") + grouped(str(summary.distinct))


def _share(part: int, whole: int) -> str:
    if not whole:
        return ""
    percent = 100 * part / whole
    return (
        f"{percent:.1f} %"
        if 0.1 <= percent <= 99.9 or part in (0, whole)
        else ("< 0.1 %" if percent < 1 else "> 99.9 %")
    )


def _median(summary: ColumnSummary) -> Any:
    return None if summary.quartiles is None else summary.quartiles[1]


def _value(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else whole_text(value)
    return told_apart(visible(shortened(text, _MAX_VALUE)))


def _text_row(summary: ColumnSummary) -> list[str]:
    top = ", ".join(f"{_value(each.value)} ({each.count:,})" for each in (summary.top or ())[:3])
    return [
        visible(shortened(summary.name, _MAX_NAME)),
        visible(shortened(summary.type, 30)),
        f"{summary.nulls:,}",
        _distinct(summary),
        figure(summary.min),
        figure(_median(summary)),
        figure(summary.max),
        figure(summary.mean),
        top if summary.is_top_exact else f"≈ {top}",
    ]


def _html_row(summary: ColumnSummary) -> str:
    name = html.escape(visible(shortened(summary.name, _MAX_NAME)))
    nulls = "0"
    if summary.nulls:
        width = max(1, round(60 * summary.nulls / summary.rows))
        nulls = (
            f"{grouped(str(summary.nulls))} ({_share(summary.nulls, summary.rows)})"
            f'<span class="aaiclick-share"><span style="width: {width}px"></span></span>'
        )
    return (
        f"<tr><td><b>{name}</b><br>{type_html(summary.type)}</td>"
        f"<td>{nulls}</td><td>{_distinct_html(summary)}</td>"
        f"<td>{_values_html(summary)}</td><td>{_figures_html(summary)}</td></tr>"
    )


def _figures_html(summary: ColumnSummary) -> str:
    about = "" if summary.are_quartiles_exact else "≈ "
    lines = []
    if summary.min is not None:
        lines.append(f"{_number(summary.min)} to {_number(summary.max)}")
    if summary.quartiles is not None:
        shown = summary.quartiles[1:2] if summary.kind == "time" else summary.quartiles
        quartiles = " · ".join(_number(value) for value in shown)
        name = "median" if summary.kind == "time" else "quartiles"
        lines.append(f'<span title="25 %, 50 %, 75 %">{name} {about}{quartiles}</span>')
    if summary.mean is not None:
        spread = "" if summary.std is None else f" ± {_number(summary.std)}"
        lines.append(
            f'<span title="mean and standard deviation">mean {_number(summary.mean)}{spread}</span>'
        )
    odd = (("NaN", summary.nans), ("infinite", summary.infinities))
    lines += [f"{count:,} {what}" for what, count in odd if count]
    if summary.shortest is not None and summary.longest is not None:
        unit = "characters" if summary.kind == "text" else "long"
        lines.append(f"{summary.shortest:,} to {summary.longest:,} {unit}")
    return "<br>".join(lines)


def _number(value: Any) -> str:
    return grouped(figure(value))


def _values_html(summary: ColumnSummary) -> str:
    if summary.histogram is not None:
        return _histogram(summary)
    if not summary.top:
        return ""
    about = "" if summary.is_top_exact else "≈"
    cells = "".join(
        f"<span>{html.escape(_value(each.value))}</span>"
        f"<span>{about}{each.count:,} ({_share(each.count, summary.rows)})</span>"
        for each in summary.top[:_TOP_SHOWN]
    )
    return f'<div class="aaiclick-top">{cells}</div>'


def _histogram(summary: ColumnSummary) -> str:
    """Return the bins as an SVG, each with a title."""
    histogram = summary.histogram
    assert histogram is not None
    counts, edges = histogram.counts, histogram.edges
    most = max(counts) or 1
    width = (_BAR_WIDTH + _GAP) * len(counts)
    bars = []
    for place, count in enumerate(counts):
        height = max(1.0, _HEIGHT * count / most) if count else 0
        title = f"{figure(edges[place])} to {figure(edges[place + 1])}: {count:,}"
        bars.append(
            f'<rect x="{place * (_BAR_WIDTH + _GAP)}" y="{_HEIGHT - height:.1f}" '
            f'width="{_BAR_WIDTH}" height="{height:.1f}" fill="#1976d2">'
            f"<title>{html.escape(title)}</title></rect>"
        )
    label = html.escape(f"histogram from {figure(edges[0])} to {figure(edges[-1])}")
    return (
        f'<svg width="{width}" height="{_HEIGHT}" viewBox="0 0 {width} {_HEIGHT}" role="img" '
        f'aria-label="{label}">{"".join(bars)}</svg>'
    )
