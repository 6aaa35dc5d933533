"""What a View has to be looked at: figures of its columns, a page of them, charts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, cast

import ibis.expr.types as ir

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aaiclick_ext.objects.charts import Plot
    from aaiclick_ext.objects.profiling import Profile
    from aaiclick_ext.objects.view import View


class Looking:
    """The methods of a View that look at all of its rows."""

    __slots__ = ()

    def show(self) -> Any:
        """Open the browser of tables: every row, scrolled, sorted, filtered, searched, copied.

        As the last line of a cell it is shown. Reads no more than what is in sight, on demand, and
        beside the cells that run; of a MergeTree table, and what filters it or computes columns
        of it, it opens at once, of anything else once that has been run. It shows the rows as they
        were when it was opened.

        Returns
        -------
        BrowseWidget or None
            Its ``view`` is what is looked at now, filtered and sorted, as a View. Where there is no
            page, as in a terminal, the first rows are printed instead.

        Raises
        ------
        ContextError
            Where no notebook has loaded the extension.
        """
        view = cast("View", self)
        return view._backend.services.show(view)  # noqa: SLF001

    def describe(self, *, quantile: Sequence[float] = (0.25, 0.5, 0.75)) -> View:
        """Return a lazy View of a row per column: counts, mode, mean, quantiles.

        Runs nothing; shown or fetched, it reads this view once. The columns are those of Ibis's
        ``describe``: name, pos, type, count, nulls, unique, mode, mean, std, min, p25, p50, p75,
        max. Quantiles of more than 8,192 values are ClickHouse's, from a sample. Columns of other
        types than numbers, booleans and text are there, too, with their counts. `profile` gives
        estimates instead of exact distinct counts, which need memory for each value.

        Parameters
        ----------
        quantile
            From 0 to 1.

        Raises
        ------
        SchemaError
            If a quantile is not from 0 to 1, or there is no column.
        """
        from aaiclick_ext.objects.describing import describe

        return describe(cast("View", self), quantile)

    def profile(self) -> Profile:
        """Summarise every column, to look at: nulls, distinct values, quartiles, histograms.

        Runs one statement that fetches one row: see `ColumnSummary` for what is exact. It reads
        this view twice, and twice more for each further hundred columns.

        Returns
        -------
        Profile
            Shows itself as a page, or as text; ``profile["a"]`` is the summary of one column.

        Notes
        -----
        Of a table with a column of that name, ``x["profile"]`` is the column; so for `plot`.
        """
        from aaiclick_ext.objects.profiling import profile

        return profile(cast("View", self))

    def plot(
        self,
        kind: str = "line",
        *,
        x: str | None = None,
        y: str | Sequence[str] | None = None,
        color: str | None = None,
        aggregate: str = "mean",
        bins: int | None = None,
        top: int = 20,
        title: str | None = None,
    ) -> Plot:
        """Draw a chart of any number of rows, aggregated in ClickHouse.

        Runs two statements: bounds and counts of the columns, then what is drawn, of which at most
        some thousand points are fetched. The chart says where rows are binned, which categories it
        draws as one, and what it leaves out.

        Parameters
        ----------
        kind
            ``line`` of y over x, each row or, above 2,000 rows, an aggregate of each x or bin;
            ``bar`` of an aggregate of y, or of the number of rows, by x; ``histogram`` of x;
            ``scatter`` of y and x, above 2,000 rows binned; ``box`` of y by x: quartiles, least and
            greatest; ``heatmap`` of the number of rows, or of an aggregate of `color`, by x and y.
        x, y
            Names of columns; of a line, y may be several, and is all other numbers by default.
        color
            Column that tells series apart, its ten most frequent values and the rest; of a heat
            map, the numbers that are drawn as colour.
        aggregate
            ``mean``, ``sum``, ``min``, ``max`` or ``median``.
        bins
            How many there are at most, up to 100.
        top
            How many categories are drawn by themselves, up to 30; the others are one, ``other``.

        Returns
        -------
        Plot
            Shows itself in JupyterLab, Notebook and VS Code without a network; ``.chart`` is
            Altair's, ``.save("x.svg")`` writes it.

        Raises
        ------
        SchemaError
            If there is no such kind or column, or the kind cannot draw it.

        Examples
        --------
        ::

            flights.plot("bar", x="carrier", y="dep_delay")
            flights.plot("heatmap", x="hour", y="origin", color="dep_delay", aggregate="median")
        """
        from aaiclick_ext.objects.plot_requests import plot_request
        from aaiclick_ext.objects.plotting import plot

        view = cast("View", self)
        request = plot_request(
            view.schema(), kind, x=x, y=y, color=color, aggregate=aggregate, bins=bins, top=top,
            title=title,
        )  # fmt: skip
        return plot(view, request)

    @property
    def hvplot(self) -> Any:
        """Plots of hvPlot over this view, once ``import hvplot.ibis`` was run; it fetches rows.

        hvPlot knows Ibis tables by the module of their class, and this class is in another.
        """
        if "hvplot" not in sys.modules:  # who only looks for attributes imports nothing
            raise AttributeError("hvplot")  # a column of that name is asked for next
        from hvplot.plotting import hvPlotTabular

        return hvPlotTabular(ir.Table(cast("View", self).op()))
