"""The thread of the reaper: asked again, and told to stop, at any moment."""

from __future__ import annotations

import threading

from aaiclick_ext.lifecycle import background_reaper
from aaiclick_ext.lifecycle.background_reaper import BackgroundReaper
from aaiclick_ext.lifecycle.reaper import Reaped


def test_a_stop_while_it_begins_to_look_is_not_missed(monkeypatch):
    monkeypatch.setattr(background_reaper, "_AFTER_S", 0.0)
    reaper = BackgroundReaper(lambda _: Reaped())

    class Asked(threading.Event):
        def clear(self):
            reaper._stop.set()  # as `close` does, which comes just before
            self.set()
            super().clear()

    reaper._asked = Asked()
    reaper.start()
    assert reaper.wait(10)
    reaper._thread.join(10)
    assert not reaper._thread.is_alive()
