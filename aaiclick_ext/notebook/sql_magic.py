"""``%%sql`` and ``%sql``: SQL over the user's variables, as a cell and in an expression."""

# IPython's argument decorators have no annotations.
# mypy: disallow-untyped-calls=False, disallow-untyped-decorators=False

from __future__ import annotations

import difflib
from collections import ChainMap
from typing import TYPE_CHECKING, Any, ClassVar

from IPython.core.error import UsageError
from IPython.core.magic import needs_local_scope, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments

from aaiclick_ext.notebook.completion_variables import Variables
from aaiclick_ext.notebook.line_magic import LineMagic
from aaiclick_ext.notebook.sql_line import read_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, MutableMapping

    from aaiclick_ext.context import DataContext

_WITH_VALUE = frozenset({"--view"})
_SHOWN = 8
_INSTEAD_OF_RUNNING = ("explain", "profile", "dry_run")


class SqlMagic(LineMagic):
    """``%sql`` and ``%%sql``, as registered with a shell.

    Parameters
    ----------
    ip
        The IPython shell.
    """

    name = "sql"
    kind = "line_cell"
    takes_text = True
    functions: ClassVar[Mapping[str, str]] = {
        "": "aai.sql",
        "--explain": "view.explain",
        "--profile": "view.profile_query",
        "--dry-run": "view.dry_run",
        "--view": "aai.create_view",
    }

    def __init__(self, ip: Any, context: DataContext) -> None:
        self._context = context
        super().__init__(ip)

    @no_var_expand  # or IPython would take {x} for itself
    @needs_local_scope
    @magic_arguments("%sql")
    @argument("--explain", action="store_true", help="Show how it would run; see x.explain().")
    @argument("--profile", action="store_true", help="Run it, and show what each step took.")
    @argument("--dry-run", action="store_true", help="Show types and cost; nothing is run.")
    @argument("--view", metavar="NAME", help="Keep it in ClickHouse as a view of that name.")
    @argument("--replace", action="store_true", help="Replace a view of that name.")
    @argument("--materialized", action="store_true", help="Keep the rows of the view, too.")
    def sql(
        self, line: str, cell: str | None = None, local_ns: MutableMapping[str, Any] | None = None
    ) -> Any:
        """Run SQL. One SELECT is a View, which runs when it is shown; else statements in order.

        ``{name}`` stands for a variable: an Object, a View, a frame, an Arrow table, and
        ``{name:Type}`` for a value. In a view ``{name:Type}`` is a parameter of the view.
        ``name <<`` binds the result to a variable. SET and temporary tables hold to the cell's end.

        Examples
        --------
        ::

            late = %sql SELECT * FROM {flights} WHERE delay > 60

            %%sql worst <<
            SELECT carrier, avg(delay) FROM {flights} WHERE delay > {least:Int64} GROUP BY carrier

            %%sql
            CREATE TABLE kept ENGINE = MergeTree ORDER BY id AS SELECT * FROM {flights};
            SELECT count() FROM kept

            %%sql --view late
            SELECT * FROM {flights} WHERE delay > 60

            %%sql --profile
            SELECT carrier, max(delay) FROM {flights} GROUP BY carrier
        """
        read = read_line(line, _WITH_VALUE)
        arguments = self.sql.parser.parse_args(read.options)
        text = _text(read.rest, cell)
        _check(arguments, text)
        scope = ChainMap(local_ns or {}, self._ip.user_ns)  # a copy would hold every table
        result = self._result(text, arguments, scope)
        if read.variable is None:
            return result
        self._ip.user_ns[read.variable] = result
        return None

    def _result(self, text: str, arguments: Any, scope: Mapping[str, Any]) -> Any:
        from aaiclick_ext.objects.sql_references import parameters_in, tables_in

        tables = tables_in(text)
        if arguments.view is not None:
            return self._context.create_view(
                arguments.view,
                text,
                if_exists="replace" if arguments.replace else "fail",
                materialized=arguments.materialized,
                **self._values(tables, scope),
            )
        values = self._values(tables, scope) | self._values(parameters_in(text), scope, of="values")
        for option in _INSTEAD_OF_RUNNING:
            if getattr(arguments, option):
                view = self._context.sql(text, **values)
                method = "profile_query" if option == "profile" else option
                return getattr(view, method)()
        return self._context.run_statements(text, values, self._show)

    def _show(self, result: Any) -> None:
        from IPython.display import display

        display(result)

    def _values(
        self, names: Iterable[str], scope: Mapping[str, Any], of: str = "tables"
    ) -> dict[str, Any]:
        values = {}
        for name in names:
            if name not in scope:
                raise UsageError(
                    f"%sql: {{{name}}}: there is no variable {name!r}. {self._there_are(name, of)}"
                )
            values[name] = scope[name]
        return values

    def _there_are(self, name: str, of: str) -> str:
        """Return a sentence with the variables that can stand there, the likeliest first."""
        variables = Variables(self._ip)
        found = variables.tables() if of == "tables" else variables.values()
        names = list(dict.fromkeys(each.partition(":")[0] for each in found))
        if not names:
            return self.nothing if of == "tables" else "Give it a value first"
        near = difflib.get_close_matches(name, names, n=_SHOWN, cutoff=0.5)
        shown = list(dict.fromkeys([*near, *names]))[:_SHOWN]
        return f"There are: {', '.join(shown)}{', …' if len(names) > _SHOWN else ''}"


def _text(rest: str, cell: str | None) -> str:
    """Return the SQL of a line, or of a cell, which may begin on its line."""
    if cell is None:
        return rest
    if rest.isidentifier():
        raise UsageError(
            f"%%sql: {rest!r} is not understood; `%%sql name <<` binds the result to a "
            "variable, and the SELECT stands in the lines below. See %sql --help"
        )
    return f"{rest}\n{cell}" if rest else cell


def _check(arguments: Any, text: str) -> None:
    """Raise UsageError where options do not go together."""
    if not text.strip():
        raise UsageError("%sql: the SQL is missing; see %sql --help")
    if arguments.view is None and (arguments.replace or arguments.materialized):
        raise UsageError("%%sql: --replace and --materialized are of a view: add --view NAME")
    chosen = [name for name in (*_INSTEAD_OF_RUNNING, "view") if getattr(arguments, name)]
    if len(chosen) > 1:
        listed = ", ".join(f"--{name.replace('_', '-')}" for name in chosen)
        raise UsageError(f"%sql: one at a time of {listed}")
