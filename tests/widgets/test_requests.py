"""Requests that are answered in threads, and stopped: never another one than was meant."""

from __future__ import annotations

import random
import threading
import time

from aaiclick_ext.widgets.requests import Requests

PATIENCE_S = 30


def test_a_stop_kills_until_the_request_has_ended():
    kills, is_killed = [], threading.Event()

    def kill(thread):
        kills.append(thread)
        if len(kills) == 3:  # the first ones came before the query had begun
            is_killed.set()

    requests = Requests("aai-test", kill)
    threads = []

    def work():
        threads.append(threading.get_ident())
        assert is_killed.wait(PATIENCE_S)
        assert requests.is_stopped("one")

    requests.begin("one", work)
    requests.begin("one", work)
    requests.stop("one")
    requests.stop("one")
    requests.stop("unknown")
    requests.wait()
    assert (set(kills), len(threads), len(requests)) == (set(threads), 1, 0)


def test_what_has_the_identifier_of_a_thread_that_has_ended_is_not_killed():
    running, stopped, wrong = {}, set(), []

    def kill(thread):
        wrong.extend(found for found in [running.get(thread)] if found not in {None, *stopped})
        time.sleep(0.001)
        wrong.extend(found for found in [running.get(thread)] if found not in {None, *stopped})

    requests = Requests("aai-test", kill)
    chance = random.Random(6)
    for request in range(300):

        def work(request=request):
            running[threading.get_ident()] = request
            time.sleep(0.0005)
            del running[threading.get_ident()]

        requests.begin(request, work)
        time.sleep(chance.uniform(0, 0.001))
        if request % 2:
            stopped.add(request)
            requests.stop(request)
    requests.wait()
    assert wrong == []
