"""Statements of one thread in one session: settings, the database, temporary tables."""

from __future__ import annotations

import threading

import pytest

from aaiclick_ext.engine import ClickHouseCreds, Engine
from aaiclick_ext.engine.handle import SESSION_SETTINGS
from aaiclick_ext.errors import EngineError, UnknownTableError


@pytest.fixture(scope="module", params=["embedded", "server"])
def ours(request, engine, settings):
    if request.param == "embedded":
        yield engine
        return
    url = request.getfixturevalue("server_url")
    server = Engine(ClickHouseCreds.from_url(url), settings)
    yield server
    server.close()


def value(engine, sql):
    return engine.query_rows(sql)[0][0]


def test_a_session_keeps_what_is_set(ours):
    here = value(ours, "SELECT currentDatabase()")
    with ours.session():
        assert value(ours, "SELECT currentDatabase()") == here
        assert value(ours, "SELECT getSetting('session_timezone')") == "UTC"
        ours.command("SET max_threads = 1, join_use_nulls = 0")
        assert value(ours, "SELECT getSetting('max_threads')") == 1
        assert value(ours, "SELECT toUInt8(getSetting('join_use_nulls'))") == 0
        ours.command("CREATE TEMPORARY TABLE passing AS SELECT 1 AS a")
        with pytest.raises(EngineError):
            ours.command("SELECT throwIf(1)")
        assert ours.query_arrow("SELECT a FROM passing")["a"].to_pylist() == [1]
        ours.command("USE system")
        assert value(ours, "SELECT currentDatabase()") == "system"
        seen = []
        other = threading.Thread(
            target=lambda: seen.append(value(ours, "SELECT currentDatabase()"))
        )
        other.start()
        other.join()
        assert seen == [here]
    assert value(ours, "SELECT currentDatabase()") == here
    assert (
        value(ours, "SELECT toUInt8(getSetting('join_use_nulls'))")
        == SESSION_SETTINGS["join_use_nulls"]
    )
    with pytest.raises(UnknownTableError):
        ours.query_rows("SELECT * FROM passing")
