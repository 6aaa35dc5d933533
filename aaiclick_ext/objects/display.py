"""How a View looks: a compact table in HTML and in text, reading no more than it shows.

Everything shown is untrusted: HTML is escaped, and control characters are escaped in both forms.
"""

from __future__ import annotations

import datetime as dt
import html
import unicodedata
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import ibis.expr.operations as ops
import ibis.expr.types as ir

from aaiclick_ext.errors import AaiclickError, StaleRefError
from aaiclick_ext.objects.backend import backend_of
from aaiclick_ext.objects.display_events import record_display
from aaiclick_ext.objects.leaf import DatabaseTable
from aaiclick_ext.objects.python_values import to_python
from aaiclick_ext.objects.results import unpack
from aaiclick_ext.oplog.graph import DISPLAY

if TYPE_CHECKING:
    from collections.abc import Sequence

    import ibis.expr.datatypes as dt_
    import ibis.expr.schema as sch
    import pyarrow as pa

    from aaiclick_ext.objects.backend import Backend
    from aaiclick_ext.objects.planning import Plan
    from aaiclick_ext.objects.view import View

MAX_CELL = 80
"""Characters of a cell shown; a longer one ends in an ellipsis."""

MAX_COMPARED = 1_000
"""Characters of a text by which a row is still found again."""

NULL = "NULL"

# As specific as it is so that it wins over the notebook's own rules for tables.
_STYLE = """<style>
.aaiclick-table {border-collapse: collapse; font-variant-numeric: tabular-nums;
  color: var(--jp-ui-font-color1, inherit);}
.aaiclick-scroll table.aaiclick-table th,
.aaiclick-scroll table.aaiclick-table td {padding: 2px 10px; text-align: left;
  white-space: pre; max-width: 36em; overflow: hidden; text-overflow: ellipsis;
  border: 0; border-bottom: 1px solid var(--jp-border-color2, rgba(128, 128, 128, .35));}
.aaiclick-scroll table.aaiclick-table th {font-weight: 600; vertical-align: bottom;}
.aaiclick-scroll table.aaiclick-table .aaiclick-number {text-align: right;}
.aaiclick-table .aaiclick-type, .aaiclick-footer, .aaiclick-null {
  color: var(--jp-ui-font-color2, gray); font-weight: 400; font-size: 90%;}
.aaiclick-scroll pre.aaiclick-error {color: var(--jp-error-color1, #d32f2f); padding: 0;
  white-space: pre-wrap;}
.aaiclick-null {font-style: italic;}
.aaiclick-stale {color: var(--jp-warn-color0, #b26a00); border: 1px solid currentColor;
  border-radius: 3px; padding: 0 4px;}
.aaiclick-scroll {overflow-x: auto; max-width: 100%;}
</style>"""


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

    @property
    def stale(self) -> str:
        """What is to be said of a result that would be another if it were made again; or empty."""
        reasons = []
        if self.changes:
            reasons.append(f"a table it was made of got rows later, {', '.join(self.changes)}")
        if self.files:
            named = ", ".join(map(escape_control, self.files))
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


def mime_bundle(view: View) -> dict[str, str]:
    """Return the view as ``text/html`` and ``text/plain``. Runs one query with a limit.

    The log has it as a ``display``, in memory until the cell ends.

    Where the query fails, what is shown is the error: IPython would print it, go on, and show the
    expression below it.
    """
    try:
        shown = preview(view)
    except AaiclickError as error:
        text = "\n".join(map(escape_control, f"{type(error).__name__}: {error}".splitlines()))
        alert = f'<pre class="aaiclick-error" role="alert">{html.escape(text)}</pre>'
        shown_html = f'{_STYLE}<div class="aaiclick-scroll">{alert}</div>'
        return {"text/html": shown_html, "text/plain": text}
    return {"text/html": as_html(shown), "text/plain": as_text(shown)}


def preview(view: View) -> Shown:
    """Fetch the first rows and columns of a view."""
    return _fetched(view)[0]


