"""Ctrl-C in the middle of a release: Python drops what a finalizer raises, and the rest of it."""

from __future__ import annotations

import signal
import sys
import time

import pytest

from aaiclick_ext.lifecycle import TableWorker

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timer that interrupts")


class Owner:
    """Something that can own a claim."""


class Alarm:
    """Raises KeyboardInterrupt every few milliseconds, wherever Python is, while it is armed."""

    def __init__(self) -> None:
        self.armed = False
        self.raised = 0

    def __enter__(self):
        self._before = signal.signal(signal.SIGALRM, self._ring)
        signal.setitimer(signal.ITIMER_REAL, 0.002, 0.0011)
        return self

    def __exit__(self, *_) -> None:
        self.armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._before)

    def _ring(self, *_) -> None:
        if self.armed:
            self.raised += 1
            raise KeyboardInterrupt


def claim_and_let_go(worker: TableWorker, alarm: Alarm, ends_at: float) -> bool:
    alarm.armed = True
    while True:
        for _ in range(100):
            owner = Owner()
            worker.claim_for(owner, "t")
            del owner
        if time.monotonic() > ends_at:
            alarm.armed = False
            return True


def test_no_release_is_lost(monkeypatch):
    worker = TableWorker(lambda _: None, lambda _: None)
    hold = worker.hold("t")
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    done, ends_at = False, time.monotonic() + 2
    with Alarm() as alarm:
        while not done:
            try:
                done = claim_and_let_go(worker, alarm, ends_at)
            except KeyboardInterrupt:
                alarm.armed = False
    assert alarm.raised > 100
    assert worker.flush(60)
    assert len(worker.claims_of("t")) == 1
    hold.release()
    assert worker.flush(60)
    assert worker.live_tables() == frozenset()
    assert worker.close()
