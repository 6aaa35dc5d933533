"""Cells as a script: Python, whatever was typed."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aaiclick_ext.oplog.comment import comment
from aaiclick_ext.oplog.python_script import plain_python


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("a = 1\n", "a = 1"),
        ("%%time\na = 1", "# %%time\na = 1"),
        ("%matplotlib inline\na = 1\n!ls -l", "# %matplotlib inline\na = 1\n# !ls -l"),
        ("files = !ls\na.b?", "# files = !ls\n# a.b?"),
        ("for x in y:\n    %timeit x", "for x in y:\n    pass  # %timeit x"),
        ('text = """\n%not a magic\n"""', 'text = """\n%not a magic\n"""'),
        ("x = await y", "x = await y"),
        ("%%bash\nrm -rf /", "# %%bash\n# rm -rf /"),
        ("this is no Python", "# this is no Python"),
        ("a = 5 %\nb", "# a = 5 %\n# b"),
        ("", ""),
    ],
)
def test_what_is_no_python_is_a_comment(cell, expected):
    assert plain_python(cell) == expected


@given(st.text(st.characters()))
def test_any_cell_gives_python(cell):
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    text = plain_python(cell)
    assert compile(text, "", "exec", flags) is not None


@given(st.text(st.characters()))
def test_any_comment_is_one_line(text):
    line = comment("--", text)
    assert line.startswith("--")
    assert len(line.splitlines()) == 1
    line.encode()