def preview_with_values(view: View) -> tuple[Shown, list[dict[str, Any]]]:
    """Fetch the first rows; return with them, for each, the values that a row can be found by.

    Those are of columns with a value of its own: not of lists, maps, JSON, bytes or objects, and
    of text up to a length.
    """
    shown, data, plan = _fetched(view)
    schema = view.schema()
    columns = to_python(data, plan.types)
    told = [
        name
        for name in shown.names
        if name not in plan.objects and not schema[name].is_binary() and _is_plain(schema[name])
    ]
    return shown, [
        {name: columns[name][row] for name in told if _is_short(columns[name][row])}
        for row in range(len(shown.rows))
    ]


def _is_plain(dtype: dt_.DataType) -> bool:
    return not (dtype.is_nested() or dtype.is_json() or dtype.is_unknown() or dtype.is_geospatial())


def _is_short(value: Any) -> bool:
    return not isinstance(value, str) or len(value) <= MAX_COMPARED


def _fetched(view: View) -> tuple[Shown, pa.Table, Plan]:
    backend = view._backend  # noqa: SLF001
    settings = backend.services.settings
    op = backend.relation_of(view)
    names = list(op.schema)
    shown_names = names[: settings.display_columns]
    if len(shown_names) < len(names):
        dropped = frozenset(names[settings.display_columns :])
        op = ops.DropColumns(op, columns_to_drop=dropped)
    limit = settings.display_rows
    record = partial(record_display, backend, [view.op(), op], shown_names)
    data, plan = backend.fetch(
        ir.Table(op), DISPLAY, limit=limit + 1, with_objects=True, record=record
    )
    total_rows = _total_rows(view, data.num_rows, more=data.num_rows > limit)
    shown = shown_of(backend, data, plan, op.schema, limit=limit, total=(total_rows, len(names)))
    return shown, data.slice(0, limit), plan


def shown_of(
    backend: Backend,
    data: pa.Table,
    plan: Plan,
    schema: sch.Schema,
    *,
    limit: int,
    total: tuple[int | None, int],
) -> Shown:
    """Return what to show of rows that were fetched.

    Parameters
    ----------
    limit
        How many rows are shown at most; that there are more is said.
    total
        Rows of the whole, where they are known, and columns.
    """
    columns = _python_columns(backend, data.slice(0, limit), plan)
    rows = [
        [None if cell is None else cell_text(cell) for cell in row]
        for row in zip(*columns.values(), strict=True)
    ]
    names = data.column_names
    return Shown(
        names,
        ["Python object" if name in plan.objects else plan.types.get(name, "") for name in names],
        [schema[name].is_numeric() for name in names],
        rows,
        *total,
        data.num_rows > limit,
        backend.services.freshness.changes_below([*plan.tables, *plan.others]),
        backend.services.freshness.files_changed_below(plan.tables),
    )


def scalar_value(expression: ir.Scalar) -> Any:
    """Fetch the value that a scalar shows. Runs one query; the log has it as a ``display``."""
    backend = backend_of(expression.op())
    assert backend is not None
    op = backend.relation_of(expression)
    record = partial(record_display, backend, [op], list(op.schema))
    data, plan = backend.fetch(expression, DISPLAY, with_objects=True, record=record)
    return unpack(expression, data, backend.python_columns(data.select(list(plan.objects)), plan))


def _python_columns(backend: Backend, data: pa.Table, plan: Plan) -> dict[str, list[Any]]:
    """Return the values to show: of Python objects their texts, so that one that fails is shown."""
    columns = to_python(data, plan.types)
    for name, dtype in plan.objects.items():
        found: list[Any] = []
        for value in columns[name]:
            try:
                (kept,) = backend.python_objects.resolved({name: [value]}, {name: dtype})[name]
            except StaleRefError:
                kept = _Gone()
            found.append(None if kept is None else object_text(kept))
        columns[name] = found
    return columns


