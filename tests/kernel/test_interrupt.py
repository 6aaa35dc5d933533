"""Ctrl-C, the stop button: the query ends, the kernel goes on, the next result is right."""

from __future__ import annotations

import threading
import time

import pytest

pytestmark = pytest.mark.kernel

ENDLESS = "sum(sipHash64(a.number, b.number)) AS s FROM numbers(1000000) a, numbers(10000000) b"


WELL_BEFORE_ITS_END_S = 5
"""The queries here take minutes; measured alone, one ends 5 ms after the press."""


def interrupt_after(kernel, code, seconds, *, presses=1):
    """Run a cell, press stop, again every second up to `presses` times, and wait for its end.

    While an expression is built, Ibis can swallow a KeyboardInterrupt: a user then presses again.
    """
    request = kernel.begin(code)
    time.sleep(seconds)
    kernel.interrupt()
    pressed = time.monotonic()
    again = [threading.Timer(number, kernel.interrupt) for number in range(1, presses)]
    for timer in again:
        timer.start()
    try:
        result = kernel.finish(request, interrupted=presses > 1)
    finally:
        for timer in again:
            timer.cancel()
    return result, time.monotonic() - pressed


def test_a_long_query_ends_in_well_under_a_second(kernel):
    kernel.check("x = aai.create_object_from_value([1, 2, 3])")
    for _ in range(3):
        result, waited = interrupt_after(kernel, f"aai.sql('SELECT {ENDLESS}').data()", 1.0)
        assert result.error is not None
        assert result.error.ename == "KeyboardInterrupt"
        assert waited < WELL_BEFORE_ITS_END_S
        assert kernel.value("x.data()") == [1, 2, 3]
        assert kernel.value("x.sum().data()") == 6


def test_a_long_copy_leaves_no_table(kernel):
    kernel.check("x = aai.create_object_from_value([1])")
    before = kernel.tables()
    result, waited = interrupt_after(
        kernel,
        "y = aai.sql('SELECT sipHash64(a.number, b.number) AS h FROM numbers(1000000) a, "
        "numbers(100000) b WHERE h = 1').copy()",
        1.0,
    )
    assert result.error is not None
    assert result.error.ename == "KeyboardInterrupt"
    assert waited < WELL_BEFORE_ITS_END_S
    assert kernel.value("'y' in globals()") is False
    assert kernel.tables() == before


def test_a_loop_of_small_queries_can_be_interrupted_anywhere(kernel):
    kernel.check("x = aai.create_object_from_value(list(range(10)))")
    for tenth in range(8):
        result, waited = interrupt_after(
            kernel,
            "while True:\n    x.sum().data(); (x + 1).data()",
            0.2 + tenth / 37,
            presses=5,
        )
        assert result.was_interrupted
        assert waited < WELL_BEFORE_ITS_END_S
        assert kernel.value("[x.sum().data(), (x + x).data()]") == [45, list(range(0, 20, 2))]
    kernel.check("del x")
    assert kernel.tables() == []


def test_an_interrupt_between_cells_hurts_nothing(kernel):
    kernel.check("x = aai.create_object_from_value([5])")
    for _ in range(5):
        request = kernel.start("y = x + 1; z = y.copy()")
        kernel.interrupt()
        kernel.finish(request, interrupted=True)
        kernel.interrupt()
        assert kernel.value("(x + 1).data()") == [6]
    kernel.run("del y, z")
    kernel.run("del x")
    kernel.check("1;")
    assert kernel.tables() == []


def test_a_query_in_a_cell_that_awaits_can_be_interrupted(kernel):
    kernel.check("import asyncio\nx = aai.create_object_from_value([5])")
    result, waited = interrupt_after(
        kernel, f"y = x + 1\nawait asyncio.sleep(0)\naai.sql('SELECT {ENDLESS}').data()", 1.0
    )
    assert result.error is not None
    assert result.error.ename == "KeyboardInterrupt"
    assert waited < WELL_BEFORE_ITS_END_S
    assert kernel.value("y.data()") == [6]
    names = kernel.value("probe.log('variable_names', \"operation = 'add'\")")
    assert list(names[-1][0]) == ["y"]


UNLUCKY = """
class Unlucky:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
        raise AssertionError('not reached')
"""


def test_a_press_in_a_finalizer_is_not_lost(kernel):
    kernel.check(f"import signal, sys, time\n{UNLUCKY}")
    result = kernel.run("unlucky = Unlucky(); del unlucky\ntime.sleep(60)")
    assert result.was_interrupted
    assert result.elapsed_s < WELL_BEFORE_ITS_END_S
    result = kernel.run("unlucky = Unlucky(); del unlucky\nwhile True: sum(range(100))")
    assert result.was_interrupted


def test_a_press_in_a_finalizer_is_not_lost_on_a_slow_machine(kernel):
    kernel.check(f"import signal, threading, time\n{UNLUCKY}")
    result = kernel.run(
        """start = threading.Thread.start
def slow_start(thread):
    start(thread)
    for _ in range(50):
        time.sleep(0.01)
threading.Thread.start = slow_start
try:
    unlucky = Unlucky(); del unlucky
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline: sum(range(100))
finally:
    threading.Thread.start = start"""
    )
    assert result.was_interrupted
    assert "lost_interrupts" not in result.stderr


def test_other_errors_in_finalizers_are_shown_as_before(kernel):
    result = kernel.check(
        "class Broken:\n    def __del__(self):\n        raise ValueError('as before')\n"
        "broken = Broken(); del broken"
    )
    assert "Exception ignored in" in result.stderr
    assert "ValueError: as before" in result.stderr


def test_unloading_gives_the_hook_back(kernel):
    before = kernel.value("__import__('sys').unraisablehook.__qualname__")
    assert before == "LostInterrupts._hook"
    kernel.check("%unload_ext aaiclick_ext")
    assert kernel.value("__import__('sys').unraisablehook is __import__('sys').__unraisablehook__")
