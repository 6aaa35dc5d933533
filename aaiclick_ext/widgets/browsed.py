"""What is asked of a browsed table, answered in the kernel; it owns what it shows while it is open.

Requests come from any thread, and never wait for a cell: each runs on a handle of its own.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from aaiclick_ext.errors import AaiclickError, DroppedTableError, UnsupportedTypeError
from aaiclick_ext.logs import logger_of
from aaiclick_ext.objects.browsing import (
    Between,
    Look,
    OneOf,
    base_of,
    browsed_columns,
    looked,
)
from aaiclick_ext.objects.browsing_pages import MAX_COPIED, MAX_TEXT, Pages
from aaiclick_ext.objects.browsing_rows import fix_rows, without_telling
from aaiclick_ext.objects.provenance import recorded_as_one
from aaiclick_ext.objects.unbinding import with_leaves, without_leaves
from aaiclick_ext.objects.view import View
from aaiclick_ext.untrusted import visible
from aaiclick_ext.widgets.browse_messages import MAX_ROWS
from aaiclick_ext.widgets.column_plots import told_summary
from aaiclick_ext.widgets.details import whole
from aaiclick_ext.widgets.printed_sql import printed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aaiclick_ext.objects.browsing import Filter
    from aaiclick_ext.objects.browsing_pages import Cell, Cost
    from aaiclick_ext.objects.browsing_rows import FixedRows
    from aaiclick_ext.widgets.browse_messages import Request

    Bind = Callable[[View], str]

_LOOKS_KEPT = 8
_MAX_COPIED_CHARACTERS = 20_000_000

_log = logger_of("widgets")


class BrowsedTable:
    """A view that is browsed.

    Parameters
    ----------
    view
        What to show. It, and its rows as they were at the first request, are held until `release`.
    bind
        Gives a view to the user; returns the name that it has then.
    """

    def __init__(self, view: View, bind: Bind | None = None) -> None:
        base = base_of(view)
        self._backend = base._backend  # noqa: SLF001
        self._bind = bind
        self._unbound = without_leaves(base.op())
        self._base: View | None = base
        self._rows: FixedRows | None = None
        self._pages: OrderedDict[Look, Pages] = OrderedDict()
        self._lock = threading.Lock()  # of what is held; one fixes the rows, others wait for it
        try:
            types = self._backend.planner.plan(base.op()).types
        except AaiclickError:  # the first page says why
            types = {}
        self.columns = browsed_columns(base.schema(), types)
        self.names = tuple(column.name for column in self.columns)

    @property
    def is_held(self) -> bool:
        """Whether it holds its tables."""
        return self._base is not None

    def release(self) -> None:
        """Let go of the view and of its rows; the next request claims them again."""
        with self._lock:
            self._base, self._rows = None, None
            self._pages.clear()

    def view(self, look: Look, columns: Sequence[str] | None = None) -> View:
        """Return what is looked at as a view, with its lineage. Runs no query."""
        return looked(self._claimed(), look, self.columns, chosen=columns)

    def answer(
        self, request: Request, is_stopped: Callable[[], bool] = lambda: False
    ) -> dict[str, Any]:
        """Return the answer to a request as JSON can hold it; an error is an answer too.

        Parameters
        ----------
        is_stopped
            Whether nobody waits for it any more: asked where it has waited for another.
        """
        try:
            return self._answer(request, is_stopped)
        except AaiclickError as error:
            return {"error": visible(f"{type(error).__name__}: {error}", lines=True)}
        except Exception as error:  # noqa: BLE001  the table says so, and the kernel lives on
            _log.debug("a browsed table: a request failed", exc_info=True)
            return {"error": f"{type(error).__name__} in the kernel"}

    def stop(self, thread: int) -> None:
        """Kill what a thread runs for an answer."""
        self._backend.services.engine.cancel(thread)

    def _answer(self, request: Request, is_stopped: Callable[[], bool]) -> dict[str, Any]:
        look, columns = request.look, request.columns
        about = request.about
        if about == "query":
            return {"sql": self._sql(look, columns)}
        if about == "view":
            view = self.view(look, columns)
            return {"name": "" if self._bind is None else self._bind(view)}
        if about == "refresh":
            self.release()
        rows = self._fixed(is_stopped)
        if rows is None:
            return {}
        if about == "summaries":
            return {"summaries": self._summaries(rows, look, columns)}
        pages = self._looked(rows, look)
        if about in ("count", "refresh"):
            total, cost = pages.total()
            return {"total": total, "cost": _cost(cost), "frozen": rows.is_frozen}
        if about == "rows":
            page = pages.page(request.start, min(request.count, MAX_ROWS), columns)
            return {"rows": [list(map(_told, row)) for row in page.cells], "cost": _cost(page.cost)}
        if about == "cell":
            page = pages.page(request.start, 1, columns[:1], most=MAX_TEXT)
            cell = page.cells[0][0] if page.cells and page.cells[0] else None
            text = None if cell is None else cell.text
            return {"text": None if text is None else visible(text, lines=True)}
        return {"tsv": self._copied(pages, request)}

    # What is held.

    def _claimed(self) -> View:
        with self._lock:
            return self._claimed_locked()

    def _claimed_locked(self) -> View:
        if self._base is None:
            try:
                self._base = View(with_leaves(self._backend, self._unbound))
            except DroppedTableError as error:
                raise DroppedTableError(
                    f"this table was closed, and {error} is gone meanwhile; run the cell again"
                ) from None
        return self._base

    def _fixed(self, is_stopped: Callable[[], bool]) -> FixedRows | None:
        with self._lock:
            if is_stopped():
                return None
            if self._rows is None:
                self._rows = fix_rows(self._backend, self._claimed_locked().op())
            return self._rows

    def _looked(self, rows: FixedRows, look: Look) -> Pages:
        with self._lock:
            if (known := self._pages.get(look)) is not None:
                self._pages.move_to_end(look)
                return known
        with recorded_as_one():
            made = Pages(self._backend, rows, self.columns, look)
        with self._lock:
            if self._rows is rows:
                self._pages[look] = made
                while len(self._pages) > _LOOKS_KEPT:
                    self._pages.popitem(last=False)
        return made

    # Answers.

    def _sql(self, look: Look, columns: Sequence[str]) -> str:
        from aaiclick_ext.masking import mask_sql

        with recorded_as_one():
            view = self.view(look, columns)
        masked = mask_sql(self._backend.compile(view))
        return (
            "it cannot be shown without its secrets" if masked is None else whole(printed(masked))
        )

    def _summaries(
        self, rows: FixedRows, look: Look, columns: Sequence[str]
    ) -> list[dict[str, Any]]:
        from aaiclick_ext.objects.column_summaries import column_summaries

        told = {}
        for own, group in _by_choice(look, columns).items():
            with recorded_as_one():
                kept = View(without_telling(rows))
                only = Look(tuple(f for f in look.filters if f not in own), look.search)
                filtered = looked(kept, only, self.columns, chosen=group)
            for summary in column_summaries(filtered, group, operation=None):
                told[summary.name] = told_summary(summary, self.names.index(summary.name))
        return [told[column] for column in columns]

    def _copied(self, pages: Pages, request: Request) -> str:
        """Return rows as tab-separated text, quoted as spreadsheets do; null is empty."""
        cells = request.count * len(request.columns)
        if cells > MAX_COPIED:
            raise UnsupportedTypeError(
                f"{cells:,} cells are too many to copy; {MAX_COPIED:,} can be, and "
                "`widget.view.export(path)` writes all of them"
            )
        page = pages.page(request.start, request.count, request.columns, most=MAX_TEXT)
        lines = ["\t".join(_quoted(cell.text) for cell in row) for row in page.cells]
        text = "\n".join(lines)
        if len(text) > _MAX_COPIED_CHARACTERS or any(c.is_cut for row in page.cells for c in row):
            raise UnsupportedTypeError("these cells are too long to copy; use widget.view.export")
        return text


def _by_choice(look: Look, columns: Sequence[str]) -> dict[frozenset[Filter], list[str]]:
    """Return the columns by what is chosen of them: what their plots leave out, as quak's do.

    A plot shows what else could be chosen; most have nothing chosen, and are one query.
    """
    groups: dict[frozenset[Filter], list[str]] = {}
    for column in columns:
        own = frozenset(
            f for f in look.filters if f.column == column and isinstance(f, Between | OneOf)
        )
        groups.setdefault(own, []).append(column)
    return groups


def _told(cell: Cell) -> Any:
    """Return a cell as the page has it: text, null, or a list of one text that is cut."""
    if cell.text is None:
        return None
    text = visible(cell.text)
    return [text] if cell.is_cut else text


def _cost(cost: Cost) -> dict[str, Any]:
    return {"read": cost.read_rows, "ms": round(cost.elapsed_s * 1000, 1), "how": cost.how}


def _quoted(text: str | None) -> str:
    if text is None:
        return ""
    if any(sign in text for sign in '\t\n\r"'):
        return '"' + text.replace('"', '""') + '"'
    return text
