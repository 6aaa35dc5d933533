"""Which values keep a table, found without looking at everything."""

from __future__ import annotations

import functools
import itertools
import sys
import threading
from collections import deque

import ibis
import pytest

import aaiclick_ext as aai
from aaiclick_ext.notebook.error_frames import error_reaches_table
from aaiclick_ext.notebook.reach import (
    is_expression_of_ours,
    reaches_table,
)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    settings = aai.Settings(
        state_dir=tmp_path_factory.mktemp("state"), scratch_dir=tmp_path_factory.mktemp("scratch")
    )
    with aai.DataContext(settings=settings) as context:
        yield context.create_object_from_value({"a": [1, 2]})


class Holder:
    def __init__(self, value):
        self.value = value

    def method(self):
        return self.value


def closure_over(value):
    return lambda: value


KEEPING = {
    "object": lambda t: t,
    "column": lambda t: t.a,
    "scalar": lambda t: t.a.sum(),
    "view": lambda t: t.filter(t.a > 1),
    "plain ibis": lambda t: ibis.union(t, t),
    "grouped": lambda t: t.group_by("a"),
    "node": lambda t: t.op(),
    "list": lambda t: [1, t],
    "nested": lambda t: {"k": [(0, {"j": t})]},
    "dict key": lambda t: {t: 1},
    "set": lambda t: {1, t},
    "instance": lambda t: Holder(t),
    "bound method": lambda t: Holder(t).method,
    "closure": closure_over,
    "partial": lambda t: functools.partial(print, t),
    "far back": lambda t: [*range(400), t],
}
NOT_KEEPING = {
    "number": 1,
    "text": "text",
    "none": None,
    "module": sys,
    "package": aai,
    "class": aai.Settings,
    "function": print,
    "list": [1, 2, "three"],
    "foreign": ibis.table({"a": "int64"}, name="t"),
    "globals of a function": closure_over(1),
}


@pytest.mark.parametrize("make", KEEPING.values(), ids=KEEPING.keys())
def test_what_keeps_a_table(table, make):
    assert reaches_table(make(table)) is True


@pytest.mark.parametrize("value", NOT_KEEPING.values(), ids=NOT_KEEPING.keys())
def test_what_does_not(table, value):
    assert reaches_table(value) is False
    assert not is_expression_of_ours(value)


def test_a_cycle_ends(table):
    cycle = [1]
    cycle.append(cycle)
    assert reaches_table(cycle) is False


@pytest.fixture
def eager_threads():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("eager_threads")
def test_other_threads_may_change_what_is_looked_at(table):
    queue = deque([number] for number in range(200))
    index = {(number,): [number] for number in range(200)}
    ended = threading.Event()

    def change():
        for number in itertools.count(200):
            if ended.is_set():
                return
            queue.append([queue.popleft()])
            index[number,] = [index.pop((number - 200,))]

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(60):
            assert reaches_table([queue, index]) is not True
    finally:
        ended.set()
        thread.join()


def test_a_container_of_another_class_is_not_asked(table):
    class Angry(list):
        def __iter__(self):
            raise AssertionError("asked")

    assert reaches_table(Angry([table]))


def test_the_budget_bounds_the_work(table):
    huge = [[number] for number in range(1_000_000)]
    huge[500_000] = [table]
    assert reaches_table(huge) is None
    assert reaches_table(huge[499_990:500_010]) is not None


def raised(function, *arguments):
    try:
        function(*arguments)
    except Exception as error:
        return error
    raise AssertionError("it did not raise")


def test_an_error_keeps_what_its_frames_hold(table):
    def fails(local):
        raise ValueError("no")

    assert error_reaches_table(raised(fails, table), {}) is True
    assert error_reaches_table(raised(fails, 5), {}) is False


def test_an_error_keeps_its_arguments_attributes_and_causes(table):
    def chained(value):
        try:
            raise KeyError(value)  # noqa: TRY301
        except KeyError as error:
            raise ValueError("no") from error

    def fails(make):
        raise make()

    assert error_reaches_table(raised(lambda: table.nosuch), {}) is True
    assert error_reaches_table(raised(chained, table), {}) is True
    assert error_reaches_table(ExceptionGroup("several", [ValueError(table)]), {}) is True
    noted = ValueError("no")
    noted.about = table
    assert error_reaches_table(noted, {}) is True
    assert error_reaches_table(ValueError("no"), {}) is False


def test_variables_of_the_user_are_not_kept_by_an_error(table):
    namespace = {"t": table}
    code = compile("1 / 0", "<cell>", "exec")
    assert error_reaches_table(raised(exec, code, namespace), namespace) is False
