"""``%lineage``: where a result came from, and where it went."""

# IPython's argument decorators have no annotations.
# mypy: disallow-untyped-calls=False, disallow-untyped-decorators=False

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

from aaiclick_ext.notebook.reach import is_expression_of_ours
from aaiclick_ext.notebook.variables import views_in_variables

if TYPE_CHECKING:
    from aaiclick_ext.context import DataContext, Direction

_MAX_CANDIDATES = 10


class LineageMagic:
    """``%lineage``, as registered with a shell.

    Parameters
    ----------
    ip
        The IPython shell.
    """

    def __init__(self, ip: Any, context: DataContext) -> None:
        self._ip = ip
        self._context = context
        self._before = ip.magics_manager.magics["line"].get("lineage")
        ip.register_magic_function(self.lineage, "line", "lineage")

    def close(self) -> None:
        """Put back what was registered before."""
        manager = self._ip.magics_manager
        for names in (manager.magics["line"], vars(manager.user_magics)):
            names.pop("lineage", None)
        if self._before is not None:
            self._ip.register_magic_function(self._before, "line", "lineage")

    @magic_arguments()
    @argument("what", nargs="*", help="A variable, an expression of variables, or a table's name.")
    @argument("--forward", action="store_true", help="Show what was made from it instead.")
    @argument("--both", action="store_true", help="Show both.")
    @argument("--depth", type=int, default=10, help="How many steps to follow; 10 by default.")
    def lineage(self, line: str) -> None:
        """Show where a result came from, as a graph, or as a tree in a terminal.

        Works across cells, deleted variables, dropped tables and, for a kept database, kernels.

        Examples
        --------
        ::

            %lineage worst
            %lineage flights --forward --depth 3
        """
        arguments = parse_argstring(self.lineage, line)
        if arguments.forward and arguments.both:
            raise UsageError("%lineage: give --forward or --both, not both of them")
        if arguments.depth < 1:
            raise UsageError(f"%lineage: --depth is {arguments.depth}; it is 1 or more")
        direction: Direction = "forward" if arguments.forward else "backward"
        if arguments.both:
            direction = "both"
        text = " ".join(arguments.what)
        target = self._resolve(text)
        graph = self._context.subgraph(target, direction, arguments.depth)
        if target is text and all(node.event is None and not node.alive for node in graph.nodes):
            raise self._unknown(text)
        self._show(graph)

    def _resolve(self, text: str) -> Any:
        """Return the view that text stands for, or the text where it can only be a table's name."""
        if not text:
            raise UsageError(f"%lineage: of what? {self._candidates('')}")
        root = text.split(".")[0].split("[")[0].split("(")[0].strip()
        if root not in self._ip.user_ns:
            return text
        try:
            value = self._ip.ev(text)
        except Exception as error:
            if text.isidentifier() or "." in text:
                return text
            raise UsageError(
                f"%lineage: {text} failed with {type(error).__name__}: {error}"
            ) from error
        if not is_expression_of_ours(value):
            kind = type(value).__name__
            raise UsageError(
                f"%lineage: {text} is a {kind}, which has none. {self._candidates(root)}"
            )
        return value

    def _unknown(self, text: str) -> UsageError:
        return UsageError(f"%lineage: no variable or table {text!r}. {self._candidates(text)}")

    def _candidates(self, text: str) -> str:
        """Return a sentence with the variables it could have been, the likeliest first."""
        names = list(views_in_variables(self._ip))
        if not names:
            return "No variable holds a table yet."
        close = difflib.get_close_matches(text, names, n=_MAX_CANDIDATES, cutoff=0.5)
        ordered = list(dict.fromkeys([*close, *reversed(names)]))
        rest = len(ordered) - _MAX_CANDIDATES
        more = f" and {rest} more" if rest > 0 else ""
        return f"There are: {', '.join(ordered[:_MAX_CANDIDATES])}{more}"

    def _show(self, graph: Any) -> None:
        if not hasattr(self._ip, "kernel"):  # a terminal
            from aaiclick_ext.widgets import lineage_tree

            print(lineage_tree(graph))  # noqa: T201
            return
        from IPython.display import display

        from aaiclick_ext.widgets import lineage_bundle

        data, metadata = lineage_bundle(graph)
        display(data, metadata=metadata, raw=True)
