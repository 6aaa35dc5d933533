"""Imports point one way, and `import aaiclick_ext` imports nothing heavy."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(__file__).parent.parent / "aaiclick_ext"

LAYERS = (
    ("untrusted",),
    ("errors", "settings", "ids", "logs", "sizes", "outcome", "importing"),
    ("masking",),
    ("engine",),
    ("schema",),
    ("registry", "lifecycle"),
    ("oplog",),
    ("objects",),
    ("live",),
    (
        "configuring",
        "context",
        "opening",
        "object_making",
        "keeping",
        "querying",
        "viewing",
        "seeing",
        "lineage",
        "row_lineage",
        "api",
    ),
    ("widgets",),
    ("notebook", "cli"),
    ("__main__",),
)
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}

FRONT_ENDS = {"IPython", "ipykernel", "ipywidgets", "anywidget", "jupyter_client", "traitlets"}
OPTIONAL = {"pandas", "polars"}
HEAVY = {
    "IPython", "alembic", "altair", "anywidget", "chdb", "clickhouse_connect", "graphviz", "ibis",
    "ipywidgets", "numpy", "pandas", "polars", "psutil", "pyarrow", "sqlalchemy", "sqlglot",
    "vl_convert", "wasmtime",
}  # fmt: skip


def modules() -> dict[str, ast.Module]:
    """Return dotted module name → syntax tree, for every file of the package."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text(), str(path))
    return found


def imports(module: str, tree: ast.AST, *, nested: bool = True) -> Iterator[str]:
    """Yield the dotted names that a module imports, inside functions too if `nested`.

    What stands under ``if TYPE_CHECKING`` is never imported and does not count.
    """
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from _imported_from(module, node)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.orelse:
                yield from imports(module, child, nested=nested)
        elif nested or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            if _is_dynamic_import(node):
                yield str(node.args[0].value)  # type: ignore[attr-defined]
            yield from imports(module, node, nested=nested)


def _imported_from(module: str, node: ast.ImportFrom) -> Iterator[str]:
    is_package = (PACKAGE.parent / Path(*module.split("."))).is_dir()
    base = module.split(".")[: None if is_package else -1]
    base = base[: len(base) - node.level + 1] if node.level else []
    source = ".".join([*base, *([node.module] if node.module else [])])
    yield from (f"{source}.{alias.name}" for alias in node.names)


def _is_dynamic_import(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and ast.unparse(node.func) in {"importlib.import_module", "import_module", "__import__"}
        and bool(node.args)
        and isinstance(node.args[0], ast.Constant)
    )


def layer_of(module: str) -> str | None:
    """Return the part of the package that a dotted name is in, None for others and the root."""
    parts = module.split(".")
    return parts[1] if parts[0] == "aaiclick_ext" and len(parts) > 1 and parts[1] in RANK else None


MODULES = modules()
LAYERED = sorted(name for name in MODULES if name != "aaiclick_ext")


@pytest.mark.parametrize("module", LAYERED)
def test_every_module_has_a_layer(module: str):
    assert layer_of(module), f"{module} is in no layer; there are {', '.join(RANK)}"


@pytest.mark.parametrize("module", LAYERED)
def test_imports_point_down(module: str):
    own = RANK[str(layer_of(module))]
    upward = [
        name
        for name in imports(module, MODULES[module])
        if (target := layer_of(name)) and RANK[target] > own
    ]
    assert not upward, f"{module} imports {', '.join(upward)}, which stand above it"


@pytest.mark.parametrize("module", LAYERED)
def test_no_part_imports_the_root(module: str):
    names = [name for name in imports(module, MODULES[module]) if name == "aaiclick_ext"]
    assert not names, f"{module} imports the package that imports it"


@pytest.mark.parametrize(
    "module", [m for m in LAYERED if RANK.get(str(layer_of(m)), 0) < RANK["widgets"]]
)
def test_nothing_below_the_widgets_knows_a_front_end(module: str):
    known = {name.split(".")[0] for name in imports(module, MODULES[module])} & FRONT_ENDS
    assert not known, f"{module} imports {', '.join(known)}"


@pytest.mark.parametrize("module", LAYERED)
def test_optional_packages_are_imported_where_they_are_used(module: str):
    known = {
        name.split(".")[0] for name in imports(module, MODULES[module], nested=False)
    } & OPTIONAL
    assert not known, f"{module} imports {', '.join(known)} when it is loaded"


def test_the_walk_sees_what_it_should():
    text = """
import numpy as np
from . import worker
from ..engine.sql import quote_literal
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from aaiclick_ext.context import DataContext
def late():
    import pandas
    importlib.import_module("IPython.display")
"""
    seen = set(imports("aaiclick_ext.lifecycle.names", ast.parse(text)))
    assert seen == {
        "numpy",
        "aaiclick_ext.lifecycle.worker",
        "aaiclick_ext.engine.sql.quote_literal",
        "typing.TYPE_CHECKING",
        "pandas",
        "IPython.display",
    }
    early = set(imports("aaiclick_ext.lifecycle.names", ast.parse(text), nested=False))
    assert not early & {"pandas", "IPython.display"}


def test_importing_the_package_imports_nothing_heavy():
    loaded = _loaded_by("import aaiclick_ext as aai; dir(aai); aai.AaiclickError; aai.__version__")
    assert not loaded & HEAVY


def _loaded_by(code: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has after running code."""
    report = "import json, sys; print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"],
        check=True, capture_output=True, text=True, cwd=PACKAGE.parent,
    )  # fmt: skip
    return set(json.loads(done.stdout))
