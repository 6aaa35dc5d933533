"""Collecting garbage while another thread collects."""

from __future__ import annotations

import gc
import threading
import weakref

from aaiclick_ext.lifecycle.collection import collect_garbage


class Cycle:
    def __init__(self):
        self.itself = self


class Slow(Cycle):
    """Holds the collection that finds it until it is told to go on."""

    begun, go_on = threading.Event(), threading.Event()

    def __del__(self):
        self.begun.set()
        self.go_on.wait(20)


def test_it_waits_for_another_thread_s_collection():
    gc.collect()
    gc.disable()
    try:
        Slow()
        other = threading.Thread(target=gc.collect)
        other.start()
        assert Slow.begun.wait(20)
        cycle = Cycle()
        alive = weakref.ref(cycle)
        del cycle
        assert gc.collect() == 0  # why it has to wait
        assert not collect_garbage(patience_s=0)
        assert alive() is not None
        threading.Timer(0.05, Slow.go_on.set).start()
        assert collect_garbage(patience_s=20)
        assert alive() is None
        other.join()
    finally:
        gc.enable()
    modules = [getattr(callback, "__module__", "") for callback in gc.callbacks]
    assert collect_garbage.__module__ not in modules
