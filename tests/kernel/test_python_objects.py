"""Columns of Python objects in a real kernel: they go with the variable, or end with the kernel."""

from __future__ import annotations

import time

import pytest

pytestmark = pytest.mark.kernel

MODELS = """
import weakref

class Model:
    def __init__(self, name):
        self.name = name
    def __repr__(self):
        return f"Model({self.name})"

models = [Model(n) for n in "abc"]
alive = [weakref.ref(m) for m in models]
table = aai.create_object_from_value({"k": [1, 2, 3], "m": models})
del models
"""

ALIVE = "[ref() is not None for ref in alive]"


@pytest.fixture
def models(kernel):
    kernel.check(MODELS)
    return kernel


def test_they_go_with_the_last_variable_that_reaches_them(models):
    models.check(
        "late = table.filter(table.k > 1)\nkept = late.filter(late.k == 3).copy()\ndel table"
    )
    assert len(models.tables()) == 2
    assert models.value(ALIVE) == [True, True, True]
    models.check("del late")
    assert len(models.tables()) == 1
    assert models.value(ALIVE) == [False, False, True]
    assert models.value("kept.data()['m'][0] is alive[2]()")
    models.check("del kept")
    assert models.tables() == []
    assert models.value(ALIVE) == [False, False, False]


def test_displayed_results_keep_them_and_no_longer(models):
    shown = models.check("table.filter(table.k < 3)").text
    assert "Model(a)" in shown
    assert "Model(c)" not in shown
    models.check("del table")
    assert models.value(ALIVE) == [True] * 3
    models.check("%reset -f out\n_ = __ = ___ = None")
    assert models.tables() == []
    assert models.value(ALIVE) == [False] * 3


def test_a_failed_cell_leaves_none(models):
    error = models.run(
        "more = Model('d'); alive.append(weakref.ref(more))\n"
        "table.insert({'k': ['x'], 'm': [more]})"
    ).error
    assert error is not None
    assert error.ename == "SchemaError"
    models.run("del more\n1 / 0")  # the last error is another now
    models.check("gc.collect()")
    assert len(models.tables()) == 1
    assert models.value(ALIVE) == [True, True, True, False]


def test_lambdas_frames_and_figures(kernel):
    kernel.check(
        "import pandas as pd\n"
        "fs = [lambda x: x + 1, len]\n"
        "frame = pd.DataFrame({'a': [1]})\n"
        "x = aai.create_object_from_value({'f': fs, 'd': [frame, None]}, objects=True)"
    )
    assert kernel.value("x.data()['f'][0](41)") == 42
    assert kernel.value("x.to_pandas()['d'][0] is frame")


def test_after_a_restart_the_rest_is_there_and_the_reason(start_kernel, tmp_path):
    kernel = start_kernel(AAICLICK_CH_URL=f"chdb://{tmp_path / 'db'}")
    kernel.load()
    kernel.check(MODELS.replace('"m": models}', '"m": models}, name="models"'))
    session = kernel.value("aai.context().backend.python_objects.kernel").split(".")[0]
    kernel.restart()
    kernel.load()
    kernel.check("table = aai.open_object('models')\nimport kernel_probe as probe")
    error = kernel.run("table.data()").error
    assert error is not None
    assert error.ename == "StaleRefError"
    assert f"lived in kernel session {session}" in error.evalue
    assert "x.drop('m')" in error.evalue
    assert kernel.value("table.drop('m').order_by('k').data()") == {"k": [1, 2, 3]}
    assert "<object of a kernel that ended>" in kernel.check("table").text
    error = kernel.run("table.insert({'k': [4], 'm': [object()]})").error
    assert error is not None
    assert error.ename == "StaleRefError"
    kernel.check("table = aai.create_object_from_value([object()], name='models')")
    assert kernel.value("len(table)") == 1
    kernel.check("aai.delete_object('models')\ndel table\n%reset -f out\nNone")
    assert kernel.tables() == []


def test_interrupted_at_any_moment_nothing_is_left(kernel):
    kernel.check(MODELS.replace("table = ", "").split("models = ")[0])
    kernel.check("alive = []")
    for number in range(6):
        request = kernel.begin(
            "while True:\n"
            "    models = [Model(n) for n in range(50)]\n"
            "    alive += map(weakref.ref, models)\n"
            "    table = aai.create_object_from_value({'k': list(range(50)), 'm': models})\n"
            "    table.insert({'k': [50], 'm': [Model(50)]})\n"
            "    copied = table.filter(table.k > 25).copy()"
        )
        time.sleep(0.1 + 0.07 * number)
        kernel.interrupt()
        error = kernel.finish(request).error
        assert error is not None
        assert error.ename == "KeyboardInterrupt"
        kernel.run("table = copied = models = None\n1 / 0")  # the last error is another now
    kernel.check("gc.collect()")
    assert kernel.tables() == []
    kernel.check("gc.collect()")
    assert kernel.value("sum(ref() is not None for ref in alive)") == 0
    assert kernel.value("aai.context().backend.python_objects._by_number") == {}
