"""%why: every kind of holder is named exactly, and what lets go of it does."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.kernel

MAKE = "df = aai.create_object_from_value({'a': [1, 2, 3]})\ntable = df.table_name\n"


@pytest.fixture
def df(kernel):
    """A kernel with a table in ``df``, whose name is in ``table``."""
    kernel.check(MAKE)
    return kernel


def why(kernel, what="{table}"):
    """Return what `%why` shows as text: each line after the headline as its three cells."""
    what = what.format(table=kernel.value("table"))
    result = kernel.check(f"%why {what}")
    assert len(result.displays) == 1, result.stderr
    shown = result.displays[0]
    assert set(shown) == {"text/plain", "text/html"}
    lines = shown["text/plain"].splitlines()
    return lines[0], [re.split(r"\s{2,}", line.strip()) for line in lines[2:]]


def holders(kernel, what="{table}"):
    return {cells[0]: cells[-1] for cells in why(kernel, what)[1]}


# Code that makes one more holder and deletes df; how it is called; the command that lets go;
# whether --release runs that command.
HOLDERS = {
    "variable": ("best = df", "variable best", "del best", True),
    "view": ("v_late = df.filter(df.a > 1)", "variable v_late", "del v_late", True),
    "column": ("column = df.a", "variable column", "del column", True),
    "scalar": ("total = df.a.sum()", "variable total", "del total", True),
    "grouped": ("g = df.group_by('a')", "variable g", "del g", True),
    "list": ("frames = [0, 1, df]", "list frames[2]", "frames[2] = None", True),
    "deque": (
        "import collections\nlast = collections.deque([df])",
        "deque last[0]", "last[0] = None", True,
    ),
    "dict": ("d = {'k': df}", "dict d['k']", "del d['k']", True),
    "nested": ("d = {'k': [0, {1: df}]}", "dict d['k'][1][1]", "del d['k'][1][1]", True),
    "tuple": ("pair = (1, df)", "tuple pair[1]", "del pair", False),
    "set": ("found = {df}", "in the set found", "del found", False),
    "attribute": (
        "class Model: pass\nmodel = Model()\nmodel.data = df",
        "attribute model.data", "del model.data", True,
    ),
    "slot": (
        "class Model: __slots__ = ('data',)\nmodel = Model()\nmodel.data = df",
        "attribute model.data", "del model.data", True,
    ),
    "dataclass": (
        ("from dataclasses import dataclass\n@dataclass\nclass Run:\n    data: object\n"
        "run = Run(df)"),
        "attribute run.data", "del run.data", True,
    ),
    "class": ("class Model: data = df", "attribute Model.data", "del Model.data", True),
    "closure": (
        "def outer(x):\n    return lambda: x\nf = outer(df)",
        "function f, closure variable x", "del f", False,
    ),
    "default": ("def f(x=df): pass", "function f, default argument x", "del f", False),
    "keyword default": ("def f(*, x=df): pass", "function f, default argument x", "del f", False),
    "partial": (
        "import functools\nf = functools.partial(print, df)",
        "inside a partial, variable f", "del f", False,
    ),
    "generator": (
        ("def rows(data):\n    local = data.limit(1)\n    del data\n    yield 1\n    yield local\n"
        "g = rows(df)\nnext(g)\nNone"),
        "generator g, local local", "g.close()", False,
    ),
    "coroutine": (
        "async def work(data):\n    return data\nc = work(df)",
        "coroutine c, local data", "c.close()", False,
    ),
    "task": (
        ("import asyncio\nasync def work(data):\n    await asyncio.sleep(60)\n    return data\n"
        "task = asyncio.create_task(work(df), name='slow')\nawait asyncio.sleep(0)"),
        "asyncio task 'slow', coroutine work, local data",
        "next(t for t in asyncio.all_tasks() if t.get_name() == 'slow').cancel()", False,
    ),
    "failed task": (
        ("import asyncio\nasync def work(data):\n    raise ValueError\n"
        "task = asyncio.create_task(work(df))\nawait asyncio.wait([task]);"),
        "inside a Task, variable task", "del task", False,
    ),
    "stored": (
        "best = df\n%store best\ndel best",
        "%store of variable best", "%store -d best", False,
    ),
    "queue": ("import queue\nq = queue.Queue()\nq.put(df)", "queue q", "q.get_nowait();", False),
    "simple queue": (
        "import queue\nq = queue.SimpleQueue()\nq.put(df)", "queue q", "q.get_nowait();", False,
    ),
    "asyncio queue": (
        "import asyncio\nq = asyncio.Queue()\nq.put_nowait(df)",
        "queue q", "q.get_nowait();", False,
    ),
    "thread": (
        ("import threading\nstop = threading.Event()\ndef work(data):\n    local = data\n"
        "    del data\n    stop.wait()\n"
        "thread = threading.Thread(target=work, args=(df,), name='w-1')\nthread.start()"),
        "function work, which is running in thread 'w-1', local local", "let work return", False,
    ),
    "exception": (
        ("def fails(data):\n    raise ValueError('x')\n"
        "try:\n    fails(df)\nexcept ValueError as error:\n    err = error"),
        "traceback of err, frame fails, local data", "del err", False,
    ),
    "reader": ("r = df.to_pyarrow_batches()", "batch reader r", "del r", False),
    "numpy": (
        "import numpy as np\narr = np.array([None, df], dtype=object)",
        "array arr.flat[1]", "arr.flat[1] = None", True,
    ),
    "pandas": (
        "import pandas as pd\nframe = pd.DataFrame({'x': pd.Series([df], dtype=object)})",
        "inside a DataFrame, variable frame", "del frame", False,
    ),
    "function attribute": ("def f(): pass\nf.cache = df", "attribute f.cache", "del f.cache", True),
    "module": (
        "import colorsys\ncolorsys.data = df",
        "module colorsys, name data", "import colorsys; del colorsys.data", False,
    ),
}  # fmt: skip

ENDS = {
    "task": "task.cancel()\nawait asyncio.gather(task, return_exceptions=True)\ndel task",
    "thread": "stop.set()\nthread.join()",
}
"""What lets go where the command is nothing to run, or has to be waited for."""


@pytest.mark.parametrize("kind", HOLDERS)
def test_a_holder_is_named_exactly_and_its_command_lets_go(df, kind):
    make, text, command, _ = HOLDERS[kind]
    df.check(f"{make}\ndel df")
    found = holders(df)
    if kind == "thread":
        found.pop("arguments of thread 'w-1'")
    assert found == {text: command}
    assert len(df.tables()) == 1
    df.check(ENDS.get(kind, command))
    df.check("gc.collect()\nNone")
    assert df.tables() == []


@pytest.mark.parametrize("kind", [kind for kind in HOLDERS if kind not in ENDS])
def test_release_does_what_is_safe_and_says_what_it_did(df, kind):
    make, text, command, automatic = HOLDERS[kind]
    df.check(f"{make}\ndel df")
    said = df.check(f"%why --release {df.value('table')}").stdout
    df.check("gc.collect()\nNone")
    if automatic:
        assert f"let go of {text}" in said
        assert df.tables() == []
    else:
        assert "let go of nothing" in said
        assert text in said
        assert command in said
        assert len(df.tables()) == 1
        df.check(command)


def test_output_history(df):
    count = df.check("df").execution_count
    df.check("del df")
    found = holders(df)
    (text,) = found
    assert text.startswith(f"Out[{count}] (also ")
    assert f"_{count}" in text
    assert found[text] == f"%why --release Out[{count}]"
    said = df.check(found[text]).stdout
    assert f"let go of Out[{count}]" in said
    assert df.tables() == []
    assert "was released" in df.check(f"Out[{count}]").text


def test_a_result_inside_a_displayed_list(df):
    count = df.check("[df]").execution_count
    df.check("del df")
    (text,) = holders(df)
    assert f"Out[{count}][0]" in text
    df.check(f"%why --release {df.value('table')}")
    assert df.tables() == []


def test_the_last_error(df):
    failed = df.run("def fails(local):\n    raise ValueError('x')\ncopied = df\nfails(copied)")
    df.check("# sys.last_value\ndel df, copied")  # a cell about the error leaves it there
    number = failed.execution_count
    found = df.check("# sys.last_value\n%why $table").displays[0]
    assert f"traceback of cell {number}, frame fails, local local" in found["text/plain"]


def test_release_of_the_last_error(df):
    df.run("def fails(local):\n    raise ValueError('x')\nfails(df)")
    said = df.check("# sys.last_value\ndel df\n%why --release $table").stdout
    assert "let go of traceback of cell" in said
    assert df.tables() == []


def test_garbage(df):
    df.check("gc.disable()\ncycle = [df]\ncycle.append(cycle)\ndel cycle, df")
    try:
        assert holders(df) == {
            "a cycle of garbage that Python has not collected yet": "import gc; gc.collect()"
        }
        assert len(df.tables()) == 1
        df.check("%why --release $table")
        assert df.tables() == []
    finally:
        df.check("gc.enable()")


def test_a_callback_of_a_widget(df):
    """What holds the kernel, which holds every widget's comm, is not named."""
    df.check("import ipywidgets\nb = ipywidgets.Button()\nb.on_click(lambda _, data=df: None)")
    df.check("del df")
    texts = sorted(holders(df))
    assert len(texts) == 2
    assert texts[0] == "inside a Button, variable b"
    assert texts[1].startswith("module ipywidgets.widgets.widget, inside a Button, ")
    df.check("b.close()\ndel b\ngc.collect();")
    assert df.tables() == []


