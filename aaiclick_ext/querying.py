"""The methods of a `DataContext` that read what is there: tables of others, SQL, expressions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import ibis.expr.types as ir

    from aaiclick_ext.objects import View
    from aaiclick_ext.objects.query_text import QueryText
    from aaiclick_ext.opening import Opened


class Querying(ABC):
    """What `DataContext` can do with tables that are not ours, and with SQL."""

    @property
    @abstractmethod
    def _opened(self) -> Opened:
        """The parts of the context; waits until it is open."""

    def table(self, name: str, /, **parameters: Any) -> View:
        """Return a View of a table or view that is not ours, or that `create_view` made.

        Runs a query for its schema. It is never changed or dropped.

        Parameters
        ----------
        name
            ``"table"`` or ``"database.table"``.
        **parameters
            Values for a view that takes parameters.

        Raises
        ------
        UnknownTableError
            If there is no such table or view.
        ViewError
            If the parameters are not those that the view takes.
        """
        opened = self._opened  # waits for what is imported below
        from aaiclick_ext.objects.named_views import open_table

        return open_table(opened.backend, name, parameters)

    def sql(self, query: str, /, **tables: Any) -> View:
        """Return a lazy View of one SELECT statement. Its types are asked for; it does not run.

        Parameters
        ----------
        query
            ``{name}`` stands for a table that is given by that name, ``{name:Type}`` for a value;
            named objects stand under their own. The View keeps every table that the text names.
        **tables
            Objects, views, or what `create_object_from_value` makes a table of; values.

        Raises
        ------
        SQLError
            If the text is not one SELECT, calls the table function ``Python``, or its names and
            `tables` are not the same.
        DroppedTableError
            If it has the name of a table of this kernel that was dropped: text keeps none.

        Examples
        --------
        >>> from aaiclick_ext import DataContext
        >>> with DataContext() as ctx:
        ...     sales = ctx.create_object_from_value({"item": ["a", "b"], "n": [1, 2]})
        ...     large = sales.filter(sales.n > 1)
        ...     ctx.sql("SELECT item, n * 10 AS n FROM {large}", large=large).data()
        {'item': ['b'], 'n': [20]}
        """
        opened = self._opened  # waits for what is imported below
        from aaiclick_ext.objects.sql_references import sql_of

        return sql_of(opened.backend, opened.catalog, query, tables)

    def raw_sql(self, text: str, /, **tables: Any) -> View | QueryText | None:
        """Run SQL: any statements, in order, in one session; what ``%%sql`` does.

        One SELECT is a lazy View, as of `sql`, and does not run here. Of several statements each
        runs, and the last one's result is returned: where that is a SELECT, a lazy View of it, or
        an Object, made at once, where it comes after ``SET``, ``USE`` or a temporary table, which
        end with the call.

        ``CREATE``, ``INSERT`` and all else that changes tables of your own is in the operation
        log. Tables that variables own, the log and the system tables are not changed by SQL.
        What reads files and URLs (``file()``, ``url()``, ``s3()``) has the rights of whom
        ClickHouse runs for, on the embedded engine of this process: this is no sandbox.

        Parameters
        ----------
        text
            Statements with semicolons between them. ``{name}`` stands for a table, ``{name:Type}``
            for a value, ``{name:Identifier}`` for a name.
        **tables
            As for `sql`.

        Returns
        -------
        View, QueryText or None
            ``SHOW``, ``DESCRIBE`` and the like give an Object, ``EXPLAIN`` and ``SHOW CREATE``
            text; what changes something gives None.

        Raises
        ------
        SQLError
            Before anything runs: if the text cannot be read, a statement calls ``Python`` or
            ``eval`` or would change what is not yours, sets ``dialect``, ``limit``, ``offset``,
            ``additional_result_filter`` or ``log_comment``, which what is sent beside the
            statements needs, or its names and `tables` are not the same.
        EngineError
            If a statement fails. It says which, and what ran before; that stays.

        Examples
        --------
        >>> from aaiclick_ext import DataContext
        >>> with DataContext() as ctx:
        ...     late = ctx.create_object_from_value({"id": [1, 2]})
        ...     made = "CREATE TABLE kept ENGINE = Memory AS SELECT * FROM {late}"
        ...     ctx.raw_sql(made + "; SELECT max(id) AS id FROM kept", late=late).data()
        {'id': [2]}
        """
        return self.run_statements(text, tables)

    def run_statements(
        self, text: str, tables: Mapping[str, Any], show: Callable[[Any], None] = lambda _: None
    ) -> View | QueryText | None:
        """Do what `raw_sql` does; show what SHOW, EXPLAIN and the like give before the last one."""
        opened = self._opened  # waits for what is imported below
        from aaiclick_ext.objects.sql_running import run_sql

        return run_sql(opened.backend, opened.catalog, text, tables, show)

    def view(self, expr: ir.Table) -> View:
        """Adopt an Ibis table over our tables, e.g. what `ibis.union` or `ibis.memtable` gave."""
        opened = self._opened  # waits for what is imported below
        from aaiclick_ext.objects.adoption import adopt_expression

        return adopt_expression(opened.backend, expr)
