"""What it costs to follow a table: ``python -m benchmarks.live [--quick]``.

Beside it is what a user would write instead: a thread that asks every 100 ms whether there are more
rows, and fetches those. Everyone inserts into a table of their own, in turns, and a turn ends when
everyone who follows has got every row.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import sys
import threading
import time
from random import Random
from typing import TYPE_CHECKING

import aaiclick_ext as aai

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aaiclick_ext import Object

FOLLOWERS, INSERTS, ROWS, LATENCIES = 100, 1000, 10, 200
PARTS = 5
POLL_S = 0.1
PLAIN, SUBSCRIBED, POLLED = "plain inserts", "100 filtered subscriptions", "100 polling queries"


class Followers:
    """What those who follow have got."""

    def __init__(self) -> None:
        self.got = [0] * FOLLOWERS
        self._changed = threading.Condition()

    def take(self, number: int, rows: int) -> None:
        """Take rows for one."""
        with self._changed:
            self.got[number] += rows
            self._changed.notify_all()

    def wait(self, wanted: list[int]) -> None:
        """Return when everyone has what it is to get."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.got == wanted, 300):
                raise RuntimeError(f"got {sum(self.got)} rows of {sum(wanted)}")


def _made() -> Object:
    return aai.create_object({"n": "Int64", "who": "Int64"})


@contextlib.contextmanager
def _nobody(_table: Object, _followers: Followers) -> Iterator[None]:
    yield


@contextlib.contextmanager
def _subscribed(table: Object, followers: Followers) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for number in range(FOLLOWERS):
            stack.enter_context(
                table.subscribe(
                    lambda change, number=number: followers.take(number, change.rows.num_rows),
                    where=table.who == number,
                    throttle_s=0,
                )
            )
        yield


@contextlib.contextmanager
def _polled(table: Object, followers: Followers) -> Iterator[None]:
    stop = threading.Event()
    name = table.table_name
    engine = aai.context().engine

    def poll() -> None:
        seen = 0
        while not stop.wait(POLL_S):
            now = engine.query_rows(f"SELECT count() FROM {name}")[0][0]
            if now == seen:
                continue
            for number in range(FOLLOWERS):
                sql = (
                    f"SELECT n, who FROM {name} WHERE who = {number} AND n >= {seen} AND n < {now}"
                )
                followers.take(number, engine.query_arrow(sql).num_rows)
            seen = now

    thread = threading.Thread(target=poll)
    thread.start()
    yield
    stop.set()
    thread.join()


def throughput(inserts: int) -> dict[str, float]:
    """Return, for each way, the seconds that so many inserts took until everyone had got them."""
    ways = {PLAIN: _nobody, SUBSCRIBED: _subscribed, POLLED: _polled}
    seconds = dict.fromkeys(ways, 0.0)
    dice = Random(3)
    with contextlib.ExitStack() as stack:
        tables = {way: _made() for way in ways}
        followers = {way: Followers() for way in ways}
        for way, follow in ways.items():
            stack.enter_context(follow(tables[way], followers[way]))
        wanted = [0] * FOLLOWERS
        for part in range(PARTS):
            first = part * inserts // PARTS
            numbers = range(first, (part + 1) * inserts // PARTS)
            for number in numbers:
                for n in range(number * ROWS, (number + 1) * ROWS):
                    wanted[n % FOLLOWERS] += 1
            for way in dice.sample(list(ways), len(ways)):
                started = time.perf_counter()
                for number in numbers:
                    n = list(range(number * ROWS, (number + 1) * ROWS))
                    tables[way].insert({"n": n, "who": [each % FOLLOWERS for each in n]})
                if way != PLAIN:
                    followers[way].wait(wanted)
                seconds[way] += time.perf_counter() - started
    return seconds


def latency(count: int) -> dict[str, list[float]]:
    """Return, for a callback and for a loop that polls, the times from an insert's end, in s."""
    arrived, got = threading.Event(), []

    def take(_: object) -> None:
        got.append(time.perf_counter())
        arrived.set()

    @contextlib.contextmanager
    def called_back(table: Object) -> Iterator[None]:
        with table.subscribe(take, throttle_s=0):
            yield

    @contextlib.contextmanager
    def polling(table: Object) -> Iterator[None]:
        stop, name, engine = threading.Event(), table.table_name, aai.context().engine

        def poll() -> None:
            seen = 0
            while not stop.wait(POLL_S):
                now = engine.query_rows(f"SELECT count() FROM {name}")[0][0]
                if now != seen:
                    take(engine.query_arrow(f"SELECT * FROM {name} WHERE n >= {seen}"))
                    seen = now

        thread = threading.Thread(target=poll)
        thread.start()
        yield
        stop.set()
        thread.join()

    ways: dict[str, Callable] = {"callback": called_back, "polling": polling}
    times_s: dict[str, list[float]] = {way: [] for way in ways}
    for way, follow in ways.items():
        table = _made()
        with follow(table):
            for n in range(count):
                arrived.clear()
                table.insert({"n": [n], "who": [0]})
                inserted = time.perf_counter()
                if not arrived.wait(30):
                    raise RuntimeError(f"{way}: insert {n} was not told")
                times_s[way].append(max(0.0, got[-1] - inserted))
    return times_s


def report(*, quick: bool) -> str:
    """Measure, and return what to say of it."""
    inserts, count = (INSERTS // 5, LATENCIES // 4) if quick else (INSERTS, LATENCIES)
    with aai.DataContext():
        latency(5)
        times_s, seconds = latency(count), throughput(inserts)
    lines = ["| following a table | p50 | p95 |", "|---|---|---|"]
    for way, found in times_s.items():
        cuts = statistics.quantiles(found, n=20)
        lines.append(
            f"| from the end of an insert to its {way} | {statistics.median(found) * 1e3:.0f} ms "
            f"| {cuts[18] * 1e3:.0f} ms |"
        )
    lines += ["", f"| {inserts:,} inserts of {ROWS} rows | inserts/s | ratio |", "|---|---|---|"]
    for way, took in seconds.items():
        ratio = took / seconds[PLAIN]
        lines.append(f"| {way} | {inserts / took:.0f} | {ratio:.2f} |")
    lines += ["", f"The loop polls every {POLL_S * 1e3:.0f} ms, as a user would write it."]
    return "\n".join(lines)


if __name__ == "__main__":
    said = report(quick="--quick" in sys.argv)
    print(said, file=sys.stderr)
    print(json.dumps({"note": said}))