def test_what_gc_does_not_show_is_said(df):
    df.check("import ctypes\nctypes.pythonapi.Py_IncRef(ctypes.py_object(df))\nident = id(df)")
    df.check("del df")
    found = holders(df)
    assert len(found) == 1
    assert "garbage collector does not show" in next(iter(found))
    assert "Object" in next(iter(found))
    df.check(
        "ctypes.pythonapi.Py_DecRef(ctypes.cast(ident, ctypes.py_object))",
    )
    assert df.tables() == []


def test_a_name_of_an_object(kernel):
    kernel.check("x = aai.create_object_from_value([1], name='best', scope='session')\n")
    kernel.check("table = x.table_name\ndel x")
    assert holders(kernel, "best") == {"session name 'best'": "aai.delete_object('best')"}
    said = kernel.check("%why --release best").stdout
    assert "let go of nothing" in said
    assert "aai.delete_object('best')" in said
    kernel.check("aai.delete_object('best')")
    assert kernel.tables() == []


def test_an_object_in_a_column(df):
    df.check("rows = aai.create_object_from_value({'model': [{1, 2}, {df}], 'n': [1, 2]})")
    df.check("del df")
    text = f"table {df.value('rows.table_name')}, an object in a column"
    assert holders(df) == {text: f"%why --release {df.value('rows.table_name')}"}
    df.check(holders(df)[text])
    df.check("gc.collect()\nNone")
    assert df.tables() == []


