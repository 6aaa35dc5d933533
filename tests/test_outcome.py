"""What a thread finds out for others; Ctrl-C at any point of asking leaves it usable."""

from __future__ import annotations

import sys
import threading
import time

import pytest

from aaiclick_ext.outcome import Outcome


def test_a_result_comes_once_for_all():
    outcome: Outcome[int] = Outcome()
    assert not outcome.done()
    assert not outcome.wait(0.01)
    with pytest.raises(TimeoutError):
        outcome.result(0)
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(outcome.result())) for _ in range(5)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    outcome.set_result(7)
    for thread in threads:
        thread.join()
    assert found == [7] * 5
    assert outcome.done()
    assert outcome.wait(0)
    assert (outcome.result(), outcome.exception()) == (7, None)


def test_an_error_is_raised_by_each_who_asks():
    outcome: Outcome[int] = Outcome()
    error = ValueError("no")
    outcome.set_exception(error)
    assert outcome.done()
    assert outcome.exception() is error
    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            outcome.result()


class _Pressed:
    """Raises KeyboardInterrupt at the nth event of tracing: any point at which Python could."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self, frame, event, arg):
        frame.f_trace_opcodes = True
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return self


def test_ctrl_c_at_any_point_of_asking_harms_nobody():
    points = 0
    while True:
        points += 1
        outcome: Outcome[int] = Outcome()
        teller = threading.Timer(0.002, outcome.set_result, (points,))
        teller.start()
        before, pressed = sys.gettrace(), _Pressed(points)
        sys.settrace(pressed)
        try:
            outcome.result()
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)
        teller.join(10)
        assert not teller.is_alive()
        assert outcome.result(10) == points
        if pressed.left > 0:
            break
    assert points > 20
