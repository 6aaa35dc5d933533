"""One core: everything hangs on the `DataContext`, and what a process has one of is made once.

The sources are searched for a second place that makes a node id, a client, a session, a settings
value or a part of the core, and for state of modules.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import aaiclick_ext

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(aaiclick_ext.__file__).parent
SOURCES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): ast.parse(path.read_text())
    for path in PACKAGE.rglob("*.py")
}

MAKERS = {
    # a shell's configuration, a script's environment, a command's; those without a context
    "Settings.from_env": {"notebook.config", "context", "cli", "engine.client", "engine.creds"},
    "Settings": set(),
    "DataContext": {"notebook.extension"},
    # clients
    "clickhouse_connect.get_client": {"engine.client"},
    "chdb.connect": {"engine.embedded"},
    "connect_embedded": {"engine.client"},  # who has no context; an engine's handles are given it
    "connect_server": {"engine.client"},
    "Handles": {"engine.engine"},
    "Engine": {"opening", "cli"},
    # node ids, and what is made of them
    "Snowflake": {"lifecycle.node_choice"},
    "lease_node": {"lifecycle.lease"},
    "Lease.take": {"lifecycle.process_leases"},
    # sessions
    "Session": {"lifecycle.sessions"},
    "SessionManager": {"opening"},
    # the parts of a context
    "Backend": {"opening"},
    "Catalog": {
        "opening",
        "objects.adoption",
        "objects.further_trace",
        "objects.sql_methods",
    },
    "LiveQueryManager": {"opening"},
    "OplogCollector": {"opening", "cli"},
    "RefRegistry": {"opening", "lifecycle.worker"},
    "SchemaRegistry": {"opening"},
    "Services": {"opening"},
    "SystemStore": {"objects.system_tables"},
    "TableWorker": {"opening"},
}
"""Who may call what makes one."""

STATE = {
    "notebook.extension.Extension.loaded": "the one extension instance",
    "lifecycle.process.process": "what the contexts of a process have in common",
    "lifecycle.process_leases.process_leases": "a process has one node id on a registry",
    "engine.embedded.embedded_process": "chdb is one engine in a process, whoever opens it",
    "engine.limits._lifted": "libraries fetch in threads of their own: `unlimited` reaches them",
    "engine.scratch._locked": "locks of files belong to the process",
    "logs._filter": "logging has one tree for the process",
    "notebook.config._Section": "traitlets finds a section of configuration by its class",
    "objects.provenance._depth": "calls inside calls of a thread are one event",
    "widgets.page_widget._open": "the widgets to end when the extension is unloaded",
}
"""State of modules, each with why it is the process's and no context's."""

_LOCKS = {"threading.Lock", "threading.RLock", "threading.local"}
_CONSTANT = {
    "re.compile", "frozenset", "TypeVar", "ParamSpec", "logger_of", "logs.logger_of", "field",
    "dataclasses.field",
    "_setting", "MappingProxyType", "_of_current", "_after", "_joined", "mapped_column",
    "lru_cache(maxsize=1024)", "staticmethod", "_System", "Leaves", "Compiler", "DateTime",
    "joined",
}  # fmt: skip
_CHANGERS = {
    "add", "append", "clear", "discard", "extend", "insert", "pop", "popitem", "remove",
    "setdefault", "update",
}  # fmt: skip


def calls(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, (ast.Name, ast.Attribute)):
            yield ast.unparse(node.func)


CALLS = {module: set(calls(tree)) for module, tree in SOURCES.items()}


@pytest.mark.parametrize("maker", MAKERS)
def test_is_made_in_one_place(maker):
    found = {module for module, made in CALLS.items() if maker in made}
    assert found <= MAKERS[maker], f"{maker}() is called in {found - MAKERS[maker]}"
    assert found == MAKERS[maker], f"nobody calls {maker}() in {MAKERS[maker] - found} any more"


def test_only_settings_read_the_environment():
    reading = {
        module
        for module, tree in SOURCES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
    }
    assert reading == {"settings"}


def state_of(module: str) -> set[str]:
    """Return what a module has at its level, or as attributes of classes, that can change."""
    tree = SOURCES[module]
    found = set()
    for owner, body in [("", tree.body), *_classes(tree)]:
        for node in body:
            if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
                continue
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                name = ast.unparse(target)
                if _can_change(tree, name, node):
                    found.add(f"{module}.{owner}{name}")
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            found |= {f"{module}.{name}" for name in node.names}
    return found


def _classes(tree: ast.Module) -> list[tuple[str, list[ast.stmt]]]:
    return [(f"{n.name}.", n.body) for n in ast.walk(tree) if isinstance(n, ast.ClassDef)]


def _can_change(tree: ast.Module, name: str, node: ast.Assign | ast.AnnAssign) -> bool:
    if isinstance(node, ast.AnnAssign) and "ClassVar" in ast.unparse(node.annotation):
        return _is_assigned_elsewhere(tree, name)
    if name.startswith("__"):
        return False
    if name.strip("_").isupper():
        return _is_changed(tree, name)  # a constant, by its name: then nobody may change it
    value = node.value
    if isinstance(value, ast.Call):
        made = ast.unparse(value.func)
        lasting = made not in _LOCKS - {"threading.local"} and made not in _CONSTANT
        return lasting and not made.startswith(("traitlets.", "(_STATIC"))
    return isinstance(value, (ast.Dict, ast.DictComp, ast.List, ast.ListComp, ast.Set, ast.SetComp))


def _is_assigned_elsewhere(tree: ast.Module, name: str) -> bool:
    return any(
        isinstance(target, ast.Attribute) and target.attr == name
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
    )


def _is_changed(tree: ast.Module, name: str) -> bool:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in _CHANGERS:
            changed: ast.expr = node.value
        elif isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
            changed = node.value
        else:
            continue
        if ast.unparse(changed) == name:
            return True
    return False


def test_no_module_has_state_but_what_a_process_has_one_of():
    found = set().union(*map(state_of, SOURCES))
    assert found - STATE.keys() == set(), "put it into the DataContext, or say why not in STATE"
    assert STATE.keys() - found == set(), "is not there any more"


@pytest.mark.parametrize(
    ("text", "is_state"),
    [
        ("x = []", True), ("x: dict[str, int] = {}", True), ("x = make()", True),
        ("x = None\ndef f():\n    global x\n    x = 1", True), ("X = []\nX.append(1)", True),
        ("X = {}\nX['a'] = 1", True), ("X = []", False), ("x = 1", False),
        ("class C:\n    seen = []", True), ("x = threading.Lock()", False),
        ("class C:\n    one: ClassVar[int | None] = None\n    def f(self): C.one = 1", True),
    ],
)  # fmt: skip
def test_the_search_finds_what_it_should(monkeypatch, text, is_state):
    monkeypatch.setitem(SOURCES, "sample", ast.parse(text))
    assert bool(state_of("sample")) is is_state
