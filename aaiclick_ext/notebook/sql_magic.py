"""``%%sql``: a SELECT as a cell, over the user's variables."""

# IPython's argument decorators have no annotations.
# mypy: disallow-untyped-calls=False, disallow-untyped-decorators=False

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

from aaiclick_ext.notebook.line_magic import LineMagic

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aaiclick_ext.context import DataContext
    from aaiclick_ext.objects import View


class SqlMagic(LineMagic):
    """``%%sql``, as registered with a shell.

    Parameters
    ----------
    ip
        The IPython shell.
    """

    name = "sql"
    kind = "cell"

    def __init__(self, ip: Any, context: DataContext) -> None:
        self._context = context
        super().__init__(ip)

    @magic_arguments()
    @argument("result", nargs="*", help="`name <<` binds the result to a variable.")
    @argument("--view", metavar="NAME", help="Keep it in ClickHouse as a view of that name.")
    @argument("--replace", action="store_true", help="Replace a view of that name.")
    @argument("--materialized", action="store_true", help="Keep the rows of the view, too.")
    @argument("--help", action="store_true", help="Show this.")
    def sql(self, line: str, cell: str) -> View | None:
        """Return a View of a SELECT; it runs when it is shown.

        ``{name}`` stands for a variable: an Object, a View, a frame, an Arrow table, and
        ``{name:Type}`` for a value. In a view ``{name:Type}`` is a parameter of the view.

        Examples
        --------
        ::

            %%sql
            SELECT carrier, avg(delay) FROM {flights} GROUP BY carrier

            %%sql worst <<
            SELECT * FROM {flights} WHERE delay > {least:Int64}

            %%sql --view late
            SELECT * FROM {flights} WHERE delay > 60
        """
        arguments = parse_argstring(self.sql, line)
        if arguments.help:
            print(self.sql.parser.format_help())  # noqa: T201
            return None
        variable = _variable(arguments.result)
        if arguments.view is None and (arguments.replace or arguments.materialized):
            raise UsageError("%%sql: --replace and --materialized are of a view: add --view NAME")
        result = self._result(cell, arguments)
        if variable is None:
            return result
        self._ip.user_ns[variable] = result
        return None

    def _result(self, cell: str, arguments: Any) -> View | None:
        from aaiclick_ext.objects.sql_references import parameters_in, tables_in

        if arguments.view is None:
            return self._context.sql(cell, **self._values([*parameters_in(cell), *tables_in(cell)]))
        return self._context.create_view(
            arguments.view,
            cell,
            if_exists="replace" if arguments.replace else "fail",
            materialized=arguments.materialized,
            **self._values(tables_in(cell)),
        )

    def _values(self, names: Iterable[str]) -> dict[str, Any]:
        values = {}
        for name in names:
            if name not in self._ip.user_ns:
                raise UsageError(
                    f"%%sql: {{{name}}}: there is no variable {name!r}. {self._candidates(name)}"
                )
            values[name] = self._ip.user_ns[name]
        return values


def _variable(words: list[str]) -> str | None:
    """Return the variable that the line of the magic binds."""
    if not words:
        return None
    if len(words) == 2 and words[1] == "<<" and words[0].isidentifier():
        return words[0]
    raise UsageError(
        f"%%sql: {' '.join(words)!r} is not understood; `%%sql name <<` binds the result to a "
        "variable, and the SELECT stands in the lines below. See %%sql --help"
    )
