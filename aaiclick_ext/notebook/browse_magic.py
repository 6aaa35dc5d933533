"""``%browse``: a table in the page to look around in; and what `View.show` does in a notebook."""

# IPython's argument decorators have no annotations.
# mypy: disallow-untyped-calls=False, disallow-untyped-decorators=False

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from IPython.core.error import UsageError
from IPython.core.magic_arguments import argument, magic_arguments

from aaiclick_ext.context import no_page
from aaiclick_ext.notebook.line_magic import LineMagic
from aaiclick_ext.notebook.variables import views_in_variables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aaiclick_ext.context import DataContext
    from aaiclick_ext.objects import View
    from aaiclick_ext.widgets import BrowseWidget

BOUND = "_view"


class BrowseMagic(LineMagic):
    """``%browse``, as registered with a shell.

    Parameters
    ----------
    ip
        The IPython shell.
    """

    name = "browse"
    functions: ClassVar[Mapping[str, str]] = {"": "view.show"}
    of_tables: ClassVar[frozenset[str]] = frozenset({"expression"})
    lacking = "is no table of ours; `aai.create_object_from_value` makes one of it"

    def __init__(self, ip: Any, context: DataContext) -> None:
        self._context = context
        super().__init__(ip)
        context.show = self.show

    @magic_arguments()
    @argument("expression", nargs="*", help="A variable, or an expression, that is a table.")
    @argument("--close", action="store_true", help="Close every table that is browsed.")
    def browse(self, line: str) -> BrowseWidget | None:
        """Open the browser of a table: the same as ``x.show()``.

        Every row can be scrolled to, sorted, filtered, searched and copied, whatever there are.
        `_view` is what is looked at, once "Make it a View" was pressed.

        Examples
        --------
        ::

            %browse flights
            %browse flights.filter(flights.dep_delay > 60)
            %browse --close
        """
        if line.split() == ["--close"]:
            _close()
            return None
        value = self._evaluated(line.strip())
        if isinstance(value, str):
            value = self._named(value)
        return self.show(_table_of(value), line.strip())

    def show(self, view: View, name: str = "") -> BrowseWidget | None:
        """Open the browser of a view; without a page, print its first rows."""
        if not hasattr(self._ip, "kernel"):  # a terminal
            print(view._repr_mimebundle_()["text/plain"])  # noqa: T201
            return None
        from aaiclick_ext.widgets import BrowseWidget

        if not name:
            names = [name for name, known in views_in_variables(self._ip).items() if known is view]
            name = names[-1] if names else ""
        return BrowseWidget(view, name, self._bind)

    def close(self) -> None:
        """Put back what was registered before."""
        super().close()
        self._context.show = no_page

    def _named(self, name: str) -> View:
        from aaiclick_ext.errors import AaiclickError

        try:
            return self._context.table(name)
        except AaiclickError as error:
            raise UsageError(f"%browse: {error}. {self._candidates(name)}") from error

    def _bind(self, view: View) -> str:
        self._ip.user_ns[BOUND] = view
        return BOUND


def _table_of(value: Any) -> View:
    """Return a table of ours, of a column or a grouped table what it is of."""
    from ibis.expr.types.groupby import GroupedTable

    from aaiclick_ext.objects.view import View, make_view

    if isinstance(value, View):
        return value
    if isinstance(value, GroupedTable):
        return make_view(value.table)
    return make_view(value.as_table().op())


def _close() -> None:
    from aaiclick_ext.widgets import BrowseWidget, open_widgets

    for widget in open_widgets(BrowseWidget):
        widget.end()
