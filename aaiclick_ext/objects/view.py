"""View: an Ibis table over our engine; lazy, and the owner of everything it can reach."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import ibis.expr.operations as ops
import ibis.expr.types as ir
from ibis.expr.types.groupby import GroupedTable
from ibis.expr.types.joins import Join

from aaiclick_ext.errors import SchemaError, UnsupportedTypeError
from aaiclick_ext.objects.backend import Backend, backend_of
from aaiclick_ext.objects.building_errors import note_nearest_attribute
from aaiclick_ext.objects.looking import Looking
from aaiclick_ext.objects.ordering import shape_of
from aaiclick_ext.objects.unknown import adopt_column
from aaiclick_ext.schema import Shape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from os import PathLike

    from aaiclick_ext.live import Change, Subscription
    from aaiclick_ext.objects.object import Object
    from aaiclick_ext.objects.query_plans import DryRun
    from aaiclick_ext.objects.query_text import QueryText

ORIENTS = ("list", "records")


class View(Looking, ir.Table):  # type: ignore[misc]
    """A lazy table expression with Ibis's whole API.

    Building, naming and combining views runs nothing; `columns`, `schema` and types never do. A
    view sees later inserts into its sources; `copy` freezes it. As long as the view, or anything
    made of it, can be reached, the tables below it live.
    """

    __array_ufunc__ = None

    @property
    def _backend(self) -> Backend:
        backend = backend_of(self.op())
        if backend is None:
            raise UnsupportedTypeError(
                "this expression has no table of ours below it; aai.view(expr) adopts one"
            )
        return backend

    @property
    def _as_ibis(self) -> ir.Table:
        """The table that Ibis's own methods are run on."""
        return self

    # Leaving the database.

    def data(self, *, orient: Literal["list", "records"] = "list") -> Any:
        """Fetch everything as Python values. Runs one query.

        Parameters
        ----------
        orient
            ``"list"``: a dict of one list per column. ``"records"``: a list of one dict per row.

        Returns
        -------
        object
            The value itself for a scalar, a list for an array (both whatever `orient` says), a
            dict or a list of dicts for a table. Nulls are None; integers and decimals are exact;
            of columns of Python objects, the objects themselves.
        """
        if orient not in ORIENTS:
            raise SchemaError(f"orient is {orient!r}; it can be {' or '.join(ORIENTS)}")
        table, plan = self._backend.fetch(self, "data", with_objects=True)
        columns = self._backend.python_columns(table, plan)
        shape = shape_of(self.op())
        if shape is Shape.SCALAR:
            return next(iter(columns.values()))[0] if table.num_rows else None
        if shape is Shape.ARRAY:
            return next(iter(columns.values()))
        if orient == "list":
            return columns
        names = list(columns)
        return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def export(self, path: str | PathLike[str]) -> None:
        """Write everything to a file whose format follows from its extension.

        Runs one query. The file appears whole or not at all.

        Parameters
        ----------
        path
            Ends in ``.parquet``, ``.csv``, ``.tsv``, ``.json`` (an array of objects), ``.jsonl``
            or ``.ndjson`` (one object per line), ``.arrow`` or ``.feather``; text formats may end
            in ``.gz`` or ``.zst`` besides. A file that is there is replaced.

        Notes
        -----
        Parquet and Arrow keep every type. Text formats keep every value: numbers with all their
        digits, dates and times in ISO 8601 (in UTC and with a Z where they have a zone), CSV text
        in quotes, so that ``""`` is the empty one and nothing is null. JSON has no NaN and no
        infinity; they become the texts ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``.

        Raises
        ------
        SettingsError
            If the extension is of no format.
        UnsupportedTypeError
            If the format has no place for a column: lists in CSV, bytes in CSV and JSON, Python
            objects anywhere.
        FileError
            If the file cannot be written.
        """
        from aaiclick_ext.objects.exports import export

        export(self, path)

    def copy(self) -> Object:
        """Freeze the view as a table of its own. Runs one statement.

        Returns
        -------
        Object
            With ClickHouse's own column types, and the row order of an array.
        """
        from aaiclick_ext.objects.making import copy_view

        return copy_view(self)

    def cache(self) -> Object:
        """Do what `copy` does: Ibis's name for it."""
        return self.copy()

    def sql(self, query: str, /, *, dialect: str | None = None) -> View:
        """Return a lazy View of a SELECT over this one. Its types are asked for; it does not run.

        Parameters
        ----------
        query
            Names this view as `alias` named it, other tables and objects of ours as `aai.sql`
            does, and keeps them all.
        dialect
            The SQL dialect of the text, where it is not ClickHouse's.

        Raises
        ------
        SQLError
            If the text is not one SELECT, or calls the table function ``Python``.

        Examples
        --------
        ::

            flights.alias("f").sql("SELECT * FROM f WHERE dep_delay > 60")
        """
        from aaiclick_ext.objects.adoption import sql_over_view

        if dialect is not None:
            query = self._backend._transpile_sql(query, dialect=dialect)  # noqa: SLF001
        return sql_over_view(self, query)

    def explain(self) -> QueryText:
        """Return ClickHouse's plan of this query, as text that a notebook shows as it is.

        The query does not run, but for subqueries that stand for a value or right of IN: those
        ClickHouse computes to make the plan. What ``%%sql --explain`` shows.
        """
        from aaiclick_ext.objects.query_plans import explain

        return explain(self)

    def profile_query(self) -> QueryText:
        """Run this query to its end, and return what it and each of its steps took.

        Time, rows, bytes and memory, as ClickHouse measured them (``EXPLAIN ANALYZE``); the rows
        themselves stay in the database. A server that is too old for that tells time, rows and
        bytes of the whole. What ``%%sql --profile`` shows.
        """
        from aaiclick_ext.objects.query_plans import profile_query

        return profile_query(self)

    def dry_run(self) -> DryRun:
        """Return the types of this query's result and what it would read; nothing of it runs.

        Rows and bytes of its tables, and of MergeTree tables the rows, parts and marks that are
        left once the primary key has been used. There is no such estimate, and a reason, where
        ClickHouse would have to run a part of the query for it. What ``%%sql --dry-run`` shows.
        """
        from aaiclick_ext.objects.query_plans import dry_run

        return dry_run(self)

    def subscribe(
        self, callback: Callable[[Change], Any], *, where: Any = None, throttle_s: float = 0.1
    ) -> Subscription:
        """Call back with what changes in this view from now on, until that is cancelled.

        Inserts made through this process are told exactly once each, in order: of a view that only
        filters and computes, the rows that they add; of an aggregate of counts, sums, minima and
        maxima, the new result, found from those rows; of any other view, which is run again, its
        new result (`Subscription.how` and `reason` say which). What something else does to a
        source, another kernel or another program, is noticed within the setting `live_poll_s`, or
        at the end of a cell, and told as ``changed``, with the result as it is then.

        Returns at once; runs a few queries for types and sources, none over data. The callback
        runs in a thread of its own, also while the kernel is idle; one that is slow gets what has
        gathered meanwhile as one change. One that raises is paused, and the log says why.

        Parameters
        ----------
        callback
            Called with a `Change`, whose `rows` are Arrow.
        where
            A condition over the columns: only rows for which it holds are told.
        throttle_s
            The time from one call to the next, at least.

        Returns
        -------
        Subscription
            Keep it: when nothing refers to it any more it is cancelled. ``cancel()`` does so at
            once. It holds the tables of the view.

        Raises
        ------
        SchemaError
            If `where` is not a condition.

        Examples
        --------
        ::

            hot = readings.filter(readings.celsius > 90)
            alarm = hot.subscribe(lambda change: print(change.rows.to_pylist()))
        """
        live = self._backend.services.live
        return live.subscribe(self, callback, where=where, throttle_s=throttle_s)

    # Python's protocols.

    def __getattr__(self, name: str) -> Any:
        try:
            return adopt_column(super().__getattr__(name))
        except AttributeError as error:
            if not name.startswith("_"):  # what Python and its tools look for
                note_nearest_attribute(error, self, name)
            raise

    def __len__(self) -> int:
        """Count the rows. Runs one query."""
        from aaiclick_ext.objects.results import count_rows

        return count_rows(self._backend, self.op())

    def __contains__(self, name: object) -> bool:
        return name in self.op().schema

    def __bool__(self) -> bool:
        raise UnsupportedTypeError(
            "a View is neither true nor false: use len(x) for its rows, `x is None` for its "
            "absence, or (a == b).data() for the values"
        )

    def __iter__(self) -> Iterator[Any]:
        raise UnsupportedTypeError(
            "a View is not iterable: its rows are in the database. Use x.data() for all values, "
            "x.to_pyarrow_batches() for one batch after another, x.columns for the names"
        )

    __reversed__ = None  # or Python would ask for x[0], x[1]… up to len(x)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other

    __hash__ = object.__hash__

    def __float__(self) -> float:
        return float(self._cell())

    def __int__(self) -> int:
        value = self._cell()
        if isinstance(value, (float, Decimal)) and value != value // 1:
            raise UnsupportedTypeError(f"{value} is not a whole number; use float(x) or round it")
        return int(value)

    def _cell(self) -> Any:
        """Fetch the only cell. Reads at most two rows."""
        if len(self.columns) != 1:
            raise UnsupportedTypeError(
                f"a number needs one cell; this View has {len(self.columns)} columns"
            )
        table, plan = self._backend.fetch(self, "data", limit=2, with_objects=True)
        if table.num_rows != 1:
            shown = "no row" if table.num_rows == 0 else "more than one row"
            raise UnsupportedTypeError(f"a number needs one cell; this View has {shown}")
        value = self._backend.python_columns(table, plan)[table.column_names[0]][0]
        if value is None:
            raise UnsupportedTypeError("a number needs a value; this cell is null")
        return value

    def _ipython_key_completions_(self) -> list[str]:
        return list(self.columns)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        from aaiclick_ext.objects.display import mime_bundle

        return mime_bundle(self)


class JoinView(View, Join):  # type: ignore[misc]
    """A join still being built: further joins extend it, everything else finishes it."""

    __slots__ = ()
    __hash__ = object.__hash__


class GroupedView(GroupedTable):  # type: ignore[misc]
    """A grouped table whose aggregates are Views."""

    __slots__ = ()

    @property
    def _as_ibis(self) -> GroupedTable:
        return self

    def __dir__(self) -> list[str]:
        columns = (name for name in self.table.schema if name.isidentifier())
        return sorted({*super().__dir__(), *columns})


def make_view(op: ops.Relation) -> View:
    """Return the View of a relation, of the class that its shape asks for."""
    from aaiclick_ext.objects.arrays import ArrayView, ScalarView

    shape = shape_of(op)
    if shape is Shape.ARRAY:
        return ArrayView(op)
    return ScalarView(op) if shape is Shape.SCALAR else View(op)
