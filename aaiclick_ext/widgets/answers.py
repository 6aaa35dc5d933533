"""What the panel of a graph asks of the kernel: SQL, columns, rows, their sources, restoring.

Every question is about one node, and every answer is bounded: as many rows and columns as a
display shows. Nothing here holds a view or a table: a node is looked up by its name each time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from aaiclick_ext.errors import AaiclickError, UnknownObjectError
from aaiclick_ext.logs import logger_of
from aaiclick_ext.untrusted import visible
from aaiclick_ext.widgets.card import maker_of
from aaiclick_ext.widgets.details import whole
from aaiclick_ext.widgets.printed_sql import printed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aaiclick_ext.context import DataContext
    from aaiclick_ext.objects import SourceRows, View
    from aaiclick_ext.objects.shown import Shown
    from aaiclick_ext.oplog import OplogGraph

MAX_SOURCES = 8
"""Sources of a row that are shown; that there are more is said."""

_MAX_REMEMBERED = 20  # previews, so that a click on a row means the row that was shown

_log = logger_of("widgets")


class RestoreOutcome(Protocol):
    """What came of restoring a table.

    Attributes
    ----------
    status
        A `RestoreStatus`, or its text.
    reason
        Why it is no better, or None.
    table
        The new table, which holds what the dropped one held, or None.
    variable
        The variable that holds it, or None.
    """

    @property
    def status(self) -> Any: ...  # noqa: D102

    @property
    def reason(self) -> str | None: ...  # noqa: D102

    @property
    def table(self) -> str | None: ...  # noqa: D102

    @property
    def variable(self) -> str | None: ...  # noqa: D102


Restore = Callable[[str], RestoreOutcome]


class KernelAnswers:
    """Answers the questions of one graph's panel, in the kernel that has its tables.

    Parameters
    ----------
    context
        The open context.
    graph
        The graph that is shown.
    restore
        Rebuilds a dropped table by its name; None where that cannot be done.
    """

    def __init__(
        self, context: DataContext, graph: OplogGraph, restore: Restore | None = None
    ) -> None:
        self._context = context
        self._graph = graph
        self._names = {
            node.table: ", ".join(dict.fromkeys(n for e in node.events for n in e.variable_names))
            for node in graph.nodes
        }
        self._restore = restore
        self._restored_as: dict[str, str] = {}
        self._rows: OrderedDict[str, list[dict[str, Any]]] = OrderedDict()

    @property
    def can_restore(self) -> bool:
        """Whether dropped tables can be asked for."""
        return self._restore is not None

    def answer(self, about: str, table: str, row: int | None = None) -> dict[str, Any]:
        """Return the answer to a question as JSON can hold it; an error is an answer too.

        Parameters
        ----------
        about
            ``sql``, ``columns``, ``rows``, ``trace`` or ``restore``.
        row
            Of the rows shown last, the number of the one that ``trace`` is about.
        """
        try:
            if about == "sql":
                return {"sql": self._sql(table)}
            if about == "restore":
                return {"restored": self._restored(table)}
            table = self._restored_as.get(table, table)
            if about == "columns":
                return {"columns": self._columns(table)}
            if about == "rows":
                return {"rows": self._preview(table)}
            return {"trace": self._trace(table, 0 if row is None else row)}
        except AaiclickError as error:
            return {"error": visible(f"{type(error).__name__}: {error}", lines=True)}
        except Exception as error:  # noqa: BLE001  the panel says so, and the kernel lives on
            _log.debug("lineage widget: a question failed", exc_info=True)
            return {"error": f"{type(error).__name__} in the kernel"}

    def stop(self, thread: int) -> None:
        """Kill what a thread runs for an answer."""
        self._context.engine.cancel(thread)

    def _sql(self, table: str) -> str:
        """Return the SQL that made a node as the log has it, masked, to be read by people."""
        maker = maker_of(self._graph.node(table))
        return whole(printed(maker.sql_template or "") if maker is not None else "")

    def _columns(self, table: str) -> list[list[str]]:
        view = self._view(table)
        to_string = self._context.backend.compiler.type_mapper.to_string
        return [[visible(n), visible(to_string(t))] for n, t in view.schema().items()]

    def _preview(self, table: str) -> dict[str, Any]:
        from aaiclick_ext.objects.display import preview_with_values

        shown, values = preview_with_values(self._view(table))
        self._rows[table] = values
        self._rows.move_to_end(table)
        while len(self._rows) > _MAX_REMEMBERED:
            self._rows.popitem(last=False)
        return grid(shown)

    def _trace(self, table: str, row: int) -> dict[str, Any]:
        """Return the rows of each source that a row shown before is made of."""
        shown = self._rows.get(table, [])
        if row >= len(shown):
            raise UnknownObjectError("that row is not shown any more; show the rows again")
        where = shown[row]
        if not where:
            raise UnknownObjectError("no column of this row has values by which it can be found")
        made = self._view(table)
        is_view = table.startswith("view_")
        found = self._context.trace(made, where=where, depth=1 if is_view else 2)
        listed = list(found.items())
        if not is_view and list(found) == [table]:
            name = self._names.get(table) or table
            why = "; ".join(found[table].notes) or "its rows were made of no other table's"
            raise UnknownObjectError(f"{name} is a source: {why}")
        notes = []
        if len(listed) > MAX_SOURCES:
            notes.append(f"{len(listed) - MAX_SOURCES} more sources are not shown")
        missing = [name for name in made.columns if name not in where]
        if missing:
            notes.append(f"the row is told by its other columns than {', '.join(missing)}")
        return {
            "sources": [self._source(key, rows) for key, rows in listed[:MAX_SOURCES]],
            "notes": [visible(note) for note in notes],
        }

    def _source(self, key: str, rows: SourceRows) -> dict[str, Any]:
        from aaiclick_ext.objects.display import preview

        name = self._names.get(rows.source) or key
        answer: dict[str, Any] = {
            "name": visible(name),
            "role": visible(rows.role),
            "exact": rows.exact,
            "notes": [visible(note) for note in rows.notes],
        }
        try:
            return answer | {"rows": grid(preview(rows.rows))}
        except AaiclickError as error:
            return answer | {"error": visible(f"{type(error).__name__}: {error}", lines=True)}

    def _view(self, table: str) -> View:
        """Return a view of what a node stands for.

        Raises
        ------
        UnknownObjectError
            If it is not there any more.
        """
        from aaiclick_ext.objects.view import make_view

        backend = self._context.backend
        if table.startswith("fetch_"):
            raise UnknownObjectError("these rows left the database; it keeps none of them")
        if table.startswith("view_"):
            op = backend.provenance.relation_named(table)
            if op is None:
                raise UnknownObjectError(
                    "no variable of this kernel reaches this view any more; it can be looked at "
                    "again once its cell has run"
                )
            return make_view(op)
        from aaiclick_ext.objects.adoption import foreign_table

        return foreign_table(backend, table)

    def _restored(self, table: str) -> dict[str, str]:
        if self._restore is None:
            raise UnknownObjectError("this kernel cannot restore tables")
        outcome = self._restore(table)
        if outcome.table:
            self._restored_as[table] = outcome.table
        return {
            "status": visible(str(outcome.status)),
            "reason": visible(outcome.reason or ""),
            "table": visible(outcome.table or ""),
            "variable": visible(outcome.variable or ""),
        }


def grid(shown: Shown) -> dict[str, Any]:
    """Return what a display shows as JSON can hold it."""
    heads: Sequence[tuple[str, str, bool]] = list(
        zip(shown.names, shown.types, shown.numeric, strict=True)
    )
    return {
        "columns": [[visible(name), visible(kind), number] for name, kind, number in heads],
        "rows": [list(row) for row in shown.rows],
        "summary": shown.summary,
        "stale": visible(shown.stale),
    }
