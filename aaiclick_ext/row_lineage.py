"""The methods of a `DataContext` that follow single rows through an expression."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from aaiclick_ext.objects import RowTrace, WhyNot
    from aaiclick_ext.opening import Opened


class RowLineage(ABC):
    """From rows of a result to the rows of its sources, and the other way round."""

    @property
    @abstractmethod
    def _opened(self) -> Opened:
        """The parts of the context; waits until it is open."""

    def trace(self, result: ir.Table, where: Any = None, *, depth: int | None = 1) -> RowTrace:
        """Return the rows of every source that chosen rows of a result are made of.

        Runs nothing: the answer holds a lazy View for each source, which runs one query when it is
        fetched. (An `ibis.memtable` below the result is made a table.) With a `depth` of more than
        1, restored tables and those of other kernels cost a few queries to the log.

        Parameters
        ----------
        result
            A View, or any Ibis table over tables of ours. Its sources are the tables that it
            reads, and SQL text, which cannot be looked into.
        where
            Which rows of the result: a condition as `filter` takes it, or a mapping of column to
            value, in which None means null and NaN means NaN. None for all rows.
        depth
            How many tables to go through on each way. With 1 an object that `copy` made is a
            source; with 2 its rows are traced to what it was copied from, and so on; with None as
            far as it goes. So are objects of `concat`, and rows that `insert` took from views. Of
            restored tables, and of those that other kernels made, the log names what they were made
            of: filtered, sorted and copied rows are found again there, of other SQL all that it
            read is given. The way ends at values and files, and where what a table was made of is
            gone; ``notes`` say so.

        Returns
        -------
        RowTrace
            A mapping of source to `SourceRows`, with ``rows``, ``exact`` and ``notes``.
            ``trace[flights]`` finds a source by its object too.

        Notes
        -----
        Of a group all rows have contributed, of distinct rows all that are equal, of a join the
        partners; what matters by being absent (right of an anti join or a difference) has not. Rows
        are told apart by their values: equal rows have contributed alike. Where that cannot be
        said exactly (rows that tie at a limit, a window that sees a part of its partition, a limit
        without an order, a sample, ``now()``), ``exact`` is False, ``notes`` say why, and the rows
        are all those that can have contributed.

        A limit is exact where its order decides: by the position of an array, or by all columns of
        a source, so that rows which tie are equal. By other columns two rows may tie at its edge,
        the answer is not exact, and has both. What a table was copied from may have got rows since:
        they are among those given, and it is not exact either.

        Raises
        ------
        SettingsError
            If `depth` is less than 1.
        SchemaError
            If `where` names an unknown column, or is no condition.
        UnsupportedTypeError
            If the result is no table expression, or one over another backend.
        ReleasedError
            If a table below it went with its session.

        Examples
        --------
        >>> import aaiclick_ext as aai
        >>> with aai.DataContext() as ctx:
        ...     sales = ctx.create_object_from_value({"item": ["a", "b", "a"], "n": [1, 2, 3]})
        ...     totals = sales.group_by("item").agg(total=sales.n.sum())
        ...     ctx.trace(totals, where={"item": "a"})[sales].rows.data()
        {'item': ['a', 'a'], 'n': [1, 3]}
        """
        opened = self._opened  # waits for what is imported below
        from aaiclick_ext.objects.row_trace import trace

        return trace(opened.backend, result, where, depth=depth)

    def why_not(self, result: ir.Table, source: ir.Table | str, where: Any = None) -> WhyNot:
        """Return why chosen rows of a source are not in a result: the step that lost them.

        Runs one query that counts them after every step, and one for the keys of a join that has
        no partner for them. Nothing else is fetched.

        Parameters
        ----------
        result
            As for `trace`.
        source
            A table that the result reads: the object, the View of it, or its name.
        where
            Which rows of the source, as for `trace`. None for all.

        Returns
        -------
        WhyNot
            ``verdict`` in one line; ``steps`` from the source to the result, each with how many of
            the chosen rows went in and came out; ``present``, how many the result is made of. A
            source that is read in several ways has ``ways``.

        Raises
        ------
        UnknownObjectError
            If the result does not read the source; lists what it reads.
        SchemaError
            If `where` names an unknown column, or is no condition.
        UnsupportedTypeError
            If only SQL text reads the source, or an argument is no table.

        Examples
        --------
        >>> import aaiclick_ext as aai
        >>> with aai.DataContext() as ctx:
        ...     sales = ctx.create_object_from_value({"item": ["a", "b", "a"], "n": [1, 2, 3]})
        ...     large = sales.filter(sales.n > 1)
        ...     ctx.why_not(large, sales, where={"item": "a"}).verdict
        'lost at filter (n > 1): 1 of 2; 1 of 2 is in the result'
        """
        opened = self._opened  # waits for what is imported below
        from aaiclick_ext.objects.why_not import why_not

        return why_not(opened.backend, result, source, where)
