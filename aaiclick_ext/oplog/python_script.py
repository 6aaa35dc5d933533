"""The cells that made a result, as one Python script."""

from __future__ import annotations

import ast
import builtins
import re
from typing import TYPE_CHECKING

from aaiclick_ext.masking import MASK
from aaiclick_ext.oplog.ancestry import ancestry
from aaiclick_ext.oplog.comment import comment
from aaiclick_ext.untrusted import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aaiclick_ext.oplog.event import OperationEvent
    from aaiclick_ext.oplog.graph import OplogGraph

_MAGIC = re.compile(r"(?P<indent>\s*)(?P<text>[%!?].*|.*\?{1,2}\s*|[\w., ]+=\s*[%!].*)")
_OF_NOTEBOOKS = {"get_ipython", "display", "In", "Out", "_", "__", "___", "exit", "quit"}


def python_script(graph: OplogGraph) -> str:
    """Return the cells that a graph's root comes from, in the order in which they ran.

    Each execution of a cell stands there once, under its number. What runs only in IPython becomes
    a comment. The log knows the cells that did something with data; the names that the others set,
    imports first of all, are listed at the top.
    """
    parts: list[str] = []
    seen: set[int] = set()
    kernel: int | None = None
    for event in ancestry(graph):
        if event.task_id is not None and event.task_id in seen:
            continue
        if event.task_id is not None:
            seen.add(event.task_id)
        if kernel not in (None, event.job_id):
            parts.append("# Another kernel from here on.")
        kernel = event.job_id
        parts.append(_cell(event))
    body = "\n\n".join(parts)
    header = [comment("#", f"What made {_root_name(graph)}, by the operation log.")]
    if names := _free_names(body):
        header.append(comment("#", f"Set by cells that are not in the log: {', '.join(names)}"))
    if MASK in body:
        header.append(f"# '{MASK}' stands for a credential, which is not kept. Fill it in.")
    return visible("\n".join([*header, "", body]), lines=True).rstrip() + "\n"


def _root_name(graph: OplogGraph) -> str:
    events = [event for node in graph.nodes if node.table == graph.root for event in node.events]
    names = dict.fromkeys(name for event in events for name in event.variable_names)
    return f"{', '.join(names)} ({graph.root})" if names else graph.root


def _cell(event: OperationEvent) -> str:
    if event.task_id is None:
        return comment("#", f"Outside of cells: {event.operation} ({event.result_table})")
    number = " " if event.execution_count is None else event.execution_count
    header = f"# In [{number}]"
    if event.cell_source is None:
        said = f"Its source is not in the log. It ran {event.operation} ({event.result_table})."
        return f"{header}\n{comment('#', said)}"
    return f"{header}\n{plain_python(event.cell_source)}"


def plain_python(source: str) -> str:
    r"""Return a cell's source as Python, what is not as comments.

    Examples
    --------
    >>> print(plain_python("%time\nif x:\n    !ls\ny = 1"))
    # %time
    if x:
        pass  # !ls
    y = 1
    """
    source = source.strip("\n").rstrip()
    if _parsed(source) is not None:
        return source
    lines = source.splitlines()
    if lines and lines[0].startswith("%%"):
        within = [comment("#", lines[0]), *lines[1:]]
        if _parsed("\n".join(within)) is not None:
            return "\n".join(within)
    plain = [_without_magic(line) for line in lines]
    if _parsed("\n".join(plain)) is not None:
        return "\n".join(plain)
    return "\n".join(comment("#", line) for line in lines)


def _without_magic(line: str) -> str:
    found = _MAGIC.fullmatch(line)
    if found is None:
        return line
    said = comment("#", found["text"])
    return f"{found['indent']}pass  {said}" if found["indent"] else said


def _parsed(source: str) -> ast.AST | None:
    try:
        flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        tree: ast.AST = compile(source, "cell", "exec", flags, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return tree


def _free_names(source: str) -> list[str]:
    """Return the names that a script reads and nowhere sets."""
    tree = _parsed(source)
    if tree is None:
        return []
    nodes = list(ast.walk(tree))
    known = {*dir(builtins), *_OF_NOTEBOOKS, *_bound(nodes)}
    read = [n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)]
    return sorted(set(read) - known)


def _bound(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).partition(".")[0]
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            yield node.name
        elif isinstance(node, ast.MatchMapping) and node.rest:
            yield node.rest