def test_several_holders_and_several_tables(df):
    df.check("other = aai.create_object_from_value({'a': [1], 'b': [2]})")
    df.check("both = df.join(other, 'a')\nframes = [df, df.a]")
    shown = df.check("%why both").displays[0]["text/plain"]
    assert shown.count("kept by") == 4
    found = holders(df)
    assert set(found) == {"variable df", "variable both", "list frames[0]", "list frames[1]"}
    said = df.check("%why --release df").stdout
    assert said.count("let go of") == 4
    assert "dropped" in said
    assert df.value("'df' in globals() or 'both' in globals()") is False
    assert df.value("frames") == [None, None]
    assert len(df.tables()) == 1


def test_a_variable_that_is_gone_can_be_asked_for(df):
    df.check("frames = [df]")
    df.check("del df")
    assert holders(df, "df") == {"list frames[0]": "frames[0] = None"}


def test_a_running_function(df):
    shown = df.check("def f(local):\n    print(repr(aai.why(table)))\nf(df.limit(1))").stdout
    assert "function f, which is running, local local" in shown


def test_asking_leaves_nothing_behind(df):
    df.check("def rows(data):\n    yield 1\n    del data\n    yield 2\ng = rows(df)\nnext(g)\nNone")
    df.check("del df\n%why $table")
    assert len(df.tables()) == 1
    df.check("_ = next(g)")
    assert df.tables() == []


def test_what_a_function_has_asked_for_with_locals_is_not_changed(df):
    shown = df.check(
        "def f(local):\n    kept = locals()\n    aai.why(table)\n    print(sorted(kept))\nf(df)"
    ).stdout
    assert "'local'" in shown


def test_as_functions(df):
    df.check("answer = aai.why(df)")
    assert df.value("[c.text for c in answer.chains]") == ["variable df"]
    assert df.value("[str(c.kind) for c in aai.context().why(df.a).chains]") == ["variable"]
    assert "del df" in df.check("answer").data["text/html"]
    assert df.value("aai.why(table).tables[0].claims") == 1


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("%why", ["of what", "df"]),
        ("%why dg", ["'dg'", "df"]),
        ("%why 'x y'", ["no variable, object or table"]),
        ("%why aai", ["_Package", "df"]),
        ("%why df[", ["failed with SyntaxError"]),
        ("%why df --nothing", ["--nothing"]),
    ],
)
def test_errors_are_sentences(df, line, words):
    result = df.run(line)
    said = result.stderr if result.error is None else result.error.text
    for word in words:
        assert word in said
    assert len(said.splitlines()) <= 6


def test_a_dropped_table(df):
    df.check("del df")
    assert df.tables() == []
    headline, rows = why(df)
    assert "dropped" in headline
    assert rows == []


def test_untrusted_keys_are_escaped(df):
    df.check("d = {'<img src=x onerror=1>\\u202e': df}\ndel df")
    shown = df.check("%why $table").displays[0]
    assert "<img" not in shown["text/html"]
    assert "\u202e" not in shown["text/html"]
    assert "\u202e" not in shown["text/plain"]


def test_proxies_are_not_touched(df):
    df.check(
        "import weakref\nclass Thing: pass\n"
        "thing = Thing()\ndead = weakref.proxy(thing)\ndel thing\n"
        "class Lazy:\n    @property\n    def __class__(self): raise RuntimeError('looked at')\n"
        "lazy = Lazy()\nvars(lazy)['held'] = df\nboth = [lazy, dead]"
    )
    found = holders(df)
    assert set(found) == {"variable df", "attribute lazy.held", "attribute both[0].held"}
    assert "lazy.held" in df.check("%tables").displays[0]["text/plain"]
