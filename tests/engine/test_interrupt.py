"""Trap 3: Ctrl-C during a query did nothing until the query's end, or left locks held for ever."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from aaiclick_ext.engine import Role
from aaiclick_ext.engine.translate import QUERY_WAS_CANCELLED
from aaiclick_ext.errors import EngineError

pytestmark = pytest.mark.usefixtures("stray_presses")

SLOW = "SELECT sum(cityHash64(number)) FROM numbers(100000000000)"
SLOW_INSERT = "CREATE TABLE slow ENGINE = Memory AS SELECT number FROM numbers(100000000000)"
ENDLESS = "SELECT sleepEachRow(0.02) FROM numbers(100000) SETTINGS max_block_size = 1"


def press_after(delay_s: float, times: int = 1) -> threading.Thread:
    """Send SIGINT to this process, as a front end does."""

    def press() -> None:
        for _ in range(times):
            time.sleep(delay_s)
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    return thread


@pytest.mark.parametrize(
    "use",
    [
        lambda e: e.query_arrow(SLOW),
        lambda e: e.query_rows(SLOW),
        lambda e: e.command(SLOW_INSERT),
        lambda e: e.stream_arrow(SLOW),
        lambda e: list(e.stream_arrow(ENDLESS)),
    ],
)
def test_ctrl_c_ends_a_running_query(engine, use):
    before = signal.getsignal(signal.SIGINT), signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(before[1])
    engine.wait_open()
    for _ in range(2):
        pressing = press_after(0.3)
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt) as raised:
            use(engine)
        assert 0.25 < time.monotonic() - started < 10
        pressing.join()
        assert raised.value.__cause__ is None
        assert engine.query_rows("SELECT 1, 'x'") == [(1, "x")]
    fd = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(fd)
    assert (signal.getsignal(signal.SIGINT), fd) == before
    assert engine.query_rows("SELECT count() FROM system.tables WHERE name = 'slow'") == [(0,)]


def test_ctrl_c_ends_a_result_that_is_on_its_way(engine):
    """Not only the query that makes it: chdb cannot be stopped while it copies a whole result."""
    rows, read = 300_000_000, []
    handle = engine._handles().take(Role.USER)  # the main thread's
    engine._handles().give_back(handle)
    for _ in range(3):
        pressing = press_after(0.4)
        with pytest.raises(KeyboardInterrupt):
            engine.query_arrow(f"SELECT number FROM numbers({rows})")
        pressing.join()
        read.append(handle._progress[-1]["read_rows"])
    assert min(read) > 0
    assert max(read) < rows


def test_ctrl_c_during_small_queries_never_spoils_a_result(engine):
    interrupted = 0
    pressing = press_after(0.05, times=20)
    number = 0
    while pressing.is_alive():
        try:
            while pressing.is_alive():
                number += 1
                rows = engine.query_rows(f"SELECT number + {number} AS n FROM numbers(3)")
                assert rows == [(number,), (number + 1,), (number + 2,)]
        except KeyboardInterrupt:
            interrupted += 1
    assert interrupted >= 5
    assert engine.query_rows("SELECT 1") == [(1,)]


def test_ctrl_c_before_the_query_is_registered(engine):
    """The handler only takes note, and the KILL is repeated until it finds something."""
    engine.wait_open()
    attempt = engine._attempt

    def pressed_first(*arguments):
        os.kill(os.getpid(), signal.SIGINT)
        return attempt(*arguments)

    engine._attempt = pressed_first
    try:
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            engine.query_arrow(SLOW)
        assert time.monotonic() - started < 10
    finally:
        del engine._attempt


def test_ctrl_c_spares_other_threads(engine):
    results = []
    thread = threading.Thread(
        target=lambda: results.append(
            engine.query_rows("SELECT count() FROM (SELECT sleepEachRow(0.1) FROM numbers(12))")
        )
    )
    thread.start()
    time.sleep(0.1)
    pressing = press_after(0.3)
    with pytest.raises(KeyboardInterrupt):
        engine.query_arrow(SLOW)
    pressing.join()
    thread.join()
    assert results == [[(12,)]]


def test_ctrl_c_lets_the_log_and_the_worker_finish(engine):
    """A log insert cut in the middle would leave half of it."""
    engine.command("CREATE TABLE finished (a UInt8) ENGINE = Memory")
    for role in (Role.LOG, Role.WORKER):
        pressing = press_after(0.2)
        with pytest.raises(KeyboardInterrupt):
            engine.command(
                "INSERT INTO finished SELECT sleepEachRow(0.1) FROM numbers(6)", role=role
            )
        pressing.join()
    assert engine.query_rows("SELECT count() FROM finished") == [(12,)]
    engine.command("DROP TABLE finished")


def test_other_signals_reach_the_wakeup_fd_they_had(engine):
    """asyncio learns of its signals through that fd."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    os.set_blocking(reading, False)
    before = signal.set_wakeup_fd(writing)
    handler = signal.signal(signal.SIGUSR1, lambda *_: None)
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    try:
        engine.query_rows("SELECT sleep(0.6)")
        assert os.read(reading, 10) == bytes([signal.SIGUSR1])
    finally:
        timer.join()
        signal.set_wakeup_fd(before)
        signal.signal(signal.SIGUSR1, handler)
        os.close(reading)
        os.close(writing)


