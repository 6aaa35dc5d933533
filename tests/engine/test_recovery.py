"""After a failure the next result is right, and every handle has the same settings."""

from __future__ import annotations

import threading

import pyarrow as pa
import pytest

from aaiclick_ext.engine import Role
from aaiclick_ext.engine.handle import SESSION_SETTINGS
from aaiclick_ext.errors import EngineError, QueryTimeoutError

FAILS_LATE = "SELECT number, throwIf(number = 3000000, 'late') FROM numbers(5000000)"


def settings_of(handle) -> dict[str, str]:
    names = ", ".join(f"'{name}'" for name in SESSION_SETTINGS)
    rows = handle.query_rows(f"SELECT name, value FROM system.settings WHERE name IN ({names})")
    return dict(rows)


EXPECTED = {name: str(value) for name, value in SESSION_SETTINGS.items()}


@pytest.mark.parametrize("sql", [
    FAILS_LATE,
    "SELECT number FROM numbers(10000000000) SETTINGS max_execution_time = 0.3",
    "SELECT number, sleepEachRow(0.001) FROM numbers(100000) SETTINGS max_execution_time = 0.3",
])  # fmt: skip
@pytest.mark.parametrize("method", ["query_arrow", "query_rows"])
def test_the_result_after_a_failure_is_its_own(engine, sql, method):
    """Trap 1: the rows that a failed query had emitted were prepended to the next result."""
    for _ in range(3):
        with pytest.raises((EngineError, QueryTimeoutError)):
            getattr(engine, method)(sql)
        assert engine.query_arrow("SELECT 7 AS a FROM numbers(3)").to_pydict() == {"a": [7] * 3}
        assert engine.query_rows("SELECT 7 FROM numbers(3)") == [(7,)] * 3


def test_the_trap_is_there_without_the_flush(engine):
    """The test above can fail: chdb still does this."""
    handle = engine._handles().take_extra()
    try:
        with pytest.raises(Exception, match="late"):
            handle._connection.query(FAILS_LATE, "CSV")
        assert handle._connection.query("SELECT 7 FROM numbers(3)", "CSV").bytes() != b"7\n7\n7\n"
        handle.recover()
        assert handle._connection.query("SELECT 7 FROM numbers(3)", "CSV").bytes() == b"7\n7\n7\n"
    finally:
        engine._handles().give_back(handle)


def test_a_failed_insert_leaves_nothing_for_the_next(engine):
    engine.command("CREATE TABLE strict (a Int64) ENGINE = MergeTree ORDER BY ()")
    for bad in ({"a": [1, None]}, {"a": ["x"]}, {"b": [1]}):
        with pytest.raises(EngineError):
            engine.insert_arrow("strict", pa.table(bad))
        assert engine.insert_arrow("strict", pa.table({"a": [5]})).written_rows == 1
    assert engine.query_rows("SELECT a FROM strict") == [(5,)] * 3
    engine.command("DROP TABLE strict")


def test_every_handle_has_the_settings(engine):
    handles = engine._handles()
    extra = handles.take_extra()
    try:
        for handle in (*(handles._own[role] for role in Role), extra):
            assert settings_of(handle) == EXPECTED
    finally:
        handles.give_back(extra)


def test_a_replaced_handle_has_the_settings_and_works(engine):
    handles = engine._handles()
    handle = handles.take(Role.USER)
    try:
        before = handle.client
        handle._connection.query("SET join_use_nulls = 0", "Null")
        handle.replace()
        assert handle.client is not before
        assert settings_of(handle) == EXPECTED
    finally:
        handles.give_back(handle)


def test_a_handle_that_cannot_be_flushed_replaces_itself(engine):
    handles = engine._handles()
    handle = handles.take(Role.USER)
    before = handle.client
    handle._connection.close()  # the flush then fails
    handles.give_back(handle)
    with pytest.raises(EngineError):
        engine.query_arrow("SELECT 1")
    assert engine.query_rows("SELECT 1") == [(1,)]
    assert handle.client is not before
    assert settings_of(handle) == EXPECTED


def test_a_handle_whose_driver_lock_is_stuck_replaces_itself(engine):
    """What a KeyboardInterrupt inside the driver leaves behind."""
    handles = engine._handles()
    handle = handles.take(Role.USER)
    handles.give_back(handle)
    handle._driver.lock.acquire()
    with pytest.raises(EngineError):
        engine.query_arrow("SELECT nonsense")
    assert engine.query_rows("SELECT 1") == [(1,)]
    assert settings_of(handle) == EXPECTED


def test_a_handle_that_cannot_be_replaced_tries_again(engine):
    handles = engine._handles()
    handle = handles._own[Role.USER]
    connect, handle._connect = handle._connect, lambda settings: 1 / 0
    handle._connection.close()
    with pytest.raises(EngineError):
        engine.query_arrow("SELECT 1")
    with pytest.raises(ZeroDivisionError):
        engine.query_arrow("SELECT 1")
    handle._connect = connect
    assert engine.query_rows("SELECT 1") == [(1,)]


def test_threads_fail_without_spoiling_each_other(engine):
    wrong = []

    def work(number: int) -> None:
        for _ in range(10):
            with pytest.raises(EngineError):
                engine.query_arrow(FAILS_LATE.replace("3000000", "300000"))
            rows = engine.query_rows(f"SELECT {number} FROM numbers(3)")
            if rows != [(number,)] * 3:
                wrong.append(rows)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_handle_that_is_being_killed_is_lent_to_nobody(engine):
    handles = engine._handles()
    one = handles.take_extra()
    handles.give_back(one)
    with one.cancelling():
        other = handles.take_extra()
        handles.give_back(other)
    assert other is not one
    assert one in handles._idle
