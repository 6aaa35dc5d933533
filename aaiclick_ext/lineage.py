"""The methods of a `DataContext` that ask the operation log."""

from __future__ import annotations

from abc import ABC, abstractmethod
from os import PathLike, fspath
from typing import TYPE_CHECKING

from aaiclick_ext.errors import UnknownObjectError, UnsupportedTypeError
from aaiclick_ext.oplog.columns import VALUES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    import ibis.expr.types as ir

    from aaiclick_ext.objects import Object, Restoration
    from aaiclick_ext.opening import Opened
    from aaiclick_ext.oplog import Direction, OperationEvent, OplogGraph, OplogNode, StaleResult
    from aaiclick_ext.oplog.cell_runs import CellChanges
    from aaiclick_ext.oplog.columns import ColumnUse, Use


class Lineage(ABC):
    """What `DataContext` can tell about where results came from.

    Each method writes what is not in the log yet first, and asks over all kernels that wrote to
    this database.
    """

    @property
    @abstractmethod
    def _opened(self) -> Opened:
        """The parts of the context; waits until it is open."""

    def node_name(self, view: ir.Table | str) -> str:
        """Return the name that the operation log has for a view, an object or a table."""
        if isinstance(view, str):
            return self._opened.catalog.resolve(view) or view
        return self._opened.backend.provenance.name_of(self._opened.backend.relation_of(view))

    def backward_oplog(self, table: ir.Table | str, max_depth: int = 10) -> list[OperationEvent]:
        """Return the events that made a table, by id: oldest first, the table itself last."""
        name = self._flushed_name(table)  # waits for what is imported below
        from aaiclick_ext.oplog import backward_oplog

        return backward_oplog(self._opened.services.engine, name, max_depth)

    def forward_oplog(
        self, table: ir.Table | str, max_depth: int = 10, *, displays: bool = False
    ) -> list[OperationEvent]:
        """Return the events that a table went into; those that showed rows with `displays`."""
        name = self._flushed_name(table)  # waits for what is imported below
        from aaiclick_ext.oplog import forward_oplog

        return forward_oplog(self._opened.services.engine, name, max_depth, displays=displays)

    def oplog_subgraph(
        self,
        table: ir.Table | str,
        direction: Direction = "backward",
        max_depth: int = 10,
        *,
        displays: bool = False,
    ) -> OplogGraph:
        """Return the graph of operations around a table; those that showed rows with `displays`."""
        name = self._flushed_name(table)  # waits for what is imported below
        from aaiclick_ext.oplog import oplog_subgraph

        engine = self._opened.services.engine
        return oplog_subgraph(engine, name, direction, max_depth, displays=displays)

    subgraph = oplog_subgraph

    def oplog_path(self, source: ir.Table | str, target: ir.Table | str) -> OplogGraph:
        """Return all that lies between two tables: how the one went into the other.

        Runs a few queries.

        Returns
        -------
        OplogGraph
            Its root is the target. Empty but for the two where the source did not go into it.
        """
        start, end = self._flushed_name(source), self._flushed_name(target)
        from aaiclick_ext.oplog import oplog_path

        return oplog_path(self._opened.services.engine, start, end)

    def fed_by(
        self, source: ir.Table | str | PathLike[str], *, displays: bool = False
    ) -> OplogGraph:
        """Return all that was made of a table, a file or a URL, however far, by all kernels.

        A few queries, more for each step. What was exported to a file and read again counts, too.

        Parameters
        ----------
        source
            A view or object; the name of one, or of a table; else a path, a glob or a URL that
            was read. A relative path is one of this process.
        displays
            Whether it includes where rows were shown.

        Returns
        -------
        OplogGraph
            Its root is the source, and its other nodes are what that has fed.

        Raises
        ------
        UnknownObjectError
            If the log knows no such table and no such file; lists files that were read.
        UnsupportedTypeError
            If it is none of these.
        """
        import ibis.expr.types as ir

        if not isinstance(source, (str, PathLike, ir.Table)):
            raise UnsupportedTypeError(
                "fed_by takes a view or object, the name of one or of a table, or the path or URL "
                f"of what was read, not {type(source).__name__}"
            )
        name = self._flushed_name(fspath(source) if isinstance(source, PathLike) else source)
        from aaiclick_ext.oplog.feeding import fed_by

        return fed_by(self._opened.services.engine, name, displays=displays)

    def lineage_sql(self, table: ir.Table | str) -> str:
        """Return one SQL script that rebuilds a result from its sources, as `OplogGraph.to_sql`.

        All of the way back, whatever the distance. The SQL of a view that is given itself, not its
        name, is compiled where the log has none. Runs a few queries.

        Raises
        ------
        UnknownObjectError
            If the log knows no table of the name.
        """
        graph = self._whole_graph(table)
        return graph.to_sql({} if isinstance(table, str) else self._select_of(graph.root, table))

    def lineage_python(self, table: ir.Table | str) -> str:
        """Return the cells that made a result as one script, as `OplogGraph.to_python`.

        All of the way back, whatever the distance. Runs a few queries. Raises as `lineage_sql`.
        """
        return self._whole_graph(table).to_python()

    def _whole_graph(self, table: ir.Table | str) -> OplogGraph:
        name = self._flushed_name(table)  # waits for what is imported below
        from aaiclick_ext.oplog import oplog_subgraph
        from aaiclick_ext.oplog.queries import MOST_STEPS

        graph = oplog_subgraph(self._opened.services.engine, name, max_depth=MOST_STEPS)
        if isinstance(table, str) and not graph.is_known:
            raise UnknownObjectError(f"the log knows no table {table!r}")
        return graph

    def _select_of(self, name: str, view: ir.Table) -> dict[str, str]:
        """Return the masked SQL of a view by its name."""
        backend = self._opened.backend
        op = backend.without_memtables(backend.relation_of(view))
        sql = self._opened.services.oplog.masked_sql(backend.planner.plan(op).sql)
        return {} if sql is None else {name: sql}

    def backward_columns(
        self,
        what: ir.Column | ir.Table | str,
        column: str | None = None,
        *,
        uses: Collection[Use] = VALUES,
    ) -> list[ColumnUse]:
        """Return the columns of sources that a column was made of. Runs a few queries.

        Parameters
        ----------
        what
            A column, or a table with a `column` of it; without one, all its columns together.
        uses
            What the columns may be for: ``"value"`` for those that it is computed from, further
            ``"filter"``, ``"join"``, ``"group"`` and ``"order"`` for those that decide about its
            rows. A table of which nothing but the rows counts then appears with the column ``""``.

        Raises
        ------
        SchemaError
            If the table has no such column.
        """
        table, name = self._named_column(what, column)
        from aaiclick_ext.oplog.questions import column_sources

        return column_sources(self._opened.services.engine, table, name, uses)

    def forward_columns(
        self,
        what: ir.Column | ir.Table | str,
        column: str | None = None,
        *,
        uses: Collection[Use] = VALUES,
    ) -> list[ColumnUse]:
        """Return the columns that a column went into, near and far. Runs a few queries.

        Parameters and errors are those of `backward_columns`. The column ``"*"`` of a result
        stands for all of them: the column decided about its rows.
        """
        table, name = self._named_column(what, column)
        from aaiclick_ext.oplog.questions import column_results

        return column_results(self._opened.services.engine, table, name, uses)

    def _named_column(
        self, what: ir.Column | ir.Table | str, column: str | None
    ) -> tuple[str, str]:
        """Return the names that the log has for a column and its table; write the log."""
        import ibis.expr.operations as ops
        import ibis.expr.types as ir

        from aaiclick_ext.errors import SchemaError

        if isinstance(what, ir.Column):
            column = what.get_name() if column is None else column
            op = what.op()
            what = op.rel.to_expr() if isinstance(op, ops.Field) else what.as_table()
        if isinstance(what, ir.Table) and column is not None and column not in what.columns:
            raise SchemaError(f"no column {column!r}; there are {', '.join(what.columns)}")
        return self._flushed_name(what), "*" if column is None else column

    def stale_results(self, table: ir.Table | str | None = None) -> list[StaleResult]:
        """Return the tables made of something that has changed since, the oldest first.

        A view is never stale: it is computed when it is used. A table is when rows were inserted
        into one that it was made of, at any distance, after it had been read; or when a local file
        that it was read from is another now, by size and time. Changes that others make to tables
        of theirs are not in the log.

        Parameters
        ----------
        table
            Asks for this one and what it was made of; by default for all tables that exist.
        """
        name = None if table is None else self._flushed_name(table)
        self._opened.services.oplog.flush()
        from aaiclick_ext.oplog import stale_results

        return stale_results(self._opened.services.engine, name)

    def restore(self, what: str | OplogNode | OperationEvent) -> Restoration:
        """Make a dropped table again, with what it needs, and compare it with what it was.

        It is made of the nearest tables that exist and hold what they held, of files, and of the
        values that the log keeps; a source that has changed since is made as it was, where that is
        possible. What is made on the way is let go again. The result is a temp object; nothing
        happens to what exists. Runs what made the table, and a few queries.

        Parameters
        ----------
        what
            The name of a table or of a named object that was dropped, or of the variable that held
            it last; or a node of a graph, or an event.

        Returns
        -------
        Restoration
            With ``status``, ``object`` and ``reason``. A table is compared by its rows and a hash
            of its content, which the log keeps of tables of up to ``settings.content_hash_cells``.

        Raises
        ------
        OplogError
            If nothing of that name was ever recorded, or the table exists.
        UnsupportedTypeError
            If it is none of these.
        """
        return self._restored(what)

    def _restored(
        self,
        what: str | OplogNode | OperationEvent,
        bind: Callable[[Object], str] | None = None,
    ) -> Restoration:
        """Restore; `bind` binds the result to a variable and returns its name, for the log."""
        name = self._dropped_name(what)  # waits for what is imported below
        from aaiclick_ext.objects.restoring import restore

        return restore(self._opened.backend, self._whole_graph(name), bind)

    def _dropped_name(self, what: str | OplogNode | OperationEvent) -> str:
        """Return the table that a name stood for last."""
        opened = self._opened
        opened.services.worker.flush()  # what was let go just now is dropped first
        opened.services.oplog.flush()
        import ibis.expr.types as ir

        from aaiclick_ext.lifecycle.names import TableName
        from aaiclick_ext.oplog import OperationEvent, OplogNode
        from aaiclick_ext.oplog.questions import last_table_named

        if isinstance(what, OplogNode):
            return what.table
        if isinstance(what, OperationEvent):
            return what.result_table
        if isinstance(what, ir.Table):  # it exists, as will be said
            return self.node_name(what)
        if not isinstance(what, str):
            raise UnsupportedTypeError(
                "restore takes the name of a dropped table, or of the variable that held it, a "
                f"node of a graph or an event, not {type(what).__name__}"
            )
        if TableName.parse(what) is not None:
            return what
        return opened.catalog.resolve(what) or last_table_named(opened.services.engine, what)

    def variable_history(self, name: str) -> list[OperationEvent]:
        """Return what a variable has stood for: the last event of each cell that set it.

        Oldest first. Runs one query.

        Parameters
        ----------
        name
            Of a variable of a notebook. Results that lived within one cell are not known by it.
        """
        self._opened.services.oplog.flush()
        from aaiclick_ext.oplog import variable_history

        return variable_history(self._opened.services.engine, name)

    def cell_changes(self, execution_count: int) -> CellChanges:
        """Return what changed in a run of a cell, compared with its run before. Three queries.

        Its code, its inputs, and the schema, rows and parameters of what came out.

        Parameters
        ----------
        execution_count
            The number in ``In[…]`` of the later run, in this kernel.

        Raises
        ------
        OplogError
            If that run recorded nothing, was the first that did, or the front end gives cells no
            ids.
        """
        services = self._opened.services
        services.oplog.flush()
        from aaiclick_ext.oplog.cell_runs import cell_changes

        return cell_changes(services.engine, services.job_id, execution_count)

    def _flushed_name(self, table: ir.Table | str) -> str:
        name = self.node_name(table)
        self._opened.services.oplog.flush()
        return name
