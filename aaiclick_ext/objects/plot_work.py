"""What a plot was asked for, and the statement that aggregates its columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aaiclick_ext.objects.charts import Drawing
from aaiclick_ext.objects.plot_axes import (
    Axis,
    binned_axis,
    category_axis,
    is_measured,
    valued_axis,
)
from aaiclick_ext.objects.summary_sql import our_prefix, source_sql

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aaiclick_ext.engine import QueryStats
    from aaiclick_ext.objects.backend import Backend
    from aaiclick_ext.objects.column_summaries import ColumnSummary
    from aaiclick_ext.objects.planning import Plan
    from aaiclick_ext.objects.summary_sql import Summarised

MAX_CATEGORIES = 30
"""Categories that can be asked for, and values of a number that are categories by themselves."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a plot was asked for, checked."""

    kind: str
    x: str | None
    y: tuple[str, ...]
    color: str | None
    aggregate: str
    bins: int | None
    top: int
    title: str | None

    @property
    def columns(self) -> list[str]:
        """The columns that are read, each once."""
        given = (self.x, *self.y, self.color)
        return list(dict.fromkeys(name for name in given if name is not None))


class PlotWork:
    """The columns of one plot, and the statement that aggregates them."""

    def __init__(
        self,
        backend: Backend,
        plan: Plan,
        request: Request,
        columns: Sequence[Summarised],
        summaries: Sequence[ColumnSummary],
        stats: QueryStats,
    ) -> None:
        self._backend = backend
        self._plan = plan
        self.request = request
        self.columns = columns
        self.summaries = summaries
        self.stats = stats
        self.rows = summaries[0].rows
        self._ours = our_prefix(columns)

    def place(self, name: str | None) -> int:
        """Return the number of a column."""
        return self.request.columns.index(name or "")

    def summary(self, name: str | None) -> ColumnSummary:
        """Return the summary of a column."""
        return self.summaries[self.place(name)]

    def tick(self, name: str | None) -> str:
        """Return the SQL of a column's numbers, as floats in its own unit."""
        column = self.columns[self.place(name)]
        tick = f"toFloat64({self._ours}t{self.place(name)})"
        return f"{tick} / {10**column.scale}" if column.type.name == "Decimal" else tick

    def axis(self, name: str | None, make: Callable[..., Axis], most: int) -> Axis:
        """Return a column as an axis that `make` makes."""
        place = self.place(name)
        return make(name, self.summaries[place], self.columns[place], most)

    def points(self, name: str | None) -> Axis:
        """Return a column as an axis of its own values."""
        place = self.place(name)
        return valued_axis(name or "", self.summaries[place], self.columns[place])

    def either(self, name: str | None, bins: int) -> Axis:
        """Return a column as categories, where it has few values, or else as bins."""
        place = self.place(name)
        distinct = self.summaries[place].distinct
        few = distinct is not None and distinct <= min(MAX_CATEGORIES, self.request.top)
        is_float = self.columns[place].is_float
        if is_measured(self.columns[place]) and (is_float or not few):
            return self.axis(name, binned_axis, bins)
        return self.axis(name, category_axis, self.request.top)

    def key(self, axis: Axis) -> str:
        """Return the SQL of an axis."""
        place = self.place(axis.name)
        return axis.sql.format(c=f"{self._ours}c{place}", t=f"{self._ours}t{place}")

    def run(
        self, axes: Sequence[Axis], figures: dict[str, str], *, group: bool = True
    ) -> list[dict[str, Any]]:
        """Run the statement: a row for each place on the axes, with figures."""
        source = source_sql(self._plan.sql, self.columns, self._ours)
        keys = [f"{self.key(axis)} AS k{number}" for number, axis in enumerate(axes)]
        values = [f"{sql} AS {name}" for name, sql in figures.items()]
        there = [
            f"isNotNull({self._ours}t{self.place(axis.name)})"
            for axis in axes
            if not axis.is_category
        ]
        where = f" WHERE {' AND '.join(there)}" if there else ""
        listed = ", ".join(f"k{number}" for number in range(len(axes)))
        by = f" GROUP BY {listed}" if group and axes else ""
        order = f" ORDER BY {listed}" if axes else ""
        sql = f"SELECT {', '.join(keys + values)} FROM {source}{where}{by}{order}"
        data, self.stats = self._backend.services.engine.fetch(sql)
        found: list[dict[str, Any]] = data.to_pylist()
        return found

    def notes(self, axes: Sequence[Axis]) -> list[str]:
        """Return what is to be said: rows that are not drawn, categories drawn as one."""
        told = []
        for axis in axes:
            summary = axis.summary
            missing = {
                "null": 0 if axis.is_category else summary.nulls,
                "NaN": summary.nans or 0,
                "infinite": summary.infinities or 0,
            }
            told += [f"{n:,} {what} {axis.title} not drawn" for what, n in missing.items() if n]
            if axis.has_other:
                about = "" if summary.is_distinct_exact else "about "
                told.append(
                    f"the {len(axis.keys)} most frequent of {about}{summary.distinct:,} "
                    f"{axis.title}, the others as one"
                )
        return told

    def drawing(
        self,
        records: list[dict[str, Any]],
        x: Axis | None,
        y: str,
        told: Sequence[str],
        **more: Any,
    ) -> Drawing:
        """Return what to draw, with what is said of it."""
        rows = f"{self.rows:,} row{'' if self.rows == 1 else 's'}"
        return Drawing(self.request.kind, self.request.title, records, x, y, [rows, *told], **more)
