"""``%why``: what keeps a table, and how to let go of it."""

# IPython's argument decorators have no annotations.
# mypy: disallow-untyped-calls=False, disallow-untyped-decorators=False

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from IPython.core.error import UsageError
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

from aaiclick_ext.errors import UnknownObjectError
from aaiclick_ext.notebook.line_magic import LineMagic

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aaiclick_ext.context import DataContext
    from aaiclick_ext.notebook.releasing import Released, Releaser
    from aaiclick_ext.objects.why import Why


class WhyMagic(LineMagic):
    """``%why``, as registered with a shell.

    Parameters
    ----------
    ip
        The IPython shell.
    """

    name = "why"
    functions: ClassVar[Mapping[str, str]] = {"": "aai.why"}

    def __init__(self, ip: Any, context: DataContext, releaser: Releaser) -> None:
        self._context = context
        self._releaser = releaser
        super().__init__(ip)

    @magic_arguments()
    @argument("what", nargs="*", help="A variable, an expression of variables, or a name.")
    @argument(
        "--release",
        action="store_true",
        help="Run the commands that are shown, except those that could lose more than the table.",
    )
    def why(self, line: str) -> None:
        """Show what keeps a table, and the one command that lets go of each holder.

        A variable that is gone can be named, too: its table may be kept by something else.

        With ``--release``, variables, items of lists and dicts, attributes, output history, the
        last error and garbage are let go of. Functions, generators, threads, queues, tasks,
        readers and names of objects are yours to end; what to run for each is shown.

        Examples
        --------
        ::

            %why best
            %why --release best
        """
        arguments = parse_argstring(self.why, line)
        text = " ".join(arguments.what)
        tables = self._tables_of(text)
        if arguments.release:
            print("\n".join(_told(self._releaser.release(tables))))  # noqa: T201
            return
        from IPython.display import display

        display(self._context.why_tables(tables))

    def _tables_of(self, text: str) -> tuple[str, ...]:
        """Return the tables that text stands for; holds nothing of the user's when it returns."""
        try:
            return self._context.tables_below(self._evaluated(text))
        except UnknownObjectError as error:
            table = self._former_table(text)
            if table is not None:
                return (table,)
            raise UsageError(
                f"%why: no variable, object or table {text!r}. {self._candidates(text)}. "
                "%tables lists all tables"
            ) from error

    def _former_table(self, name: str) -> str | None:
        """Return the newest live table that a variable of a name has held. Runs one query."""
        context = self._context
        context.flush()
        live = context.live_tables()
        if not name.isidentifier() or not live:
            return None
        rows = context.engine.query_rows(
            "SELECT result_table FROM operation_log WHERE has(variable_names, {name:String}) "
            "AND result_table IN {tables:Array(String)} ORDER BY id DESC LIMIT 1",
            {"name": name, "tables": list(live)},
        )
        return str(rows[0][0]) if rows else None


def _told(released: Released) -> Iterator[str]:
    """Yield the lines that say what a release did and what it left."""
    from aaiclick_ext.untrusted import visible

    if not released.done:
        yield "let go of nothing"
    for chain in released.done:
        yield f"let go of {visible(chain.text)}"
    for text, reason in released.failed.items():
        yield f"failed: {visible(text)}: {visible(reason)}"
    left: Why | None = released.left
    if left is not None:
        yield repr(left)
