"""Dropper: many tables go in two threads, and what cannot go stays known."""

from __future__ import annotations

import threading

import pytest

from aaiclick_ext.lifecycle.dropper import DROP_BATCH, Dropper
from aaiclick_ext.outcome import Outcome

WAIT_S = 10


class Engine:
    """Drops what it is told; the first statements wait for each other."""

    def __init__(self, together: int) -> None:
        self.meeting = threading.Barrier(together)
        self.together = together
        self.dropped: list[str] = []
        self.threads: set[threading.Thread] = set()
        self.refused: set[str] = set()
        self.forgotten = 0

    def drop(self, names) -> None:
        thread = threading.current_thread()
        if thread not in self.threads and len(self.threads) < self.together:
            self.threads.add(thread)
            self.meeting.wait(WAIT_S)
        if self.refused.intersection(names):
            raise OSError("refused")
        self.dropped += names

    def forget(self) -> None:
        self.forgotten = len(self.dropped)


def flushed(dropper):
    done: Outcome[None] = Outcome()
    dropper.flush(done)
    return done.wait(WAIT_S)


@pytest.fixture
def start():
    """Start a dropper that finds so many tables in its queue."""
    running = []

    def start(engine, count):
        begun, first = threading.Event(), threading.Event()

        def drop(names):
            if "first" in names:
                begun.set()
                first.wait(WAIT_S)
            else:
                engine.drop(names)

        dropper = Dropper(drop, engine.forget)
        running.append(dropper)
        dropper.put("first")
        assert begun.wait(WAIT_S)
        for number in range(count):
            dropper.put(f"t{number}")
        first.set()
        return dropper

    yield start
    for dropper in running:
        dropper.stop()
        dropper.thread.join(WAIT_S)
        assert not dropper.thread.is_alive()


@pytest.mark.parametrize("count", [DROP_BATCH + 1, 2 * DROP_BATCH, 5 * DROP_BATCH + 7])
def test_many_tables_go_in_two_threads(start, count):
    engine = Engine(together=2)
    dropper = start(engine, count)
    assert flushed(dropper)
    assert sorted(engine.dropped) == sorted(f"t{number}" for number in range(count))
    assert len(engine.threads) == 2
    assert dropper.undropped == ()
    assert engine.forgotten == count


def test_a_few_need_no_second_thread(start):
    engine = Engine(together=1)
    assert flushed(start(engine, DROP_BATCH))
    assert len(engine.dropped) == DROP_BATCH
    assert "aai-drops-2" not in {thread.name for thread in engine.threads}


def test_what_is_refused_in_either_thread_stays_known_and_keeps_no_other(start):
    engine = Engine(together=2)
    engine.refused = {"t0", f"t{2 * DROP_BATCH - 1}"}
    dropper = start(engine, 2 * DROP_BATCH)
    assert flushed(dropper)
    assert sorted(dropper.undropped) == sorted(engine.refused)
    assert len(engine.dropped) == 2 * DROP_BATCH - 2
    engine.refused = set()
    assert flushed(dropper)
    assert dropper.undropped == ()
    assert len(engine.dropped) == 2 * DROP_BATCH


def test_it_does_without_where_no_thread_can_be_started(start, monkeypatch):
    engine = Engine(together=1)
    dropper = start(engine, 0)
    assert flushed(dropper)

    def refuse(thread):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    for number in range(3 * DROP_BATCH):
        dropper.put(f"t{number}")
    assert flushed(dropper)
    assert len(engine.dropped) == 3 * DROP_BATCH


def test_it_knows_its_own_threads(start):
    engine = Engine(together=2)
    own = []
    drop = engine.drop
    dropper = None

    def asking(names):
        own.append(dropper.is_own(threading.current_thread()))
        drop(names)

    engine.drop = asking
    dropper = start(engine, 2 * DROP_BATCH)
    assert flushed(dropper)
    assert own
    assert all(own)
    assert not dropper.is_own(threading.current_thread())
