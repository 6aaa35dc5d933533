"""What a live result shows at one time: rows, a number or points, and how they look as text."""

from __future__ import annotations

import datetime as dt
import html
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from aaiclick_ext.errors import SchemaError
from aaiclick_ext.live.chart_picture import chart_svg
from aaiclick_ext.live.heads import ROWS, ChartHead, Head, TableHead
from aaiclick_ext.objects.display import shown_of
from aaiclick_ext.objects.python_values import to_python
from aaiclick_ext.objects.shown import NULL, Shown, as_text, cell_text
from aaiclick_ext.objects.table_html import as_html
from aaiclick_ext.untrusted import visible

if TYPE_CHECKING:
    import ibis.expr.schema as sch

    from aaiclick_ext.objects.backend import Backend
    from aaiclick_ext.objects.planning import Plan

_LARGE, _SMALL = 1e15, 1e-4
_FEW_POINTS = 10


@dataclass(frozen=True, slots=True)
class Rows:
    """The first rows of a result, as its display draws them."""

    shown: Shown

    def html(self) -> str:
        """Return a table."""
        return as_html(self.shown)

    def text(self) -> str:
        """Return a table of plain text."""
        return as_text(self.shown)


@dataclass(frozen=True, slots=True)
class Number:
    """One cell and its name, as text."""

    name: str
    value: str

    def html(self) -> str:
        """Return a large number with its name."""
        return (
            f'<div><span style="font-size: 200%; font-weight: 600">{html.escape(self.value)}</span>'
            f" {html.escape(self.name)}</div>"
        )

    def text(self) -> str:
        """Return one line."""
        return f"{self.name}: {self.value}"


@dataclass(frozen=True, slots=True)
class Chart:
    """Points of several columns over one.

    Attributes
    ----------
    x
        Numbers; of times, seconds since 1970; of text, the place.
    labels
        What stands at each x, where that is text.
    y
        By column, a value for each x, or None.
    rows
        How many rows the points are made of.
    bars
        Whether bars are drawn, not lines.
    """

    x_name: str
    x: list[float]
    is_time: bool
    labels: list[str] | None
    y: dict[str, list[float | None]]
    rows: int
    bars: bool

    @property
    def summary(self) -> str:
        """One line: how many points, and of how many rows each is the mean."""
        points = f"{len(self.x):,} point{'' if len(self.x) == 1 else 's'}"
        if self.rows <= len(self.x):
            return points
        each = math.ceil(self.rows / len(self.x))
        return f"{self.rows:,} rows drawn as {points}, each the mean of up to {each:,}"

    def html(self) -> str:
        """Return a picture."""
        picture = chart_svg(self)
        return f'{picture}<div class="aaiclick-footer">{html.escape(self.summary)}</div>'

    def text(self) -> str:
        """Return the last points."""
        first = max(0, len(self.x) - _FEW_POINTS)
        lines = [[self.x_name, *self.y]] + [
            [self.label(at), *(_number(values[at]) for values in self.y.values())]
            for at in range(first, len(self.x))
        ]
        widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
        table = [
            "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
            for line in lines
        ]
        head = f"the last {len(lines) - 1} of {self.summary}" if first else self.summary
        return "\n".join([head, *table])

    def label(self, at: int) -> str:
        """Return the x of a point as text."""
        if self.labels is not None:
            return self.labels[at]
        if self.is_time:
            return dt.datetime.fromtimestamp(self.x[at], dt.UTC).isoformat(" ").split("+")[0]
        return _number(self.x[at])


Showing = Rows | Number | Chart


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What is known of a head before its rows: its plan, its schema and how it is drawn.

    Attributes
    ----------
    columns
        How many the whole view has.
    """

    plan: Plan
    schema: sch.Schema
    columns: int
    bars: bool


def showing_of(backend: Backend, head: Head, form: Form, rows: pa.Table) -> Showing:
    """Return what to show of the head of a view.

    Raises
    ------
    SchemaError
        If a number is more than one row.
    """
    if isinstance(head, ChartHead):
        return _chart(head, rows, to_python(rows, form.plan.types), bars=form.bars)
    if isinstance(head, TableHead):
        total = (rows.num_rows if rows.num_rows <= head.rows else None, form.columns)
        return Rows(shown_of(backend, rows, form.plan, form.schema, limit=head.rows, total=total))
    (name,) = rows.column_names
    if rows.num_rows > 1:
        raise SchemaError(
            f"a live number is a view with one cell; this one has more than one row of {name}. "
            f"Make one of them, as in t.agg({name}=t.{name}.sum())"
        )
    values = to_python(rows, form.plan.types)[name]
    return Number(visible(name), _number(values[0]) if values else "no row")


def _chart(head: ChartHead, rows: pa.Table, columns: dict[str, list[Any]], *, bars: bool) -> Chart:
    kind = rows.schema.field("x").type
    is_time = pa.types.is_temporal(kind)
    labels = None
    if is_time:
        x = [_seconds(value) for value in columns["x"]]
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        labels = [cell_text(value) for value in columns["x"]]
        x = [float(place) for place in range(len(labels))]
    else:
        x = [float(value) for value in columns["x"]]
    y = {
        visible(name): [_finite(value) for value in columns[f"y{number}"]]
        for number, name in enumerate(head.y)
    }
    total = sum(columns[ROWS])
    return Chart(visible(head.x), x, is_time, labels, y, total, bars or labels is not None)


def _seconds(value: dt.date) -> float:
    if not isinstance(value, dt.datetime):
        value = dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC)
    return (value if value.tzinfo else value.replace(tzinfo=dt.UTC)).timestamp()


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def _number(value: Any) -> str:
    """Return a value as one can read it: a number of few digits, in groups of three."""
    if value is None:
        return NULL
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return cell_text(value)
    if isinstance(value, int):
        return f"{value:,}"
    if value and not _SMALL <= abs(value) < _LARGE:
        return f"{value:.6g}"
    return f"{value:,.4f}".rstrip("0").rstrip(".")
