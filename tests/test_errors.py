"""The tree drawn at the top of `errors.py` is the tree of classes."""

from __future__ import annotations

import inspect
import re

import pytest

from aaiclick_ext import errors

LINE = re.compile(
    r"^ {4}(?P<branch>[│ ]*(?:[├└]── )?)(?P<name>[A-Z]\w+)(?: +(?P<builtin>[A-Z]\w+))?"
)


def drawn() -> dict[str, tuple[str | None, str | None]]:
    """Return name → (parent, builtin base) as the docstring draws them."""
    tree: dict[str, tuple[str | None, str | None]] = {}
    ancestors: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if match := LINE.match(line):
            depth = len(match["branch"]) // 4
            del ancestors[depth:]
            parent = ancestors[-1] if ancestors else None
            tree[match["name"]] = (parent, match["builtin"])
            ancestors.append(match["name"])
    return tree


def defined() -> dict[str, tuple[str | None, str | None]]:
    """Return the same of the classes themselves."""
    tree: dict[str, tuple[str | None, str | None]] = {}
    for name, cls in inspect.getmembers(errors, inspect.isclass):
        ours = [base.__name__ for base in cls.__bases__ if base.__module__ == errors.__name__]
        builtin = [b.__name__ for b in cls.__bases__ if b.__module__ == "builtins"]
        tree[name] = (ours[0] if ours else None, builtin[0] if ours and builtin else None)
    return tree


def test_the_drawn_tree_is_the_tree():
    assert drawn() == defined()


@pytest.mark.parametrize("name", sorted(defined()))
def test_every_error_is_documented_and_caught_by_the_root(name: str):
    cls = getattr(errors, name)
    assert issubclass(cls, errors.AaiclickError)
    assert inspect.getdoc(cls)


def test_every_error_but_the_root_is_a_builtin_error_too():
    for name in defined():
        cls = getattr(errors, name)
        builtins = [b for b in cls.__mro__ if b.__module__ == "builtins"]
        assert cls is errors.AaiclickError or builtins[0] is not Exception, name


def test_engine_errors_carry_sql_code_and_query_id():
    error = errors.UnknownTableError("no table x", sql="SELECT 1", code=60, query_id="q")
    assert (error.sql, error.code, error.query_id) == ("SELECT 1", 60, "q")
    assert str(error) == "no table x"
    assert errors.ConnectError("no").code is None


def test_a_notebook_shows_the_message_and_no_stack():
    assert errors.SchemaError("one\ntwo")._render_traceback_() == ["SchemaError: one", "two"]