class _Gone:
    """Stands for an object that is not here any more."""

    def __repr__(self) -> str:
        return "<object of a kernel that ended>"


def object_text(value: object) -> str:
    """Return the repr of an object, cut, or what says that it has none."""
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001  the object is not ours, and the others are shown
        text = f"<{type(value).__name__}: its repr raised {type(error).__name__}>"
    return text if len(text) <= MAX_CELL else text[: MAX_CELL - 1] + "…"


def _total_rows(view: View, fetched: int, *, more: bool) -> int | None:
    if not more:
        return fetched
    op = view.op()
    if isinstance(op, DatabaseTable):
        schemas = view._backend.services.schemas  # noqa: SLF001
        return schemas.get(op.name, op.namespace.database).rows
    return None


def cell_text(value: Any) -> str:
    """Return a value as one line of safe text."""
    if isinstance(value, str):
        text = value
    elif isinstance(value, float):
        text = repr(value)
    elif isinstance(value, dt.datetime):
        text = value.isoformat(" ")
    elif isinstance(value, bytes):
        text = repr(value)
    else:
        text = str(value)
    return escape_control(text if len(text) <= MAX_CELL else text[: MAX_CELL - 1] + "…")


def escape_control(text: str) -> str:
    r"""Return text with control, format and separator characters written out.

    Examples
    --------
    >>> escape_control("a\x1b[31mb\n")
    'a\\x1b[31mb\\n'
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c == " " else c.encode("unicode_escape").decode() for c in text
    )


def as_html(shown: Shown) -> str:
    """Return an HTML table; static, with light and dark colours of the page around it."""

    def cell(text: str | None, *, number: bool) -> str:
        kind = ' class="aaiclick-number"' if number else ""
        if text is None:
            return f'<td{kind}><span class="aaiclick-null">{NULL}</span></td>'
        return f"<td{kind}>{html.escape(text)}</td>"

    def header(name: str, type_: str, *, number: bool) -> str:
        kind = ' class="aaiclick-number"' if number else ""
        title = html.escape(escape_control(_short(name, 40)))
        label = html.escape(escape_control(_short(type_, 40)))
        return f'<th scope="col"{kind}>{title}<br><span class="aaiclick-type">{label}</span></th>'

    columns = zip(shown.names, shown.types, shown.numeric, strict=True)
    head = "".join(header(name, type_, number=number) for name, type_, number in columns)
    body = "".join(
        "<tr>"
        + "".join(cell(t, number=n) for t, n in zip(row, shown.numeric, strict=True))
        + "</tr>"
        for row in shown.rows
    )
    return (
        f'{_STYLE}<div class="aaiclick-scroll"><table class="aaiclick-table">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        f'<div class="aaiclick-footer">{html.escape(shown.summary)}{_badge(shown)}</div>'
    )


def _badge(shown: Shown) -> str:
    stale = html.escape(shown.stale)
    return stale and f' <span class="aaiclick-stale" role="status">{stale}</span>'


def as_text(shown: Shown) -> str:
    """Return an aligned table of plain text."""
    names = [escape_control(_short(name, 40)) for name in shown.names]
    types = [escape_control(_short(type_, 30)) for type_ in shown.types]
    rows = [[NULL if cell is None else cell for cell in row] for row in shown.rows]
    lines = [names, types, *rows]
    widths = [max(_width(line[i]) for line in lines) for i in range(len(names))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            " " * (width - _width(cell)) + cell if number else cell + " " * (width - _width(cell))
            for cell, width, number in zip(cells, widths, shown.numeric, strict=True)
        ]
        return "  ".join(padded).rstrip()

    rule = "  ".join("─" * width for width in widths)
    footer = [f"({text})" for text in (shown.summary, shown.stale) if text]
    return "\n".join([line(names), line(types), rule, *map(line, rows), *footer])


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _width(text: str) -> int:
    """Return the columns that a text takes in a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )
