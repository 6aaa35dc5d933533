"""One step back through windows and unnested lists: a row, and the rows that its values saw."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import ibis.expr.operations as ops

from aaiclick_ext.objects.row_keys import has_rows, hidden_names, is_among, moved
from aaiclick_ext.objects.selection import Selection, across, function_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def has_windows(values: Iterable[ops.Value]) -> bool:
    """Say whether any value is computed over other rows."""
    return any(value.find(ops.WindowFunction, filter=ops.Value) for value in values)


def through_projection(op: ops.Project, selection: Selection, *, descent: bool) -> Selection:
    """Return the rows that a projection with windows or unnested lists made its rows of."""
    windows = _windows(op.values.values())
    return _through(op, op.parent, op.values, selection, [] if descent else windows)


def through_filter(op: ops.Filter, selection: Selection, *, descent: bool) -> Selection:
    """Return the rows that a filter by windows made its rows of.

    Its other conditions come first, as in ClickHouse's WHERE and QUALIFY.
    """
    plain = [p for p in op.predicates if not has_windows([p])]
    base = ops.Filter(op.parent, plain) if plain else op.parent
    qualified = [moved(p, op.parent, base) for p in op.predicates if has_windows([p])]
    names = hidden_names(base, len(qualified))
    values = {**base.fields, **dict(zip(names, qualified, strict=True))}
    project = ops.Project(base, values)
    kept = [ops.Field(project, name) for name in names]
    chosen = selection.moved(op, project).also(kept)
    windows = [] if descent else _windows(qualified)
    below = _through(project, base, values, chosen, windows)
    return below.moved(base, op.parent).also(plain)


def _windows(values: Iterable[ops.Value]) -> list[ops.WindowFunction]:
    found = [w for value in values for w in value.find(ops.WindowFunction, filter=ops.Value)]
    return list(dict.fromkeys(found))


def _through(
    op: ops.Project,
    base: ops.Relation,
    values: dict[str, ops.Value],
    selection: Selection,
    windows: Sequence[ops.WindowFunction],
) -> Selection:
    """Return the rows of the base whose key is beside a selected row, or in its partition."""
    keys = [list(base.fields.values()), *(list(window.group_by) for window in windows)]
    names = iter(hidden_names(op, sum(map(len, keys)), base.schema))
    named = [[(next(names), key) for key in group] for group in keys]
    extended = ops.Project(base, {**values, **{n: key for group in named for n, key in group}})

    def build(_: ops.Relation) -> ops.Value:
        rows = selection.moved(op, extended).over(extended)
        found = [
            is_among([key for _, key in group], rows, [ops.Field(rows, name) for name, _ in group])
            if group
            else has_rows(rows)
            for group in (named[1:] or named)
        ]
        return reduce(ops.Or, found)

    below = across(op, selection, build)
    for window in windows:
        if not _sees_all(window):
            below = below.because(
                f"{function_name(window.func)} sees a part of the rows of its window; "
                "the whole partition is given"
            )
    return below


def _sees_all(window: ops.WindowFunction) -> bool:
    """Say whether the value of every row is made of all the rows of its partition."""
    if isinstance(window.func, ops.Analytic):
        return False
    if isinstance(window.func, (ops.First, ops.Last, ops.Arbitrary)):
        return False
    return not window.order_by and window.start is None and window.end is None
