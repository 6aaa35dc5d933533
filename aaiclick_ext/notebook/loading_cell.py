"""The cell that loads the extension, while a thread imports what it needs.

Two threads that import parts of Ibis at once, which imports in circles, can find each other's
modules half made. Later cells wait before they begin; this one has begun.
"""

from __future__ import annotations

import ast
import linecache
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

_OURS = "aaiclick_ext"


def imports_others(ip: Any) -> bool:
    """Say whether the cell that runs now imports more than this package and Python's own modules.

    False where no cell runs, as at the start of a shell.
    """
    frame: FrameType | None = sys._getframe()  # noqa: SLF001
    while frame is not None and frame.f_globals is not ip.user_global_ns:
        frame = frame.f_back
    if frame is None:
        return False
    source = "".join(linecache.getlines(frame.f_code.co_filename))
    return not _imported(ast.parse(source)) <= {_OURS, *sys.stdlib_module_names}


def _imported(tree: ast.AST) -> set[str]:
    """Return the modules that code imports, those of this package's parts by their whole names."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found.add(node.module)
    return {name if name.startswith(_OURS) else name.partition(".")[0] for name in found}
