"""The methods of a `DataContext` over named views, which ClickHouse keeps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from aaiclick_ext.lifecycle.named_views import ViewDefinition
    from aaiclick_ext.objects import View, ViewProblem
    from aaiclick_ext.objects.named_views import IfViewExists
    from aaiclick_ext.opening import Opened


class Viewing(ABC):
    """What `DataContext` can do about named views."""

    @property
    @abstractmethod
    def _opened(self) -> Opened:
        """The parts of the context; waits until it is open."""

    def create_view(
        self,
        name: str,
        query: ir.Table | str,
        /,
        *,
        if_exists: IfViewExists = "fail",
        copy: bool = False,
        materialized: bool = False,
        **tables: Any,
    ) -> View | None:
        """Keep an expression in ClickHouse under a name, as a view that every program can read.

        The tables of ours that it reads stay as long as the view does, also when no variable holds
        them any more and when the kernel has ended; ``%why`` names the view. A small table that was
        in memory is written to disk. ``aai.table(name)`` opens the view again. Runs a few queries,
        and none over the data.

        Parameters
        ----------
        name
            In the current database; not that of a table, an object or another view.
        query
            A View, an Ibis table over our tables, or the text of a SELECT. Text may have
            ClickHouse's parameters, ``{name:Type}``: ``aai.table(view, name=value)`` gives them.
        if_exists
            ``"replace"`` puts it in the place of a view of that name.
        copy
            Copy the tables of ours that it reads first: the view then holds the copies, and what
            is inserted into the tables later it does not show.
        materialized
            Keep the rows as well, in a table that belongs to the view: each insert into the source
            adds to it what it gives. For filters and projections over one table of ours, of which
            that is exact; runs one query over its data. Rows that are changed or removed in the
            source by other SQL than INSERT stay in the view, as with every materialized view.
        **tables
            What ``{name}`` stands for in a text, as for `sql`.

        Returns
        -------
        View or None
            Over the new view; None where it takes parameters.

        Raises
        ------
        ObjectExistsError
            If there is a table, a view or an object of that name.
        ViewError
            If something that it reads is not there, or would read the view itself; or if it is to
            be materialized and cannot be kept exact.
        UnsupportedTypeError
            If it has columns of Python objects, or is no table.

        Examples
        --------
        >>> from aaiclick_ext import DataContext
        >>> with DataContext() as ctx:
        ...     flights = ctx.create_object_from_value({"id": [1, 2], "delay": [5, 90]})
        ...     late = ctx.create_view("late", flights.filter(flights.delay > 60))
        ...     del flights
        ...     ctx.sql("SELECT id FROM late").data()
        {'id': [2]}
        """
        opened = self._opened  # waits for what is imported below
        from aaiclick_ext.objects.named_views import create_view

        return create_view(
            opened.backend,
            opened.catalog,
            name,
            query,
            tables,
            if_exists=if_exists,
            copy=copy,
            materialized=materialized,
        )

    def drop_view(self, name: str) -> None:
        """Drop a view that `create_view` made; the tables that it alone kept go, too.

        Runs a few queries. What the tables held is dropped in the background.

        Raises
        ------
        UnknownTableError
            If there is no such view; it says which there are.
        ViewError
            If another view reads it, or `create_view` did not make it.
        """
        opened = self._opened  # waits for what is imported below
        from aaiclick_ext.objects.named_views import drop_view

        if drop_view(opened.backend, name):
            opened.reaping.soon()

    def list_views(self) -> list[ViewDefinition]:
        """Return the views of the current database: SQL, what each reads, when and by whom made.

        Also those that others made, of which only the SQL is known. Runs one query.
        """
        opened = self._opened  # waits for what is imported below
        from aaiclick_ext.objects.named_views import list_views

        return list_views(opened.services)

    def validate_views(self) -> list[ViewProblem]:
        """Return what is wrong with the views that `create_view` made; none where all is well.

        A source that is gone, a column that is, or that is of another type than it was; and since
        when, as far as that is known. `restore` of a source that is gone lets its views read it
        again. Runs up to four queries, none of them over data.
        """
        opened = self._opened  # waits for what is imported below
        from aaiclick_ext.objects.named_views import validate_views

        return validate_views(opened.services)