def test_an_ignored_ctrl_c_stays_ignored(engine):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        pressing = press_after(0.1)
        assert engine.query_rows("SELECT sleep(0.4)") == [(0,)]
        pressing.join()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_cancel_from_another_thread(engine):
    engine.wait_open()
    timer = threading.Timer(0.3, engine.cancel)
    timer.start()
    with pytest.raises(EngineError, match="cancelled") as raised:
        engine.query_arrow(SLOW)
    timer.join()
    assert raised.value.code == 394
    assert engine.query_rows("SELECT 1") == [(1,)]


def test_what_begins_while_another_statement_is_killed_counts_as_cancelled(engine):
    """The KILL may find it, and a query that is killed as it begins ends empty, without a word."""
    handle = engine._handles().take(Role.USER)
    try:
        handle.begin()
        with handle.cancelling():
            handle.begin()
            assert handle.cancelled
        handle.begin()
        assert not handle.cancelled
    finally:
        engine._handles().give_back(handle)


def test_a_cancelled_insert_says_so(engine):
    """chdb itself says nothing when a pushed insert is killed: it only stops writing."""
    import numpy as np
    import pyarrow as pa

    engine.command("CREATE TABLE pushed (a Int64) ENGINE = MergeTree ORDER BY ()")
    data = pa.table({"a": np.arange(1_000_000)})

    timer = threading.Timer(0.2, engine.cancel)
    big = pa.concat_tables([data] * 60)
    timer.start()
    with pytest.raises(EngineError, match="cancelled") as raised:
        engine.insert_arrow("pushed", big)
    timer.join()
    assert raised.value.code == 394
    assert engine.insert_arrow("pushed", data.slice(0, 3)).written_rows == 3
    engine.command("DROP TABLE pushed")


def test_a_sigint_from_outside(script):
    """The whole way, from another process, with Python's own handler."""
    run = script("""
        engine = opened()
        for _ in range(3):
            say("running")
            started = time.monotonic()
            try:
                engine.query_arrow(SLOW)
            except KeyboardInterrupt:
                say("interrupted", time.monotonic() - started < 10)
            say(engine.query_rows("SELECT 1"))
        engine.close()
        say([thread.name for thread in threading.enumerate()])
    """)
    for _ in range(3):
        assert run.line() == "running"
        time.sleep(0.5)
        run.process.send_signal(signal.SIGINT)
        assert run.line() == "interrupted True"
        assert run.line() == "[(1,)]"
    assert run.line() == "['MainThread']"
    assert run.end() == (0, "", "")


def test_one_thread_s_query_is_cancelled_alone(engine):
    ended: list[str] = []

    def run(name: str) -> None:
        with pytest.raises(EngineError) as caught:
            engine.query_arrow(SLOW)
        assert caught.value.code == QUERY_WAS_CANCELLED
        ended.append(name)

    threads = {name: threading.Thread(target=run, args=(name,)) for name in ("first", "second")}
    for thread in threads.values():
        thread.start()
    for name, thread in threads.items():
        while thread.is_alive():  # a KILL before the query has begun finds nothing
            engine.cancel(thread.ident)
            thread.join(0.1)
        assert ended[-1] == name
        assert len(ended) == list(threads).index(name) + 1


def test_a_kill_of_the_user_s_own_never_leaves_a_part_of_a_result(engine):
    """ClickHouse's embedded engine ends a killed query as if it were done, now and then."""
    rows, ended = 1_000_000, []
    over = threading.Event()

    def fetch() -> None:
        while not over.is_set():
            try:
                ended.append(engine.query_arrow(f"SELECT number FROM numbers({rows})").num_rows)
            except EngineError as error:
                ended.append(-error.code)

    threads = [threading.Thread(target=fetch) for _ in range(2)]
    for thread in threads:
        thread.start()
    while len(ended) < 100:
        killed = engine.kill("KILL QUERY WHERE query LIKE 'SELECT number FROM%' ASYNC")
        assert killed.num_columns == 0 or "SELECT number" in killed["query"][0].as_py()
    over.set()
    for thread in threads:
        thread.join()
    assert set(ended) <= {rows, -QUERY_WAS_CANCELLED}
    assert -QUERY_WAS_CANCELLED in ended
    assert engine.query_rows("SELECT 1") == [(1,)]
