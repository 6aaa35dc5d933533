"""``%lineage``: where a result came from, and where it went."""

# IPython's argument decorators have no annotations.
# mypy: disallow-untyped-calls=False, disallow-untyped-decorators=False

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from IPython.core.error import UsageError
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

from aaiclick_ext.errors import OplogError, PictureError, UnknownObjectError
from aaiclick_ext.notebook.line_magic import LineMagic
from aaiclick_ext.notebook.lineage_answers import column_lines, history_lines, stale_lines
from aaiclick_ext.notebook.lineage_formats import PICTURES, SCRIPTS, graph_as
from aaiclick_ext.notebook.lineage_options import check_options
from aaiclick_ext.notebook.restoring import Restorer
from aaiclick_ext.notebook.variables import names_of_views
from aaiclick_ext.oplog.columns import USES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import ibis.expr.types as ir

    from aaiclick_ext.context import DataContext
    from aaiclick_ext.oplog import Direction, OplogGraph
    from aaiclick_ext.widgets import Mode

_DEPTH = 10
_FORMATS = (*PICTURES, *SCRIPTS)


class LineageMagic(LineMagic):
    """``%lineage``, as registered with a shell.

    Parameters
    ----------
    ip
        The IPython shell.
    """

    name = "lineage"
    functions: ClassVar[Mapping[str, str]] = {
        "": "aai.oplog_subgraph",
        "--forward": "aai.forward_oplog",
        "--from": "aai.oplog_path",
        "--columns": "aai.backward_columns",
        "--history": "aai.variable_history",
        "--stale": "aai.stale_results",
        "--changes": "aai.cell_changes",
        "--sql": "aai.context().lineage_sql",
        "--python": "aai.context().lineage_python",
    }
    lacking = "has none"
    nothing = "No variable holds a table yet."

    def __init__(self, ip: Any, context: DataContext) -> None:
        self._context = context
        super().__init__(ip)

    @magic_arguments()
    @argument("what", nargs="*", help="A variable, an expression of variables, or a table's name.")
    @argument("--forward", action="store_true", help="Show what was made from it, or from a file.")
    @argument("--both", action="store_true", help="Show both ways.")
    @argument("--from", dest="source", metavar="SOURCE", help="Show how SOURCE went into it.")
    @argument("--depth", type=int, default=None, help="How many steps to follow; 10 by default.")
    @argument("--columns", action="store_true", help="Draw columns; of a column, list where from.")
    @argument("--cells", action="store_true", help="Put the steps of a cell into a box.")
    @argument("--all", action="store_true", help="Draw every step, and displays.")
    @argument("--history", action="store_true", help="List what a variable stood for.")
    @argument("--stale", action="store_true", help="List results made of what has changed since.")
    @argument("--changes", type=int, metavar="N", help="Say what changed since the run before [N].")
    @argument("--sql", action="store_true", help="Print one SQL script that makes it again.")
    @argument("--python", action="store_true", help="Print the cells that made it, as a script.")
    @argument(
        "--as", dest="format", metavar="FORMAT", choices=_FORMATS,
        help=f"Print it as {', '.join(_FORMATS)}.",
    )  # fmt: skip
    def lineage(self, line: str) -> None:
        """Show where a result came from, as a graph, or as a tree in a terminal.

        Works across cells, deleted variables, dropped tables and, for a kept database, kernels.

        Examples
        --------
        ::

            %lineage worst
            %lineage flights --forward --depth 3
            %lineage data/flights.csv --forward
            %lineage worst --from flights
            %lineage worst --columns
            %lineage worst.delay --columns
            %lineage worst --history
            %lineage --changes 12
            %lineage --stale
            %lineage worst --sql
            %lineage worst --as mermaid
        """
        arguments = parse_argstring(self.lineage, line)
        check_options(arguments)
        text = " ".join(arguments.what)
        try:
            self._answer(text, arguments)
        except (PictureError, OplogError) as error:
            raise UsageError(f"%lineage: {error}") from error

    def _answer(self, text: str, arguments: Any) -> None:
        if arguments.changes is not None:
            print(self._context.cell_changes(arguments.changes))  # noqa: T201
        elif arguments.stale:
            results = self._context.stale_results(self._evaluated(text) if text else None)
            self._list(stale_lines(results, self._names()))
        elif arguments.history:
            self._list(history_lines(text, self._context.variable_history(self._variable(text))))
        elif arguments.format in SCRIPTS:
            print(self._script(text, arguments.format), end="")  # noqa: T201
        elif arguments.columns and (column := self._column(text)) is not None:
            self._list(self._columns(text, column, arguments))
        else:
            graph = self._graph(text, arguments)
            mode = _mode_of(arguments, len(graph.nodes))
            if arguments.format is None:
                self._show(graph, mode)
            else:
                print(graph_as(graph, arguments.format, mode).rstrip("\n"))  # noqa: T201

    def _graph(self, text: str, arguments: Any) -> OplogGraph:
        target = self._evaluated(text)
        if arguments.source is not None:
            return self._path(self._evaluated(arguments.source), target, arguments.source, text)
        direction: Direction = "forward" if arguments.forward else "backward"
        if arguments.both:
            direction = "both"
        depth, displays = arguments.depth or _DEPTH, arguments.all
        graph = self._context.subgraph(target, direction, depth, displays=displays)
        if target is not text or graph.is_known:
            return graph
        if direction != "forward":
            raise self._unknown(text)
        if arguments.depth is not None:
            raise UsageError("%lineage: what a file has fed is followed all the way; no --depth")
        try:
            return self._context.fed_by(text, displays=displays)
        except UnknownObjectError as error:
            raise UsageError(f"%lineage: {error}. {self._candidates(text)}") from error

    def _path(self, source: Any, target: Any, source_text: str, text: str) -> OplogGraph:
        graph = self._context.oplog_path(source, target)
        for end, asked in ((source, source_text), (target, text)):
            name = self._context.node_name(end)
            if end is asked and not any(n.event or n.alive for n in graph.nodes if n.table == name):
                raise self._unknown(asked)
        if not graph.edges:
            raise UsageError(f"%lineage: {source_text} did not go into {text}")
        return graph

    def _script(self, text: str, format_name: str) -> str:
        target = self._evaluated(text)
        make = self._context.lineage_sql if format_name == "sql" else self._context.lineage_python
        try:
            return make(target)
        except UnknownObjectError as error:
            raise self._unknown(text) from error

    def _column(self, text: str) -> ir.Column | None:
        import ibis.expr.types as ir

        target = self._evaluated(text)
        return target if isinstance(target, ir.Column) else None

    def _columns(self, text: str, column: ir.Column, arguments: Any) -> Iterator[str]:
        for name in ("both", "depth", "format", "source"):
            if getattr(arguments, name):
                option = {"format": "as", "source": "from"}.get(name, name)
                raise UsageError(
                    f"%lineage: {text} is a column, whose columns are a list; leave out --{option}"
                )
        forward = arguments.forward
        ask = self._context.forward_columns if forward else self._context.backward_columns
        return column_lines(text, ask(column, uses=USES), self._names())

    def _variable(self, text: str) -> str:
        if not text.isidentifier():
            raise UsageError(f"%lineage: --history of which variable? {self._candidates(text)}")
        return text

    def _names(self) -> dict[str, list[str]]:
        return names_of_views(self._ip, self._context)

    def _list(self, lines: Iterable[str]) -> None:
        print("\n".join(lines))  # noqa: T201

    def _unknown(self, text: str) -> UsageError:
        return UsageError(f"%lineage: no variable or table {text!r}. {self._candidates(text)}")

    def _show(self, graph: OplogGraph, mode: Mode) -> None:
        if not hasattr(self._ip, "kernel"):  # a terminal
            from aaiclick_ext.widgets import lineage_tree

            print(lineage_tree(graph, columns=mode.columns))  # noqa: T201
            return
        from IPython.display import display

        from aaiclick_ext.widgets import KernelAnswers, lineage_bundle

        restore = Restorer(self._ip, self._context)
        answers = KernelAnswers(self._context, graph, restore)
        data, metadata = lineage_bundle(graph, answers, mode)
        display(data, metadata=metadata, raw=True)


def _mode_of(arguments: Any, steps: int) -> Mode:
    """Return how a graph of so many steps is drawn."""
    from aaiclick_ext.widgets import Mode

    mode = Mode() if arguments.all else Mode.of_size(steps)
    return replace(mode, columns=arguments.columns, cells=arguments.cells)
