"""The methods of a `DataContext` that show tables, what keeps them, and other kernels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import ibis.expr.types as ir

    from aaiclick_ext.lifecycle.kernel_list import KernelInfo
    from aaiclick_ext.lifecycle.roots import Namer
    from aaiclick_ext.live import LiveResult
    from aaiclick_ext.objects import TableInfo, Why
    from aaiclick_ext.objects.system_tables import System
    from aaiclick_ext.opening import Opened


class Seeing(ABC):
    """What `DataContext` can tell about its tables and about other kernels."""

    roots: Callable[[], Mapping[int, Namer]]

    @property
    @abstractmethod
    def _opened(self) -> Opened:
        """The parts of the context; waits until it is open."""

    def tables(self) -> list[TableInfo]:
        """Return the tables that this kernel keeps, the oldest first, and what keeps each.

        Runs one query, and looks at every object of the process, which takes 0.1 to 1 s.
        """
        opened = self._opened  # waits for what is imported below
        from aaiclick_ext.objects.tables import list_tables

        return list_tables(opened.backend, self.roots())

    def live(
        self,
        view: ir.Table | ir.Column | ir.Scalar,
        kind: Literal["table", "number", "chart"] = "table",
        *,
        x: str | None = None,
        y: str | Sequence[str] | None = None,
        mark: Literal["line", "bar"] | None = None,
        throttle_s: float = 0.5,
        rows: int | None = None,
    ) -> LiveResult:
        """Return a result that follows its tables; as the last line of a cell it is shown so.

        Runs one query for what is shown now. After that, in threads of its own: of aggregates of
        counts, sums, minima and maxima what inserts add to them; of other views what is shown of
        them once more, never sooner than `throttle_s` after the last time, and half of the time at
        most. It is followed while somebody looks at it, and up to a minute longer; its tables are
        kept as long.

        Parameters
        ----------
        kind
            ``"table"``: the first rows. ``"number"``: the only cell of the view, with its name.
            ``"chart"``: lines or bars, of 2,000 points at most: of more rows, each point is the
            mean of as many, and the chart says so.
        x, y
            Of a chart: the column to draw over, of numbers, times or text; and the columns of
            numbers to draw, by default all.
        mark
            Of a chart: ``"bar"`` or ``"line"``; by default bars over text, else lines.
        throttle_s
            The time from one refresh to the next, at least.
        rows
            Of a table: how many to show; by default the setting `display_rows`.

        Returns
        -------
        LiveResult
            ``pause()``, ``resume()`` and ``close()`` are the buttons it has in the page, and
            ``state`` is what it shows.

        Raises
        ------
        SchemaError
            If the view has not what is asked for.
        UnsupportedTypeError
            If it has columns of Python objects.

        Examples
        --------
        ::

            aai.live(readings.group_by("room").agg(mean=readings.celsius.mean()))
            aai.live(readings.celsius.max(), "number")
            aai.live(readings, "chart", x="at", y=["celsius", "humidity"])
        """
        opened = self._opened  # waits for what is imported below
        from aaiclick_ext.live import live_result

        return live_result(
            opened.backend, view, kind, x=x, y=y, mark=mark, throttle_s=throttle_s, rows=rows
        )

    @property
    def system(self) -> System:
        """The system tables: objects, tables, sessions, settings and so on, each a View.

        Runs no query. The first use of one creates what is missing in the database ``aai``; SQL
        reaches them there, as in ``SELECT … FROM aai.tables``.

        Examples
        --------
        >>> from aaiclick_ext import DataContext
        >>> with DataContext() as ctx:
        ...     prices = ctx.create_object_from_value([3, 1, 2])
        ...     tables = ctx.system.tables
        ...     tables.filter(tables.table_type == "temp").select("rows").data()
        {'rows': [3]}
        """
        opened = self._opened  # waits for what is imported below
        from aaiclick_ext.objects.system_tables import System

        return System(opened.backend)

    def live_tables(self) -> frozenset[str]:
        """Return the names of the tables that this kernel keeps. Runs no query."""
        return self._opened.services.worker.live_tables()

    def kernels(self) -> list[KernelInfo]:
        """Return the kernels of the registry, alive and dead, oldest first, with what they hold.

        Runs one query and reads the registry. What dead kernels left goes in the background after a
        context opened.
        """
        services = self._opened.services  # waits for what is imported below
        from aaiclick_ext.lifecycle.kernel_list import list_kernels
        from aaiclick_ext.lifecycle.leftovers import tables_of

        return list_kernels(
            services.registry,
            tables_of(services.engine),
            job_id=services.job_id,
            grace_s=services.settings.lease_grace_s,
        )

    def why(self, what: ir.Expr | str) -> Why:
        """Return what keeps the tables of an expression, or of an object's or a table's name.

        The answer shows itself as text and as HTML: each chain of references from a name that you
        know down to the table, with the one command that lets go of it. Runs no query, or one for
        a name. Looks at every object of the process, which takes 0.1 to 1 s; changes none and
        keeps none.

        Raises
        ------
        UnknownObjectError
            If there is no object and no table of that name.
        UnsupportedTypeError
            If the value has no table of ours below it.
        """
        return self.why_tables(self.tables_below(what))

    def why_tables(self, tables: Sequence[str]) -> Why:
        """Return what keeps some tables, given by their names in ClickHouse. See `why`."""
        opened = self._opened  # waits for what is imported below
        from aaiclick_ext.objects.why import why

        return why(opened.backend, tables, self.roots())

    def tables_below(self, what: Any) -> tuple[str, ...]:
        """Return the tables of ours below an expression, or of an object's or a table's name."""
        opened = self._opened  # waits for what is imported below
        from aaiclick_ext.objects.why import tables_of

        return tables_of(opened.backend, opened.catalog, what)
