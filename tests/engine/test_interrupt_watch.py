"""The watch over one statement: who handles SIGINT, and that it is given back."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from aaiclick_ext.engine import interrupt
from aaiclick_ext.engine.interrupt import InterruptWatch
from aaiclick_ext.engine.stopped import StoppedError

PATIENCE_S = 30


@pytest.fixture
def kills():
    """The conditions that a KILL was sent for."""
    return []


@pytest.fixture
def watch(kills):
    watch = InterruptWatch(kills.append)
    yield watch
    watch.close()


def run_until_killed(watch, kills):
    with watch.guard() as guard:
        guard.aim("this one", may_abandon=False)
        signal.raise_signal(signal.SIGINT)
        until = time.monotonic() + PATIENCE_S
        while not kills and time.monotonic() < until:
            time.sleep(0.01)


def press_inside(watch, kills):
    """Press stop while a statement runs; check that it is killed, and SIGINT given back."""
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(StoppedError):
        run_until_killed(watch, kills)
    assert set(kills) == {"this one"}
    assert signal.getsignal(signal.SIGINT) is before


def test_a_statement_is_killed(watch, kills):
    press_inside(watch, kills)


def test_an_engine_that_does_not_answer_is_not_waited_for():
    answered = threading.Event()
    watch = InterruptWatch(lambda _: answered.wait(PATIENCE_S))

    def wait_for_ever():
        with watch.guard(patience_s=0.1) as guard:
            guard.aim("this one", may_abandon=True)
            signal.raise_signal(signal.SIGINT)
            answered.wait(PATIENCE_S)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(StoppedError):
        wait_for_ever()
    assert watch._killing.is_alive()
    assert signal.getsignal(signal.SIGINT) is before
    answered.set()
    watch.close()
    assert not watch._killing.is_alive()


def test_a_press_just_before_a_statement_leaves_the_watch_as_it_was(monkeypatch, watch, kills):
    def pending(*_):  # a press that Python has not handled yet is raised by `signal.signal`
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(interrupt.signal, "signal", pending)
    with pytest.raises(KeyboardInterrupt), watch.guard():
        pass
    press_inside(watch, kills)


def test_a_statement_that_ends_as_it_is_abandoned_gives_sigint_back(watch, kills):
    def end_as_it_is_abandoned():
        with watch.guard() as guard:
            guard.aim("this one", may_abandon=True)
            guard.disarm()
            watch._abandon = True  # as the thread says that sends the KILLs in vain
            signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(StoppedError):
        end_as_it_is_abandoned()
    assert signal.getsignal(signal.SIGINT) is before
    kills.clear()
    press_inside(watch, kills)
