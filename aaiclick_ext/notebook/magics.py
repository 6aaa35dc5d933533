"""``%lineage``: where a result came from, and where it went."""

# IPython's argument decorators have no annotations.
# mypy: disallow-untyped-calls=False, disallow-untyped-decorators=False

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

from aaiclick_ext.errors import PictureError
from aaiclick_ext.notebook.line_magic import LineMagic
from aaiclick_ext.notebook.lineage_formats import PICTURES, SCRIPTS, graph_as
from aaiclick_ext.notebook.restoring import Restorer
from aaiclick_ext.notebook.variables import names_of_views

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aaiclick_ext.context import DataContext
    from aaiclick_ext.oplog import Direction, OperationEvent, OplogGraph, StaleResult
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
    lacking = "has none"
    nothing = "No variable holds a table yet."

    def __init__(self, ip: Any, context: DataContext) -> None:
        self._context = context
        super().__init__(ip)

    @magic_arguments()
    @argument("what", nargs="*", help="A variable, an expression of variables, or a table's name.")
    @argument("--forward", action="store_true", help="Show what was made from it instead.")
    @argument("--both", action="store_true", help="Show both.")
    @argument("--stale", action="store_true", help="List results made of what has changed since.")
    @argument("--depth", type=int, default=None, help="How many steps to follow; 10 by default.")
    @argument("--columns", action="store_true", help="Draw edges from column to column.")
    @argument("--cells", action="store_true", help="Put the steps of a cell into a box.")
    @argument("--all", action="store_true", help="Draw every step of a large graph.")
    @argument("--sql", action="store_true", help="Print one SQL script that makes it again.")
    @argument("--python", action="store_true", help="Print the cells that made it, as a script.")
    @argument("--as", dest="format", metavar="FORMAT", help=f"Print it as {', '.join(_FORMATS)}.")
    def lineage(self, line: str) -> None:
        """Show where a result came from, as a graph, or as a tree in a terminal.

        Works across cells, deleted variables, dropped tables and, for a kept database, kernels.

        Examples
        --------
        ::

            %lineage worst
            %lineage flights --forward --depth 3
            %lineage worst --columns
            %lineage --stale
            %lineage worst --sql
            %lineage worst --as mermaid
        """
        arguments = parse_argstring(self.lineage, line)
        if arguments.forward and arguments.both:
            raise UsageError("%lineage: give --forward or --both, not both of them")
        if arguments.depth is not None and arguments.depth < 1:
            raise UsageError(f"%lineage: --depth is {arguments.depth}; it is 1 or more")
        direction: Direction = "forward" if arguments.forward else "backward"
        if arguments.both:
            direction = "both"
        format_name = _format_of(arguments)
        text = " ".join(arguments.what)
        if arguments.stale:
            self._list_stale(text)
            return
        target = self._evaluated(text)
        graph = self._context.subgraph(target, direction, arguments.depth or _DEPTH)
        if target is text and all(node.event is None and not node.alive for node in graph.nodes):
            raise self._unknown(text)
        mode = _mode_of(arguments, len(graph.nodes))
        if format_name == "sql":
            print(self._context.lineage_sql(target), end="")  # noqa: T201
        elif format_name == "python":
            print(self._context.lineage_python(target), end="")  # noqa: T201
        elif format_name is not None:
            self._print(graph, format_name, mode)
        else:
            self._show(graph, mode)

    def _print(self, graph: OplogGraph, format_name: str, mode: Mode) -> None:
        try:
            print(graph_as(graph, format_name, mode).rstrip("\n"))  # noqa: T201
        except PictureError as error:
            raise UsageError(f"%lineage: {error}") from error

    def _list_stale(self, text: str) -> None:
        target = self._evaluated(text) if text else None
        results = self._context.stale_results(target)
        if not results:
            print("Nothing is stale.")  # noqa: T201
        names = names_of_views(self._ip, self._context)
        for result in results:
            print(stale_sentence(result, names))  # noqa: T201

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
    """Return how a graph of so many steps is drawn.

    Raises
    ------
    UsageError
        If it cannot be drawn in both ways.
    """
    from aaiclick_ext.widgets import Mode

    if arguments.columns and arguments.cells:
        raise UsageError("%lineage: give --columns or --cells, not both of them")
    mode = Mode() if arguments.all else Mode.of_size(steps)
    return replace(mode, columns=arguments.columns, cells=arguments.cells)


def _format_of(arguments: Any) -> str | None:
    """Return the format to print, or None for the widget.

    Raises
    ------
    UsageError
        If there is no such format, several are asked for, or a script of what comes after.
    """
    asked = [name for name in SCRIPTS if getattr(arguments, name)]
    if arguments.format is not None:
        if arguments.format not in _FORMATS:
            raise UsageError(
                f"%lineage: --as {arguments.format}: no such format. "
                f"There are: {', '.join(_FORMATS)}"
            )
        asked = list(dict.fromkeys([*asked, arguments.format]))
    if not asked:
        return None
    if len(asked) > 1:
        raise UsageError(f"%lineage: give one of {', '.join(asked)}, not several")
    if arguments.stale:
        raise UsageError(f"%lineage: give --stale or {asked[0]}, not both of them")
    if asked[0] in SCRIPTS and (arguments.forward or arguments.both or arguments.depth):
        raise UsageError(
            f"%lineage: {asked[0]} makes a result again, from all that it was made of; leave out "
            "--forward, --both and --depth"
        )
    return asked[0]


def stale_sentence(result: StaleResult, names: Mapping[str, Sequence[str]]) -> str:
    """Return what is stale and why, by the names that variables have now, else had then."""
    changes = []
    for change in result.changes:
        if change.event is None:
            changes.append(f"the file {change.source} was written at {change.changed_at:%F %T} UTC")
            continue
        rows = _rows(change.event.rows)
        name = _called(change.source, names, change.event)
        changes.append(f"{name} got {rows}{_cell(change.event)}")
    what = _called(result.table, names, result.made)
    made = f"{result.made.operation}{_cell(result.made)}"
    return f"{what} is stale: {', and '.join(changes)}, after {made} had read it."


def _rows(count: int | None) -> str:
    return "rows" if count is None else f"{count:,} row{'' if count == 1 else 's'}"


def _called(table: str, names: Mapping[str, Sequence[str]], event: OperationEvent) -> str:
    known = names.get(table) or event.variable_names
    return ", ".join(known) if known else table


def _cell(event: OperationEvent) -> str:
    return "" if event.execution_count is None else f" in cell [{event.execution_count}]"
