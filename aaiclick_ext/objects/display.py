"""How a View looks: a compact table in HTML and in text, reading no more than it shows.

Everything shown is untrusted: HTML is escaped, and control characters are escaped in both forms.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import ibis.expr.operations as ops
import ibis.expr.types as ir

from aaiclick_ext.engine.type_tree import WIDE_INTEGERS, parse
from aaiclick_ext.errors import AaiclickError, StaleRefError
from aaiclick_ext.lifecycle.names import TableName
from aaiclick_ext.objects.backend import backend_of
from aaiclick_ext.objects.display_events import record_display
from aaiclick_ext.objects.leaf import DatabaseTable
from aaiclick_ext.objects.python_values import to_python
from aaiclick_ext.objects.results import unpack
from aaiclick_ext.objects.shown import (
    MAX_CELL,
    MAX_WHOLE,
    Shown,
    as_text,
    cut_text,
    whole_text,
)
from aaiclick_ext.objects.table_html import as_html, error_html
from aaiclick_ext.oplog.graph import DISPLAY
from aaiclick_ext.untrusted import shortened, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    import ibis.expr.datatypes as dt_
    import ibis.expr.schema as sch
    import pyarrow as pa

    from aaiclick_ext.objects.backend import Backend
    from aaiclick_ext.objects.planning import Plan
    from aaiclick_ext.objects.view import View

MAX_COMPARED = 1_000
"""Characters of a text by which a row is still found again."""

_MOST_UNFOLDED = 200_000
"""Characters that all long texts of a display take together at most."""


def mime_bundle(view: View) -> dict[str, str]:
    """Return the view as ``text/html`` and ``text/plain``. Runs one query with a limit.

    The log has it as a ``display``, in memory until the cell ends.

    Where the query fails, what is shown is the error: IPython would print it, go on, and show the
    expression below it.
    """
    try:
        shown = preview(view)
    except AaiclickError as error:
        text = visible(error.as_text(), lines=True)
        return {"text/html": error_html(text), "text/plain": text}
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
    record = partial(record_display, backend, [view.op(), op], shown_names, most_rows=limit)
    data, plan = backend.fetch(
        ir.Table(op), DISPLAY, limit=limit + 1, with_objects=True, record=record
    )
    total_rows = _total_rows(view, data.num_rows, more=data.num_rows > limit)
    shown = shown_of(backend, data, plan, op.schema, limit=limit, total=(total_rows, len(names)))
    told = replace(shown, size_bytes=_size_bytes(view), origin=_origin(view, plan))
    return told, data.slice(0, limit), plan


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
    texts = [
        [None if cell is None else whole_text(cell) for cell in row]
        for row in zip(*columns.values(), strict=True)
    ]
    rows = [[None if text is None else cut_text(text) for text in row] for row in texts]
    names = data.column_names
    return Shown(
        names,
        ["Python object" if name in plan.objects else plan.types.get(name, "") for name in names],
        [_is_number(schema[name], plan.types.get(name, "")) for name in names],
        rows,
        *total,
        data.num_rows > limit,
        backend.services.freshness.changes_below([*plan.tables, *plan.others]),
        backend.services.freshness.files_changed_below(plan.tables),
        _unfolded(texts),
    )


def _is_number(dtype: dt_.DataType, type_: str) -> bool:
    return dtype.is_numeric() or bool(type_ and parse(type_).inner.name in WIDE_INTEGERS)


def _unfolded(texts: Sequence[Sequence[str | None]]) -> dict[tuple[int, int], str]:
    """Return the texts that are longer than a cell, cut, and all together of a bounded size."""
    found: dict[tuple[int, int], str] = {}
    size = 0
    for row, cells in enumerate(texts):
        for place, text in enumerate(cells):
            if text is not None and len(text) > MAX_CELL:
                whole = shortened(text, MAX_WHOLE)
                size += len(whole)
                if size > _MOST_UNFOLDED:
                    return found
                found[row, place] = visible(whole, lines=True)
    return found


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
    return shortened(text, MAX_CELL)


def _total_rows(view: View, fetched: int, *, more: bool) -> int | None:
    if not more:
        return fetched
    op = view.op()
    if isinstance(op, DatabaseTable):
        schemas = view._backend.services.schemas  # noqa: SLF001
        return schemas.get(op.name, op.namespace.database).rows
    return None


def _size_bytes(view: View) -> int | None:
    """Return what a table takes, as ClickHouse knows it. Reads a row of its catalogue."""
    op = view.op()
    if not isinstance(op, DatabaseTable):
        return None
    engine = view._backend.services.engine  # noqa: SLF001
    rows = engine.query_rows(
        "SELECT total_bytes FROM system.tables WHERE name = {name:String} "
        "AND database = if({database:String} = '', currentDatabase(), {database:String})",
        {"name": op.name, "database": op.namespace.database or ""},
    )
    return rows[0][0] if rows else None


def _origin(view: View, plan: Plan) -> str:
    """Return what a view is, in a few words. Runs no query."""
    op = view.op()
    if isinstance(op, DatabaseTable):
        name = TableName.parse(op.name)
        if name is None:
            return f"table {op.name}"
        cell = view._backend.services.notes.cell_of(op.name)  # noqa: SLF001
        table = "table" if name.name is None else f"table {name.name}"
        return table if cell is None else f"{table}, made in cell [{cell}]"
    read = len({*plan.tables, *plan.others, *plan.system})
    return f"view of {read} table{'' if read == 1 else 's'}" if read else "view"
